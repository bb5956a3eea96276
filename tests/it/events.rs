//! The one record of each request: all its fields, and exactly one.

use std::io;
use std::time::Duration;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait;

/// Design, section 7.
const FIELDS: [&str; 29] = [
    "request_id",
    "client_request_id",
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
];
const CLIENT_KEY: &str = "sk-client";
const KEY_FIELD: &str = "Authorization: Bearer sk-client\r\n";

/// A daemon that lets in one client, `app`.
fn guarded(upstream: &Upstream) -> Daemon {
    Daemon::builder()
        .credential("client.app", CLIENT_KEY)
        .upstream(upstream)
        .more_config("\n[client.app]\nkey = \"client.app\"\n")
        .start()
}

fn is_of_a_request(event: &Value) -> bool {
    ["request_completed", "request_failed", "streaming_error"]
        .iter()
        .any(|name| event["event"] == *name)
}

/// By its path: an answer, a stream, garbage, a stream that is cut, or none.
fn answer(conn: &mut Conn) -> io::Result<()> {
    conn.serve(|conn, request| match request.head.target() {
        "/v1/garbage" => {
            conn.write("220 mail.example ESMTP\r\n\r\n")?;
            conn.reset()
        }
        "/v1/stream" => {
            conn.start_events()?;
            conn.write_chunk("data: 1\n\n")?;
            conn.write_last_chunk("")
        }
        "/v1/cut" => {
            conn.start_events()?;
            conn.write_chunk("data: 1\n\n")?;
            conn.reset()
        }
        "/v1/silent" => {
            conn.peer_left(Duration::from_secs(30));
            Ok(())
        }
        _ => conn.answer_json(200, "{}"),
    })
}

#[test]
fn every_field_is_in_every_event_and_null_where_there_is_nothing() {
    let upstream = Upstream::tls(answer);
    let daemon = guarded(&upstream);
    let mut client = daemon.client();
    for (path, field) in [
        ("/v1/models", KEY_FIELD),
        ("/v1/models", ""),
        ("/v1/garbage", KEY_FIELD),
    ] {
        client.send("GET", path, field, b"").unwrap();
        client.answer();
    }
    let mut nobody = daemon.unix_client();
    nobody.write("NO REQUEST\r\n\r\n").unwrap();
    assert_eq!(nobody.answer().status(), 400);
    wait::until("there are four events", || {
        daemon
            .events()
            .iter()
            .filter(|event| is_of_a_request(event))
            .count()
            == 4
    });
    let mut events = daemon.events();
    events.retain(is_of_a_request);
    for event in &events {
        let fields = event.as_object().unwrap();
        for name in FIELDS
            .iter()
            .chain(&["client_aborted", "ts", "level", "msg"])
        {
            assert!(fields.contains_key(*name), "no {name} in {event}");
        }
    }
    // The two workers write in no order.
    let of = |path: Value, status: u16| {
        let mut found = events.iter();
        found
            .find(|event| event["path"] == path && event["status"] == status)
            .unwrap_or_else(|| panic!("no event of {path} with {status}"))
    };
    let good = of("/v1/models".into(), 200);
    let unknown = of("/v1/models".into(), 401);
    let broken = of("/v1/garbage".into(), 502);
    let nothing = of(Value::Null, 400);
    assert_eq!(good["client"], "app");
    assert_eq!(good["status"], 200);
    assert_eq!(good["upstream"], "test");
    assert_eq!(good["key"], "test");
    assert_eq!(good["attempts"], 1);
    assert!(good["upstream_connect_s"].as_f64() > Some(0.0));
    assert!(good["ttfb_s"].as_f64() <= good["duration_s"].as_f64());
    assert!(good["error_code"].is_null());
    assert_eq!(unknown["error_code"], "invalid_api_key");
    for name in ["client", "upstream", "model", "ttfb_s", "total_tokens"] {
        assert!(unknown[name].is_null(), "{name} in {unknown}");
    }
    assert_eq!(broken["error_code"], "upstream_protocol_error");
    assert_eq!(broken["level"], "warning");
    assert_eq!(nothing["error_code"], "invalid_request");
    for name in ["method", "path", "client", "upstream"] {
        assert!(nothing[name].is_null(), "{name} in {nothing}");
    }
    let remote = format!("unix:{}/{}", user_id(), std::process::id());
    assert_eq!(nothing["remote"], remote.as_str());
}

fn user_id() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid().to_string()
}

#[test]
fn each_request_leaves_exactly_one_event() {
    let upstream = Upstream::tls(answer);
    let daemon = guarded(&upstream);
    let mut ids: Vec<String> = Vec::new();
    let mut head = |method: &str, path: &str, more: &str| {
        ids.push(format!("test-{}", ids.len()));
        let id = ids.last().unwrap();
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n{more}\r\n")
    };
    for _ in 0..5 {
        // One after the other, each finished by its answer.
        let mut client = daemon.client();
        for path in [
            "/v1/models",
            "/v1/stream",
            "/v1/a/../../b",
            "/v1/models?x=1",
        ] {
            client.write(head("GET", path, KEY_FIELD)).unwrap();
            client.answer();
        }
        client.write(head("GET", "/v1/models", "")).unwrap();
        assert_eq!(client.answer().status(), 401);
        let json = "Content-Type: application/json\r\nContent-Length: 3\r\n";
        let bad = head(
            "POST",
            "/v1/chat/completions",
            &format!("{KEY_FIELD}{json}"),
        );
        client.write(format!("{bad}{{]}}")).unwrap();
        assert_eq!(client.answer().status(), 400);
        // Pipelined, sent at once.
        let mut client = daemon.unix_client();
        let pipelined: String = (0..10)
            .map(|_| head("GET", "/v1/models", KEY_FIELD))
            .collect();
        client.write(pipelined).unwrap();
        (0..10).for_each(|_| assert_eq!(client.answer().status(), 200));
        // Broken by the upstream.
        for path in ["/v1/garbage", "/v1/cut"] {
            let mut client = daemon.client();
            client.write(head("GET", path, KEY_FIELD)).unwrap();
            client.answer();
        }
        // Left by the client: before an answer, and in the middle of a body.
        let before = upstream.requests().len();
        let mut client = daemon.client();
        client.write(head("GET", "/v1/silent", KEY_FIELD)).unwrap();
        wait::until("it has come", || upstream.requests().len() > before);
        client.reset().unwrap();
        let mut client = daemon.client();
        let upload = head(
            "POST",
            "/v1/files",
            &format!("{KEY_FIELD}Content-Length: 9\r\n"),
        );
        client.write(format!("{upload}some")).unwrap();
        wait::until("it has begun", || upstream.requests().len() > before + 1);
        client.close();
        // No request at all: an event, and no id.
        let mut client: Client = daemon.client();
        client.write("GET / HTTP/9.9\r\n\r\n").unwrap();
        assert!(client.answer().status() >= 400);
    }
    let count = |events: &[Value], id: &str| {
        let of_it = events
            .iter()
            .filter(|event| event["client_request_id"] == id);
        of_it.filter(|event| is_of_a_request(event)).count()
    };
    wait::until("the last events are there", || {
        let events = daemon.events();
        ids.iter().all(|id| count(&events, id) > 0)
    });
    // What would come twice comes before the end.
    let mut daemon = daemon;
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(0));
    let events = daemon.events();
    for id in &ids {
        assert_eq!(count(&events, id), 1, "{id}");
    }
    let all = events.iter().filter(|event| is_of_a_request(event)).count();
    assert_eq!(all, ids.len() + 5, "events without a request");
    let aborted = events
        .iter()
        .filter(|event| event["client_aborted"] == true);
    assert_eq!(aborted.count(), 10);
}

#[test]
fn health_probes_are_recorded_at_debug_level_only() {
    let upstream = Upstream::answering("{}");
    for (level, expected) in [("info", 0), ("debug", 1)] {
        let daemon = Daemon::builder()
            .upstream(&upstream)
            .arg(format!("--log-level={level}"))
            .start();
        let mut client = daemon.client();
        assert_eq!(client.get("/health").status(), 200);
        client.get("/v1/models");
        daemon.wait_event_where("the models", |event| {
            event["event"] == "request_completed" && event["path"] == "/v1/models"
        });
        let completed = daemon.events_named("request_completed");
        let probes = completed.iter().filter(|event| event["path"] == "/health");
        assert_eq!(probes.count(), expected, "{level}");
    }
}
