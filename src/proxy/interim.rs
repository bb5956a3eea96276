//! Interim answers (1xx) on their way to the client.
//!
//! hyper's server cannot send them, so they are written as bytes, between two
//! of hyper's own writes and before the answer's head.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, StatusCode};

use super::fields;
use crate::upstream::OnInterim;

/// More than this is dropped: interim answers are optional to a client.
const MOST: usize = 64 * 1024;

/// Interim heads that wait for the client's socket. Atomic and locked only
/// because hyper wants its callback `Send`; one thread uses it.
#[derive(Default)]
pub struct Interim {
    waiting: AtomicBool,
    heads: Mutex<Vec<u8>>,
}

impl OnInterim for Interim {
    /// Queues a head. `100 Continue` is left out: the expectation it answers
    /// was the client's of us, and never reached the upstream.
    fn interim(&self, status: StatusCode, fields: &HeaderMap) {
        if status == StatusCode::CONTINUE {
            return;
        }
        let mut fields = fields.clone();
        fields::towards_client(&mut fields);
        let mut head = format!(
            "HTTP/1.1 {} {}\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default()
        )
        .into_bytes();
        for (name, value) in &fields {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let mut heads = self.heads.lock().expect("nobody panics while holding it");
        if heads.len() + head.len() <= MOST {
            heads.append(&mut head);
            self.waiting.store(true, Ordering::Relaxed);
        }
    }
}

impl Interim {
    /// What waits, if anything does.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.waiting.swap(false, Ordering::Relaxed).then(|| {
            std::mem::take(&mut *self.heads.lock().expect("nobody panics while holding it"))
        })
    }
}
