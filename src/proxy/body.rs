//! The request's body: read whole where it has to be looked at, else passed on.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, header};
use http_body::Body;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

use super::edit::{self, Edit};
use super::fault::{Fault, FaultKind};
use super::fields;
use super::target::Target;
use super::wire::Wire;
use crate::upstream::{BodyFault, RequestBody};

/// Room taken for a body before its bytes come, whatever length it claims.
const FIRST_ROOM: usize = 1024 * 1024;

/// A request's body, and what was seen in it.
pub(super) struct Prepared {
    pub(super) body: Ready,
    pub(super) model: Option<String>,
    /// Whether it asks for an event stream (`"stream": true`).
    pub(super) streams: bool,
}

/// A body that can be sent.
pub(super) enum Ready {
    /// Read whole: it can be edited, and sent again.
    Whole(Bytes),
    /// Passes through unread, once; or is empty.
    Unread(RequestBody),
}

impl Ready {
    /// The same once more, if it can be sent again.
    pub(super) fn copy(&self) -> Option<Ready> {
        match self {
            Ready::Whole(whole) => Some(Ready::Whole(whole.clone())),
            Ready::Unread(body) => body.copy().map(Ready::Unread),
        }
    }

    /// As it is sent, with `edits`. Without any, it is what the client sent.
    ///
    /// # Errors
    /// It is not in UTF-8, as JSON has to be.
    pub(super) fn edited(self, edits: &[Edit]) -> Result<RequestBody, Fault> {
        match self {
            Ready::Whole(whole) if edits.is_empty() => Ok(RequestBody::whole(whole)),
            Ready::Whole(whole) => match edit::edited(&whole, edits) {
                Some(new) => Ok(RequestBody::whole(new.into())),
                None => Err(Fault::new(
                    FaultKind::InvalidJson,
                    "The request's body is not UTF-8, as JSON has to be.",
                )),
            },
            Ready::Unread(body) => Ok(body),
        }
    }
}

/// What is looked at in a JSON body.
#[derive(Deserialize)]
struct Seen<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
}

/// Reads the body if this request's has to be looked at.
pub(super) async fn prepare(
    head: &Parts,
    target: &Target,
    incoming: Incoming,
    most: usize,
    silence: Duration,
    wire: &Wire,
) -> Result<Prepared, Fault> {
    let unseen = |body| Prepared {
        body: Ready::Unread(body),
        model: None,
        streams: false,
    };
    if incoming.is_end_stream() {
        return Ok(unseen(RequestBody::empty()));
    }
    if !is_looked_at(head, target) {
        return Ok(unseen(RequestBody::passing(
            incoming,
            silence,
            fields::keep_back,
        )));
    }
    let whole = wire.waits_for(read_whole(incoming, most, silence)).await?;
    // Whatever is found in it, the connection can go on.
    wire.body_was_read();
    // serde would read the members of an array as those of the object.
    let is_array = whole.trim_ascii_start().starts_with(b"[");
    if is_array {
        return Err(Fault::new(
            FaultKind::InvalidJson,
            "The request's body is a JSON array where the API takes an object.",
        ));
    }
    let seen: Seen<'_> = serde_json::from_slice(&whole).map_err(|error| {
        Fault::new(
            FaultKind::InvalidJson,
            // Positions only: serde_json's own words can quote the body.
            format!(
                "The request's body is not the JSON object it should be: {} at line {}, column {}.",
                category(&error),
                error.line(),
                error.column()
            ),
        )
    })?;
    let model = seen.model.map(Cow::into_owned);
    let streams = seen.stream == Some(true);
    Ok(Prepared {
        body: Ready::Whole(whole),
        model,
        streams,
    })
}

fn is_looked_at(head: &Parts, target: &Target) -> bool {
    head.method == Method::POST
        && target.names_model()
        && fields::has_type(&head.headers, "application/json")
        && !head.headers.contains_key(header::CONTENT_ENCODING)
}

async fn read_whole(
    mut incoming: Incoming,
    most: usize,
    silence: Duration,
) -> Result<Bytes, Fault> {
    let too_large = || {
        Fault::new(
            FaultKind::BodyTooLarge,
            format!(
                "The request's body is larger than {most} bytes. Send less, or ask the operator to raise server.max_body."
            ),
        )
    };
    let claimed = incoming.size_hint().exact();
    if claimed.is_some_and(|claimed| claimed > most as u64) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    loop {
        let mut next = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx));
        // Most bodies are there at once, and need no timer.
        let here = poll_fn(|cx| Poll::Ready(Pin::new(&mut next).poll(cx))).await;
        let next = match here {
            Poll::Ready(next) => next,
            Poll::Pending => match timeout(silence, next).await {
                Ok(next) => next,
                Err(_elapsed) => return Err(BodyFault::ClientSlow.into()),
            },
        };
        let frame = match next {
            None => return Ok(whole.freeze()),
            Some(Err(error)) => return Err(BodyFault::from_hyper(&error).into()),
            Some(Ok(frame)) => frame,
        };
        // Trailers of a body that was read whole have nobody to go to.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if whole.len() + data.len() > most {
            return Err(too_large());
        }
        if whole.is_empty() {
            if incoming.is_end_stream() {
                return Ok(data);
            }
            whole.reserve(claimed.map_or(0, |claimed| FIRST_ROOM.min(claimed as usize)));
        }
        whole.extend_from_slice(&data);
    }
}

fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => {
            "\"model\" or \"stream\" has the wrong type or stands there twice, or it is no object"
        }
        _ => "a syntax error",
    }
}
