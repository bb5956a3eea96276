//! A client's request, made ready for one of the upstreams that it may go to.

use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Method, Uri, Version};
use hyper::body::Body;

use super::Engine;
use super::body::Ready;
use super::fault::Fault;
use super::fields;
use super::route::Candidate;
use super::snapshot::Way;
use super::target::Target;
use super::usage;
use super::wire::Wire;
use crate::config::checked::Client;
use crate::telemetry::bounded::Bounded;
use crate::upstream::Request;

/// What stays the same wherever the request goes.
pub(super) struct Outbound<'a> {
    pub(super) engine: &'a Engine,
    pub(super) wire: &'a Rc<Wire>,
    pub(super) request_id: &'a HeaderValue,
    pub(super) client: Option<&'a Client>,
    pub(super) target: &'a Target,
    /// The client's version of HTTP.
    pub(super) version: Version,
    /// Whether it asked for a head alone.
    pub(super) is_head: bool,
    /// Whether it asked for a stream.
    pub(super) streams: bool,
}

impl Outbound<'_> {
    /// The request as the upstream gets it, with the key at place `key`, and whether
    /// it asks for a stream's usage in the client's place.
    ///
    /// # Errors
    /// The target gets too long, or the body can't be edited.
    pub(super) fn request(
        &self,
        mut head: Parts,
        body: Ready,
        candidate: &Candidate,
        way: Way<'_>,
        key: Option<usize>,
    ) -> Result<(Request, bool), Fault> {
        let upstream = way.upstream;
        let key = way.key(key);
        self.wire.note(|record| {
            record.event.upstream = Some(Bounded::from(upstream.name.as_str()));
            record.event.key = key.map(|key| Bounded::from(key.name.as_str()));
        });
        let at_upstream = self.target.at(&upstream.base_url.path)?;
        let (body, asks_for_usage) = usage::edited(body, self.streams, candidate, self.target)?;
        let says_empty = body.is_end_stream() && head.headers.contains_key(CONTENT_LENGTH);
        let (headers, id) = (&mut head.headers, self.request_id);
        fields::towards_upstream(headers, upstream, key, way.host, id);
        if asks_for_usage || !candidate.edits.is_empty() {
            fields::drop_digests(headers);
        }
        if asks_for_usage {
            fields::accept_no_encoding(headers);
        }
        if says_empty {
            // hyper says a length only of a body; some servers want one of every POST.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        head.uri = Uri::from(at_upstream);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let listens = self.version == Version::HTTP_11;
        let request = Request {
            head,
            body,
            interim: listens.then(|| Arc::clone(&self.wire.interim) as _),
        };
        Ok((request, asks_for_usage))
    }
}

/// Whether the client wants to become a WebSocket, and may.
pub(super) fn wants_websocket(head: &Parts) -> bool {
    head.method == Method::GET
        && head.version == Version::HTTP_11
        && fields::wants_websocket(&head.headers)
}
