//! An answer's body with the tap at it, and behind the tap the filter that takes
//! out what the client did not ask for, where there is one.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::fields;
use super::joined::{Joined, Piece};
use super::usage::Filter;
use crate::telemetry::tap::Tap;
use crate::upstream::AnswerBody;

/// What goes to the client, as it comes.
pub(super) struct Tapped {
    body: Joined,
    pub(super) tap: Tap,
    filter: Option<Box<Filtered>>,
}

struct Filtered {
    filter: Filter,
    /// What ended the body, to be given when all that was held back has gone.
    next: Option<Piece>,
    /// Bytes have come of which nothing was given.
    took_in: bool,
}

impl Tapped {
    pub(super) fn new(body: AnswerBody, tap: Tap, filter: Option<Filter>) -> Self {
        let filtered = |filter| Filtered {
            filter,
            next: None,
            took_in: false,
        };
        Tapped {
            body: Joined::new(body),
            tap,
            filter: filter.map(|filter| Box::new(filtered(filter))),
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        if self.filter.is_some() {
            return self.poll_filtered(cx);
        }
        let piece = ready!(self.body.poll_frame(cx));
        if let Some(Ok(frame)) = &piece
            && let Some(data) = frame.data_ref()
        {
            self.tap.feed(data);
        }
        Poll::Ready(piece)
    }

    fn poll_filtered(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let Some(Filtered {
            filter,
            next,
            took_in,
        }) = self.filter.as_deref_mut()
        else {
            return Poll::Ready(None);
        };
        if let Some(next) = next.take() {
            return Poll::Ready(next);
        }
        loop {
            let mut end = match ready!(self.body.poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => {
                    let data = frame.into_data().unwrap_or_default();
                    *took_in = true;
                    self.tap.feed(&data);
                    let passed = filter.feed(&data);
                    if !self.body.is_end_stream() {
                        if passed.is_empty() {
                            continue;
                        }
                        return Poll::Ready(Some(Ok(Frame::data(passed))));
                    }
                    let passed = both(passed, filter.finish());
                    let last = (!passed.is_empty()).then(|| Ok(Frame::data(passed)));
                    return Poll::Ready(last);
                }
                end => end,
            };
            if let Some(Ok(frame)) = &mut end
                && let Some(trailers) = frame.trailers_mut()
            {
                fields::drop_digests(trailers);
            }
            let rest = filter.finish();
            if rest.is_empty() {
                return Poll::Ready(end);
            }
            *next = Some(end);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
    }

    /// Whether the upstream has sent bytes since this was asked, though none of
    /// them were given.
    pub(super) fn took_in(&mut self) -> bool {
        let filter = self.filter.as_deref_mut();
        filter.is_some_and(|filter| std::mem::take(&mut filter.took_in))
    }

    /// What was held back of an answer that does not go on.
    pub(super) fn rest(&mut self) -> Bytes {
        let filter = self.filter.as_deref_mut();
        filter.map_or(Bytes::new(), |filter| filter.filter.finish())
    }

    /// The length, where the upstream said one and it stays.
    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.filter {
            None => self.body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        let holds = |filter: &Filtered| filter.next.is_some() || !filter.filter.is_empty();
        self.body.is_end_stream() && !self.filter.as_deref().is_some_and(holds)
    }

    pub(super) fn release(&mut self) {
        self.body.release();
    }
}

fn both(one: Bytes, other: Bytes) -> Bytes {
    if other.is_empty() {
        return one;
    }
    let mut both = BytesMut::from(one);
    both.extend_from_slice(&other);
    both.freeze()
}
