//! What the workers have counted, gathered on the main thread.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::inbound::{Order, Report, WorkerHandle};

/// How long workers have to report, all together. They answer between two steps
/// of requests; one that takes longer hangs.
const REPORT_TIME: Duration = Duration::from_secs(1);

/// The workers, and what each reported last.
pub(super) struct Reports {
    pub(super) workers: Arc<[WorkerHandle]>,
    /// One that hangs is told by its last report, since counters that fell would
    /// be taken for a restart.
    last: RefCell<Vec<Report>>,
}

impl Reports {
    pub(super) fn of(workers: Arc<[WorkerHandle]>) -> Self {
        Reports {
            last: RefCell::new(vec![Report::default(); workers.len()]),
            workers,
        }
    }

    /// All reports together, and how many workers gave none.
    pub(super) async fn gather(&self) -> (Report, usize) {
        let silent = self.ask().await;
        let mut whole = Report::default();
        for report in &*self.last.borrow() {
            whole.metrics.merge(&report.metrics);
            whole.running.merge(&report.running);
            for (upstream, idle) in &report.idle {
                *whole.idle.entry(upstream.clone()).or_default() += idle;
            }
        }
        (whole, silent)
    }

    /// Takes the workers' reports in; how many gave none.
    async fn ask(&self) -> usize {
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
                Ok(Ok(report)) => self.last.borrow_mut()[at] = report,
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
        let reports = Reports::of(Arc::from([WorkerHandle::dead("worker-0")]));
        let mut report = Report::default();
        report.metrics.observe(&RequestEvent::default());
        report.idle.insert("far".to_owned(), 3);
        reports.last.borrow_mut()[0] = report;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        for _ in 0..2 {
            let (whole, silent) = runtime.block_on(reports.gather());
            assert_eq!((whole.idle["far"], silent), (3, 1));
            let mut text = Exposition::default();
            whole.metrics.write(&mut text);
            assert!(text.finish().contains("error=\"\"} 1\n"));
        }
    }
}
