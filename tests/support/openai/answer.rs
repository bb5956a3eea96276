//! Answers: JSON, bytes, and streams that take their time.

use std::collections::VecDeque;
use std::io;
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
    breaks_off: bool,
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
        breaks_off: false,
        pace: state.pace,
        pause: None,
        aborted: Arc::clone(&state.aborted),
    };
    built(200, content_type, AnswerBody::Paced(paced))
}

/// `answer`, broken off if `request` names the model `cut-PIECES`: after so
/// many pieces the connection ends, without the end of the body.
pub fn cut_if_asked(mut answer: Answer, request: &Value) -> Answer {
    let model = request["model"].as_str().unwrap_or_default();
    let pieces = model.strip_prefix("cut-").and_then(|n| n.parse().ok());
    if let (Some(pieces), AnswerBody::Paced(paced)) = (pieces, answer.body_mut()) {
        paced.pieces.truncate(pieces);
        paced.breaks_off = true;
    }
    answer
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
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = match self.get_mut() {
            AnswerBody::Whole(body) => body.take().map(Ok),
            AnswerBody::Paced(paced) => ready!(paced.poll_piece(context)),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Whole(body) => body.is_none(),
            AnswerBody::Paced(paced) => paced.pieces.is_empty() && !paced.breaks_off,
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
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            let cut = || Err(io::Error::other("asked to break off"));
            return Poll::Ready(self.breaks_off.then(cut));
        };
        if !self.pace.is_zero() && (self.breaks_off || !self.pieces.is_empty()) {
            self.pause = Some(Box::pin(tokio::time::sleep(self.pace)));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        if !self.pieces.is_empty() {
            self.aborted.fetch_add(1, Ordering::Relaxed);
        }
    }
}
