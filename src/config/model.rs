//! What stands in `[model.NAME]`: names of models and of upstreams, parameters
//! of requests and their values.

use toml::de::DeValue;

use super::value::{Text, Value, Wrong};

/// The longest name or pattern, in bytes.
const LONGEST: usize = 256;

/// The name of a model, or a pattern of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelName(pub(super) String);

impl Text for ModelName {
    const EXPECTED: &'static str = "the name of a model, of up to 256 bytes";

    fn from_text(text: &str) -> Result<ModelName, Wrong> {
        let is_name = (1..=LONGEST).contains(&text.len()) && !text.contains(char::is_control);
        is_name
            .then(|| ModelName(text.to_owned()))
            .ok_or_else(|| Wrong::text(text))
    }
}

/// The name of an upstream, as another table has it.
#[derive(Debug, Clone)]
pub(super) struct UpstreamName(pub(super) String);

impl Text for UpstreamName {
    const EXPECTED: &'static str = "the name of an upstream";

    fn from_text(text: &str) -> Result<UpstreamName, Wrong> {
        Ok(UpstreamName(text.to_owned()))
    }
}

/// An endpoint, or a pattern of endpoints.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(pub(super) String);

impl Text for Endpoint {
    const EXPECTED: &'static str =
        "the path of an endpoint without /v1, such as \"/chat/completions\" or \"/files*\"";

    fn from_text(text: &str) -> Result<Endpoint, Wrong> {
        let below = text
            .strip_prefix("/v1")
            .filter(|below| below.starts_with('/'));
        if let Some(below) = below {
            return Err(Wrong::text(text).help(format!("write {below:?}; it holds for both")));
        }
        let is_path = text.starts_with(['/', '*']) && !text.contains(['#', '%', ' ']);
        is_path
            .then(|| Endpoint(text.to_owned()))
            .ok_or_else(|| Wrong::text(text))
    }
}

/// The name of a parameter: a member of a request's JSON object.
#[derive(Debug, Clone)]
pub(super) struct Parameter(pub(super) String);

impl Text for Parameter {
    const EXPECTED: &'static str = "the name of a parameter, such as \"reasoning\"";

    fn from_text(text: &str) -> Result<Parameter, Wrong> {
        match text {
            "" => Err(Wrong::text(text)),
            "model" => Err(Wrong::text(text).help("the model's name at the upstream is `name`")),
            text => Ok(Parameter(text.to_owned())),
        }
    }
}

/// A value that a parameter is set to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Json(pub(super) serde_json::Value);

impl Value for Json {
    const EXPECTED: &'static str =
        "a string, a number, true or false, an array or a table, which JSON has too";

    fn from_toml(value: &DeValue<'_>) -> Result<Json, Wrong> {
        json(value).map(Json)
    }
}

impl Json {
    /// As it is written in the file.
    pub(super) fn shown(&self) -> String {
        toml::Value::try_from(&self.0).map_or_else(|_| String::new(), |value| value.to_string())
    }
}

fn json(value: &DeValue<'_>) -> Result<serde_json::Value, Wrong> {
    Ok(match value {
        DeValue::String(text) => text.to_string().into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| Wrong::described(number.to_string()))?
            .into(),
        // JSON has no infinity and no NaN.
        DeValue::Float(number) => {
            let read = number.as_str().parse().ok();
            read.and_then(serde_json::Number::from_f64)
                .map(serde_json::Value::Number)
                .ok_or_else(|| Wrong::described(number.to_string()))?
        }
        DeValue::Array(array) => array
            .iter()
            .map(|value| json(value.get_ref()))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        DeValue::Table(table) => table
            .iter()
            .map(|(key, value)| Ok((key.get_ref().to_string(), json(value.get_ref())?)))
            .collect::<Result<serde_json::Map<_, _>, Wrong>>()?
            .into(),
        other => return Err(Wrong::kind(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<String, Wrong> {
        let value = DeValue::parse(value).unwrap();
        Json::from_toml(value.get_ref()).map(|json| json.0.to_string())
    }

    #[test]
    fn a_value_is_the_same_in_json() {
        for (toml, json) in [
            ("\"medium\"", "\"medium\""),
            ("'a \"b\" \\n ä'", "\"a \\\"b\\\" \\\\n ä\""),
            ("1", "1"),
            ("0x10", "16"),
            ("1_000", "1000"),
            ("-0.5", "-0.5"),
            ("true", "true"),
            ("[1, \"a\", []]", "[1,\"a\",[]]"),
            (
                "{ effort = \"low\", max = { n = 1 } }",
                "{\"effort\":\"low\",\"max\":{\"n\":1}}",
            ),
        ] {
            assert_eq!(read(toml).as_deref(), Ok(json), "{toml}");
        }
    }

    #[test]
    fn what_json_lacks_is_refused() {
        for toml in [
            "inf",
            "-nan",
            "[inf]",
            "2026-11-24",
            "{ a = 07:00:00 }",
            "99999999999999999999",
        ] {
            assert!(read(toml).is_err(), "{toml}");
        }
    }
}
