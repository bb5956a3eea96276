//! What upstreamd says of itself. So far: health, on the client socket.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use crate::proxy::AnswerBody;

/// `GET /health`: 200 while serving, 503 while draining, and nothing that an
/// outsider should not know.
pub fn health(draining: bool) -> Response<AnswerBody> {
    let (status, body) = if draining {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "{\"status\":\"draining\"}\n",
        )
    } else {
        (StatusCode::OK, "{\"status\":\"ok\"}\n")
    };
    let mut answer = Response::new(AnswerBody::own(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
