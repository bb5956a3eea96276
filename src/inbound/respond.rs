//! hyper's service: one request in, one answer out, and its record begun.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use slog::debug;

use super::admit::admit;
use super::authenticate::{Guest, authenticate};
use super::worker::Worker;
use crate::admin;
use crate::limits::Standing;
use crate::proxy::{self, AnswerBody, Engine, Fault, FaultKind, Record, Wire};
use crate::telemetry::bounded::Bounded;
use crate::telemetry::event::RequestEvent;

/// Answers one request; it cannot fail, since a fault is an answer too.
pub(super) fn respond(
    request: Request<Incoming>,
    wire: Rc<Wire>,
    worker: &Worker,
    guest: Rc<Guest>,
) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> + use<> {
    let (mut head, incoming) = request.into_parts();
    // The request keeps the snapshot it starts with.
    let engine = worker.engine();
    let request_id = proxy::request_id(&head.headers);
    begin(&mut head, &request_id, &wire, worker);
    if incoming.is_end_stream() {
        wire.body_was_read();
    }
    // No `async fn`, which would have room for its arguments twice.
    async move {
        let mut answer = if is_health(&head) {
            wire.note(|record| record.event.is_probe = true);
            let answer = admin::health(wire.is_draining());
            note_own(&answer, &wire);
            answer
        } else {
            let mut standing = None;
            let answered = {
                let answering = pin!(admit_and_forward(
                    head,
                    incoming,
                    &wire,
                    &engine,
                    &request_id,
                    &guest,
                    &mut standing,
                ));
                unless_aborted(&wire, answering).await
            };
            let is_passed_on = answered.is_ok();
            let mut answer = match answered {
                Ok(answer) => answer,
                Err(fault) => refuse(&fault, &wire, &request_id),
            };
            // An upstream's own 429 is about its limits, and says so itself.
            let is_upstreams = is_passed_on && answer.status() == StatusCode::TOO_MANY_REQUESTS;
            if let Some(standing) = standing.filter(|_| !is_upstreams) {
                standing.write(answer.headers_mut());
            }
            answer
        };
        if wire.is_last() && !answer.headers().contains_key(header::CONNECTION) {
            answer
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }
}

async fn admit_and_forward(
    head: Parts,
    incoming: Incoming,
    wire: &Rc<Wire>,
    engine: &Engine,
    request_id: &HeaderValue,
    guest: &Guest,
    standing: &mut Option<Standing>,
) -> Result<Response<AnswerBody>, Fault> {
    let listener = engine.snapshot.config.listeners.of(&wire.listener);
    let client = authenticate(&head.headers, guest, listener)?;
    if let Some(client) = client {
        wire.note(|record| record.event.client = Some(Bounded::from(client.name.as_str())));
        if let Some(held) = &client.limits {
            admit(client, held, engine, wire, standing).await?;
        }
    }
    proxy::forward(head, incoming, wire, engine, request_id, client).await
}

fn begin(head: &mut Parts, request_id: &HeaderValue, wire: &Wire, worker: &Worker) {
    let event = RequestEvent {
        request_id: Some(Bounded::from(request_id.as_bytes())),
        client_request_id: proxy::client_request_id(&head.headers)
            .map(|id| Bounded::from(id.as_bytes())),
        trace_id: Some(proxy::trace_id(&mut head.headers)),
        listener: Some(Bounded::from(&*wire.listener)),
        remote: Some(Bounded::from(&*wire.remote)),
        method: Some(Bounded::from(head.method.as_str())),
        path: Some(Bounded::from(head.uri.path())),
        ..RequestEvent::default()
    };
    debug!(worker.log(), "a request came";
        "event" => "request_received", "method" => head.method.as_str(), "path" => head.uri.path(), "remote" => &*wire.remote);
    wire.begin(Record::new(event));
}

/// `GET /health` needs no key and tells no secret.
fn is_health(head: &Parts) -> bool {
    head.uri.path() == "/health" && (head.method == Method::GET || head.method == Method::HEAD)
}

/// A fault as an answer, and in the record.
fn refuse(fault: &Fault, wire: &Wire, request_id: &HeaderValue) -> Response<AnswerBody> {
    wire.fail(fault);
    let mut answer = fault.answer();
    let fields = answer.headers_mut();
    fields.insert(proxy::X_REQUEST_ID, request_id.clone());
    wire.note(|record| proxy::say_attempts(fields, record.event.attempts));
    if wire.body_is_pending() {
        // The rest of the body is not worth waiting for: the answer goes out
        // now, and the connection closes without a reset (`closing`).
        answer
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if fault.kind != FaultKind::ClientGone {
        note_own(&answer, wire);
    }
    answer
}

fn note_own(answer: &Response<AnswerBody>, wire: &Wire) {
    wire.note(|record| {
        record.event.status = Some(answer.status().as_u16());
        record.event.bytes_out = answer.body().size_hint().exact().unwrap_or_default();
    });
    wire.finish();
}

/// Runs `answering` until the drain is over.
async fn unless_aborted<T>(
    wire: &Wire,
    mut answering: Pin<&mut impl Future<Output = Result<T, Fault>>>,
) -> Result<T, Fault> {
    poll_fn(|cx| {
        if wire.is_aborting() {
            return Poll::Ready(Err(Fault::draining()));
        }
        answering.as_mut().poll(cx)
    })
    .await
}
