//! What the daemon tells of itself when the admin socket asks.

use std::time::SystemTime;

use tokio::sync::oneshot;

use crate::telemetry::metrics::Metrics;

/// Somebody who wants to be told.
pub type Ask = oneshot::Sender<Told>;

/// The daemon, at one moment.
#[derive(Debug)]
pub struct Told {
    /// Requests that have ended, on all workers.
    pub metrics: Metrics,
    /// Requests that run.
    pub requests: usize,
    /// Connections of clients.
    pub connections: usize,
    /// Connections to upstreams that wait for a request.
    pub idle: usize,
    /// Threads that serve.
    pub workers: usize,
    /// Those of them that did not report in time.
    pub silent: usize,
    /// What came of reloads.
    pub reloads: Reloads,
    /// Whether each upstream has its keys.
    pub is_configured: bool,
    /// Log records that were lost.
    pub dropped: u64,
    /// When the daemon started.
    pub started: SystemTime,
}

/// What came of reloads.
#[derive(Debug, Clone, Copy)]
pub struct Reloads {
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that changed nothing, since something was wrong.
    pub failed: u64,
    /// Whether the last one, if any, succeeded.
    pub last_succeeded: bool,
    /// Since when the configuration is in use.
    pub since: SystemTime,
}
