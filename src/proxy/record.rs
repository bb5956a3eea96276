//! The event of a request while the request runs.

use tokio::time::Instant;

use super::Fault;
use crate::telemetry::event::Event;
use crate::telemetry::tap::Observed;
use crate::upstream::{BytesIn, Effort};

/// Filled in along the way; logged once, when the last byte has gone.
pub struct Record {
    /// What will be logged.
    pub event: Event,
    began: Instant,
    uploaded: Option<BytesIn>,
}

impl Record {
    /// A request that begins now.
    pub fn new(event: Event) -> Self {
        Record { event, began: Instant::now(), uploaded: None }
    }

    /// The body whose bytes are counted.
    pub(super) fn uploads(&mut self, counter: BytesIn) {
        self.uploaded = Some(counter);
    }

    /// What it took to get an answer, or not to.
    pub(super) fn effort(&mut self, effort: &Effort) {
        self.event.attempts = Some(effort.attempts);
        self.event.upstream_connect_s = effort.connect.map(|time| time.as_secs_f64());
    }

    /// The first byte of an answer came.
    pub(super) fn first_byte(&mut self) {
        self.event.ttfb_s = Some(self.began.elapsed().as_secs_f64());
    }

    /// What the tap read out of the answer.
    pub(super) fn observed(&mut self, observed: Observed) {
        self.event.upstream_model = observed.model;
        self.event.response_id = observed.response_id;
        self.event.missing_usage = Some(observed.usage.is_none());
        self.event.usage = observed.usage.unwrap_or_default();
    }

    /// What went wrong; the first fault is the one that counts.
    pub fn fault(&mut self, fault: &Fault) {
        if self.event.error_code.is_none() {
            let row = fault.row();
            self.event.error_code = Some(row.code);
            self.event.error_message = Some(fault.message.clone());
            self.event.blame = Some(row.blame);
        }
    }

    pub(super) fn close(mut self) -> Event {
        self.event.duration_s = self.began.elapsed().as_secs_f64();
        if let Some(uploaded) = self.uploaded {
            self.event.bytes_in = uploaded.total();
        }
        self.event
    }
}
