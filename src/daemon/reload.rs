//! A reload, asked for by SIGHUP or on the admin socket: read everything again,
//! check all of it, swap at once.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error, info, warn};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::facts::Facts;
use super::leaving::{First, first};
use super::signals::Hangups;
use super::sockets::forgotten;
use super::status::Status;
use super::warnings::Warnings;
use crate::admin::{self, Reloaded};
use crate::config::checked::Config;
use crate::config::{self, Environment, Occasion, Overrides};
use crate::inbound::{Order, WorkerHandle};
use crate::proxy::Snapshot;
use crate::telemetry::log::Logs;

/// How long reading may take: a service manager that waits for READY takes the
/// daemon for reloading as long as it does, whatever else it is told. Twice that
/// is still less than whoever asks waits (25 s).
const LOAD_TIME: Duration = Duration::from_secs(10);

/// Where the configuration comes from, beside its file, and what it has to fit.
pub(super) struct Sources {
    pub(super) overrides: Overrides,
    pub(super) environment: Environment,
    /// Sockets that the configuration has to speak of.
    pub(super) configured: Vec<String>,
}

/// The configuration in use, and what has to hear of another one.
pub(super) struct Reload<'a> {
    pub(super) sources: Arc<Sources>,
    pub(super) current: RefCell<Arc<Snapshot>>,
    pub(super) warnings: Warnings,
    pub(super) logs: &'a Logs,
    pub(super) log: Logger,
    pub(super) workers: Arc<[WorkerHandle]>,
    pub(super) facts: Rc<Facts>,
}

impl Reload<'_> {
    /// The last configuration that was good.
    pub(super) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.borrow())
    }

    /// Reloads whenever a signal or one of `asked` wants it, for ever. One reload
    /// after the other, each from RELOADING to READY; whoever asked is answered
    /// after that.
    pub(super) async fn as_asked(
        &self,
        mut hangups: Hangups,
        mut asked: mpsc::Receiver<admin::Reload>,
        status: &Status,
    ) {
        loop {
            // The signal first: where systemd sends it beside asking, it has sent it
            // before, and takes the answer for the outcome of both.
            let asked_by = match first(hangups.next(), asked.recv()).await {
                First::One(()) => None,
                First::Other(asked_by) => asked_by,
            };
            status.reloading();
            let outcome = self.once().await;
            let current = self.current();
            self.facts.reloaded(&outcome, Arc::clone(&current));
            status.reloaded(&outcome, &current.config);
            if let Some(asked_by) = asked_by {
                // It may have left.
                let _ = asked_by.send(outcome);
            }
        }
    }

    /// Reads file, credentials and certificates again. If anything is wrong
    /// with them nothing changes; requests that run keep what they started with.
    async fn once(&self) -> Reloaded {
        match self.load().await {
            Ok(snapshot) => Ok(self.swap(snapshot)),
            Err(errors) => {
                for each in &errors {
                    error!(self.log, "the new configuration is not used, the one before goes on: {}", each;
                        "event" => "reload_failed", "errors" => errors.len());
                }
                Err(errors)
            }
        }
    }

    /// On a thread beside, for this one accepts, and files can be slow.
    async fn load(&self) -> Result<Snapshot, Vec<String>> {
        let sources = Arc::clone(&self.sources);
        let mut loading = spawn_blocking(move || load(&sources));
        match timeout(LOAD_TIME, &mut loading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(_)) => Err(vec!["a bug in upstreamd; please report it".to_owned()]),
            Err(_) => {
                // What has begun to read goes on, and nobody hears of it.
                loading.abort();
                let seconds = LOAD_TIME.as_secs();
                Err(vec![format!(
                    "the files could not be read within {seconds} s; look at the disk or network that they are on"
                )])
            }
        }
    }

    fn swap(&self, mut snapshot: Snapshot) -> Vec<&'static str> {
        snapshot.carry_over(&self.current());
        let snapshot = Arc::new(snapshot);
        let before = self.current.replace(Arc::clone(&snapshot));
        let waiting = needs_restart(&before.config, &snapshot.config);
        if !waiting.is_empty() {
            warn!(self.log, "changed, but only a restart brings it into use: {}", waiting.join(", "); "event" => "restart_needed");
        }
        self.logs.set_level(snapshot.config.log.level);
        for worker in &*self.workers {
            worker.order(Order::Reload(Arc::clone(&snapshot)));
        }
        info!(self.log, "the configuration was reloaded"; "event" => "reloaded");
        self.warnings.say(&snapshot.config, &self.log);
        waiting
    }
}

fn load(sources: &Sources) -> Result<Snapshot, Vec<String>> {
    let config = config::load(&sources.overrides, &sources.environment, Occasion::Reload)
        .map_err(|errors| errors.lines().collect::<Vec<_>>())?;
    if let Some(error) = forgotten(&sources.configured, &config) {
        return Err(vec![error]);
    }
    Snapshot::new(config).map_err(|error| vec![error.to_string()])
}

/// Keys that were changed but are only read at the start.
fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let (old, new) = (&before.server, &after.server);
    [
        ("server.listen", old.listen != new.listen),
        ("server.admin", old.admin != new.admin),
        ("server.workers", old.workers != new.workers),
        (
            "server.max_connections",
            old.max_connections != new.max_connections,
        ),
        ("log.format", before.log.format != after.log.format),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}
