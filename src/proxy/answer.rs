//! The answer's body on its way to the client.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::fault::Fault;
use super::fields;
use super::tapped::Tapped;
use super::usage::Filter;
use super::wire::Wire;
use crate::telemetry::tap::Tap;
use crate::upstream::{self, Failure, FailureKind, Lease, Place};

/// What hyper's server sends.
pub struct AnswerBody(Source);

enum Source {
    /// Made here; its end is noted when it is made.
    Own(Option<Bytes>),
    /// The upstream's, as it comes.
    Passing(Box<Passing>),
}

struct Passing {
    body: Tapped,
    wire: Rc<Wire>,
    origin: Origin,
    /// Since when nothing has come, if the upstream is being waited for.
    silent_since: Option<Instant>,
    /// Made when the upstream is waited for the first time.
    timer: Option<Pin<Box<Sleep>>>,
    /// Its end is the end of the connection: HTTP/1.0 and no length.
    close_delimited: bool,
    state: State,
}

/// Where an answer comes from.
pub(super) struct Origin {
    /// The upstream's name.
    pub(super) name: Rc<str>,
    /// How long it may be silent.
    pub(super) idle_timeout: Duration,
    /// Whether the answer is over with its head, so that hyper asks for no body
    /// (RFC 9110, section 6.4.1). Over HTTP/2 its end may come in a frame of its own.
    pub(super) has_no_content: bool,
    /// Whether its answers say how many tokens were used.
    pub(super) counts_tokens: bool,
    /// Its place among what runs at the upstream.
    pub(super) lease: Option<Lease>,
    /// The request's place at the upstream, given back at the answer's end.
    pub(super) place: Option<Place>,
}

enum State {
    Streaming,
    /// Broken: ends by an abort once all that came before has gone out.
    Failing,
}

/// Ends hyper's connection without a clean end of the answer.
#[derive(Debug)]
pub struct Truncated;

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer could not be sent whole")
    }
}

impl std::error::Error for Truncated {}

impl AnswerBody {
    /// A body made by upstreamd itself. The caller has told the wire that the
    /// answer is finished.
    pub fn own(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        AnswerBody(Source::Own((!bytes.is_empty()).then_some(bytes)))
    }

    pub(super) fn passing(
        mut body: upstream::AnswerBody,
        tap: Tap,
        filter: Option<Filter>,
        wire: Rc<Wire>,
        origin: Origin,
        close_delimited: bool,
    ) -> Self {
        if body.is_end_stream() || origin.has_no_content {
            body.release();
            wire.finish();
            return AnswerBody(Source::Own(None));
        }
        AnswerBody(Source::Passing(Box::new(Passing {
            body: Tapped::new(body, tap, filter),
            wire,
            origin,
            silent_since: None,
            timer: None,
            close_delimited,
            state: State::Streaming,
        })))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Truncated;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        match &mut self.0 {
            Source::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Passing(passing) => passing.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::Own(bytes) => bytes.is_none(),
            Source::Passing(passing) => {
                matches!(passing.state, State::Streaming) && passing.body.is_end_stream()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Passing(passing) => passing.body.size_hint(),
        }
    }
}

impl Drop for Passing {
    /// The client has left: what was read until then was used.
    fn drop(&mut self) {
        self.observe(false);
    }
}

impl Passing {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if let State::Failing = self.state {
            return self.poll_abort(cx);
        }
        if self.wire.is_aborting() {
            return self.fail(&Fault::draining(), cx);
        }
        match self.body.poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.silent_since = None;
                self.wire.handed_over();
                if let Some(data) = frame.data_ref() {
                    self.wire
                        .note(|record| record.event.bytes_out += data.len() as u64);
                }
                if let Some(trailers) = frame.trailers_mut() {
                    fields::towards_client(trailers);
                }
                // Nothing follows trailers, and hyper does not ask for it.
                if frame.is_trailers() || self.body.is_end_stream() {
                    self.body.release();
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(failure))) => {
                self.fail(&Fault::upstream(failure, &self.origin.name), cx)
            }
            Poll::Pending => {
                if self.body.took_in() {
                    self.silent_since = None;
                }
                self.poll_silence(cx)
            }
        }
    }

    /// The upstream is being waited for; it may be silent for `idle_timeout`.
    fn poll_silence(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        let due = since + self.origin.idle_timeout;
        // The timer is moved only when it rings, so that a chunk costs none.
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while timer.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                let failure = Failure {
                    kind: FailureKind::ReadTimeout,
                    address: None,
                    detail: format!("no byte of the answer for {:?}", self.origin.idle_timeout),
                };
                return self.fail(&Fault::upstream(failure, &self.origin.name), cx);
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn finish(&mut self) {
        self.leave_upstream();
        self.observe(true);
        self.wire.finish();
    }

    /// What other endpoints answer is the client's own data (a file, say), and
    /// errors use nothing.
    fn observe(&mut self, is_whole: bool) {
        if self.origin.counts_tokens {
            self.origin.counts_tokens = false;
            let observed = self.body.tap.finish();
            self.wire.note(|record| record.observed(observed, is_whole));
        }
    }

    /// Nothing more runs there, however long the client takes.
    fn leave_upstream(&mut self) {
        self.origin.place = None;
        self.origin.lease = None;
    }

    /// Never a clean end for a dead answer: an error event if the client can
    /// read one here, and then the connection is aborted.
    fn fail(
        &mut self,
        fault: &Fault,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        self.state = State::Failing;
        self.leave_upstream();
        self.observe(true);
        self.wire.note(|record| {
            record.event.truncated = true;
            record.fault(fault);
        });
        if self.close_delimited {
            self.wire.must_reset();
        }
        let rest = self.body.rest();
        if !rest.is_empty() {
            self.wire.handed_over();
            self.wire
                .note(|record| record.event.bytes_out += rest.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        // With a length announced, an event more would be no part of the body.
        if self.body.tap.at_event_boundary() && self.body.size_hint().exact().is_none() {
            self.wire.handed_over();
            return Poll::Ready(Some(Ok(Frame::data(fault.sse_event()))));
        }
        self.poll_abort(cx)
    }

    fn poll_abort(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Truncated>>> {
        if self.wire.is_flushed(cx.waker()) {
            Poll::Ready(Some(Err(Truncated)))
        } else {
            Poll::Pending
        }
    }
}
