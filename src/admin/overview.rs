//! The body of `GET /status`, as `status` writes it and `upstreamd status` and
//! `upstreamd top` read it. The manual's section STATUS describes every member.
//!
//! Whoever reads may be of another version than the daemon: a member that is not
//! there is nothing, and one that is not known is passed over.

use serde::{Deserialize, Serialize};

use crate::telemetry::metrics::{OfClient, OfModel, Sum};

/// The daemon at one moment. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Overview {
    /// What runs.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// `serving`, `handing_over` or `draining`.
    pub state: String,
    /// When this was so.
    pub now: f64,
    /// When the daemon started; all counts are since then.
    pub since: f64,
    /// What it runs on.
    pub configuration: Configuration,
    /// Where clients are accepted.
    pub listeners: Vec<Listener>,
    /// Threads that serve.
    pub workers: u64,
    /// Those of them that did not report in time.
    pub workers_silent: u64,
    /// Connections of clients.
    pub connections: u64,
    /// Requests that run.
    pub requests_running: u64,
    /// Those of them that wait for a place at an upstream.
    pub requests_queued: u64,
    /// Times that a request was sent again.
    pub retries: u64,
    /// Bytes of bodies of requests.
    pub received_bytes: u64,
    /// Bytes of bodies of answers.
    pub sent_bytes: u64,
    /// What upstreamd itself took before an answer's first byte.
    pub added_latency_s: Sum,
    /// Log records that were lost.
    pub log_records_lost: u64,
    /// Where requests go.
    pub upstreams: Vec<Upstream>,
    /// Requests by model and upstream.
    pub models: Vec<OfModel>,
    /// Requests by client.
    pub clients: Vec<OfClient>,
}

/// What the daemon runs on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// Its file; None: the environment alone.
    pub file: Option<String>,
    /// When it was taken up.
    pub since: f64,
    /// How many were taken up, the one of the start included.
    pub generation: u64,
    /// Whether each upstream has a key, or needs none.
    pub complete: bool,
    /// The last reload; None: there was none.
    pub last_reload: Option<Reload>,
}

/// What came of a reload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reload {
    /// When it was over.
    pub at: f64,
    /// Whether the configuration in use is its.
    pub succeeded: bool,
    /// What was wrong, each with its position.
    pub errors: Vec<String>,
}

/// A socket of clients.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: String,
}

/// An upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub base_url: String,
    /// Requests that it has.
    pub running: u64,
    /// Requests that wait for a place there.
    pub queued: u64,
    /// How long it gets no request yet, in seconds; None: it gets them.
    pub ejected_for_s: Option<f64>,
    /// HTTP/1.1 connections that wait for a request.
    pub connections_idle: u64,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// A key of an upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Requests that run with it.
    pub running: u64,
    /// `ready`, `cooling`, `set_aside` or `missing`.
    pub state: String,
    /// How long it cools, in seconds; None: it does not.
    pub cooling_for_s: Option<f64>,
}
