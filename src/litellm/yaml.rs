//! LiteLLM's `config.yaml`.
//!
//! Its form is fixed and small, so that it takes no YAML library: every text is
//! in double quotes, in which YAML and JSON mean the same, and all that YAML
//! doubts or folds there (line ends of Unicode, say) is escaped.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::Value;

use super::deployments::Deployment;

/// The variable with the key that LiteLLM's clients present.
const MASTER_KEY: &str = "LITELLM_MASTER_KEY";
/// OpenAI's client wants a key even where nobody reads it.
const NO_KEY: &str = "none";
/// Where LiteLLM listens unless it is told otherwise.
const LITELLM_PORT: u16 = 4000;

/// The whole file; `daemon` is what the deployments go through, if they do.
pub(super) fn write(deployments: &[Deployment], daemon: Option<SocketAddr>) -> String {
    let mut page = head(deployments, daemon);
    // A String takes everything.
    let _ = writeln!(page, "\nmodel_list:");
    for deployment in deployments {
        let _ = writeln!(page, "  - model_name: {}", quoted(&deployment.model_name));
        let _ = writeln!(page, "    litellm_params:");
        for (name, value) in parameters(deployment) {
            let _ = writeln!(page, "      {name}: {value}");
        }
    }
    let _ = writeln!(page, "\nlitellm_settings:\n  drop_params: true");
    let master_key = quoted(&format!("os.environ/{MASTER_KEY}"));
    let _ = writeln!(page, "\ngeneral_settings:\n  master_key: {master_key}");
    page
}

/// Comments: what has to be in LiteLLM's environment, and where it can listen.
fn head(deployments: &[Deployment], daemon: Option<SocketAddr>) -> String {
    let mut variables = BTreeMap::new();
    for variable in deployments.iter().filter_map(|d| d.key_variable.as_deref()) {
        let what = match daemon {
            Some(_) => "a client's key of upstreamd",
            None => "a key of the upstream",
        };
        variables.insert(variable, what.to_owned());
    }
    let own = "what LiteLLM's clients have to present".to_owned();
    variables
        .entry(MASTER_KEY)
        .and_modify(|what| *what = format!("{what}, and {own}"))
        .or_insert(own);
    let width = variables.keys().map(|name| name.len()).max().unwrap_or(0);
    let mut head =
        "# Made by `upstreamd litellm-config`. Variables that LiteLLM needs:\n".to_owned();
    for (name, what) in variables {
        let _ = writeln!(head, "#   {name:width$}  {what}");
    }
    if daemon.is_some_and(|daemon| daemon.port() == LITELLM_PORT) {
        let other = LITELLM_PORT + 1;
        let _ = writeln!(
            head,
            "# Port {LITELLM_PORT} is upstreamd's, so give LiteLLM another one: litellm --port {other} --config FILE"
        );
    }
    head
}

fn parameters(deployment: &Deployment) -> Vec<(String, String)> {
    // LiteLLM takes one provider off the front of the name.
    let model = quoted(&format!("openai/{}", deployment.model));
    let key = match &deployment.key_variable {
        Some(variable) => format!("os.environ/{variable}"),
        None => NO_KEY.to_owned(),
    };
    let mut parameters = vec![
        ("model".to_owned(), model),
        ("custom_llm_provider".to_owned(), quoted("openai")),
        ("api_base".to_owned(), quoted(&deployment.api_base)),
        ("api_key".to_owned(), quoted(&key)),
    ];
    let mut add = |name: &str, value| parameters.push((name.to_owned(), value));
    if let Some(order) = deployment.order {
        add("order", order.to_string());
    }
    if let Some(weight) = deployment.weight {
        add("weight", weight.to_string());
    }
    for (name, value) in &deployment.set {
        add(
            &quoted(name),
            flow(&serde_json::from_str(value).unwrap_or_default()),
        );
    }
    if !deployment.drop.is_empty() {
        let names: Vec<_> = deployment.drop.iter().map(|name| quoted(name)).collect();
        add("additional_drop_params", format!("[{}]", names.join(", ")));
    }
    parameters
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(flow).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(members) => {
            let members = members.iter();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{}: {}", quoted(name), flow(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text in double quotes; what is not plain ASCII as YAML escapes it.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_on_one_line_whatever_is_in_it() {
        let value = json!({ "a\"b": [1, 0.5, true, null, "x: #\n\u{2028}é😀"] });
        assert_eq!(
            flow(&value),
            "{\"a\\\"b\": [1, 0.5, true, null, \"x: #\\U0000000A\\U00002028\\U000000E9\\U0001F600\"]}"
        );
    }
}
