//! The end of a connection, so that the client can read all that was sent.
//!
//! Closing a socket that has unread bytes resets it, and a reset can take the
//! answer away that the client has not read yet. So the write side closes
//! first, and what the client still sends is read and thrown away for a while
//! (RFC 9112, section 9.6).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, Response};
use hyper::body::Body;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::client_io::ClientIo;
use crate::proxy::{self, AnswerBody, Fault, Phase, Record, Wire, X_REQUEST_ID};
use crate::telemetry::bounded::Bounded;
use crate::telemetry::event::RequestEvent;

/// How long a client may go on sending what nobody wants (nginx's
/// `lingering_time`).
const LINGER: Duration = Duration::from_secs(30);
/// How long it may be silent meanwhile (nginx's `lingering_timeout`).
const LINGER_SILENCE: Duration = Duration::from_secs(5);
/// How long a drain waits for that.
const LINGER_WHILE_DRAINING: Duration = Duration::from_secs(1);
/// How long a refusal may take to leave.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// Answers what was no request, and closes.
pub(super) async fn refuse(mut io: ClientIo, fault: &Fault, wire: &Wire) {
    let mut answer = fault.answer();
    if wire.phase() != Phase::Busy {
        let request_id = proxy::request_id(&HeaderMap::new());
        let event = RequestEvent {
            request_id: Some(Bounded::from(request_id.as_bytes())),
            listener: Some(Bounded::from(&*wire.listener)),
            remote: Some(Bounded::from(&*wire.remote)),
            ..RequestEvent::default()
        };
        wire.begin(Record::new(event));
        answer.headers_mut().insert(X_REQUEST_ID, request_id);
    }
    wire.fail(fault);
    let status = answer.status().as_u16();
    let length = answer.body().size_hint().exact().unwrap_or_default();
    let bytes = on_the_wire(answer).await;
    wire.note(|record| {
        record.event.status = Some(status);
        record.event.bytes_out = length;
    });
    if let Ok(Ok(())) = timeout(WRITE_TIME, io.socket.write_all(&bytes)).await {
        wire.finish();
    }
    wire.ended();
    linger(io, wire).await;
}

/// Closes a connection that hyper is done with.
pub(super) async fn close(io: ClientIo, wire: &Wire) {
    wire.ended();
    if wire.resets() {
        io.socket.reset_on_close();
    } else if wire.body_is_pending() && !io.saw_end {
        linger(io, wire).await;
    }
    // Dropping the socket closes it.
}

async fn linger(mut io: ClientIo, wire: &Wire) {
    if timeout(WRITE_TIME, io.socket.shutdown()).await.is_err() {
        return;
    }
    let begun = Instant::now();
    let mut unwanted = vec![0; 16 * 1024];
    let mut end = pin!(sleep_until(begun + LINGER));
    let is_over =
        || wire.is_aborting() || (wire.is_draining() && begun.elapsed() >= LINGER_WHILE_DRAINING);
    while !is_over() {
        let read = timeout(LINGER_SILENCE, io.socket.read(&mut unwanted));
        let mut read = pin!(read);
        let more = poll_fn(|cx| {
            if is_over() || end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            read.as_mut()
                .poll(cx)
                .map(|outcome| matches!(outcome, Ok(Ok(1..))))
        });
        if !more.await {
            return;
        }
    }
}

/// An answer as bytes, for a connection that hyper no longer runs.
async fn on_the_wire(answer: Response<AnswerBody>) -> Vec<u8> {
    let (head, mut body) = answer.into_parts();
    let length = body.size_hint().exact().unwrap_or_default();
    let reason = head.status.canonical_reason().unwrap_or_default();
    let mut bytes = format!(
        "HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-length: {length}\r\n",
        head.status.as_str()
    )
    .into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    bytes
}
