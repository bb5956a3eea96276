//! OpenAI's error bodies.

use serde_json::{Value, json};

use super::answer::{self, Answer};

/// The error that a model called `error-STATUS` asks for.
pub fn asked_for(request: &Value) -> Option<Answer> {
    let status = request["model"].as_str()?.strip_prefix("error-")?;
    let status = status.parse().ok()?;
    Some(answer(
        status,
        &format!("The loopback upstream was asked for {status}."),
    ))
}

/// An error; 429 comes with `Retry-After: 1`.
pub fn answer(status: u16, message: &str) -> Answer {
    let (kind, code) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => (
            "request_forbidden",
            Some("unsupported_country_region_territory"),
        ),
        404 => ("invalid_request_error", Some("model_not_found")),
        409 => ("invalid_request_error", Some("conflict")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", Some("invalid_value")),
    };
    let body = json!({
        "error": { "message": message, "type": kind, "param": null, "code": code }
    });
    let mut answer = answer::whole(status, "application/json", body.to_string());
    if status == 429 {
        let second = http::HeaderValue::from_static("1");
        answer.headers_mut().insert("retry-after", second);
    }
    answer
}
