//! How upstreams and their keys are now, for whoever asks.

use std::time::Duration;

use super::Snapshot;

/// An upstream.
pub struct UpstreamState<'a> {
    /// Its name.
    pub name: &'a str,
    /// Requests that run there.
    pub running: u32,
    /// Requests that wait for a place there.
    pub queued: u32,
    /// How long it stays ejected.
    pub ejected_for: Option<Duration>,
    /// Its keys.
    pub keys: Vec<KeyState<'a>>,
}

/// A key of an upstream.
pub struct KeyState<'a> {
    /// Its name.
    pub name: &'a str,
    /// Requests that run with it.
    pub running: u32,
    /// How long it cools down.
    pub cooling_for: Option<Duration>,
    /// Whether the upstream refused it.
    pub set_aside: bool,
}

impl Snapshot {
    /// Each upstream, in the order of the configuration.
    pub fn upstream_states(&self) -> impl Iterator<Item = UpstreamState<'_>> {
        self.config.upstreams.iter().map(|upstream| UpstreamState {
            name: &upstream.name,
            running: 0,
            queued: 0,
            ejected_for: None,
            keys: upstream
                .keys
                .iter()
                .map(|key| KeyState {
                    name: &key.name,
                    running: 0,
                    cooling_for: None,
                    set_aside: false,
                })
                .collect(),
        })
    }
}
