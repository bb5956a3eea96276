//! What all workers know of an upstream: how it and its keys are, and how many
//! requests it has. A reload goes on with what stays the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::health::Health;
use super::keys::Keys;
use crate::config::checked::Upstream;
use crate::handle::Handle;

/// How an upstream stands.
#[derive(Debug)]
pub struct Standing {
    running: Arc<Running>,
    /// Whether it answers.
    pub health: Arc<Health>,
    /// Its keys.
    pub keys: Keys,
}

/// How many requests run there, in a cache line that nothing else shares.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Running(AtomicU32);

/// A request's place among those that run at an upstream, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    standing: Handle<Standing>,
    key: Option<usize>,
}

impl Standing {
    /// That of an upstream which nobody has asked.
    pub fn new(upstream: &Upstream) -> Standing {
        Standing {
            running: Arc::default(),
            health: Arc::default(),
            keys: Keys::new(upstream.keys.len()),
        }
    }

    /// Requests that run there.
    pub fn running(&self) -> u32 {
        self.running.0.load(Ordering::Relaxed)
    }

    /// Goes on with what is known of the upstream before a reload.
    /// `is_optional`: whether there is a request that could go elsewhere; where there
    /// is none, nobody would look whether it is back.
    pub fn carry_over(
        &mut self,
        now: &Upstream,
        before: &Standing,
        then: &Upstream,
        is_optional: bool,
    ) {
        if now.name != then.name {
            return;
        }
        self.running = Arc::clone(&before.running);
        if is_optional && now.base_url == then.base_url {
            self.health = Arc::clone(&before.health);
        }
        self.keys.carry_over(&before.keys, |new, old| {
            let (new, old) = (&now.keys[new], &then.keys[old]);
            new.name == old.name && new.authorization == old.authorization
        });
    }
}

impl Lease {
    /// Counts a request that begins, with the key at place `key`.
    pub fn begin(standing: &Handle<Standing>, key: Option<usize>) -> Lease {
        standing.running.0.fetch_add(1, Ordering::Relaxed);
        if let Some(key) = key {
            standing.keys.at(key).begin();
        }
        Lease {
            standing: standing.clone(),
            key,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.standing.running.0.fetch_sub(1, Ordering::Relaxed);
        if let Some(key) = self.key {
            self.standing.keys.at(key).end();
        }
    }
}
