//! A secret: an API key or a client's key.

use std::fmt;

use aws_lc_rs::digest;
use http::HeaderValue;

/// Bytes that a secret may have. The longest known bearer tokens (JWTs) stay
/// well below, and a request's head has to hold it.
pub(crate) const LONGEST: usize = 8 * 1024;

/// Visible ASCII, not empty. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret that `content`, of a file or of a variable, holds. One
    /// newline at its end is not a part of it.
    ///
    /// # Errors
    /// What is wrong with the content, without the content.
    pub(crate) fn new(content: &[u8]) -> Result<Secret, &'static str> {
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.is_empty() {
            return Err("it is empty");
        }
        if content.iter().all(u8::is_ascii_whitespace) {
            return Err("it holds nothing but white space");
        }
        if content.len() > LONGEST {
            return Err("it is longer than 8 KiB");
        }
        match String::from_utf8(content.to_vec()) {
            Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => Ok(Secret(text)),
            _ => {
                Err("it has a space, a second line or another character that is not visible ASCII")
            }
        }
    }

    /// The secret itself, to be stored.
    pub(crate) fn content(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// `Bearer SECRET`, marked sensitive.
    pub(super) fn authorization(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .expect("a secret is visible ASCII");
        value.set_sensitive(true);
        value
    }

    /// The SHA-256 that a client's key is recognized by: of the secret, or the
    /// one that it states as `sha256:<64 hex>`.
    ///
    /// # Errors
    /// What is wrong with a stated one.
    pub(super) fn sha256(&self) -> Result<[u8; 32], &'static str> {
        if let Some(hex) = self.0.strip_prefix("sha256:") {
            return from_hex(hex).ok_or("after \"sha256:\" it has not 64 hexadecimal digits");
        }
        let digest = digest::digest(&digest::SHA256, self.0.as_bytes());
        Ok(digest.as_ref().try_into().expect("a SHA-256 has 32 bytes"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    let bytes = digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_is_not_a_part_of_a_secret() {
        assert_eq!(Secret::new(b"abc\n").unwrap().0, "abc");
        assert_eq!(Secret::new(b"abc\r\n").unwrap().0, "abc");
        assert_eq!(Secret::new(b"abc").unwrap().0, "abc");
    }

    #[test]
    fn what_no_field_can_carry_is_no_secret() {
        for content in [
            &b""[..],
            b"\n",
            b"  \n",
            b"a b",
            b"a\nb",
            b"a\n\n",
            b"\xff",
            "é".as_bytes(),
        ] {
            assert!(Secret::new(content).is_err(), "{content:?}");
        }
        assert!(Secret::new(&[b'a'; LONGEST]).is_ok());
        assert!(Secret::new(&[b'a'; LONGEST + 1]).is_err());
    }

    #[test]
    fn a_stated_hash_is_the_hash_of_the_key_itself() {
        // printf abc | sha256sum
        let stated = b"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let plain = Secret::new(b"abc").unwrap().sha256();
        assert_eq!(Secret::new(stated).unwrap().sha256(), plain);
        assert!(Secret::new(b"sha256:ba78").unwrap().sha256().is_err());
        assert!(
            Secret::new(&[b"sha256:", &b"g"[..].repeat(64)[..]].concat())
                .unwrap()
                .sha256()
                .is_err()
        );
    }

    #[test]
    fn nobody_can_print_a_secret() {
        let secret = Secret::new(b"hunter2").unwrap();
        assert!(!format!("{secret:?} {:?}", secret.authorization()).contains("hunter2"));
    }
}
