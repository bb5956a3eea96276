//! SIGUSR1: another instance accepts on the same sockets from now on.
//!
//! Like a drain, but nobody waits for it. New connections are the other one's,
//! what runs may go on for `handover_timeout`, and everything else works as
//! before: a reload, the watchdog, a drain if one is ordered after all.

use std::future::pending;
use std::time::Duration;

use slog::{Logger, info};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::leaving::{all_closed, tell};
use super::status::Status;
use crate::inbound::{Order, WorkerHandle};

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(100);

/// Whether this instance has been told to hand over.
#[derive(Default)]
pub(super) struct Handover {
    /// When what still runs is aborted.
    until: Option<Instant>,
}

impl Handover {
    /// Begins it; does nothing if it has begun.
    pub(super) async fn begin(
        &mut self,
        workers: &[WorkerHandle],
        stop: &watch::Sender<bool>,
        at_most: Duration,
        status: &Status,
        log: &Logger,
    ) {
        if self.until.is_some() {
            return;
        }
        self.until = Some(Instant::now() + at_most);
        stop.send_replace(true);
        tell(workers, || Order::HandOver);
        // A turn of the acceptors: once it is said, they take nothing more.
        yield_now().await;
        let running: usize = workers.iter().map(WorkerHandle::requests).sum();
        info!(log, "another instance accepts from now on: {} requests running, at most {:?}", running, at_most; "event" => "handing_over", "requests" => running);
        status.handing_over();
    }

    /// Until it is done: nothing runs any more, or its time is over. Never, if
    /// it has not begun.
    pub(super) async fn done(&self, workers: &[WorkerHandle]) {
        match self.until {
            Some(until) => {
                // What is left then, the drain aborts.
                let _ = timeout_at(until, all_closed(workers, LOOK)).await;
            }
            None => pending().await,
        }
    }
}
