//! Text of a record that somebody else chose: a path, an id, a model's name.
//!
//! Bounded where it is made, so that neither the memory of a running request
//! nor a log line depends on what a client sends.

use std::fmt::{self, Write};
use std::ops::Deref;

use slog::{Key, Record, Serializer, Value};
use smol_str::SmolStr;

/// Put in the place of what was cut off.
const CUT: &str = "…";

/// Text of at most `N` bytes, cut at a character boundary and then ended with `…`.
///
/// 256 bytes hold every id and model name in use; an error message with an
/// address and its causes gets 1024.
#[derive(Clone, PartialEq, Eq)]
pub struct Bounded<const N: usize = 256>(SmolStr);

impl<const N: usize> Bounded<N> {
    /// Text as something displays itself, formatted no further than the bound.
    pub fn display(shown: &impl fmt::Display) -> Self {
        let mut room = Room {
            text: String::new(),
            left: N + 1,
        };
        // Only `Room` ends it early, once there is more than fits.
        let _ = write!(room, "{shown}");
        Self::from(room.text.as_str())
    }
}

impl<const N: usize> From<&str> for Bounded<N> {
    fn from(text: &str) -> Self {
        if text.len() <= N {
            return Self(SmolStr::new(text));
        }
        let kept = &text[..text.floor_char_boundary(N.saturating_sub(CUT.len()))];
        Self([kept, CUT].concat().into())
    }
}

/// Bytes of a field, perhaps with obs-text; what is no UTF-8 becomes `U+FFFD`.
impl<const N: usize> From<&[u8]> for Bounded<N> {
    fn from(bytes: &[u8]) -> Self {
        // One byte more than fits, so that a cut is seen as one.
        let looked_at = &bytes[..bytes.len().min(N + 1)];
        match str::from_utf8(looked_at) {
            Ok(text) => Self::from(text),
            Err(_) => Self::from(&*String::from_utf8_lossy(looked_at)),
        }
    }
}

impl<const N: usize> Deref for Bounded<N> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> fmt::Display for Bounded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<const N: usize> fmt::Debug for Bounded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<const N: usize> Value for Bounded<N> {
    fn serialize(&self, _: &Record<'_>, key: Key, serializer: &mut dyn Serializer) -> slog::Result {
        serializer.emit_str(key, self)
    }
}

/// Takes text until it has `left` bytes or slightly more, then refuses.
struct Room {
    text: String,
    left: usize,
}

impl Write for Room {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let taken = &part[..part.ceil_char_boundary(self.left)];
        self.text.push_str(taken);
        self.left = self.left.saturating_sub(taken.len());
        if self.left == 0 {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        let text = "x".repeat(256);
        assert_eq!(&*Bounded::<256>::from(text.as_str()), text);
        assert_eq!(&*Bounded::<256>::from(text.as_bytes()), text);
        assert_eq!(&*Bounded::<256>::display(&text), text);
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_character_boundary_and_says_so() {
        for lead in 0..4 {
            let text = "a".repeat(lead) + &"ü€😀".repeat(1000);
            for cut in [
                Bounded::<256>::from(text.as_str()),
                Bounded::<256>::from(text.as_bytes()),
                Bounded::<256>::display(&text),
            ] {
                assert!(cut.len() <= 256 && cut.len() > 248, "{} bytes", cut.len());
                let kept = cut.strip_suffix('…').expect("the cut is marked");
                assert!(text.starts_with(kept));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        assert_eq!(&*Bounded::<256>::from(&b"a\xffb"[..]), "a\u{fffd}b");
    }
}
