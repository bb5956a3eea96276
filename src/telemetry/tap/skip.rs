//! Finding the next byte of JSON that matters, as fast as memory is read.
//!
//! Nearly all bytes of an answer are content; how they are skipped decides what
//! the tap costs.

use memchr::memchr2;

/// A string, an array or an object that is skipped, with all that is in it: its
/// depth is a number, so that it costs no memory however deep it is.
#[derive(Debug, Default)]
pub(crate) struct Skip {
    /// Arrays and objects that are open.
    depth: u64,
    /// In a string.
    in_text: bool,
    /// In it, right after a backslash.
    escaped: bool,
}

impl Skip {
    /// Right behind the first quote of a string.
    pub(crate) fn text() -> Self {
        Skip {
            in_text: true,
            ..Skip::default()
        }
    }

    /// Right behind the first bracket of an array or an object.
    pub(crate) fn nest() -> Self {
        Skip {
            depth: 1,
            ..Skip::default()
        }
    }

    /// From the place `at` in it to right behind its end; None if that is not here.
    pub(crate) fn end(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            if self.in_text {
                at = self.end_of_text(bytes, at)?;
                self.in_text = false;
            } else {
                at += find_structure(bytes.get(at..)?)? + 1;
                match bytes[at - 1] {
                    b'"' => self.in_text = true,
                    b'{' | b'[' => self.depth += 1,
                    _ => self.depth -= 1,
                }
            }
            if self.depth == 0 && !self.in_text {
                return Some(at);
            }
        }
    }

    fn end_of_text(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        if self.escaped {
            self.escaped = false;
            at += 1;
        }
        loop {
            let rest = bytes.get(at..)?;
            at += find_quote_or_backslash(rest)? + 1;
            if bytes[at - 1] == b'"' {
                return Some(at);
            }
            // Whatever is escaped, its first byte can't end the string.
            at += 1;
            self.escaped = at > bytes.len();
        }
    }
}

/// How far to look word by word. Most strings of a chunk end within so many bytes,
/// where a call of memchr costs more than it saves.
const NEAR: usize = 32;

/// Eight bytes, the first one lowest.
const WORD: usize = size_of::<u64>();

/// The place of the first quote or backslash.
fn find_quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    let in_word = |word| equal_to(word, b'"') | equal_to(word, b'\\');
    find_near(near, in_word, |byte| *byte == b'"' || *byte == b'\\')
        .or_else(|| Some(near.len() + memchr2(b'"', b'\\', far)?))
}

/// The place of the first byte that is wanted: `in_word` marks those of a word by
/// their highest bits, and may err behind the first one.
fn find_near(
    bytes: &[u8],
    in_word: impl Fn(u64) -> u64,
    wanted: impl Fn(&u8) -> bool,
) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<WORD>();
    for (number, word) in words.iter().enumerate() {
        let marked = in_word(u64::from_le_bytes(*word));
        if marked != 0 {
            return Some(number * WORD + marked.trailing_zeros() as usize / 8);
        }
    }
    Some(words.len() * WORD + rest.iter().position(wanted)?)
}

/// Marks the bytes of a word that are `byte`, and perhaps some behind the first
/// (the borrow goes up): <https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord>.
fn equal_to(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    let differs = word ^ (ONES * u64::from(byte));
    differs.wrapping_sub(ONES) & !differs & (ONES << 7)
}

/// The place of the first quote or bracket of either kind. Blocks without any
/// (the numbers of an embedding) are passed 32 bytes at a time, in a loop that
/// the compiler vectorizes.
fn find_structure(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    let in_word = |word| {
        let lower = word | u64::from_le_bytes([0x20; WORD]);
        equal_to(word, b'"') | equal_to(lower, b'{') | equal_to(lower, b'}')
    };
    if let Some(at) = find_near(near, in_word, is_structure) {
        return Some(at);
    }
    let (blocks, _) = far.as_chunks::<32>();
    let plain = blocks
        .iter()
        .take_while(|block| {
            !block
                .iter()
                .fold(false, |any, byte| any | is_structure(byte))
        })
        .count();
    let passed = near.len() + plain * 32;
    Some(passed + bytes[passed..].iter().position(is_structure)?)
}

/// `|` and not `||`: no branches, so that a block is looked at as one.
/// 0x20 apart: `[` and `{`, `]` and `}`.
fn is_structure(byte: &u8) -> bool {
    (*byte == b'"') | (*byte | 0x20 == b'{') | (*byte | 0x20 == b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_quotes_and_brackets_are_structure() {
        let found: Vec<u8> = (0..=255).filter(is_structure).collect();
        assert_eq!(found, b"\"[]{}");
        let alone = |byte: u8| find_structure(&[byte; NEAR]).is_some();
        assert_eq!(
            (0..=255).filter(|byte| alone(*byte)).collect::<Vec<u8>>(),
            found
        );
    }

    #[test]
    fn the_first_place_is_found_at_every_distance() {
        for distance in 0..150 {
            let mut bytes = vec![b'1'; distance];
            assert_eq!(find_structure(&bytes), None);
            assert_eq!(find_quote_or_backslash(&bytes), None);
            bytes.extend_from_slice(b"]]\\\"");
            assert_eq!(find_structure(&bytes), Some(distance));
            assert_eq!(find_quote_or_backslash(&bytes), Some(distance + 2));
        }
    }
}
