//! What the daemon tells of itself when the admin socket asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};

use crate::proxy::Snapshot;
use crate::telemetry::metrics::{Metrics, Running};

/// Somebody who wants to be told.
pub type Ask = oneshot::Sender<Told>;

/// The daemon, at one moment.
#[derive(Debug)]
pub struct Told {
    /// Requests that have ended, on all workers.
    pub metrics: Metrics,
    /// Requests that run, by whose they are and where they go.
    pub running: Running,
    /// Requests that run.
    pub requests: usize,
    /// Connections of clients.
    pub connections: usize,
    /// Connections to upstreams that wait for a request, by upstream.
    pub idle: BTreeMap<String, usize>,
    /// Threads that serve.
    pub workers: usize,
    /// Those of them that did not report in time.
    pub silent: usize,
    /// Whether it serves.
    pub state: State,
    /// Where clients are accepted.
    pub listeners: Vec<Listening>,
    /// What came of reloads.
    pub reloads: Reloads,
    /// The configuration in use, with the state of its upstreams.
    pub snapshot: Arc<Snapshot>,
    /// Whether each upstream has its keys.
    pub is_configured: bool,
    /// Log records that were lost.
    pub dropped: u64,
    /// When the daemon started.
    pub started: SystemTime,
}

/// How near the end of the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Serving,
    /// Another instance accepts in its place.
    HandingOver,
    /// It finishes what runs, and ends.
    Draining,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Serving => "serving",
            State::HandingOver => "handing_over",
            State::Draining => "draining",
        }
    }
}

/// A socket of clients.
#[derive(Debug, Clone)]
pub struct Listening {
    /// What events call it.
    pub name: String,
    /// Where it is.
    pub address: String,
}

/// What came of reloads.
#[derive(Debug, Clone)]
pub struct Reloads {
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that changed nothing, since something was wrong.
    pub failed: u64,
    /// The last one, if there was any.
    pub last: Option<LastReload>,
    /// Since when the configuration is in use.
    pub since: SystemTime,
}

impl Reloads {
    /// Whether the last one, if any, succeeded.
    #[must_use]
    pub fn last_succeeded(&self) -> bool {
        self.last.as_ref().is_none_or(|last| last.errors.is_empty())
    }
}

/// A reload that is over.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// When.
    pub at: SystemTime,
    /// What was wrong, each with its position; nothing: it succeeded.
    pub errors: Vec<String>,
}

/// Asks; None: nobody can tell any more.
pub(super) async fn told(asks: &mpsc::Sender<Ask>) -> Option<Told> {
    let (ask, told) = oneshot::channel();
    asks.send(ask).await.ok()?;
    told.await.ok()
}

/// Since 1970, to the millisecond.
pub(super) fn seconds(at: SystemTime) -> f64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis() as f64 / 1e3
}
