//! What a request and the connection it came on know of each other.
//!
//! One [`Wire`] belongs to one client connection and lives on one thread. The
//! connection (in `inbound`) reads and writes it around hyper; the request
//! (here) fills in its record and leaves what hyper cannot carry.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use slog::Logger;
use tokio::time::Instant;

use super::interim::Interim;
use super::{Fault, Record};
use crate::telemetry::metrics::Metrics;
use crate::upstream::{Lease, Place, Stream};

/// The connection, as its requests see it.
pub struct Wire {
    /// The listener's name.
    pub listener: Rc<str>,
    /// The client's address, or `unix:UID/PID`.
    pub remote: Rc<str>,
    /// 1xx heads for the client.
    pub interim: Arc<Interim>,
    log: Logger,
    /// Requests that run on this worker.
    running: Arc<AtomicUsize>,
    /// What this worker has counted.
    metrics: Rc<RefCell<Metrics>>,
    record: RefCell<Option<Record>>,
    phase: Cell<Phase>,
    /// The answer's last byte was handed to hyper.
    finished: Cell<bool>,
    /// Bytes were handed to hyper that may not have reached the kernel.
    unflushed: Cell<bool>,
    flush_waiter: RefCell<Option<Waker>>,
    task: RefCell<Option<Waker>>,
    stage: Cell<Stage>,
    reset: Cell<bool>,
    body_read: Cell<bool>,
    served: Cell<bool>,
    /// Since when the client's socket takes no byte, if some wait for it.
    blocked_since: Cell<Option<Instant>>,
    tunnel: RefCell<Option<Tunnel>>,
}

/// How near the end of the instance is; it only comes nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It serves.
    Serving,
    /// Another instance accepts in its place, since then; nothing is in a hurry.
    HandingOver(Instant),
    /// Nobody else accepts: what runs may finish.
    Draining,
    /// What still runs has to end now.
    Aborting,
}

/// Where the connection stands between its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing of a request has come, since then.
    Idle(Instant),
    /// A part of a head has come; its first byte then.
    Head(Instant),
    /// A request runs, until its answer has gone.
    Busy,
}

/// The upstream's side of a connection that has switched protocols.
pub struct Tunnel {
    /// The stream.
    pub stream: Stream,
    /// What had been read from it beyond the 101.
    pub early: Bytes,
    /// How long nothing may move either way.
    pub idle_timeout: Duration,
    /// Its place among what runs at the upstream.
    pub lease: Option<Lease>,
    /// Its place at the upstream, given back when it is dropped.
    pub place: Option<Place>,
}

impl Wire {
    /// A connection that was accepted just now.
    pub fn new(
        listener: Rc<str>,
        remote: Rc<str>,
        log: Logger,
        running: Arc<AtomicUsize>,
        metrics: Rc<RefCell<Metrics>>,
    ) -> Self {
        Wire {
            listener,
            remote,
            interim: Arc::default(),
            log,
            running,
            metrics,
            record: RefCell::default(),
            phase: Cell::new(Phase::Idle(Instant::now())),
            finished: Cell::new(false),
            unflushed: Cell::new(false),
            flush_waiter: RefCell::default(),
            task: RefCell::default(),
            stage: Cell::new(Stage::Serving),
            reset: Cell::new(false),
            body_read: Cell::new(true),
            served: Cell::new(false),
            blocked_since: Cell::new(None),
            tunnel: RefCell::default(),
        }
    }

    // ---- the request's side ----

    /// A request begins.
    pub fn begin(&self, record: Record) {
        // A pipelined request can begin before the kernel took the last bytes
        // of the answer before it.
        self.log_record(record.began());
        self.finished.set(false);
        self.body_read.set(false);
        self.phase.set(Phase::Busy);
        *self.record.borrow_mut() = Some(record);
        self.served.set(true);
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// When the request came that runs; now, if none does.
    pub fn came(&self) -> Instant {
        let record = self.record.borrow();
        record.as_ref().map_or_else(Instant::now, Record::began)
    }

    /// Where records go.
    pub(super) fn log(&self) -> &Logger {
        &self.log
    }

    /// Writes into the running request's record.
    pub fn note(&self, write: impl FnOnce(&mut Record)) {
        if let Some(record) = self.record.borrow_mut().as_mut() {
            write(record);
        }
    }

    /// Waits for `future`; the time is not upstreamd's own, if there is any.
    pub async fn waits_for<T>(&self, future: impl Future<Output = T>) -> T {
        let (mut future, mut waits) = (pin!(future), false);
        let done = poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() && !waits {
                waits = true;
                self.note(Record::waits);
            }
            polled
        })
        .await;
        if waits {
            self.note(Record::goes_on);
        }
        done
    }

    /// The answer's last byte was handed over; the record is logged when the
    /// kernel has it.
    pub fn finish(&self) {
        self.finished.set(true);
        self.unflushed.set(true);
    }

    /// Bytes were handed over.
    pub(super) fn handed_over(&self) {
        self.unflushed.set(true);
    }

    /// Whether the kernel has all that was handed over; if not, `waker` is
    /// woken when it has.
    pub(super) fn is_flushed(&self, waker: &Waker) -> bool {
        if self.unflushed.get() {
            *self.flush_waiter.borrow_mut() = Some(waker.clone());
        }
        !self.unflushed.get()
    }

    /// The connection can only end by a reset: its framing has no other way to
    /// say that an answer is not whole.
    pub(super) fn must_reset(&self) {
        self.reset.set(true);
    }

    /// The client's body has been read to its end.
    pub fn body_was_read(&self) {
        self.body_read.set(true);
    }

    /// Whether the client may still be sending the running request's body.
    pub fn body_is_pending(&self) -> bool {
        let passed = |record: &Option<Record>| record.as_ref().is_some_and(Record::upload_is_whole);
        !self.body_read.get() && !passed(&self.record.borrow())
    }

    /// Leaves a tunnel for the connection to run, after the 101 has gone.
    pub(super) fn leave_tunnel(&self, tunnel: Tunnel) {
        *self.tunnel.borrow_mut() = Some(tunnel);
    }

    /// How near the end of the instance is.
    pub fn stage(&self) -> Stage {
        self.stage.get()
    }

    /// No further request is wanted on this connection.
    pub fn is_last(&self) -> bool {
        self.stage.get() > Stage::Serving
    }

    /// No further request is wanted, and what runs has little time.
    pub fn is_draining(&self) -> bool {
        self.stage.get() >= Stage::Draining
    }

    /// The running request has to end now.
    pub fn is_aborting(&self) -> bool {
        self.stage.get() == Stage::Aborting
    }

    // ---- the connection's side ----

    /// Where the connection stands.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Bytes came from the client.
    pub fn received(&self) {
        if let Phase::Idle(_) = self.phase.get() {
            self.phase.set(Phase::Head(Instant::now()));
        }
    }

    /// The client's socket takes no byte, from `now` on if it did before.
    pub fn blocked(&self, now: Instant) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(now));
        }
    }

    /// The client's socket has taken bytes.
    pub fn unblocked(&self) {
        self.blocked_since.set(None);
    }

    /// Since when the client's socket takes no byte, if some wait for it.
    pub fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since.get()
    }

    /// Whether a request has come on this connection.
    pub fn has_served(&self) -> bool {
        self.served.get()
    }

    /// The kernel has everything that hyper had.
    pub fn flushed(&self) {
        if !self.unflushed.replace(false) {
            return;
        }
        if let Some(waker) = self.flush_waiter.borrow_mut().take() {
            waker.wake();
        }
        if self.finished.get() && self.tunnel.borrow().is_none() {
            let now = Instant::now();
            self.log_record(now);
            self.phase.set(Phase::Idle(now));
        }
    }

    /// Says that a request broke off, whatever else is known of it.
    pub fn fail(&self, fault: &Fault) {
        self.note(|record| record.fault(fault));
    }

    /// Ends the running request before its answer has gone. False: none runs.
    pub fn cut(&self, fault: &Fault) -> bool {
        self.fail(fault);
        self.note(|record| record.event.truncated = record.event.status.is_some());
        self.record.borrow().is_some()
    }

    /// The connection has ended: a request that was not finished was left by
    /// its client, unless something else went wrong before.
    pub fn ended(&self) {
        if !self.finished.get() {
            self.note(|record| {
                if record.event.error_code.is_none() {
                    record.event.client_aborted = true;
                }
            });
        }
        self.log_record(Instant::now());
    }

    /// Whether to end the connection by a reset.
    pub fn resets(&self) -> bool {
        self.reset.get()
    }

    /// The tunnel that a request left here.
    pub fn take_tunnel(&self) -> Option<Tunnel> {
        self.tunnel.borrow_mut().take()
    }

    /// Remembers the task that serves this connection.
    pub fn served_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    /// The end of the instance comes nearer.
    pub fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    fn log_record(&self, now: Instant) {
        let Some(mut record) = self.record.take() else {
            return;
        };
        if record.upload_is_whole() {
            self.body_read.set(true);
        }
        self.running.fetch_sub(1, Ordering::Relaxed);
        let event = record.close(now);
        self.metrics.borrow_mut().observe(event);
        event.log(&self.log);
    }
}
