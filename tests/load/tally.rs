//! What the clients have seen, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// What happened in some time.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) streams: Streams,
    /// Each on a connection of its own.
    pub(crate) requests: Requests,
    /// On connections that are kept.
    pub(crate) kept: Requests,
    pub(crate) connects: Connects,
}

#[derive(Default)]
pub(crate) struct Streams {
    whole: usize,
    cut: BTreeMap<String, usize>,
    first_byte: Times,
    /// Between two pieces of a stream.
    silence: Times,
    open: usize,
    least_open: usize,
}

#[derive(Default)]
pub(crate) struct Requests {
    answered: Times,
    failed: BTreeMap<String, usize>,
    pub(crate) reopened: usize,
}

#[derive(Default)]
pub(crate) struct Connects {
    at_once: usize,
    others: Times,
}

/// Milliseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Tally {
    /// As JSON; begins anew.
    pub(crate) fn take(&mut self) -> Value {
        let open = self.streams.open;
        let mut taken = std::mem::take(self);
        self.streams.open = open;
        self.streams.least_open = open;
        json!({
            "streams": taken.streams.tell(),
            "requests": taken.requests.tell(),
            "kept": taken.kept.tell(),
            "connects": { "at_once": taken.connects.at_once, "others_ms": taken.connects.others.tell() },
        })
    }
}

impl Streams {
    /// One more is open, so long after it was asked for; how many are.
    pub(crate) fn opened(&mut self, waited: Duration) -> usize {
        self.first_byte.add(waited);
        self.open += 1;
        self.open
    }

    /// A piece came, so long after the one before.
    pub(crate) fn piece(&mut self, silence: Duration) {
        self.silence.add(silence);
    }

    /// An open one came to its end, by a fault if there is one.
    pub(crate) fn closed(&mut self, fault: Option<String>) {
        self.open -= 1;
        self.least_open = self.least_open.min(self.open);
        match fault {
            None => self.whole += 1,
            Some(fault) => self.failed(fault),
        }
    }

    /// One broke off, or was not even begun.
    pub(crate) fn failed(&mut self, fault: String) {
        *self.cut.entry(fault).or_default() += 1;
    }

    fn tell(&mut self) -> Value {
        json!({
            "whole": self.whole,
            "cut": self.cut,
            "open": self.open,
            "least_open": self.least_open,
            "first_byte_ms": self.first_byte.tell(),
            "silence_ms": self.silence.tell(),
        })
    }
}

impl Requests {
    pub(crate) fn answered(&mut self, took: Duration) {
        self.answered.add(took);
    }

    pub(crate) fn failed(&mut self, fault: String) {
        *self.failed.entry(fault).or_default() += 1;
    }

    fn tell(&mut self) -> Value {
        json!({
            "answered": self.answered.0.len(),
            "failed": self.failed,
            "reopened": self.reopened,
            "ms": self.answered.tell(),
        })
    }
}

impl Connects {
    /// One was made in so much time.
    pub(crate) fn made(&mut self, took: Duration) {
        if took.is_zero() {
            self.at_once += 1;
        } else {
            self.others.add(took);
        }
    }
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// Median, 99th percentile and maximum; 0 if there are none.
    fn tell(&mut self) -> Value {
        self.0.sort_unstable_by(f64::total_cmp);
        let at = |hundredth: usize| {
            let last = self.0.len().saturating_sub(1);
            self.0.get(last * hundredth / 100).copied().unwrap_or(0.0)
        };
        json!({ "p50": at(50), "p99": at(99), "max": at(100) })
    }
}
