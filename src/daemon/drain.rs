//! The end: nothing new, what runs may finish, then an honest abort.

use std::time::Duration;

use slog::{Logger, info, warn};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::leaving::{First, LOOK, all_closed, first, tell};
use super::signals::Signals;
use super::status::Status;
use crate::inbound::{Order, WorkerHandle};

/// How long aborted connections may take to be closed.
const ABORT_TIME: Duration = Duration::from_secs(3);

/// Drains for at most `at_most`; a second signal to stop ends it at once.
pub(super) async fn run(
    workers: &[WorkerHandle],
    stop: &watch::Sender<bool>,
    at_most: Duration,
    signals: &mut Signals,
    status: &Status,
    log: &Logger,
) {
    let begun = Instant::now();
    let running: usize = workers.iter().map(WorkerHandle::requests).sum();
    info!(log, "draining: {} requests running, at most {:?}", running, at_most; "event" => "draining", "requests" => running);
    status.draining(at_most + 2 * ABORT_TIME);
    // The acceptors hear it at their next step and are gone before the workers
    // have answered.
    stop.send_replace(true);
    tokio::task::yield_now().await;
    tell(workers, || Order::Drain);
    let done = first(all_closed(workers, LOOK), signals.stop());
    let outcome = timeout_at(begun + at_most, done).await;
    let is_drained = matches!(outcome, Ok(First::One(())));
    let cut: usize = workers.iter().map(WorkerHandle::requests).sum();
    if !is_drained {
        let why = if outcome.is_err() {
            "drain_timeout is over"
        } else {
            "a second signal came"
        };
        warn!(log, "{}: {} requests are aborted", why, cut; "event" => "drain_aborted", "requests" => cut);
        tell(workers, || Order::Abort);
        // What does not close by then is closed by the end of the process.
        let _ = timeout_at(Instant::now() + ABORT_TIME, all_closed(workers, LOOK)).await;
    }
    info!(log, "stopped"; "event" => "stopped", "aborted" => if is_drained { 0 } else { cut },
        "duration_s" => begun.elapsed().as_secs_f64());
}
