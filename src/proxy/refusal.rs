//! A fault as the client sees it: OpenAI's error body and `Proxy-Status`.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::Serialize;

use super::fault::seconds_up;
use super::{AnswerBody, Fault, FaultKind};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Seconds until a client may try again what only a restart stands in the way of.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

/// Field for field what api.openai.com sends, so that SDKs raise their typed
/// exceptions from it.
#[derive(Serialize)]
struct Inner<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

impl Fault {
    /// The whole answer, but for the request id.
    pub fn answer(&self) -> Response<AnswerBody> {
        let row = self.row();
        let mut answer = Response::new(AnswerBody::own(self.json()));
        *answer.status_mut() = row.status;
        let fields = answer.headers_mut();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        fields.insert(PROXY_STATUS, self.proxy_status());
        match row.status {
            StatusCode::UNAUTHORIZED => {
                drop(fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            // Nobody knows when somebody will have configured it.
            _ if self.kind == FaultKind::NotConfigured => {}
            StatusCode::SERVICE_UNAVAILABLE => {
                drop(fields.insert(header::RETRY_AFTER, RETRY_AFTER))
            }
            _ => {}
        }
        if let Some(time) = self.retry_after {
            fields.insert(header::RETRY_AFTER, seconds_up(time).into());
        }
        answer
    }

    /// The same as an SSE event, for a stream that has begun.
    pub(super) fn sse_event(&self) -> Bytes {
        let mut event = b"data: ".to_vec();
        event.extend_from_slice(&self.json());
        event.extend_from_slice(b"\n\n");
        event.into()
    }

    fn json(&self) -> Vec<u8> {
        let row = self.row();
        let inner = Inner {
            message: &self.message,
            r#type: row.kind,
            param: None,
            code: row.code,
        };
        serde_json::to_vec(&Body { error: inner }).expect("strings always serialize")
    }

    /// RFC 9209: who, what, and at which address.
    fn proxy_status(&self) -> HeaderValue {
        let mut value = format!("upstreamd; error={}", self.row().proxy_error);
        if let Some(address) = self.address {
            value.push_str(&format!("; next-hop=\"{address}\""));
        }
        HeaderValue::from_str(&value).expect("tokens and an address are visible ASCII")
    }
}
