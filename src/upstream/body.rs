//! The body of an answer as it arrives, whatever carries it.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Failure;
use super::http1::Http1Body;
use super::http2::Http2Body;

/// Bytes that [`AnswerBody::gather`] takes in at most, about: errors are smaller.
const MOST_GATHERED: usize = 64 * 1024;

/// Dropping it before its end cancels the request at the upstream.
pub struct AnswerBody(Carrier);

enum Carrier {
    Http1(Http1Body),
    Http2(Http2Body),
    Gathered(Box<Gathered>),
}

/// A body whose first pieces, or all of them, were taken in.
struct Gathered {
    pieces: VecDeque<Result<Frame<Bytes>, Failure>>,
    /// The length, as it was before that.
    hint: SizeHint,
    /// None: it has ended.
    rest: Option<AnswerBody>,
}

impl AnswerBody {
    pub(super) fn http1(body: Http1Body) -> Self {
        AnswerBody(Carrier::Http1(body))
    }

    pub(super) fn http2(body: Http2Body) -> Self {
        AnswerBody(Carrier::Http2(body))
    }

    /// The next piece, as soon as one is there.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut self.0 {
            Carrier::Http1(body) => body.poll_frame(cx),
            Carrier::Http2(body) => body.poll_frame(cx),
            Carrier::Gathered(body) => match (body.pieces.pop_front(), &mut body.rest) {
                (Some(piece), _) => Poll::Ready(Some(piece)),
                (None, Some(rest)) => rest.poll_frame(cx),
                (None, None) => Poll::Ready(None),
            },
        }
    }

    /// The length, where the upstream said one.
    pub fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Carrier::Http1(body) => body.size_hint(),
            Carrier::Http2(body) => body.size_hint(),
            Carrier::Gathered(body) => body.hint,
        }
    }

    /// Nothing (more) will come.
    pub fn is_end_stream(&self) -> bool {
        match &self.0 {
            Carrier::Http1(body) => body.is_end_stream(),
            Carrier::Http2(body) => body.is_end_stream(),
            Carrier::Gathered(body) => {
                let rest = body.rest.as_ref();
                body.pieces.is_empty() && rest.is_none_or(AnswerBody::is_end_stream)
            }
        }
    }

    /// Gives an ended answer's connection back without another poll of the body.
    pub fn release(&mut self) {
        match &mut self.0 {
            Carrier::Http1(body) => body.release(),
            Carrier::Http2(_) => {}
            Carrier::Gathered(body) => {
                if let Some(rest) = &mut body.rest {
                    rest.release();
                }
            }
        }
    }

    /// Takes in what is there already, without waiting: a small body that has
    /// come whole gives its connection back, for whoever keeps the answer.
    pub fn gather(&mut self) {
        let hint = self.size_hint();
        let mut cx = Context::from_waker(Waker::noop());
        let mut pieces = VecDeque::new();
        let mut length = 0;
        let ended = loop {
            if self.is_end_stream() {
                self.release();
                break true;
            }
            match self.poll_frame(&mut cx) {
                Poll::Pending => break false,
                Poll::Ready(None) => break true,
                Poll::Ready(Some(Err(failure))) => {
                    pieces.push_back(Err(failure));
                    break true;
                }
                Poll::Ready(Some(Ok(frame))) => {
                    length += frame.data_ref().map_or(0, Bytes::len);
                    // Nothing follows trailers.
                    let is_last = frame.is_trailers();
                    pieces.push_back(Ok(frame));
                    if is_last {
                        self.release();
                        break true;
                    }
                    if length >= MOST_GATHERED {
                        break false;
                    }
                }
            }
        };
        let rest = std::mem::replace(
            &mut self.0,
            Carrier::Gathered(Box::new(Gathered {
                pieces,
                hint,
                rest: None,
            })),
        );
        if let Carrier::Gathered(gathered) = &mut self.0 {
            gathered.rest = (!ended).then_some(AnswerBody(rest));
        }
    }
}
