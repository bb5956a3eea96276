//! One value as an operator writes it: in the file, in an environment
//! variable or behind a flag.

use std::path::PathBuf;

use http::HeaderValue;
use toml::de::DeValue;

use super::hiding;

/// Found strings are cut after this many characters, so that an error stays a line.
const SHOWN_CHARACTERS: usize = 60;

/// What can be read from one value of the file.
pub(super) trait Value: Sized {
    /// What is expected, as it follows the word "expected".
    const EXPECTED: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// What was found in its place.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Wrong>;
}

/// What can be read from a text: a string of the file, an environment
/// variable, a word of the command line.
pub(crate) trait Text: Sized {
    /// What is expected, as it follows the word "expected".
    const EXPECTED: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// What was found in its place.
    fn from_text(text: &str) -> Result<Self, Wrong>;

    /// What to write in place of a bare number, where people write one.
    fn in_place_of_number(_number: &str) -> Option<String> {
        None
    }
}

/// What was found in place of what was expected. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// What was found, as it follows the word "found".
    pub(crate) found: String,
    /// What to do, if there is more to say than what was expected.
    pub(crate) help: Option<String>,
}

impl Wrong {
    /// `found`, described without showing it.
    pub(crate) fn described(found: impl Into<String>) -> Wrong {
        Wrong {
            found: found.into(),
            help: None,
        }
    }

    /// `text`, shown unless it looks like a secret.
    pub(crate) fn text(text: &str) -> Wrong {
        let secret = hiding::words(text).any(|word| hiding::looks_like_a_key(&text[word]));
        if secret {
            return Wrong::described("a string that looks like a key (hidden)");
        }
        match text.char_indices().nth(SHOWN_CHARACTERS) {
            Some((cut, _)) => Wrong::described(format!("{:?}...", &text[..cut])),
            None => Wrong::described(format!("{text:?}")),
        }
    }

    /// With what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Wrong {
        self.help = Some(help.into());
        self
    }

    /// The kind of `value`, not the value.
    pub(super) fn kind(value: &DeValue<'_>) -> Wrong {
        let article = match value {
            DeValue::Integer(_) | DeValue::Array(_) => "an",
            _ => "a",
        };
        Wrong::described(format!("{article} {}", value.type_str()))
    }
}

impl<T: Text> Value for T {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_toml(value: &DeValue<'_>) -> Result<T, Wrong> {
        match value {
            DeValue::String(text) => T::from_text(text),
            DeValue::Integer(number) => Err(match T::in_place_of_number(number.as_str()) {
                Some(instead) => Wrong::described(format!("the integer {number}"))
                    .help(format!("write {instead}, in quotes")),
                None => Wrong::kind(value),
            }),
            other => Err(Wrong::kind(other)),
        }
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false, without quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<bool, Wrong> {
        value.as_bool().ok_or_else(|| shown(value))
    }
}

impl Value for usize {
    const EXPECTED: &'static str = "a whole number, without quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<usize, Wrong> {
        let number = value.as_integer().ok_or_else(|| shown(value))?;
        usize::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| Wrong::described(number.to_string()))
    }
}

impl Text for PathBuf {
    const EXPECTED: &'static str = "the path of a file";

    fn from_text(text: &str) -> Result<PathBuf, Wrong> {
        if text.is_empty() || text.contains('\0') {
            return Err(Wrong::text(text));
        }
        Ok(PathBuf::from(text))
    }
}

/// A User-Agent.
impl Text for HeaderValue {
    const EXPECTED: &'static str = "a text of visible ASCII characters and single spaces";

    fn from_text(text: &str) -> Result<HeaderValue, Wrong> {
        let tidy = !text.is_empty() && text.trim() == text;
        let value = HeaderValue::from_str(text).ok().filter(|_| tidy);
        value.ok_or_else(|| Wrong::text(text))
    }
}

fn shown(value: &DeValue<'_>) -> Wrong {
    match value {
        DeValue::String(text) => Wrong::text(text),
        other => Wrong::kind(other),
    }
}
