//! The way of one request through the proxy.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{self, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};

use super::Engine;
use super::access;
use super::answer::{AnswerBody, Origin};
use super::body::{self, Ready};
use super::fault::{Fault, FaultKind};
use super::fields;
use super::listing::{Asked, Asker};
use super::target::Target;
use super::wire::{Tunnel, Wire};
use crate::config::checked::Client;
use crate::telemetry::bounded::Bounded;
use crate::telemetry::tap::Tap;
use crate::upstream::{Answer, Effort, Request};

/// Forwards a request whose client is allowed in, and returns the head of the
/// answer with a body that is still arriving.
///
/// # Errors
/// A [`Fault`], as long as nothing of an answer has been passed on.
pub async fn forward(
    mut head: Parts,
    incoming: Incoming,
    wire: &Rc<Wire>,
    engine: &Engine,
    request_id: &HeaderValue,
    client: Option<&Client>,
) -> Result<Response<AnswerBody>, Fault> {
    let server = &engine.snapshot.config.server;
    let target = Target::new(&head.method, &head.uri)?;
    refuse_hosts(&head)?;
    refuse_codings(&head)?;
    access::to_endpoint(client, &target)?;
    let asked = Asked::by(&head, &target);
    if let Some(asked) = &asked {
        let asker = Asker {
            engine,
            wire,
            client,
            request_id,
        };
        let answer = Box::pin(asker.answer(asked, &head, &target)).await?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
    let prepared = body::prepare(
        &head,
        &target,
        incoming,
        server.max_body,
        server.body_timeout,
        wire,
    )
    .await?;
    let named = asked.as_ref().and_then(Asked::name);
    let model = prepared.model.as_deref().or(named);
    wire.note(|record| {
        match &prepared.body {
            Ready::Whole(whole) => record.read_whole(whole.len()),
            Ready::Unread(body) => record.uploads(body.counter()),
        }
        record.event.model = model.map(Bounded::from);
    });
    access::to_model(client, model, &target, &head)?;
    let mut route = engine.snapshot.routes.find(model)?;
    let candidate = route.next().expect("a route has one candidate at least");
    let way = engine.way(candidate.upstream);
    let upstream = way.upstream;
    wire.note(|record| {
        record.event.upstream = Some(Bounded::from(upstream.name.as_str()));
        record.event.key = upstream
            .keys
            .first()
            .map(|key| Bounded::from(key.name.as_str()));
    });
    if let Some(key) = upstream.lacks_key() {
        return Err(Fault::not_configured(&upstream.name, key));
    }
    let at_upstream = target.at(&upstream.base_url.path)?;
    let body = prepared.body.edited(&candidate.edits)?;

    let wants_websocket = wants_websocket(&head);
    let says_empty = body.is_end_stream() && head.headers.contains_key(CONTENT_LENGTH);
    fields::towards_upstream(&mut head.headers, upstream, way.host, request_id);
    if !candidate.edits.is_empty() {
        fields::drop_digests(&mut head.headers);
    }
    if says_empty {
        // hyper says a length only of a body; some servers want one of every POST.
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let is_head = head.method == Method::HEAD;
    head.uri = Uri::from(at_upstream);
    let client_version = std::mem::replace(&mut head.version, Version::HTTP_11);
    head.extensions.clear();
    let mut request = Request { head, body };
    if client_version == Version::HTTP_11 {
        pass_interim(&mut request, wire);
    }

    let mut effort = Effort::default();
    wire.note(|record| record.waits());
    let outcome = if wants_websocket {
        let fields = &mut request.head.headers;
        fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        Box::pin(way.pool.upgrade(request, &mut effort)).await
    } else {
        let sent = way.pool.send(request, &mut effort).await;
        sent.map(|answer| (answer, None))
    };
    wire.note(|record| record.effort(&effort));
    let (answer, tunnel) = outcome.map_err(|failure| Fault::upstream(failure, &upstream.name))?;
    let Answer { mut head, body } = answer;
    let switched_to = head.headers.get(header::UPGRADE).cloned();
    wire.note(|record| {
        record.first_byte();
        record.event.upstream_request_id = head
            .headers
            .get(fields::X_REQUEST_ID)
            .map(|id| Bounded::from(id.as_bytes()));
    });

    let streaming = fields::is_event_stream(&head.headers);
    let counts_tokens = target.counts_tokens() && head.status.is_success();
    // In any event stream it is watched where an event of ours may stand.
    let tap = if counts_tokens || streaming {
        Tap::for_answer(&head.headers)
    } else {
        Tap::off()
    };
    wire.note(|record| record.event.streaming = Some(streaming));
    fields::towards_client(&mut head.headers);
    head.headers
        .entry(fields::X_REQUEST_ID)
        .or_insert_with(|| request_id.clone());
    head.version = Version::HTTP_11;
    wire.note(|record| {
        record.event.status = Some(head.status.as_u16());
        record.hands_over();
    });

    if let Some((stream, early)) = tunnel {
        head.headers
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = switched_to {
            head.headers.insert(header::UPGRADE, protocol);
        }
        wire.leave_tunnel(Tunnel {
            stream,
            early,
            idle_timeout: upstream.idle_timeout,
        });
        wire.finish();
        return Ok(Response::from_parts(head, AnswerBody::own("")));
    }
    let close_delimited = client_version == Version::HTTP_10 && body.size_hint().exact().is_none();
    let origin = Origin {
        name: way.name(),
        idle_timeout: upstream.idle_timeout,
        has_no_content: is_head
            || matches!(
                head.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            ),
        counts_tokens,
    };
    let body = AnswerBody::passing(body, tap, Rc::clone(wire), origin, close_delimited);
    Ok(Response::from_parts(head, body))
}

/// HTTP/1.1 has one `Host`, be it empty (RFC 9112, section 3.2): with two, the
/// client and a proxy before us may each have meant another.
fn refuse_hosts(head: &Parts) -> Result<(), Fault> {
    let hosts = head.headers.get_all(header::HOST).iter().count();
    if hosts == 1 || (hosts == 0 && head.version < Version::HTTP_11) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Malformed,
        format!("The request has {hosts} Host fields. Send one."),
    ))
}

/// A transfer coding that we would have to undo (RFC 9112, section 6.1).
/// `chunked` alone is undone by hyper; the rest it refused before.
fn refuse_codings(head: &Parts) -> Result<(), Fault> {
    let mut codings = fields::tokens(&head.headers, &header::TRANSFER_ENCODING);
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(()),
        _ => Err(Fault::new(
            FaultKind::TransferCoding,
            "The request's Transfer-Encoding is not supported: use chunked alone, and Content-Encoding for compression.",
        )),
    }
}

/// Whether the client wants to become a WebSocket, and may.
fn wants_websocket(head: &Parts) -> bool {
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && fields::wants_websocket(&head.headers)
}

/// Lets interim answers through to the client.
fn pass_interim(request: &mut Request, wire: &Wire) {
    let interim = Arc::clone(&wire.interim);
    request.on_interim(move |status, fields| interim.push(status, fields));
}
