//! Many small pieces that came together leave together.
//!
//! hyper gathers up to 16 pieces for one write. An upstream can put more events
//! than that into one TLS record, so the sixteenth piece of a run takes in all
//! that is there already. Up to fifteen pass as they are, without a copy.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::upstream::{AnswerBody, Failure};

/// Pieces of a run that pass as they are (hyper's `MAX_BUF_LIST_BUFFERS`, less
/// the one that takes in the rest).
const UNTOUCHED: u32 = 15;
/// The most that is joined to one piece.
const MOST: usize = 64 * 1024;

/// A frame, the end, or what broke it off.
pub(super) type Piece = Option<Result<Frame<Bytes>, Failure>>;

/// The body of an answer, with the rest of a long run joined.
pub(super) struct Joined {
    body: AnswerBody,
    /// Pieces since the upstream was last waited for.
    run: u32,
    /// What ended a joining, to be given next.
    next: Option<Piece>,
}

impl Joined {
    pub(super) fn new(body: AnswerBody) -> Self {
        Joined {
            body,
            run: 0,
            next: None,
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        let polled = self.body.poll_frame(cx);
        if polled.is_pending() {
            self.run = 0;
        }
        let piece = ready!(polled);
        self.run += 1;
        match piece {
            Some(Ok(frame)) if self.run > UNTOUCHED && frame.is_data() => {
                Poll::Ready(Some(Ok(self.join(frame, cx))))
            }
            piece => Poll::Ready(piece),
        }
    }

    /// Joins what is there already to a frame of data.
    fn join(&mut self, first: Frame<Bytes>, cx: &mut Context<'_>) -> Frame<Bytes> {
        let first = match first.into_data() {
            Ok(data) => data,
            Err(other) => return other,
        };
        let mut joined = BytesMut::from(first);
        while joined.len() < MOST && !self.body.is_end_stream() {
            match self.body.poll_frame(cx) {
                Poll::Pending => {
                    self.run = 0;
                    break;
                }
                Poll::Ready(Some(Ok(frame))) if frame.is_data() => {
                    joined.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                }
                Poll::Ready(end) => {
                    self.next = Some(end);
                    break;
                }
            }
        }
        Frame::data(joined.freeze())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.body.is_end_stream()
    }

    pub(super) fn release(&mut self) {
        self.body.release();
    }
}
