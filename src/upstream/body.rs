//! The body of an answer as it arrives, whatever carries it.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Failure;
use super::http1::Http1Body;
use super::http2::Http2Body;

/// Dropping it before its end cancels the request at the upstream.
pub struct AnswerBody(Carrier);

enum Carrier {
    Http1(Http1Body),
    Http2(Http2Body),
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
        }
    }

    /// The length, where the upstream said one.
    pub fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Carrier::Http1(body) => body.size_hint(),
            Carrier::Http2(body) => body.size_hint(),
        }
    }

    /// Nothing (more) will come.
    pub fn is_end_stream(&self) -> bool {
        match &self.0 {
            Carrier::Http1(body) => body.is_end_stream(),
            Carrier::Http2(body) => body.is_end_stream(),
        }
    }

    /// Gives an ended answer's connection back without another poll of the body.
    pub fn release(&mut self) {
        if let Carrier::Http1(body) = &mut self.0 {
            body.release();
        }
    }
}
