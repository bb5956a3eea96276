//! What `systemctl status` shows of the daemon: one sentence, kept current.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::warnings::not_configured;
use crate::admin::{Reloaded, State};
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
    upstreams: RefCell<Upstreams>,
    /// What was wrong, if the last reload failed.
    refused: RefCell<Option<String>>,
    said: RefCell<String>,
}

/// What there is to say of the upstreams.
struct Upstreams {
    count: usize,
    /// What stands in the way of requests to one of them, if anything.
    lacking: Option<String>,
    /// Whether to none of them a request can be sent.
    none_serves: bool,
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
            upstreams: RefCell::new(Upstreams::of(config)),
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
        *self.upstreams.borrow_mut() = Upstreams::of(config);
        *self.refused.borrow_mut() = outcome.as_ref().err().map(|errors| in_short(errors));
        self.ready();
    }

    /// The state in a word.
    pub(super) fn state(&self) -> State {
        match self.phase.get() {
            Phase::Serving => State::Serving,
            Phase::HandingOver => State::HandingOver,
            Phase::Draining(_) => State::Draining,
        }
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
        let upstreams = self.upstreams.borrow();
        let state = match (self.phase.get(), &upstreams.lacking) {
            (Phase::Draining(_), _) => return format!("draining, {running} running"),
            (Phase::HandingOver, _) => format!("handing over, {running} running"),
            (Phase::Serving, Some(lacking)) if upstreams.none_serves => lacking.clone(),
            (Phase::Serving, lacking) => {
                let known = counted(upstreams.count, "upstream");
                let sockets = counted(self.sockets, "socket");
                let but = lacking.as_ref().map(|lacking| format!("; {lacking}"));
                let but = but.unwrap_or_default();
                format!("serving {known} on {sockets}, {running} running{but}")
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

impl Upstreams {
    fn of(config: &Config) -> Self {
        let lacking: Vec<_> = config
            .upstreams
            .iter()
            .map(|one| not_configured(one))
            .collect();
        Upstreams {
            count: lacking.len(),
            none_serves: lacking.iter().all(Option::is_some),
            lacking: lacking.into_iter().flatten().next(),
        }
    }
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
