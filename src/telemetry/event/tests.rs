use serde_json::Value;

use super::*;
use crate::config::checked::LogLevel;
use crate::telemetry::log::{Form, Logs, Page};

/// All fields of design section 7, `upstream_request_id` and `trace_id`.
const FIELDS: [&str; 36] = [
    "ts",
    "level",
    "msg",
    "event",
    "request_id",
    "client_request_id",
    "upstream_request_id",
    "trace_id",
    "client",
    "listener",
    "remote",
    "method",
    "path",
    "status",
    "streaming",
    "model",
    "upstream_model",
    "upstream",
    "key",
    "attempts",
    "duration_s",
    "ttfb_s",
    "upstream_connect_s",
    "bytes_in",
    "bytes_out",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "total_tokens",
    "missing_usage",
    "response_id",
    "error_code",
    "error_message",
    "truncated",
    "client_aborted",
];

fn written(form: Form, event: &RequestEvent) -> String {
    let page = Page::default();
    let logs = Logs::to(form, LogLevel::Info, page.clone());
    event.log(&logs.logger());
    assert!(logs.flush(Duration::from_secs(10)));
    page.text()
}

fn json(event: &RequestEvent) -> Value {
    serde_json::from_str(&written(Form::Json, event)).expect("a line is JSON")
}

fn completed() -> RequestEvent {
    RequestEvent {
        method: Some("POST".into()),
        path: Some("/v1/chat/completions".into()),
        status: Some(200),
        model: Some("gpt-5".into()),
        duration: Duration::from_nanos(1_234_567_890),
        ..RequestEvent::default()
    }
}

#[test]
fn every_field_is_in_every_json_event_and_null_when_absent() {
    let line = json(&RequestEvent::default());
    let mut names: Vec<_> = line.as_object().expect("an object").keys().collect();
    names.sort();
    let mut expected = FIELDS;
    expected.sort();
    assert_eq!(names, expected);
    let invented = FIELDS.iter().filter(|name| !line[**name].is_null());
    assert_eq!(
        invented.copied().collect::<Vec<_>>(),
        [
            "ts",
            "level",
            "msg",
            "event",
            "attempts",
            "duration_s",
            "bytes_in",
            "bytes_out",
            "truncated",
            "client_aborted"
        ]
    );
}

#[test]
fn fields_have_their_units() {
    let mut event = completed();
    event.ttfb = Some(Duration::from_micros(10));
    event.observe(&Observed {
        model: Some(Bounded::from("gpt-5-2026")),
        response_id: Some(Bounded::from("chatcmpl-1")),
        usage: Some(Usage {
            prompt_tokens: Some(7),
            ..Usage::default()
        }),
    });
    let line = json(&event);
    assert_eq!(line["duration_s"], 1.234567);
    assert_eq!(line["ttfb_s"], 0.00001);
    assert_eq!(line["status"], 200);
    assert_eq!(line["prompt_tokens"], 7);
    assert_eq!(line["total_tokens"], Value::Null);
    assert_eq!(line["upstream_model"], "gpt-5-2026");
    assert_eq!(line["response_id"], "chatcmpl-1");
    assert_eq!(line["msg"], "POST /v1/chat/completions 200 in 1.235s");
}

#[test]
fn name_and_level_say_how_it_ended_and_whose_fault_it_was() {
    let (client, upstream, us) = (Some(Fault::Client), Some(Fault::Upstream), Some(Fault::Us));
    for (fault, truncated, client_aborted, name, level) in [
        (None, false, false, "request_completed", "info"),
        (client, false, false, "request_failed", "info"),
        (client, true, true, "request_failed", "info"),
        (None, true, true, "request_failed", "info"),
        (upstream, false, false, "request_failed", "warning"),
        (us, false, false, "request_failed", "warning"),
        (upstream, true, false, "streaming_error", "warning"),
        (us, true, false, "streaming_error", "warning"),
        (None, true, false, "streaming_error", "warning"),
    ] {
        let line = json(&RequestEvent {
            fault,
            truncated,
            client_aborted,
            ..completed()
        });
        assert_eq!(
            (&line["event"], &line["level"]),
            (&name.into(), &level.into())
        );
    }
}

#[test]
fn the_text_form_says_it_in_one_line_without_what_is_absent() {
    let line = written(Form::Text { colour: false }, &completed());
    let (time, rest) = line.split_once(' ').expect("a time comes first");
    assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    assert_eq!(
        rest,
        "info  request_completed POST /v1/chat/completions 200 in 1.235s \
         model=gpt-5 attempts=0 bytes_in=0 bytes_out=0\n"
    );
}

#[test]
fn a_failure_is_told_in_the_sentence() {
    let line = written(
        Form::Text { colour: false },
        &RequestEvent {
            fault: Some(Fault::Upstream),
            truncated: true,
            error_code: Some("upstream_timeout"),
            error_message: Some("10.0.0.1:443 sent nothing for 300s".into()),
            ..completed()
        },
    );
    assert!(
        line.contains(
            "warning streaming_error POST /v1/chat/completions 200, cut in 1.235s: \
             10.0.0.1:443 sent nothing for 300s model=gpt-5 "
        ),
        "{line}"
    );
    assert!(
        line.contains(" error_code=upstream_timeout truncated=true\n"),
        "{line}"
    );
}

#[test]
fn what_a_client_chose_cannot_break_a_line() {
    let evil = "a\nb\r\u{1b}[31m\u{85}\u{202e}\"x\" y=z\t";
    let event = RequestEvent {
        path: Some(evil.into()),
        model: Some(evil.into()),
        request_id: Some(evil.into()),
        ..completed()
    };
    let line = written(Form::Text { colour: true }, &event);
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert!(!line.contains("\u{1b}[31m"), "{line}");
    assert!(!line.contains(['\r', '\t', '\u{85}', '\u{202e}']), "{line}");
    assert_eq!(written(Form::Json, &event).matches('\n').count(), 1);
    assert_eq!(json(&event)["model"], evil);
}
