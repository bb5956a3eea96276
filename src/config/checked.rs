//! What the daemon runs on: a configuration in which nothing can be wrong.
//!
//! Every default is filled in, durations are [`Duration`], sizes are bytes,
//! URLs are parsed, secrets and certificates are loaded. Made only by
//! [`super::load`]; never changed afterwards. A reload makes a new one.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use super::entry::{Client, Group, Listener, Listeners, Peer, RequireKey};
pub use super::glob::Glob;
pub use super::models::{Candidate, Model, Models};
pub use super::retry::Retry;

/// A whole configuration.
#[derive(Debug)]
pub struct Config {
    /// Listening, limits of clients, draining.
    pub server: Server,
    /// Where records go, and which.
    pub log: Log,
    /// What is sent again, and when. None: only what can go to another key or
    /// upstream.
    pub retry: Option<Retry>,
    /// Where requests go, in the order of their names; one at least.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The place among them of the one that gets what no model is found for.
    pub default_upstream: usize,
    /// What clients may ask for, and where that is.
    pub models: Models,
    /// Who may come in, in the order of their names. Empty: everybody who can connect.
    pub clients: Vec<Arc<Client>>,
    /// Who of them may come in where.
    pub listeners: Listeners,
    /// Names of keys that could not be looked at: systemd alone can read them.
    pub unread_keys: Vec<String>,
    /// The file it was read from, if there was one.
    pub file: Option<PathBuf>,
}

impl Config {
    /// The upstream that gets what no model is found for.
    #[must_use]
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstreams[self.default_upstream]
    }
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where to listen when systemd hands over no socket. Not reloadable.
    pub listen: Vec<ListenAddress>,
    /// The Unix socket to be administered by, when systemd hands over no socket.
    /// None: there is none. Not reloadable.
    pub admin: Option<PathBuf>,
    /// Worker threads, each with a runtime and a pool of its own. Not reloadable.
    /// Default: the number of CPUs this process may use.
    pub workers: NonZeroUsize,
    /// Open client connections at most; further ones wait in the backlog. Not reloadable.
    pub max_connections: NonZeroUsize,
    /// How long running requests may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// How long they may go on after SIGUSR1, while another instance accepts.
    pub handover_timeout: Duration,
    /// Bytes of a body that has to be read whole (JSON on a known endpoint).
    pub max_body: usize,
    /// Bytes of a request's head (request line and fields), 8 KiB to 1 MiB.
    pub max_header: usize,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Between two reads of a request's body.
    pub body_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub keepalive_timeout: Duration,
    /// How long a client may take no byte while an answer waits for it.
    pub write_timeout: Duration,
    /// Whether a model is refused that no `[model.NAME]` is for.
    pub strict_models: bool,
}

/// A place to listen on: `127.0.0.1:4000`, `[::1]:4000`, `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// An absolute path of a Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The form of a record. Not reloadable.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// The form of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `journal` where standard error is the journal, `text` on a terminal,
    /// `json` elsewhere.
    Auto,
    /// Fields of the systemd journal.
    Journal,
    /// One JSON object a line.
    Json,
    /// One line for a person's eyes.
    Text,
}

/// The least severe level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs somebody to act.
    Error,
    /// And what may need it soon.
    Warning,
    /// And one event per request.
    Info,
    /// And each request as it arrives.
    Debug,
}

/// `[upstream.NAME]`: one base URL with its identity, TLS and timeouts.
#[derive(Debug)]
pub struct Upstream {
    /// The name in the configuration.
    pub name: String,
    /// Where it is.
    pub base_url: BaseUrl,
    /// Its keys, those that were found; requests are spread over them. Empty: it
    /// needs none, or it has none yet.
    pub keys: Vec<Key>,
    /// Names of its keys that were found nowhere.
    pub missing_keys: Vec<String>,
    /// `User-Agent` sent in place of the client's. None: the client's passes.
    pub user_agent: Option<HeaderValue>,
    /// Extra fields, set over whatever the client sent.
    pub fields: HeaderMap,
    /// Name resolution, TCP connect and TLS handshake together.
    pub connect_timeout: Duration,
    /// From the request's last byte to the first byte of an answer.
    pub response_timeout: Duration,
    /// Between two reads of an answer's body, and between two writes of a request's.
    pub idle_timeout: Duration,
    /// How long an idle connection is kept for the next request.
    pub pool_idle_timeout: Duration,
    /// Idle connections kept, per worker.
    pub pool_max_idle: usize,
    /// Offer HTTP/2 in ALPN (https) or speak it with prior knowledge (http).
    pub http2: bool,
    /// Certificates, for https.
    pub tls: Tls,
}

impl Upstream {
    /// The key without which nothing can be sent: it is named, and found
    /// nowhere, and there is no other.
    #[must_use]
    pub fn lacks_key(&self) -> Option<&str> {
        let lacking = self.missing_keys.first().map(String::as_str);
        lacking.filter(|_| self.keys.is_empty())
    }
}

/// A parsed `base_url`: `http` or `https`, a host, perhaps a port and a path;
/// no user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// http or https.
    pub scheme: Scheme,
    /// Host and port as written, for the `Host` field.
    pub authority: Authority,
    /// Host without brackets, for name resolution and certificate checks.
    pub host: String,
    /// Port, the scheme's default filled in.
    pub port: u16,
    /// Path without a trailing slash: `/v1`, or empty.
    pub path: String,
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// One API key of an upstream.
#[derive(Debug)]
pub struct Key {
    /// The credential's name, for events and messages.
    pub name: String,
    /// `Bearer SECRET`, marked sensitive, ready to be sent.
    pub authorization: HeaderValue,
}

/// `[upstream.NAME.tls]`
#[derive(Debug, Default)]
pub struct Tls {
    /// Further certification authorities, beside the platform's (`ca_file`).
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Trust only `extra_roots`, not the platform's (`platform_roots = false`).
    pub without_platform_roots: bool,
    /// The certificate and key to show to the upstream (`client_cert`, `client_key`).
    pub identity: Option<Identity>,
}

/// A client certificate chain and its private key.
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates, key hidden)", self.chain.len())
    }
}
