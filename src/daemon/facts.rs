//! What the daemon knows of itself, gathered for whoever asks on the admin socket.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::reports::Reports;
use super::status::Status;
use super::warnings::is_configured;
use crate::admin::{Ask, LastReload, Listening, Reloaded, Reloads, Told};
use crate::inbound::WorkerHandle;
use crate::proxy::Snapshot;
use crate::telemetry::log::DropCount;

/// What is known. Lives on the main thread.
pub(super) struct Facts {
    reports: Reports,
    drops: DropCount,
    started: SystemTime,
    listeners: Vec<Listening>,
    status: Rc<Status>,
    reloads: RefCell<Reloads>,
    /// What is in use.
    current: RefCell<Arc<Snapshot>>,
}

impl Facts {
    /// Of a daemon that starts now.
    pub(super) fn new(
        workers: Arc<[WorkerHandle]>,
        drops: DropCount,
        listeners: Vec<Listening>,
        status: Rc<Status>,
        snapshot: Arc<Snapshot>,
    ) -> Self {
        let now = SystemTime::now();
        Facts {
            reports: Reports::of(workers),
            drops,
            started: now,
            listeners,
            status,
            reloads: RefCell::new(Reloads {
                succeeded: 0,
                failed: 0,
                last: None,
                since: now,
            }),
            current: RefCell::new(snapshot),
        }
    }

    /// Takes down what came of a reload, and what is in use now.
    pub(super) fn reloaded(&self, outcome: &Reloaded, current: Arc<Snapshot>) {
        let at = SystemTime::now();
        let mut reloads = self.reloads.borrow_mut();
        if outcome.is_ok() {
            reloads.succeeded += 1;
            reloads.since = at;
        } else {
            reloads.failed += 1;
        }
        let errors = outcome.as_ref().err().cloned().unwrap_or_default();
        reloads.last = Some(LastReload { at, errors });
        *self.current.borrow_mut() = current;
    }

    /// Tells those who ask, one after the other, as long as anybody can.
    pub(super) async fn tell(&self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.recv().await {
            // Whoever asked may have left.
            let _ = ask.send(self.told().await);
        }
    }

    async fn told(&self) -> Told {
        let (whole, silent) = self.reports.gather().await;
        let workers = &self.reports.workers;
        let snapshot = Arc::clone(&self.current.borrow());
        Told {
            metrics: whole.metrics,
            running: whole.running,
            requests: workers.iter().map(WorkerHandle::requests).sum(),
            connections: workers.iter().map(WorkerHandle::connections).sum(),
            idle: whole.idle,
            workers: workers.len(),
            silent,
            state: self.status.state(),
            listeners: self.listeners.clone(),
            reloads: self.reloads.borrow().clone(),
            is_configured: is_configured(&snapshot.config),
            snapshot,
            dropped: self.drops.get(),
            started: self.started,
        }
    }
}
