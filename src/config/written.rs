//! What the operator wrote: every value optional, each with its place.
//!
//! File, environment and flags are put over each other here, in this order;
//! what a later one says replaces what an earlier one said. Checked by
//! [`super::check`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::accounts::{GroupAccount, UserAccount};
use super::checked::{BaseUrl, ListenAddress, LogFormat, LogLevel, RequireKey};
use super::listen::AdminAddress;
use super::listener::ClientName;
use super::model::{Endpoint, Json, ModelName, Parameter, UpstreamName};
use super::name::Name;
use super::place::{At, Place};
use super::problem::{Problem, Problems};
use super::retry::{ErrorStatus, Share};
use super::secret::Secret;
use super::size::Size;

/// The name of the upstream when no file gives it one.
const UNNAMED: &str = "default";

/// A whole configuration as written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) server: Server,
    pub(super) log: Log,
    pub(super) retry: Option<Retry>,
    pub(super) upstreams: BTreeMap<String, Upstream>,
    pub(super) models: BTreeMap<String, Model>,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) listeners: BTreeMap<String, Listener>,
}

/// `[server]`
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) listen: Option<At<Vec<At<ListenAddress>>>>,
    pub(super) admin: Option<At<AdminAddress>>,
    pub(super) workers: Option<At<usize>>,
    pub(super) max_connections: Option<At<usize>>,
    pub(super) drain_timeout: Option<At<Duration>>,
    pub(super) handover_timeout: Option<At<Duration>>,
    pub(super) max_body: Option<At<Size>>,
    pub(super) max_header: Option<At<Size>>,
    pub(super) header_timeout: Option<At<Duration>>,
    pub(super) body_timeout: Option<At<Duration>>,
    pub(super) keepalive_timeout: Option<At<Duration>>,
    pub(super) write_timeout: Option<At<Duration>>,
    pub(super) default_upstream: Option<At<UpstreamName>>,
    pub(super) strict_models: Option<At<bool>>,
}

/// `[log]`
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) format: Option<At<LogFormat>>,
    pub(super) level: Option<At<LogLevel>>,
}

/// `[retry]`
#[derive(Debug, Default)]
pub(super) struct Retry {
    pub(super) attempts: Option<At<usize>>,
    pub(super) statuses: Option<At<Vec<At<ErrorStatus>>>>,
    pub(super) backoff: Option<At<Duration>>,
    pub(super) max_backoff: Option<At<Duration>>,
    pub(super) max_retry_after: Option<At<Duration>>,
    pub(super) budget: Option<At<Share>>,
}

/// `[upstream.NAME]`
#[derive(Debug)]
pub(super) struct Upstream {
    /// Where its name stands.
    pub(super) place: Place,
    pub(super) base_url: Option<At<BaseUrl>>,
    pub(super) keys: Option<At<Vec<At<KeySource>>>>,
    pub(super) user_agent: Option<At<HeaderValue>>,
    pub(super) fields: Vec<(HeaderName, At<HeaderValue>)>,
    pub(super) connect_timeout: Option<At<Duration>>,
    pub(super) response_timeout: Option<At<Duration>>,
    pub(super) idle_timeout: Option<At<Duration>>,
    pub(super) pool_idle_timeout: Option<At<Duration>>,
    pub(super) pool_max_idle: Option<At<usize>>,
    pub(super) http2: Option<At<bool>>,
    pub(super) tls: Tls,
}

/// `[upstream.NAME.tls]`
#[derive(Debug, Default)]
pub(super) struct Tls {
    pub(super) ca_file: Option<At<PathBuf>>,
    pub(super) platform_roots: Option<At<bool>>,
    pub(super) client_cert: Option<At<PathBuf>>,
    pub(super) client_key: Option<At<PathBuf>>,
}

/// `[model.NAME]`
#[derive(Debug)]
pub(super) struct Model {
    /// Where its name stands.
    pub(super) place: Place,
    pub(super) upstream: Option<At<Vec<At<UpstreamName>>>>,
    pub(super) upstreams: Option<At<Vec<ModelUpstream>>>,
    pub(super) name: Option<At<ModelName>>,
    pub(super) set: Vec<(At<String>, At<Json>)>,
    pub(super) drop: Option<At<Vec<At<Parameter>>>>,
}

/// An element of `upstreams` in `[model.NAME]`.
#[derive(Debug)]
pub(super) struct ModelUpstream {
    /// Where it stands.
    pub(super) place: Place,
    pub(super) upstream: Option<At<UpstreamName>>,
    pub(super) name: Option<At<ModelName>>,
    pub(super) weight: Option<At<usize>>,
}

/// `[client.NAME]`
#[derive(Debug)]
pub(super) struct Client {
    /// Where its name stands.
    pub(super) place: Place,
    pub(super) key: Option<At<KeySource>>,
    pub(super) user: Option<At<UserAccount>>,
    pub(super) uid: Option<At<UserAccount>>,
    pub(super) group: Option<At<GroupAccount>>,
    pub(super) gid: Option<At<GroupAccount>>,
    pub(super) models: Option<At<Vec<At<ModelName>>>>,
    pub(super) endpoints: Option<At<Vec<At<Endpoint>>>>,
}

/// `[listener.NAME]`
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) clients: Option<At<Vec<At<ClientName>>>>,
    pub(super) require_key: Option<At<RequireKey>>,
}

/// Where a key comes from.
#[derive(Debug, Clone)]
pub(super) enum KeySource {
    /// A credential has this name.
    Named(Name),
    /// The environment variable of this name holds it.
    Given {
        /// The name that events and messages call it by.
        name: String,
        /// The key.
        secret: Secret,
    },
}

impl KeySource {
    /// The name that events and messages call it by.
    pub(super) fn name(&self) -> &str {
        match self {
            KeySource::Named(name) => name.as_str(),
            KeySource::Given { name, .. } => name,
        }
    }
}

impl Written {
    /// The upstream that environment and flags speak of: the only one, or a
    /// new one. If there are several, what stands at `place` is refused: it
    /// must not go to one that was not meant.
    pub(super) fn the_upstream(
        &mut self,
        key: &str,
        place: &Place,
        problems: &mut Problems,
    ) -> Option<&mut Upstream> {
        if self.upstreams.len() > 1 {
            let names: Vec<_> = self.upstreams.keys().map(String::as_str).collect();
            let message = format!(
                "speaks of the only upstream, and there are {} ({})",
                names.len(),
                names.join(", ")
            );
            let problem = Problem::new(key, place, message);
            problems
                .add(problem.help("unset it, and write what is meant into the configuration file"));
            return None;
        }
        if self.upstreams.is_empty() {
            self.upstreams
                .insert(UNNAMED.to_owned(), Upstream::new(place.clone()));
        }
        self.upstreams.values_mut().next()
    }
}

impl Client {
    /// A client of which nothing is said yet.
    pub(super) fn new(place: Place) -> Client {
        Client {
            place,
            key: None,
            user: None,
            uid: None,
            group: None,
            gid: None,
            models: None,
            endpoints: None,
        }
    }
}

impl Upstream {
    /// An upstream of which nothing is said yet.
    pub(super) fn new(place: Place) -> Upstream {
        Upstream {
            place,
            base_url: None,
            keys: None,
            user_agent: None,
            fields: Vec::new(),
            connect_timeout: None,
            response_timeout: None,
            idle_timeout: None,
            pool_idle_timeout: None,
            pool_max_idle: None,
            http2: None,
            tls: Tls::default(),
        }
    }
}
