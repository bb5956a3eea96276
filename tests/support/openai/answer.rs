//! Answers: JSON, bytes, and streams that take their time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::time::Sleep;

use super::route::State;

pub type Answer = Response<AnswerBody>;

/// A body, whole or in pieces with a pause between them.
pub enum AnswerBody {
    /// Sent with its length, at once.
    Whole(Option<Bytes>),
    /// Sent in chunks.
    Paced(Paced),
}

/// Pieces, one every `pace`; the first at once.
pub struct Paced {
    pieces: VecDeque<Bytes>,
    pace: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    aborted: Arc<AtomicU64>,
}

/// `value` with status 200.
pub fn json(value: &Value) -> Answer {
    whole(200, "application/json", value.to_string())
}

/// A whole body.
pub fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    built(status, content_type, AnswerBody::Whole(Some(body.into())))
}

/// A body in chunks, paced as `state` says.
pub fn paced(state: &State, content_type: &str, pieces: impl IntoIterator<Item = Bytes>) -> Answer {
    let paced = Paced {
        pieces: pieces.into_iter().collect(),
        pace: state.pace,
        pause: None,
        aborted: Arc::clone(&state.aborted),
    };
    built(200, content_type, AnswerBody::Paced(paced))
}

fn built(status: u16, content_type: &str, body: AnswerBody) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(body)
        .expect("status and content type are valid")
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.get_mut() {
            AnswerBody::Whole(body) => body.take(),
            AnswerBody::Paced(paced) => ready!(paced.poll_piece(context)),
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Whole(body) => body.is_none(),
            AnswerBody::Paced(paced) => paced.pieces.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(Some(body)) => SizeHint::with_exact(body.len() as u64),
            AnswerBody::Whole(None) => SizeHint::with_exact(0),
            AnswerBody::Paced(_) => SizeHint::default(),
        }
    }
}

impl Paced {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let piece = self.pieces.pop_front();
        if !self.pace.is_zero() && !self.pieces.is_empty() {
            self.pause = Some(Box::pin(tokio::time::sleep(self.pace)));
        }
        Poll::Ready(piece)
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if !self.pieces.is_empty() {
            self.aborted.fetch_add(1, Ordering::Relaxed);
        }
    }
}
