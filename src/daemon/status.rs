//! What `systemctl status` shows of the daemon: one sentence, kept current.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::warnings::not_configured;
use crate::admin::Reloaded;
use crate::config::checked::Config;
use crate::inbound::WorkerHandle;
use crate::systemd::Notify;

/// How often it is looked whether the sentence still holds. Of its own accord a
/// service manager is told no more often.
const LOOK: Duration = Duration::from_secs(1);
/// While draining, within which time the service manager is promised to hear
/// again; some looks long, so that a busy host does not end a drain.
const EXTENSION: Duration = Duration::from_secs(15);

/// The state of the daemon in words.
pub(super) struct Status {
    notify: Notify,
    workers: Arc<[WorkerHandle]>,
    sockets: usize,
    phase: Cell<Phase>,
    upstreams: Cell<usize>,
    /// What stands in the way of every request, or of all to one of several
    /// upstreams, if anything.
    lacking: RefCell<Option<String>>,
    /// What was wrong, if the last reload failed.
    refused: RefCell<Option<String>>,
    said: RefCell<String>,
}

#[derive(Clone, Copy)]
enum Phase {
    Serving,
    HandingOver,
    /// Until then at the latest.
    Draining(Instant),
}

impl Status {
    /// Of a daemon that serves on so many `sockets`.
    pub(super) fn new(
        notify: Notify,
        workers: Arc<[WorkerHandle]>,
        sockets: usize,
        config: &Config,
    ) -> Self {
        Status {
            notify,
            workers,
            sockets,
            phase: Cell::new(Phase::Serving),
            upstreams: Cell::new(config.upstreams.len()),
            lacking: RefCell::new(lacking(config)),
            refused: RefCell::default(),
            said: RefCell::default(),
        }
    }

    /// Requests are being served.
    pub(super) fn ready(&self) {
        self.notify.ready(&self.news());
    }

    /// A reload begins; ends with [`reloaded`](Self::reloaded).
    pub(super) fn reloading(&self) {
        self.notify.reloading();
    }

    /// What came of a reload, and what is in use now. Requests are served in
    /// either case.
    pub(super) fn reloaded(&self, outcome: &Reloaded, config: &Config) {
        self.upstreams.set(config.upstreams.len());
        *self.lacking.borrow_mut() = lacking(config);
        *self.refused.borrow_mut() = outcome.as_ref().err().map(|errors| in_short(errors));
        self.ready();
    }

    /// Another instance accepts from now on.
    pub(super) fn handing_over(&self) {
        self.phase.set(Phase::HandingOver);
        self.notify.status(&self.news());
    }

    /// The drain begins, and ends `at_most` from now.
    pub(super) fn draining(&self, at_most: Duration) {
        self.phase.set(Phase::Draining(Instant::now() + at_most));
        self.notify.stopping(&self.news(), EXTENSION.min(at_most));
    }

    /// Tells what changes, for ever.
    pub(super) async fn keep_current(&self) {
        loop {
            sleep(LOOK).await;
            if let Phase::Draining(by) = self.phase.get() {
                // Not once for the whole of it: were this thread to hang, the
                // service manager should find out soon.
                let left = by.saturating_duration_since(Instant::now());
                self.notify.draining(EXTENSION.min(left));
            }
            if self.sentence() != *self.said.borrow() {
                self.notify.status(&self.news());
            }
        }
    }

    /// The sentence as it is now, noted as said.
    fn news(&self) -> String {
        let sentence = self.sentence();
        self.said.borrow_mut().clone_from(&sentence);
        sentence
    }

    fn sentence(&self) -> String {
        let running = counted(
            self.workers.iter().map(WorkerHandle::requests).sum(),
            "request",
        );
        let state = match (self.phase.get(), &*self.lacking.borrow()) {
            (Phase::Draining(_), _) => return format!("draining, {running} running"),
            (Phase::HandingOver, _) => format!("handing over, {running} running"),
            (Phase::Serving, Some(lacking)) if self.upstreams.get() == 1 => lacking.clone(),
            (Phase::Serving, lacking) => {
                let upstreams = counted(self.upstreams.get(), "upstream");
                let sockets = counted(self.sockets, "socket");
                let lacking = lacking.as_ref();
                let lacking = lacking.map_or(String::new(), |lacking| format!("; {lacking}"));
                format!("serving {upstreams} on {sockets}, {running} running{lacking}")
            }
        };
        match &*self.refused.borrow() {
            Some(why) => format!(
                "{state}; the last reload failed, the configuration before is in use: {why}"
            ),
            None => state,
        }
    }
}

/// What the first upstream lacks that lacks something.
fn lacking(config: &Config) -> Option<String> {
    let mut upstreams = config.upstreams.iter();
    upstreams.find_map(|upstream| not_configured(upstream))
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// The first of `errors`, and how many more there are.
fn in_short(errors: &[String]) -> String {
    match errors {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}
