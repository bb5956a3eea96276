//! The event of a request while the request runs.

use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, FaultKind};
use crate::limits::Admission;
use crate::telemetry::bounded::Bounded;
use crate::telemetry::event::RequestEvent;
use crate::telemetry::tap::Observed;
use crate::upstream::{BytesIn, Effort};

/// Filled in along the way; logged once, when the last byte has gone.
pub struct Record {
    /// What will be logged.
    pub event: RequestEvent,
    began: Instant,
    own: Stopwatch,
    uploaded: Option<BytesIn>,
    /// Its client's limits, if it has any: counted out with the record.
    admission: Option<Admission>,
}

impl Record {
    /// A request that begins now.
    pub fn new(event: RequestEvent) -> Self {
        let began = Instant::now();
        Record {
            event,
            began,
            own: Stopwatch::started(began),
            uploaded: None,
            admission: None,
        }
    }

    /// It was counted in, and is counted out when it is over.
    pub fn admitted(&mut self, admission: Admission) {
        self.admission = Some(admission);
    }

    /// What comes is not upstreamd's own work: a client that has to send, a place
    /// at an upstream, an upstream.
    pub fn waits(&mut self) {
        self.own.stop(Instant::now());
    }

    /// Whoever was waited for has done it.
    pub fn goes_on(&mut self) {
        self.own.start(Instant::now());
    }

    /// The head of the upstream's answer goes to the client now.
    pub(super) fn hands_over(&mut self) {
        self.own.stop(Instant::now());
        self.event.added = Some(self.own.total);
    }

    /// The body whose bytes are counted.
    pub(super) fn uploads(&mut self, counter: BytesIn) {
        self.uploaded = Some(counter);
    }

    /// The length of a body that was read whole, whatever is sent in its place.
    pub(super) fn read_whole(&mut self, length: usize) {
        self.event.bytes_in = length as u64;
    }

    /// Whether a body that passed through has been read to its end.
    pub(super) fn upload_is_whole(&self) -> bool {
        self.uploaded.as_ref().is_some_and(BytesIn::is_whole)
    }

    /// The bytes of a connection that switched protocols; there is no body.
    pub fn tunnelled(&mut self, bytes_in: u64, bytes_out: u64) {
        self.uploaded = None;
        self.event.bytes_in = bytes_in;
        self.event.bytes_out = bytes_out;
    }

    /// What it took to get an answer, or not to.
    pub(super) fn effort(&mut self, effort: &Effort) {
        self.event.attempts = effort.attempts;
        self.event.retries = effort.attempts.saturating_sub(1);
        self.event.upstream_connect = effort.connect;
    }

    /// The first byte of an answer came.
    pub(super) fn first_byte(&mut self) {
        let now = Instant::now();
        self.event.ttfb = Some(now - self.began);
        self.own.start(now);
    }

    /// What the tap read out of the answer, or of the part of it that came.
    pub(super) fn observed(&mut self, observed: Observed, is_whole: bool) {
        self.event.observe(&observed);
        if is_whole || observed.usage.is_some() {
            self.event.missing_usage = Some(observed.usage.is_none());
        }
        if let (Some(admission), Some(usage)) = (&self.admission, observed.usage) {
            admission.charge(usage.all());
        }
    }

    /// What went wrong; the first fault is the one that counts.
    pub fn fault(&mut self, fault: &Fault) {
        if self.event.error_code.is_none() {
            let row = fault.row();
            self.event.error_code = Some(row.code);
            self.event.error_message = Some(Bounded::from(fault.message.as_str()));
            self.event.fault = Some(row.blame);
            self.event.client_aborted |= fault.kind == FaultKind::ClientGone;
        }
    }

    /// When the request began.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// It is over, by `now`: counted out, and this is what will be logged.
    pub(super) fn close(&mut self, now: Instant) -> &RequestEvent {
        self.admission = None;
        self.event.duration = now - self.began;
        if let Some(uploaded) = &self.uploaded {
            self.event.bytes_in = uploaded.total();
        }
        &self.event
    }
}

/// Time that is upstreamd's own, of a request.
struct Stopwatch {
    total: Duration,
    /// None: it stands.
    since: Option<Instant>,
}

impl Stopwatch {
    fn started(at: Instant) -> Self {
        Stopwatch {
            total: Duration::ZERO,
            since: Some(at),
        }
    }

    /// Does nothing if it runs.
    fn start(&mut self, at: Instant) {
        self.since.get_or_insert(at);
    }

    /// Does nothing if it stands: whoever sends again waited before.
    fn stop(&mut self, at: Instant) {
        if let Some(since) = self.since.take() {
            self.total += at - since;
        }
    }
}
