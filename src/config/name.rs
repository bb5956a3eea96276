//! Names of upstreams, clients and keys.

use std::fmt;

use super::value::{Text, Wrong};

/// The longest name, in characters: it stands in every event.
const MAX_LENGTH: usize = 64;

/// `[A-Za-z0-9._-]{1,64}`, not beginning with a dot: names of keys are names of
/// files, and `..` is not one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// The name as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for Name {
    const EXPECTED: &'static str =
        "a name of up to 64 letters, digits, '.', '_', '-' that begins with no dot";

    /// What is no name is never shown: it may be the secret itself.
    fn from_text(text: &str) -> Result<Name, Wrong> {
        if is_name(text) {
            Ok(Name(text.to_owned()))
        } else {
            Err(Wrong::described("a string that is no name (hidden)")
                .help("write the name of a credential; the secret itself belongs in its file"))
        }
    }
}

/// Whether `text` is a name.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_LENGTH).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_directory() {
        for text in ["", ".", "..", ".hidden", "a/b", "a b", "é", &"a".repeat(65)] {
            assert!(Name::from_text(text).is_err(), "{text}");
        }
        for text in ["a", "client.litellm", "A_b-1.", &"a".repeat(64)] {
            assert!(Name::from_text(text).is_ok(), "{text}");
        }
    }
}
