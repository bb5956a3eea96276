//! What is not wrong with a configuration, and most likely not meant either:
//! said at the start and after each reload.

use slog::{Logger, warn};

use crate::config::checked::{Config, Upstream};
use crate::config::in_header;
use crate::inbound::Listener;

/// Says what to look at in a configuration, for the sockets that there are.
pub(super) struct Warnings(Vec<Socket>);

struct Socket {
    name: String,
    address: String,
    is_public: bool,
}

impl Warnings {
    pub(super) fn about(listeners: &[Listener]) -> Warnings {
        let sockets = listeners.iter().map(|listener| Socket {
            name: listener.name.clone(),
            address: listener.address.clone(),
            is_public: listener.is_public(),
        });
        Warnings(sockets.collect())
    }

    pub(super) fn say(&self, config: &Config, log: &Logger) {
        self.say_what_is_open(config, log);
        self.say_what_is_unused(config, log);
        for upstream in &config.upstreams {
            say_what_is_missing(upstream, log);
        }
    }

    /// An operator who opens a port to the network without a client key gives the
    /// upstream's key to everybody there. Said, and not refused: a container has
    /// no other address.
    fn say_what_is_open(&self, config: &Config, log: &Logger) {
        for socket in self.0.iter().filter(|socket| socket.is_public) {
            if !config.listeners.of(&socket.name).is_guarded(true) {
                warn!(log, "everybody who reaches {} can use the upstream's key; set a client key ([client.NAME] key, or LITELLM_MASTER_KEY) and require it there ([listener.NAME] require_key)", socket.address;
                    "event" => "open_listener", "listener" => &*socket.name);
            }
        }
    }

    /// Rules for a socket that is not there guard nothing.
    fn say_what_is_unused(&self, config: &Config, log: &Logger) {
        for name in config.listeners.named.keys() {
            if !self.0.iter().any(|socket| socket.name == *name) {
                warn!(log, "[listener.{}] is for a socket that is not there; those that are: {}", in_header(name), self.names();
                    "event" => "unused_listener", "listener" => &**name);
            }
        }
    }

    fn names(&self) -> String {
        let mut names: Vec<&str> = self.0.iter().map(|socket| &*socket.name).collect();
        names.dedup();
        names.join(", ")
    }
}

fn say_what_is_missing(upstream: &Upstream, log: &Logger) {
    for key in &upstream.missing_keys {
        let meanwhile = match not_configured(upstream) {
            Some(_) => "requests are answered with 503 until then",
            None => "the others are used until then",
        };
        warn!(log, "there is no key \"{}\" for upstream {}; run: upstreamd key set {} ({})", key, upstream.name, key, meanwhile;
            "event" => "not_configured", "upstream" => &*upstream.name, "key" => &**key);
    }
}

/// Whether each upstream has what requests to it need.
pub(super) fn is_configured(config: &Config) -> bool {
    let mut upstreams = config.upstreams.iter();
    upstreams.all(|upstream| upstream.lacks_key().is_none())
}

/// What stands in the way of every request, for a person.
pub(super) fn not_configured(upstream: &Upstream) -> Option<String> {
    let key = upstream.lacks_key()?;
    Some(format!(
        "not configured: no key \"{key}\"; run: upstreamd key set {key}"
    ))
}
