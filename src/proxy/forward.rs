//! The way of one request through the proxy.

use std::rc::Rc;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, Version};
use hyper::body::Incoming;

use super::Engine;
use super::access;
use super::answer::AnswerBody;
use super::attempts;
use super::body::{self, Ready};
use super::fault::{Fault, FaultKind};
use super::fields;
use super::listing::{Asked, Asker};
use super::outbound::Outbound;
use super::target::Target;
use super::wire::Wire;
use crate::config::checked::Client;
use crate::telemetry::bounded::Bounded;

/// Forwards a request whose client is allowed in, and returns the head of the
/// answer with a body that is still arriving.
///
/// # Errors
/// A [`Fault`], as long as nothing of an answer has been passed on.
pub async fn forward(
    head: Parts,
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
    let route = engine.snapshot.routes.find(model)?;
    let outbound = Outbound {
        engine,
        wire,
        request_id,
        client,
        target: &target,
        version: head.version,
        is_head: head.method == Method::HEAD,
        streams: prepared.streams,
    };
    let sent = attempts::run(&outbound, head, prepared.body, route).await?;
    Ok(outbound.pass(sent))
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
