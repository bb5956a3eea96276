//! An upstream's answer becomes the client's.

use std::rc::Rc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode, Version};

use super::answer::{AnswerBody, Origin};
use super::fields;
use super::outbound::Outbound;
use super::usage::Filter;
use super::wire::Tunnel;
use crate::telemetry::bounded::Bounded;
use crate::telemetry::tap::Tap;
use crate::upstream::{Answer, Lease, Place, Stream};

/// An upstream's answer, of which the client has not got one byte.
pub(super) struct Sent {
    pub(super) answer: Answer,
    /// The stream, after a switch of protocols: rare, and large.
    pub(super) tunnel: Option<Box<(Stream, Bytes)>>,
    /// The place of the upstream that gave it.
    pub(super) upstream: usize,
    /// Whether upstreamd has asked for a stream's usage.
    pub(super) asks_for_usage: bool,
    /// Its place among what runs there.
    pub(super) lease: Option<Lease>,
    /// Its place among as many as may run there.
    pub(super) room: Option<Place>,
}

impl Outbound<'_> {
    /// The answer as the client gets it, its body still arriving.
    pub(super) fn pass(&self, sent: Sent) -> Response<AnswerBody> {
        let (wire, way) = (self.wire, self.engine.way(sent.upstream));
        let Answer { mut head, body } = sent.answer;
        let switched_to = head.headers.get(header::UPGRADE).cloned();
        let streaming = fields::is_event_stream(&head.headers);
        let counts_tokens = self.target.counts_tokens() && head.status.is_success();
        // In any event stream it is watched where an event of ours may stand.
        let tap = if counts_tokens || streaming {
            Tap::for_answer(&head.headers)
        } else {
            Tap::off()
        };
        wire.note(|record| {
            record.first_byte();
            record.event.upstream_request_id = head
                .headers
                .get(fields::X_REQUEST_ID)
                .map(|id| Bounded::from(id.as_bytes()));
            record.event.streaming = Some(streaming);
            record.event.status = Some(head.status.as_u16());
        });
        fields::towards_client(&mut head.headers);
        let filter = (sent.asks_for_usage && counts_tokens && tap.is_sse()).then(|| {
            fields::forget_content(&mut head.headers);
            Filter::default()
        });
        head.headers
            .entry(fields::X_REQUEST_ID)
            .or_insert_with(|| self.request_id.clone());
        head.version = Version::HTTP_11;
        wire.note(|record| {
            fields::say_attempts(&mut head.headers, record.event.attempts);
            record.hands_over();
        });

        if let Some(tunnel) = sent.tunnel {
            let (stream, early) = *tunnel;
            head.headers
                .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            if let Some(protocol) = switched_to {
                head.headers.insert(header::UPGRADE, protocol);
            }
            wire.leave_tunnel(Tunnel {
                stream,
                early,
                idle_timeout: way.upstream.idle_timeout,
                lease: sent.lease,
                place: sent.room,
            });
            wire.finish();
            return Response::from_parts(head, AnswerBody::own(""));
        }
        let has_length = filter.is_none() && body.size_hint().exact().is_some();
        let close_delimited = self.version == Version::HTTP_10 && !has_length;
        let origin = Origin {
            name: way.name(),
            idle_timeout: way.upstream.idle_timeout,
            has_no_content: self.is_head
                || matches!(
                    head.status,
                    StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
                ),
            counts_tokens,
            lease: sent.lease,
            place: sent.room,
        };
        let body = AnswerBody::passing(body, tap, filter, Rc::clone(wire), origin, close_delimited);
        Response::from_parts(head, body)
    }
}
