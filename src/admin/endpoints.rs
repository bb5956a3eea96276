//! Which endpoints the admin socket has: from a request to its answer.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use serde_json::json;

use super::health::health;
use super::metrics::metrics;
use super::reload::reload;
use super::server::Access;
use super::status::status;
use crate::proxy::AnswerBody;

/// What is answered, and where.
struct Endpoint {
    method: Method,
    path: &'static str,
    what: What,
}

enum What {
    Health,
    Metrics,
    Reload,
    Status,
}

/// Each path once: a second method for one would have to be said in `Allow`.
static ENDPOINTS: [Endpoint; 4] = [
    Endpoint {
        method: Method::GET,
        path: "/health",
        what: What::Health,
    },
    Endpoint {
        method: Method::GET,
        path: "/metrics",
        what: What::Metrics,
    },
    Endpoint {
        method: Method::POST,
        path: "/reload",
        what: What::Reload,
    },
    Endpoint {
        method: Method::GET,
        path: "/status",
        what: What::Status,
    },
];

/// The answer to `request`.
pub(super) async fn answer(request: Request<Incoming>, access: &Access) -> Response<AnswerBody> {
    let path = request.uri().path();
    let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.path == path) else {
        return nothing_there();
    };
    // HEAD is GET without the body, which hyper leaves out.
    let asked = match *request.method() {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    if endpoint.method != *asked {
        return wrong_method(endpoint);
    }
    if !request.body().is_end_stream() {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "no endpoint takes a body");
    }
    match endpoint.what {
        What::Health => health(access.is_draining()),
        What::Metrics => metrics(&access.asks).await,
        What::Reload => reload(&access.reloads).await,
        What::Status => status(&access.asks).await,
    }
}

fn nothing_there() -> Response<AnswerBody> {
    let there = ENDPOINTS
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.method, endpoint.path));
    let there: Vec<_> = there.collect();
    let body = json!({"error": "there is no such endpoint", "endpoints": there});
    json(StatusCode::NOT_FOUND, format!("{body}\n"))
}

fn wrong_method(endpoint: &Endpoint) -> Response<AnswerBody> {
    let allowed = match endpoint.method {
        Method::GET => "GET, HEAD".to_owned(),
        ref method => method.to_string(),
    };
    let message = format!("{} takes {allowed}", endpoint.path);
    let mut answer = refuse(StatusCode::METHOD_NOT_ALLOWED, &message);
    let allow = HeaderValue::from_str(&allowed).expect("names of methods are visible ASCII");
    answer.headers_mut().insert(header::ALLOW, allow);
    answer
}

/// An answer that says why not.
pub(super) fn refuse(status: StatusCode, why: &str) -> Response<AnswerBody> {
    json(status, format!("{}\n", json!({"error": why})))
}

/// An answer of JSON, which no cache may keep.
pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut answer = Response::new(AnswerBody::own(body));
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}
