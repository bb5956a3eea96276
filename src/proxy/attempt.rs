//! One try: a request is sent to one upstream, with one of its keys.

use http::request::Parts;

use super::body::Ready;
use super::fault::Fault;
use super::outbound::Outbound;
use super::passing::Sent;
use super::route::Candidate;
use super::snapshot::Way;
use super::verdict::Trouble;
use super::wire::Wire;
use crate::upstream::{Answer, Effort, Failure, Lease, Request};

/// Where a request is sent.
pub(super) struct Attempt<'a> {
    pub(super) outbound: &'a Outbound<'a>,
    pub(super) candidate: &'a Candidate,
    pub(super) way: Way<'a>,
    /// The place of the key, if the upstream has any.
    pub(super) key: Option<usize>,
    /// Whether it finds out how an ejected upstream is.
    pub(super) is_probe: bool,
}

/// What another try is made of: the client's head and body.
pub(super) struct Spare {
    pub(super) head: Parts,
    pub(super) body: Ready,
}

/// What belongs to a request that was begun.
pub(super) struct Begun {
    asks_for_usage: bool,
    lease: Lease,
}

/// What a request took, which comes into its record whatever becomes of it: its
/// client may leave at any time.
pub(super) struct Noted<'a> {
    pub(super) effort: Effort,
    wire: &'a Wire,
}

impl<'a> Noted<'a> {
    pub(super) fn new(wire: &'a Wire) -> Self {
        Noted {
            effort: Effort::default(),
            wire,
        }
    }

    pub(super) fn note(&self) {
        self.wire.note(|record| record.effort(&self.effort));
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.note();
    }
}

impl Attempt<'_> {
    /// The request as it is sent now, which counts from now on.
    ///
    /// # Errors
    /// As those of [`Outbound::request`].
    pub(super) fn begin(&self, head: Parts, body: Ready) -> Result<(Request, Begun), Fault> {
        let (outbound, way) = (self.outbound, self.way);
        let (request, asks_for_usage) =
            outbound.request(head, body, self.candidate, way, self.key)?;
        let lease = way.begin(self.key);
        outbound.wire.note(|record| record.waits());
        Ok((
            request,
            Begun {
                asks_for_usage,
                lease,
            },
        ))
    }

    /// The same request once more, if it can be sent again.
    pub(super) fn again(&self, spare: &Spare) -> Option<Request> {
        let Spare { head, body } = spare.copy()?;
        let (outbound, candidate) = (self.outbound, self.candidate);
        let again = outbound.request(head, body, candidate, self.way, self.key);
        Some(again.ok()?.0)
    }

    /// Takes down what came of it. There is trouble if another try may meet better, and
    /// the request `goes_on` then; else the outcome is the client's.
    pub(super) fn end(
        &self,
        outcome: Result<Answer, Failure>,
        begun: Begun,
        goes_on: bool,
    ) -> (Result<Sent, Fault>, Option<Trouble>) {
        let (way, log) = (self.way, self.outbound.wire.log());
        let retry = self.outbound.engine.snapshot.config.retry.as_ref();
        let (outcome, trouble) = match outcome {
            Ok(answer) => {
                way.answered(self.key, &answer.head, self.is_probe, log);
                let trouble = Trouble::of_answer(&answer.head, retry);
                let sent = Sent {
                    answer,
                    tunnel: None,
                    upstream: self.candidate.upstream,
                    asks_for_usage: begun.asks_for_usage,
                    lease: Some(begun.lease),
                    room: None,
                };
                (Ok(sent), trouble)
            }
            Err(failure) => {
                let fault = Fault::upstream(failure, &way.upstream.name);
                way.failed(&fault, self.is_probe, log);
                let trouble = Trouble::of_failure(&fault, retry);
                (Err(fault), trouble)
            }
        };
        (outcome, trouble.filter(|_| goes_on))
    }
}

impl Spare {
    /// A copy, unless the body streams through: then the first try is the last.
    pub(super) fn of(head: &Parts, body: &Ready) -> Option<Self> {
        let body = body.copy()?;
        let head = head.clone();
        Some(Spare { head, body })
    }

    pub(super) fn copy(&self) -> Option<Self> {
        Spare::of(&self.head, &self.body)
    }
}
