//! Extra fields that an upstream gets: their names and values.

use http::{HeaderName, HeaderValue, header};

use super::value::{Text, Wrong};

/// Fields that belong to a connection and not to a message: RFC 9110, 7.6.1,
/// and what implementations add to it.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The value of an extra field. Never shown when it is wrong: many are secrets.
#[derive(Debug, Clone)]
pub(super) struct FieldValue(pub(super) HeaderValue);

impl Text for FieldValue {
    const EXPECTED: &'static str = "a text of visible ASCII characters and spaces";

    fn from_text(text: &str) -> Result<FieldValue, Wrong> {
        let value = HeaderValue::from_str(text)
            .ok()
            .filter(|_| text.trim() == text);
        let wrong = || Wrong::described("a string with other characters (hidden)");
        value.map(FieldValue).ok_or_else(wrong)
    }
}

/// The name of a field that an operator may set.
///
/// # Errors
/// Why this one can't be set, and what to do.
pub(super) fn name(text: &str) -> Result<HeaderName, (&'static str, &'static str)> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return Err((
            "not the name of a field",
            "letters, digits and '-', as in \"accept-encoding\"",
        ));
    };
    if HOP_BY_HOP.contains(&name.as_str()) {
        return Err((
            "a hop-by-hop field can't be set",
            "upstreamd sets it for each connection itself",
        ));
    }
    match name {
        header::HOST => Err(("can't be set", "it follows from base_url")),
        header::CONTENT_LENGTH => Err(("can't be set", "it follows from each request's body")),
        header::AUTHORIZATION => Err((
            "can't be set, a secret doesn't belong in the file",
            "name a key in `keys`; it is sent as `Authorization: Bearer`",
        )),
        header::USER_AGENT => Err(("can't be set twice", "use `user_agent`")),
        name => Ok(name),
    }
}
