//! Randomness for ids, choices and waits: each request needs a few bytes, and the TLS
//! library's generator takes nearly as long for a few as for many. It needs no system
//! call.

use std::cell::RefCell;

/// Bytes that are made at a time.
const BYTES: usize = 1024;

thread_local! {
    static MADE: RefCell<Made> = const { RefCell::new(Made { bytes: [0; BYTES], used: BYTES }) };
}

/// Random bytes, of which the first ones are used.
struct Made {
    bytes: [u8; BYTES],
    used: usize,
}

/// `N` random bytes, at most 1024, that nobody else gets.
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    const { assert!(N <= BYTES) }
    MADE.with_borrow_mut(|made| {
        if BYTES - made.used < N {
            aws_lc_rs::rand::fill(&mut made.bytes).expect("the generator was seeded at the start");
            made.used = 0;
        }
        let taken = made.bytes[made.used..].first_chunk();
        made.used += N;
        *taken.expect("there are that many")
    })
}

/// Any number.
pub(super) fn number() -> u64 {
    u64::from_ne_bytes(bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_come_twice() {
        let seen: HashSet<[u8; 24]> = (0..1000).map(|_| bytes()).collect();
        assert_eq!(seen.len(), 1000);
        let elsewhere = std::thread::spawn(bytes::<24>).join().unwrap();
        assert!(!seen.contains(&elsewhere));
        assert_ne!(bytes::<BYTES>(), bytes::<BYTES>());
    }
}
