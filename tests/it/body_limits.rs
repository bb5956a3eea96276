//! Bodies that are read: how large and of what form. Bodies that are not: as
//! large as they come, in the same memory.

use crate::support::client::{Answer, Client};
use crate::support::daemon::Daemon;
use crate::support::message::Framing;
use crate::support::upstream::Upstream;

const MIB: u64 = 1024 * 1024;

/// What a body may add to the daemon's memory at most, on both sides together:
/// socket buffers of hyper and rustls, and what the allocator keeps.
const CONSTANT: u64 = 4 * MIB;

/// Reads bodies of up to 1 KiB.
fn narrow(upstream: &Upstream) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .config(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nmax_body = \"1KiB\"\n\
             [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
             tls = { ca_file = \"@CA@\", platform_roots = false }\n",
        )
        .start()
}

fn start_chat(client: &mut Client, framing: &str) {
    client
        .write(format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: u\r\n\
             Content-Type: application/json\r\n{framing}\r\n\r\n"
        ))
        .unwrap();
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{}", answer.body.text());
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], code);
    assert_eq!(error["type"], "invalid_request_error");
    assert!(error["param"].is_null());
    let by = answer.head.field("proxy-status");
    assert_eq!(by, Some("upstreamd; error=http_request_error"));
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_at_once() {
    let upstream = Upstream::answering("{}");
    let daemon = narrow(&upstream);
    let mut client = daemon.client();
    start_chat(&mut client, "Content-Length: 1025");
    assert_refused(&client.answer(), 413, "request_too_large");
    assert_eq!(upstream.connections(), 0);
    let event = daemon.wait_event("request_failed");
    assert_eq!(
        (&event["status"], &event["error_code"]),
        (&413.into(), &"request_too_large".into())
    );
}

#[test]
fn a_chunked_body_is_counted_and_refused_when_it_is_too_large() {
    let upstream = Upstream::answering("{}");
    let daemon = narrow(&upstream);
    let mut client = daemon.client();
    start_chat(&mut client, "Transfer-Encoding: chunked");
    client.write_chunk(vec![b' '; 1024]).unwrap();
    client.write_chunk(" ").unwrap();
    assert_refused(&client.answer(), 413, "request_too_large");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_body_as_large_as_allowed_passes() {
    let upstream = Upstream::answering("{}");
    let daemon = narrow(&upstream);
    let mut json = br#"{"model":"m"}"#.to_vec();
    json.resize(1024, b' ');
    let mut client = daemon.client();
    start_chat(&mut client, "Content-Length: 1024");
    client.write(&json).unwrap();
    assert_eq!(client.answer().status(), 200);
    start_chat(&mut client, "Transfer-Encoding: chunked");
    client.write_chunk(&json[..1000]).unwrap();
    client.write_chunk(&json[1000..]).unwrap();
    client.write_last_chunk("").unwrap();
    assert_eq!(client.answer().status(), 200);
    for request in upstream.wait_requests(2) {
        assert!(request.body.raw == json);
    }
}

#[test]
fn a_body_that_passes_unread_has_no_limit() {
    let upstream = Upstream::answering("{}");
    let daemon = narrow(&upstream);
    let mut client = daemon.client();
    client
        .send("POST", "/v1/files", "", &[b'x'; 10_000])
        .unwrap();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn what_is_no_json_is_refused_and_not_quoted() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let bodies = [
        r#"{"model":"m","secret-prompt" 1}"#,
        r#"{"model":"m","messages":["secret-prompt"#,
        r#"{"model":"m"} secret-prompt"#,
        r#"{"model":{"secret-prompt":1}}"#,
        r#"{"stream":"secret-prompt"}"#,
        r#"{"model":"secret-prompt\ud800"}"#,
        r#"["secret-prompt"]"#,
        r#" ["secret-prompt",true]"#,
        r#""secret-prompt""#,
        "\u{feff}{\"model\":\"secret-prompt\"}",
        " ",
    ];
    let mut client = daemon.client();
    for body in bodies {
        let answer = client.post_json("/v1/chat/completions", body);
        assert_refused(&answer, 400, "invalid_json");
        let text = answer.body.text();
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(upstream.connections(), 0);
    daemon.wait_events("request_failed", bodies.len());
    assert!(!daemon.stderr().contains("secret-prompt"));
}

#[test]
fn a_model_named_twice_is_refused() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    for twice in [
        r#"{"model":"a","model":"b"}"#,
        r#"{"model":"a","mod\u0065l":"b"}"#,
        r#"{"stream":true,"model":"a","stream":false}"#,
    ] {
        let answer = daemon.client().post_json("/v1/chat/completions", twice);
        assert_refused(&answer, 400, "invalid_json");
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn json_that_is_deep_but_right_passes() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let deep = format!(
        "{{\"messages\":{}{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(
        daemon.client().post_json("/v1/responses", &deep).status(),
        200
    );
}

#[test]
fn a_hundred_megabytes_go_up_in_constant_memory() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        let length = conn.count_body();
        // Said, so that no body goes into a connection that is being closed.
        conn.answer(200, "Connection: close\r\n", &length.to_string())
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client.send("POST", "/v1/files", "", b"x").unwrap();
    assert_eq!(client.answer().status(), 200);
    let before = daemon.process().peak_rss();
    let piece = vec![b'x'; 64 * 1024];
    for framing in ["Content-Length: 104857600", "Transfer-Encoding: chunked"] {
        let mut client = daemon.client();
        client
            .write(format!(
                "POST /v1/files HTTP/1.1\r\nHost: u\r\n{framing}\r\n\r\n"
            ))
            .unwrap();
        for _ in 0..1600 {
            match framing.starts_with('T') {
                true => client.write_chunk(&piece).unwrap(),
                false => client.write(&piece).unwrap(),
            }
        }
        if framing.starts_with('T') {
            client.write_last_chunk("").unwrap();
        }
        assert_eq!(client.answer().body.text(), "104857600");
    }
    let grown = daemon.process().peak_rss() - before;
    assert!(grown < CONSTANT, "grew by {} KiB", grown / 1024);
}

#[test]
fn a_hundred_megabytes_come_down_in_constant_memory() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| {
            let pieces = if request.head.target().ends_with("large") {
                1600
            } else {
                1
            };
            let length = pieces * 64 * 1024;
            conn.write(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
            ))?;
            let piece = vec![b'x'; 64 * 1024];
            (0..pieces).try_for_each(|_| conn.write(&piece))
        })
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/files/small").status(), 200);
    let before = daemon.process().peak_rss();
    client.send("GET", "/v1/files/large", "", b"").unwrap();
    let (_, head) = client.answer_head().unwrap();
    assert_eq!(head.answer_framing(), Framing::Length(100 * MIB));
    let (length, _) = client.count_rest();
    assert_eq!(length, 100 * MIB);
    let grown = daemon.process().peak_rss() - before;
    assert!(grown < CONSTANT, "grew by {} KiB", grown / 1024);
}
