//! A reload, asked for by SIGHUP or on the admin socket: read everything again,
//! check all of it, swap at once.

use std::sync::Arc;

use slog::{Logger, error, info, warn};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::first::{First, first};
use super::signals::{Signal, Signals};
use super::status::Status;
use crate::admin::{self, Reloaded};
use crate::config::checked::Config;
use crate::config::{self, Environment, Overrides};
use crate::inbound::{Order, WorkerHandle};
use crate::proxy::Snapshot;
use crate::telemetry::log::Logs;

/// Where the configuration comes from, beside its file.
pub(super) struct Sources {
    pub(super) overrides: Overrides,
    pub(super) environment: Environment,
}

/// The configuration in use, and what has to hear of another one.
pub(super) struct Reload<'a> {
    sources: Arc<Sources>,
    current: Arc<Snapshot>,
    logs: &'a Logs,
    log: Logger,
    workers: Arc<[WorkerHandle]>,
}

impl<'a> Reload<'a> {
    pub(super) fn new(
        sources: Sources,
        current: Arc<Snapshot>,
        logs: &'a Logs,
        log: Logger,
        workers: Arc<[WorkerHandle]>,
    ) -> Self {
        Reload {
            sources: Arc::new(sources),
            current,
            logs,
            log,
            workers,
        }
    }

    /// The last configuration that was good.
    pub(super) fn current(&self) -> &Config {
        &self.current.config
    }

    /// Reloads whenever a signal or one of `asked` wants it, until a signal to
    /// stop. One reload after the other, each from RELOADING to READY; whoever
    /// asked is answered after that, and those who wait at the end are not.
    pub(super) async fn as_asked(
        &mut self,
        signals: &mut Signals,
        mut asked: mpsc::Receiver<admin::Reload>,
        status: &Status,
    ) {
        loop {
            let asked_by = match first(signals.next(), asked.recv()).await {
                First::One(Signal::Stop) => return,
                First::One(Signal::Reload) => None,
                First::Other(asked_by) => asked_by,
            };
            status.reloading();
            let First::One(outcome) = first(self.once(), signals.stop()).await else {
                return;
            };
            status.reloaded(&outcome);
            if let Some(asked_by) = asked_by {
                // It may have left.
                let _ = asked_by.send(outcome);
            }
        }
    }

    /// Reads file, credentials and certificates again. If anything is wrong
    /// with them nothing changes; requests that run keep what they started with.
    async fn once(&mut self) -> Reloaded {
        let sources = Arc::clone(&self.sources);
        // On a thread beside: this one accepts, and files can be slow.
        let loaded = spawn_blocking(move || load(&sources)).await;
        let bug = |_| Err(vec!["a bug in upstreamd; please report it".to_owned()]);
        match loaded.unwrap_or_else(bug) {
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

    fn swap(&mut self, snapshot: Snapshot) -> Vec<&'static str> {
        let waiting = needs_restart(&self.current.config, &snapshot.config);
        if !waiting.is_empty() {
            warn!(self.log, "changed, but only a restart brings it into use: {}", waiting.join(", "); "event" => "restart_needed");
        }
        self.logs.set_level(snapshot.config.log.level);
        self.current = Arc::new(snapshot);
        for worker in &*self.workers {
            worker.order(Order::Reload(Arc::clone(&self.current)));
        }
        info!(self.log, "the configuration was reloaded"; "event" => "reloaded");
        waiting
    }
}

fn load(sources: &Sources) -> Result<Snapshot, Vec<String>> {
    let config = config::load(&sources.overrides, &sources.environment)
        .map_err(|errors| errors.lines().collect::<Vec<_>>())?;
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
