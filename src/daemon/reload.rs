//! SIGHUP: read everything again, check all of it, swap at once.

use std::sync::Arc;

use slog::{Logger, error, info, warn};

use super::sockets::forgotten;
use crate::config::checked::Config;
use crate::config::{self, Environment, Occasion, Overrides};
use crate::inbound::{Order, WorkerHandle};
use crate::proxy::Snapshot;
use crate::telemetry::log::Logs;

/// The configuration in use, and where it came from.
pub(super) struct Reload {
    overrides: Overrides,
    environment: Environment,
    /// Sockets that the configuration has to speak of.
    configured: Vec<String>,
    current: Arc<Snapshot>,
}

impl Reload {
    pub(super) fn new(
        overrides: Overrides,
        environment: Environment,
        configured: Vec<String>,
        current: Arc<Snapshot>,
    ) -> Self {
        Reload {
            overrides,
            environment,
            configured,
            current,
        }
    }

    /// The last configuration that was good.
    pub(super) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current)
    }

    /// Reads file, credentials and certificates again. If anything is wrong
    /// with them nothing changes; requests that run keep what they started with.
    ///
    /// # Errors
    /// The first thing that is wrong; each is in the log.
    pub(super) fn run(
        &mut self,
        logs: &Logs,
        log: &Logger,
        workers: &[WorkerHandle],
    ) -> Result<(), String> {
        let loaded = config::load(&self.overrides, &self.environment, Occasion::Reload);
        let loaded = loaded.map_err(|errors| errors.lines().collect());
        let snapshot = loaded.and_then(|config| match forgotten(&self.configured, &config) {
            Some(error) => Err(vec![error]),
            None => Snapshot::new(config).map_err(|error| vec![error.to_string()]),
        });
        match snapshot {
            Ok(snapshot) => {
                self.swap(snapshot, logs, log, workers);
                Ok(())
            }
            Err(errors) => {
                for each in &errors {
                    error!(log, "the new configuration is not used, the one before goes on: {}", each;
                        "event" => "reload_failed", "errors" => errors.len());
                }
                Err(errors.into_iter().next().unwrap_or_default())
            }
        }
    }

    fn swap(&mut self, snapshot: Snapshot, logs: &Logs, log: &Logger, workers: &[WorkerHandle]) {
        let waiting = needs_restart(&self.current.config, &snapshot.config);
        if !waiting.is_empty() {
            warn!(log, "changed, but only a restart brings it into use: {}", waiting.join(", "); "event" => "restart_needed");
        }
        logs.set_level(snapshot.config.log.level);
        self.current = Arc::new(snapshot);
        for worker in workers {
            worker.order(Order::Reload(Arc::clone(&self.current)));
        }
        info!(log, "the configuration was reloaded"; "event" => "reloaded");
    }
}

/// Keys that were changed but are only read at the start.
fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let (old, new) = (&before.server, &after.server);
    [
        ("server.listen", old.listen != new.listen),
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
