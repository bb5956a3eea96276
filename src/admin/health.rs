//! `GET /health`.

use http::{Response, StatusCode};

use super::endpoints::json;
use crate::proxy::AnswerBody;

/// 200 while serving, 503 while draining, and nothing that an outsider should
/// not know.
pub fn health(draining: bool) -> Response<AnswerBody> {
    if draining {
        json(
            StatusCode::SERVICE_UNAVAILABLE,
            "{\"status\":\"draining\"}\n",
        )
    } else {
        json(StatusCode::OK, "{\"status\":\"ok\"}\n")
    }
}
