//! The helper's environment as a configuration file of upstreamd.

use std::fmt::Write;

use crate::config::checked::BaseUrl;
use crate::config::{Helper, HelperModel};

/// What the client's key is called, as upstreamd(8) and upstreamd.toml(5) do.
const CLIENT_KEY: &str = "client.litellm";
/// The longest name of an upstream that is made here; a name has 64 characters
/// at most, and a number may follow.
const LONGEST_NAME: usize = 56;

/// The file. Keys are named in it, and how to store them is said in comments,
/// as commands for the shell whose environment this was.
pub(super) fn toml(helper: &Helper) -> String {
    let upstreams = Upstreams::of(helper);
    let keys = key_names(helper, &upstreams.0[0].0);
    let mut page = head(helper, &keys);
    // A String takes everything.
    if helper.listen.is_some() || upstreams.0.len() > 1 {
        let _ = writeln!(page, "\n[server]");
    }
    if let Some(listen) = &helper.listen {
        let _ = writeln!(page, "listen = [{}]", string(&listen.to_string()));
    }
    if upstreams.0.len() > 1 {
        let _ = writeln!(page, "default_upstream = {}", string(&upstreams.0[0].0));
    }
    for (index, (name, base_url)) in upstreams.0.iter().enumerate() {
        let _ = writeln!(page, "\n[upstream.{name}]");
        if index > 0 && !keys.is_empty() {
            page.push_str("# The environment had one set of keys for all upstreams.\n");
        }
        let _ = writeln!(page, "base_url = {}", string(&base_url.to_string()));
        let keys: Vec<_> = keys.iter().map(|key| string(key)).collect();
        let _ = writeln!(page, "keys = [{}]", keys.join(", "));
        if let Some(user_agent) = helper.user_agent.as_ref().and_then(|v| v.to_str().ok()) {
            let _ = writeln!(page, "user_agent = {}", string(user_agent));
        }
    }
    for (key, model) in &helper.models {
        let name = model_name(key);
        let _ = writeln!(page, "\n[model.{}]", string(&name));
        let upstream = upstreams.name_of(model.base_url.as_ref());
        let _ = writeln!(page, "upstream = {}", string(upstream));
        page.push_str(&edits(model, &name));
    }
    if helper.has_client_key {
        let _ = writeln!(page, "\n[client.litellm]\nkey = {}", string(CLIENT_KEY));
    }
    page
}

fn head(helper: &Helper, keys: &[String]) -> String {
    let mut head = "# Made by `upstreamd import-env`.\n".to_owned();
    let mut commands = Vec::new();
    for (variable, key) in helper.keys.iter().zip(keys) {
        let value = match variable.split_once('.') {
            None => format!("printf %s \"${variable}\""),
            // Which one it is upstreamd counted the same way.
            Some((list, number)) => format!(
                "printf %s \"${list}\" | tr ', \\t' '\\n\\n\\n' | grep . | sed -n {number}p"
            ),
        };
        commands.push(format!("{value} | upstreamd key set {key}"));
    }
    if helper.has_client_key {
        commands.push(format!(
            "printf %s \"$LITELLM_MASTER_KEY\" | upstreamd key set {CLIENT_KEY}"
        ));
    }
    if !commands.is_empty() {
        head.push_str("# Its keys are not in it. To store them, in the same environment:\n#\n");
        for command in commands {
            let _ = writeln!(head, "#     {command}");
        }
    }
    for variable in &helper.unknown {
        let _ = writeln!(head, "# {variable} means nothing here.");
    }
    head
}

/// What a model sets and drops, if anything.
fn edits(model: &HelperModel, name: &str) -> String {
    let mut lines = String::new();
    if let Some(there) = model.name.as_deref().filter(|there| *there != name) {
        let _ = writeln!(lines, "name = {}", string(there));
    }
    if let Some(effort) = &model.reasoning_effort {
        let _ = writeln!(lines, "set = {{ reasoning_effort = {} }}", string(effort));
        // The two ways to ask for one thing; both at once some upstreams refuse.
        let _ = writeln!(lines, "drop = [\"reasoning\"]");
    }
    lines
}

/// The name of a model: a variable's name has no small letters and no dashes.
fn model_name(key: &str) -> String {
    key.to_ascii_lowercase().replace('_', "-")
}

/// A name for each key: the upstream's, numbered if there are several.
fn key_names(helper: &Helper, upstream: &str) -> Vec<String> {
    let numbered = |number: usize| match helper.keys.len() {
        1 => upstream.to_owned(),
        _ => format!("{upstream}-{number}"),
    };
    (1..=helper.keys.len()).map(numbered).collect()
}

/// Each base URL once, with a name; the one for all other models is the first.
struct Upstreams<'h>(Vec<(String, &'h BaseUrl)>);

impl<'h> Upstreams<'h> {
    fn of(helper: &'h Helper) -> Upstreams<'h> {
        let models = helper.models.values();
        let bases = models.filter_map(|model| model.base_url.as_ref());
        let mut upstreams = Upstreams(Vec::new());
        for base_url in helper.base_url.iter().chain(bases) {
            if upstreams.0.iter().any(|(_, other)| *other == base_url) {
                continue;
            }
            let wanted = upstream_name(&base_url.host);
            let is_taken = |name: &str| upstreams.0.iter().any(|(other, _)| other == name);
            let numbered = (2..).map(|number| format!("{wanted}-{number}"));
            let mut names = std::iter::once(wanted.clone()).chain(numbered);
            let free = names.find(|name| !is_taken(name));
            upstreams.0.push((free.unwrap_or(wanted), base_url));
        }
        upstreams
    }

    /// The upstream of a model with this base URL of its own, if any.
    fn name_of(&self, base_url: Option<&BaseUrl>) -> &str {
        let same = |(_, other): &&(String, &BaseUrl)| Some(*other) == base_url;
        let found = self.0.iter().find(same);
        &found.unwrap_or(&self.0[0]).0
    }
}

/// `openai` of `api.openai.com`: without the last label and a leading `api` or
/// `www`, and with dashes for dots. An address stays whole.
fn upstream_name(host: &str) -> String {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let mut labels: Vec<_> = host.split(['.', ':']).filter(|l| !l.is_empty()).collect();
    if !is_address && labels.len() > 1 {
        labels.pop();
    }
    if labels.len() > 1 && ["api", "www"].contains(&labels[0]) {
        labels.remove(0);
    }
    let mut name = labels.join("-").to_ascii_lowercase();
    name.truncate(LONGEST_NAME);
    match name.is_empty() {
        // `[::]` has nothing else.
        true => "upstream".to_owned(),
        false => name,
    }
}

fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_called_by_its_host() {
        for (host, name) in [
            ("api.openai.com", "openai"),
            ("agentrouter.org", "agentrouter"),
            ("gateway.eu.example.com", "gateway-eu-example"),
            ("api.com", "api"),
            ("localhost", "localhost"),
            ("10.0.0.1", "10-0-0-1"),
            ("::1", "1"),
            ("::", "upstream"),
        ] {
            assert_eq!(upstream_name(host), name);
        }
    }
}
