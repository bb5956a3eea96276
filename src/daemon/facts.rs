//! What the daemon knows of itself, gathered for whoever asks on the admin socket.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::admin::{Ask, Reloads, Told};
use crate::inbound::{Order, Report, WorkerHandle};
use crate::telemetry::log::DropCount;

/// How long workers have to report, all together. They answer between two steps
/// of requests; one that takes longer hangs.
const REPORT_TIME: Duration = Duration::from_secs(1);

/// What is known. Lives on the main thread.
pub(super) struct Facts {
    workers: Arc<[WorkerHandle]>,
    drops: DropCount,
    started: SystemTime,
    /// What each worker reported last. One that hangs is told by that, since
    /// counters that fell would be taken for a restart.
    reports: RefCell<Vec<Report>>,
    reloads: Cell<Reloads>,
    is_configured: Cell<bool>,
}

impl Facts {
    /// Of a daemon that starts now.
    pub(super) fn new(workers: Arc<[WorkerHandle]>, drops: DropCount, is_configured: bool) -> Self {
        let now = SystemTime::now();
        Facts {
            reports: RefCell::new(vec![Report::default(); workers.len()]),
            workers,
            drops,
            started: now,
            reloads: Cell::new(Reloads {
                succeeded: 0,
                failed: 0,
                last_succeeded: true,
                since: now,
            }),
            is_configured: Cell::new(is_configured),
        }
    }

    /// Takes down what came of a reload, and whether no key is missing in what is
    /// in use now.
    pub(super) fn reloaded(&self, succeeded: bool, is_configured: bool) {
        let mut reloads = self.reloads.get();
        reloads.last_succeeded = succeeded;
        if succeeded {
            reloads.succeeded += 1;
            reloads.since = SystemTime::now();
        } else {
            reloads.failed += 1;
        }
        self.reloads.set(reloads);
        self.is_configured.set(is_configured);
    }

    /// Tells those who ask, one after the other, as long as anybody can.
    pub(super) async fn tell(&self, mut asked: mpsc::Receiver<Ask>) {
        while let Some(ask) = asked.recv().await {
            // Whoever asked may have left.
            let _ = ask.send(self.told().await);
        }
    }

    async fn told(&self) -> Told {
        let silent = self.ask_workers().await;
        let mut whole = Report::default();
        for report in &*self.reports.borrow() {
            whole.metrics.merge(&report.metrics);
            whole.idle += report.idle;
        }
        Told {
            metrics: whole.metrics,
            requests: self.workers.iter().map(WorkerHandle::requests).sum(),
            connections: self.workers.iter().map(WorkerHandle::connections).sum(),
            idle: whole.idle,
            workers: self.workers.len(),
            silent,
            reloads: self.reloads.get(),
            is_configured: self.is_configured.get(),
            dropped: self.drops.get(),
            started: self.started,
        }
    }

    /// Takes the workers' reports in; how many gave none.
    async fn ask_workers(&self) -> usize {
        let ask = |worker: &WorkerHandle| {
            let (report, reported) = oneshot::channel();
            worker.order(Order::Report(report));
            reported
        };
        // All at once, so that they need no longer than the slowest of them.
        let asked: Vec<_> = self.workers.iter().map(ask).collect();
        let deadline = Instant::now() + REPORT_TIME;
        let mut silent = 0;
        for (at, reported) in asked.into_iter().enumerate() {
            match timeout_at(deadline, reported).await {
                Ok(Ok(report)) => self.reports.borrow_mut()[at] = report,
                Ok(Err(_)) | Err(_) => silent += 1,
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::event::RequestEvent;
    use crate::telemetry::metrics::Exposition;

    #[test]
    fn a_worker_that_does_not_answer_is_told_by_its_last_report() {
        let workers = Arc::from([WorkerHandle::dead("worker-0")]);
        let facts = Facts::new(workers, DropCount::default(), true);
        let mut report = Report::default();
        report.metrics.observe(&RequestEvent::default());
        report.idle = 3;
        facts.reports.borrow_mut()[0] = report;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        for _ in 0..2 {
            let told = runtime.block_on(facts.told());
            assert_eq!((told.idle, told.silent, told.workers), (3, 1, 1));
            let mut text = Exposition::default();
            told.metrics.write(&mut text);
            assert!(text.finish().contains("error=\"\"} 1\n"));
        }
    }
}
