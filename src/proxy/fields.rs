//! Header fields: which pass, and which are the upstream's own (design 4.6, 4.9).

use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

use super::random;
use crate::config::checked;

/// The request id: the client's and the upstream's name for one request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How often a request was begun at an upstream, where that was more than once.
const X_UPSTREAMD_ATTEMPTS: HeaderName = HeaderName::from_static("x-upstreamd-attempts");

/// Fields that speak of one connection (RFC 9110, section 7.6.1), beside those
/// that `Connection` names.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields of a request that stay here: credentials and tenants of the client,
/// its framing and its route to us, SDK fingerprints.
fn is_the_clients_own(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "api-key"
            | "x-api-key"
            | "openai-organization"
            | "openai-project"
            | "cookie"
            | "forwarded"
            | "via"
            | "x-real-ip"
            | "host"
            | "content-length"
            | "expect"
    ) || name.starts_with("x-stainless-")
        || name.starts_with("x-forwarded-")
}

/// Fields of an answer that are about the upstream's own site.
fn is_the_upstreams_own(name: &str) -> bool {
    matches!(name, "set-cookie" | "alt-svc" | "strict-transport-security")
}

/// How a browser says its API key when it opens a WebSocket: as the rest of a
/// subprotocol's name (OpenAI's SDK does so). It is a credential like the others.
pub const WEBSOCKET_KEY_PREFIX: &str = "openai-insecure-api-key.";

/// Turns a client's fields into the upstream's, in place.
pub(super) fn towards_upstream(
    fields: &mut HeaderMap,
    upstream: &checked::Upstream,
    key: Option<&checked::Key>,
    host: &HeaderValue,
    request_id: &HeaderValue,
) {
    let trailers = accepts_trailers(fields);
    drop_named_by_connection(fields);
    // Dropping costs a search, which what is written over anyway is spared.
    let stays = |name: &str| name == "host" || (key.is_some() && name == "authorization");
    drop_where(fields, |name| is_kept_back(name) && !stays(name));
    drop_websocket_key(fields);
    fields.insert(header::HOST, host.clone());
    if let Some(key) = key {
        fields.insert(header::AUTHORIZATION, key.authorization.clone());
    }
    if let Some(user_agent) = &upstream.user_agent {
        fields.insert(header::USER_AGENT, user_agent.clone());
    }
    for (name, value) in &upstream.fields {
        fields.insert(name, value.clone());
    }
    fields.insert(X_REQUEST_ID, request_id.clone());
    if trailers {
        // Said anew for our own connection: we can pass trailers on.
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Drops what speaks of a body's bytes, which are no longer those that the
/// client sent (RFC 9530; `Digest` and `Content-MD5` before it).
pub(super) fn drop_digests(fields: &mut HeaderMap) {
    for name in ["content-digest", "repr-digest", "digest", "content-md5"] {
        fields.remove(name);
    }
}

/// Has the answer come uncompressed, so that it can be read and a part of it
/// taken out. A server may always choose that (RFC 9110, section 12.5.3).
pub(super) fn accept_no_encoding(fields: &mut HeaderMap) {
    let identity = HeaderValue::from_static("identity");
    fields.insert(header::ACCEPT_ENCODING, identity);
}

/// Drops what speaks of an answer's bytes of which some are taken out.
pub(super) fn forget_content(fields: &mut HeaderMap) {
    drop_digests(fields);
    fields.remove(header::CONTENT_LENGTH);
    fields.remove(header::ETAG);
}

/// Drops what a client's fields, or trailers, must not tell the upstream.
pub(super) fn keep_back(fields: &mut HeaderMap) {
    drop_named_by_connection(fields);
    drop_where(fields, is_kept_back);
}

fn is_kept_back(name: &str) -> bool {
    is_hop_by_hop(name) || is_the_clients_own(name)
}

/// Says how often a request was begun, if that is more than once.
pub fn say_attempts(fields: &mut HeaderMap, attempts: u32) {
    if attempts > 1 {
        fields.insert(X_UPSTREAMD_ATTEMPTS, attempts.into());
    }
}

/// Turns an upstream's fields into what the client gets, in place.
pub(super) fn towards_client(fields: &mut HeaderMap) {
    if fields.contains_key(header::TRANSFER_ENCODING) {
        // It overrides the length (RFC 9112, section 6.3), which must not
        // outlive it: the client would take a part of the body for the whole.
        fields.remove(header::CONTENT_LENGTH);
    }
    drop_named_by_connection(fields);
    drop_where(fields, |name| {
        is_hop_by_hop(name) || is_the_upstreams_own(name)
    });
}

/// The client's request id if it sent a usable one, else a new one.
pub fn request_id(fields: &HeaderMap) -> HeaderValue {
    client_request_id(fields).cloned().unwrap_or_else(|| {
        let id = new_id().hyphenated();
        HeaderValue::from_str(id.encode_lower(&mut Uuid::encode_buffer()))
            .expect("a UUID is visible ASCII")
    })
}

/// A UUIDv7 (RFC 9562, section 5.7).
fn new_id() -> Uuid {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random::bytes()).into_uuid()
}

/// The id that the client gave its request: visible ASCII, 1 to 256 bytes.
pub fn client_request_id(fields: &HeaderMap) -> Option<&HeaderValue> {
    let id = fields.get(X_REQUEST_ID)?;
    (1..=256)
        .contains(&id.len())
        .then_some(id)
        .filter(|id| id.to_str().is_ok())
}

/// Whether the client can read trailers (RFC 9110, section 6.5.1).
fn accepts_trailers(fields: &HeaderMap) -> bool {
    tokens(fields, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"))
}

/// Whether the request wants to become a WebSocket (RFC 6455, section 4.1).
/// Every other protocol is left out, as a server may (RFC 9110, section 7.8):
/// `h2c` above all, in which a client could send the upstream requests that
/// nobody here looks at.
pub(super) fn wants_websocket(fields: &HeaderMap) -> bool {
    let is =
        |name, wanted: &str| tokens(fields, name).any(|token| token.eq_ignore_ascii_case(wanted));
    is(&header::UPGRADE, "websocket") && is(&header::CONNECTION, "upgrade")
}

/// Whether an answer is an event stream.
pub(super) fn is_event_stream(fields: &HeaderMap) -> bool {
    has_type(fields, "text/event-stream")
}

/// Whether `Content-Type` is `essence`, whatever its parameters.
pub(super) fn has_type(fields: &HeaderMap, essence: &str) -> bool {
    fields.get(header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        let end = value.iter().position(|byte| *byte == b';');
        let said = value[..end.unwrap_or(value.len())].trim_ascii();
        said.eq_ignore_ascii_case(essence.as_bytes())
    })
}

/// Drops the fields that `Connection` names.
fn drop_named_by_connection(fields: &mut HeaderMap) {
    if fields.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = tokens(fields, &header::CONNECTION)
            .filter_map(|token| token.parse().ok())
            .collect();
        for name in named {
            fields.remove(name);
        }
    }
}

/// One look at each field that is there costs less than one for each that could be.
fn drop_where(fields: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let found: Vec<HeaderName> = fields
        .keys()
        .filter(|name| unwanted(name.as_str()))
        .cloned()
        .collect();
    for name in found {
        fields.remove(name);
    }
}

fn drop_websocket_key(fields: &mut HeaderMap) {
    let is_key = |token: &str| token.starts_with(WEBSOCKET_KEY_PREFIX);
    if tokens(fields, &header::SEC_WEBSOCKET_PROTOCOL).any(is_key) {
        let rest: Vec<&str> = tokens(fields, &header::SEC_WEBSOCKET_PROTOCOL)
            .filter(|token| !is_key(token))
            .collect();
        let rest = (!rest.is_empty()).then(|| rest.join(", "));
        fields.remove(header::SEC_WEBSOCKET_PROTOCOL);
        if let Some(rest) = rest {
            let rest = HeaderValue::from_str(&rest).expect("parts of a field value make one");
            fields.insert(header::SEC_WEBSOCKET_PROTOCOL, rest);
        }
    }
}

/// The members of a comma-separated list field, over all its lines.
pub(super) fn tokens<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    fields
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}
