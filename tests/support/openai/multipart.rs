//! The parts of a `multipart/form-data` body (RFC 7578), as far as the SDKs write it.

use memchr::memmem;

use super::route::Asked;

/// One part.
pub struct Part<'a> {
    /// The form field's name.
    pub name: String,
    /// The file's name, if it is one.
    pub file_name: Option<String>,
    /// Its bytes.
    pub data: &'a [u8],
}

/// The parts in their order; None if the body is no such form.
pub fn parts(asked: &Asked) -> Option<Vec<Part<'_>>> {
    let (_, boundary) = asked.field("content-type").split_once("boundary=")?;
    let boundary = boundary.split(';').next()?.trim_matches('"');
    // The first delimiter stands at the start of a line that has none before it.
    let delimiter = format!("--{boundary}");
    let mut left = asked.body.as_ref().strip_prefix(delimiter.as_bytes())?;
    let delimiter = format!("\r\n--{boundary}");
    let mut parts = Vec::new();
    while !left.starts_with(b"--") {
        let end = memmem::find(left, delimiter.as_bytes())?;
        parts.push(part(&left[..end])?);
        left = &left[end + delimiter.len()..];
    }
    Some(parts)
}

/// The part called `name`.
pub fn named<'a, 'b>(parts: &'a [Part<'b>], name: &str) -> Option<&'a Part<'b>> {
    parts.iter().find(|part| part.name == name)
}

fn part(bytes: &[u8]) -> Option<Part<'_>> {
    let end = memmem::find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let disposition = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    Some(Part {
        name: parameter(disposition, "; name=")?,
        file_name: parameter(disposition, "; filename="),
        data: &bytes[end + 4..],
    })
}

fn parameter(disposition: &str, name: &str) -> Option<String> {
    let (_, value) = disposition.split_once(name)?;
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => value.split(';').next()?,
    };
    Some(value.to_owned())
}
