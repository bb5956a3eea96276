//! What a client and the operator see of a request that upstreamd itself answered.

use serde_json::Value;

use crate::support::client::Answer;
use crate::support::daemon::{Daemon, UPSTREAM_KEY};

/// Status, `error.code` of OpenAI's body and RFC 9209's error type.
pub(crate) type Verdict = (u16, &'static str, &'static str);

/// That `answer` says `verdict` in each of its forms, and that the only event
/// says it too; gives the event.
#[track_caller]
pub(crate) fn assert_refused(daemon: &Daemon, answer: &Answer, verdict: Verdict) -> Value {
    assert_answer(answer, verdict);
    let event = daemon.wait_request_event();
    assert_eq!(event["event"], "request_failed");
    assert_eq!(event["status"], verdict.0);
    assert_eq!(event["error_code"], verdict.1);
    let message = event["error_message"].as_str().unwrap_or_default();
    assert_eq!(answer.body.json()["error"]["message"], message);
    assert!(!daemon.stderr().contains(UPSTREAM_KEY));
    event
}

/// That `answer` says `verdict` in each of its forms.
#[track_caller]
pub(crate) fn assert_answer(answer: &Answer, (status, code, proxy_error): Verdict) {
    let shown = format!("{}\n{}", answer.head.start_line, answer.body.text());
    assert_eq!(answer.status(), status, "{shown}");
    assert!(answer.body.is_complete(), "{:?}", answer.body.end);
    assert_eq!(answer.head.field("content-type"), Some("application/json"));
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], code, "{shown}");
    assert_eq!(error["type"], "upstream_error");
    assert_eq!(error["param"], Value::Null);
    assert!(error["message"].is_string());
    let proxy_status = answer.head.field("proxy-status").unwrap_or_default();
    let mut parts = proxy_status.split("; ");
    assert_eq!(parts.next(), Some("upstreamd"));
    let error = format!("error={proxy_error}");
    assert_eq!(parts.next(), Some(&*error), "{proxy_status}");
}
