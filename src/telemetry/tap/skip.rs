//! Finding the next byte of JSON that matters, as fast as memory is read.
//!
//! Nearly all bytes of an answer are content; how they are skipped decides what
//! the tap costs.

use memchr::memchr2;

/// How far to look byte by byte. Most strings of a chunk end within so many,
/// where a call of memchr costs more than it saves.
const NEAR: usize = 16;

/// The place of the first quote or backslash.
pub(super) fn find_quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    near.iter()
        .position(|&byte| byte == b'"' || byte == b'\\')
        .or_else(|| Some(near.len() + memchr2(b'"', b'\\', far)?))
}

/// The place of the first quote or bracket of either kind. Blocks without any
/// (the numbers of an embedding) are passed 32 bytes at a time, in a loop that
/// the compiler vectorizes.
pub(super) fn find_structure(bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at(bytes.len().min(NEAR));
    if let Some(at) = near.iter().position(is_structure) {
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
