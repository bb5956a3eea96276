//! How upstreams and their keys are, for whoever asks on the admin socket.

use std::time::Duration;

use crate::config::checked::Upstream;
use crate::upstream::{Moment, Standing};

/// How an upstream is right now.
#[derive(Debug, Clone)]
pub struct UpstreamState<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Requests that run there, until the last byte of their answers.
    pub running: u32,
    /// Requests that wait to be sent there.
    pub queued: u32,
    /// How long it is still ejected; zero while one request finds out whether it
    /// is back. None: it is not.
    pub ejected_for: Option<Duration>,
    /// Its keys, in the order of the configuration.
    pub keys: Vec<KeyState<'a>>,
}

/// How a key is right now.
#[derive(Debug, Clone)]
pub struct KeyState<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Requests that run with it.
    pub running: u32,
    /// How long it is still cooling down after a 429.
    pub cooling_for: Option<Duration>,
    /// Whether the upstream refused it (401, 403).
    pub set_aside: bool,
}

impl<'a> UpstreamState<'a> {
    pub(super) fn new(upstream: &'a Upstream, standing: &Standing, queued: usize) -> Self {
        let now = Moment::now();
        let keys = upstream.keys.iter().zip(standing.keys.iter());
        let keys = keys.map(|(configured, key)| KeyState {
            name: &configured.name,
            running: key.running(),
            cooling_for: key.cooling_for(now),
            set_aside: key.is_set_aside(now),
        });
        UpstreamState {
            name: &upstream.name,
            running: standing.running(),
            queued: u32::try_from(queued).unwrap_or(u32::MAX),
            ejected_for: standing.health.left_out_for(now),
            keys: keys.collect(),
        }
    }
}
