//! What is not let in, and how it is told.

use serde_json::Value;

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::upstream::Upstream;
use crate::support::wait::DEADLINE;
use crate::support::wire::Departure;

/// Lets only clients in that present the key `client-key`.
fn guarded(upstream: &Upstream) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .more_config(
            "\n[client.app]\nkey = \"client.app\"\n[client.other]\nkey = \"client.other\"\n",
        )
        .credential("client.app", "client-key")
        .credential("client.other", "other-key")
        .start()
}

/// A refusal in OpenAI's shape that says it is ours; gives its `error`.
#[track_caller]
fn assert_refusal(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status(), status, "{}", answer.body.text());
    assert!(answer.body.is_complete(), "{:?}", answer.body.end);
    assert_eq!(answer.head.field("content-type"), Some("application/json"));
    let by = answer.head.field("proxy-status").unwrap();
    assert!(by.starts_with("upstreamd; error="), "{by}");
    let error = answer.body.json()["error"].clone();
    let mut names: Vec<&String> = error.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["code", "message", "param", "type"]);
    assert_eq!(error["code"], code);
    error
}

/// Sends `bytes` on a new connection: refused, recorded once, closed.
#[track_caller]
fn refused(daemon: &Daemon, bytes: &[u8], status: u16, code: &str) -> Value {
    let before = daemon.events_named("request_failed").len();
    let mut client = daemon.client();
    client.write(bytes).unwrap();
    let answer = client.answer();
    let error = assert_refusal(&answer, status, code);
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
    let events = daemon.wait_events("request_failed", before + 1);
    assert_eq!(events.len(), before + 1);
    assert_eq!(events[before]["status"], status);
    assert_eq!(events[before]["error_code"], code);
    assert_eq!(events[before]["error_message"], error["message"]);
    let request_id = answer.head.field("x-request-id");
    assert_eq!(events[before]["request_id"].as_str(), request_id);
    assert!(request_id.is_some());
    error
}

#[test]
fn what_is_no_http_is_answered_in_openais_shape() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    for bytes in [
        "\r\n\r\nhello\r\n\r\n",
        "GET\r\n\r\n",
        "{\"model\":\"m\"}\r\n\r\n",
    ] {
        refused(&daemon, bytes.as_bytes(), 400, "invalid_request");
    }
}

#[test]
fn tls_on_a_plain_port_is_told_so() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let hello = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03";
    let error = refused(&daemon, hello, 400, "invalid_request");
    assert!(
        error["message"].as_str().unwrap().contains("TLS"),
        "{error}"
    );
    let root = upstream.authority().root();
    assert!(Client::tls(daemon.address(), "localhost", root).is_err());
}

#[test]
fn http_2_on_a_plain_port_is_told_so() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let error = refused(&daemon, preface, 400, "invalid_request");
    assert!(
        error["message"].as_str().unwrap().contains("HTTP/2"),
        "{error}"
    );
}

#[test]
fn heads_that_are_too_large_are_refused_and_others_pass() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let with = |fields: String| format!("GET /v1/x HTTP/1.1\r\nHost: u\r\n{fields}\r\n");
    let many = |count: usize| (1..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let large = |size: usize| format!("X-Large: {}\r\n", "a".repeat(size));
    for head in [with(many(101)), with(large(65_536)), with(large(300_000))] {
        refused(&daemon, head.as_bytes(), 431, "header_too_large");
    }
    // Without its end: there is no need to wait for that.
    let endless = with(large(100_000)).replace("\r\n\r\n", "");
    refused(&daemon, endless.as_bytes(), 431, "header_too_large");
    assert_eq!(upstream.connections(), 0);
    for head in [with(many(100)), with(large(65_000))] {
        let mut client = daemon.client();
        client.write(head).unwrap();
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn a_key_is_taken_wherever_sdks_put_it_and_names_the_client() {
    let upstream = Upstream::answering("{}");
    let daemon = guarded(&upstream);
    let mut client = daemon.client();
    for (count, (field, name)) in [
        ("Authorization: Bearer client-key", "app"),
        ("authorization: bearer other-key", "other"),
        ("X-Api-Key: client-key", "app"),
        ("api-key: other-key", "other"),
    ]
    .into_iter()
    .enumerate()
    {
        client
            .send("GET", "/v1/x", &format!("{field}\r\n"), b"")
            .unwrap();
        assert_eq!(client.answer().status(), 200, "{field}");
        let events = daemon.wait_events("request_completed", count + 1);
        assert_eq!(events[count]["client"], name);
    }
    for request in upstream.requests() {
        let raw = String::from_utf8(request.head.raw).unwrap();
        assert!(
            !raw.contains("client-key") && !raw.contains("other-key"),
            "{raw}"
        );
    }
}

#[test]
fn without_a_known_key_nobody_comes_in() {
    let upstream = Upstream::answering("{}");
    let daemon = guarded(&upstream);
    let upstreams_own = format!("Authorization: Bearer {UPSTREAM_KEY}\r\n");
    let mut client = daemon.client();
    for fields in [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer client-ke\r\n",
        "Authorization: Bearer client-key2\r\n",
        "Authorization: client-key\r\n",
        "Authorization: Basic Y2xpZW50LWtleQ==\r\n",
        "X-Api-Key: guessed-key\r\n",
        "api-key: guessed-key\r\n",
        &upstreams_own,
    ] {
        client.send("GET", "/v1/x", fields, b"").unwrap();
        let answer = client.answer();
        let error = assert_refusal(&answer, 401, "invalid_api_key");
        assert_eq!(error["type"], "authentication_error");
        assert_eq!(answer.head.field("www-authenticate"), Some("Bearer"));
        assert!(answer.head.has("x-request-id"));
    }
    assert_eq!(upstream.connections(), 0);
    let events = daemon.wait_events("request_failed", 9);
    assert!(events.iter().all(|event| event["client"].is_null()));
    assert!(!daemon.stderr().contains("guessed-key"));
}

/// Sends far more than socket buffers hold before it reads.
#[track_caller]
fn answer_to_a_flood(client: &mut Client, fields: &str) -> Answer {
    let framing = "Content-Type: application/json\r\nContent-Length: 20971520\r\n";
    let head = format!("POST /v1/responses HTTP/1.1\r\nHost: u\r\n{framing}{fields}\r\n");
    client.write(head).unwrap();
    for _ in 0..320 {
        client
            .write([b'x'; 65_536])
            .expect("the daemon goes on reading");
    }
    let answer = client.answer();
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
    answer
}

#[test]
fn a_401_can_be_read_by_a_client_that_is_still_sending() {
    let upstream = Upstream::answering("{}");
    let daemon = guarded(&upstream);
    for mut client in [daemon.client(), daemon.unix_client()] {
        let answer = answer_to_a_flood(&mut client, "");
        assert_refusal(&answer, 401, "invalid_api_key");
    }
}

#[test]
fn a_413_can_be_read_by_a_client_that_is_still_sending() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .config(
            "[server]\nlisten = [\"127.0.0.1:0\", \"unix:@DIR@/s\"]\nmax_body = \"1MiB\"\n\
             [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
             tls = { ca_file = \"@CA@\", platform_roots = false }\n",
        )
        .start();
    for mut client in [daemon.client(), daemon.unix_client()] {
        let answer = answer_to_a_flood(&mut client, "");
        assert_refusal(&answer, 413, "request_too_large");
    }
}

#[test]
fn a_404_can_be_read_by_a_client_that_is_still_sending() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        conn.answer_json(404, "{}")?;
        conn.peer_left(DEADLINE);
        Ok(())
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    let head = "POST /v1/nowhere HTTP/1.1\r\nHost: u\r\nContent-Length: 20971520\r\n\r\n";
    client.write(head).unwrap();
    for _ in 0..320 {
        client
            .write([b'x'; 65_536])
            .expect("the daemon goes on reading");
    }
    let answer = client.answer();
    assert_eq!((answer.status(), answer.body.text()), (404, "{}".into()));
}

#[test]
fn health_needs_no_key_and_tells_no_secret() {
    let upstream = Upstream::answering("{}");
    let daemon = guarded(&upstream);
    let mut client = daemon.client();
    let answer = client.get("/health");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body.json()["status"], "ok");
    let text = [answer.head.raw, answer.body.raw].concat();
    let text = String::from_utf8(text).unwrap();
    for secret in [UPSTREAM_KEY, "client", "localhost", "test"] {
        assert!(!text.contains(secret), "{text}");
    }
    client.send("HEAD", "/health", "", b"").unwrap();
    assert_eq!(client.answer_to_head().status(), 200);
    client.send("POST", "/health", "", b"").unwrap();
    assert_eq!(client.answer().status(), 401);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn an_upstreams_own_error_passes_untouched() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| match request.head.target() {
            "/v1/gone" => conn.answer(404, "Content-Type: text/plain\r\n", "no such thing\n"),
            _ => conn.answer(
                429,
                "Retry-After: 17\r\nX-Should-Retry: true\r\n",
                "{\"error\":{}}",
            ),
        })
    });
    let daemon = Daemon::before(&upstream);
    let answer = daemon.client().get("/v1/gone");
    assert_eq!(
        (answer.status(), answer.body.text()),
        (404, "no such thing\n".into())
    );
    assert_eq!(answer.head.field("content-type"), Some("text/plain"));
    assert!(!answer.head.has("proxy-status"));
    let answer = daemon.client().get("/v1/busy");
    assert_eq!(
        (answer.status(), answer.body.text()),
        (429, "{\"error\":{}}".into())
    );
    assert_eq!(answer.head.field("retry-after"), Some("17"));
    assert_eq!(answer.head.field("x-should-retry"), Some("true"));
}

#[test]
fn http_1_1_has_one_host_field() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    for hosts in ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n"] {
        let mut client = daemon.client();
        client
            .write(format!("GET /v1/models HTTP/1.1\r\n{hosts}\r\n"))
            .unwrap();
        assert_refusal(&client.answer(), 400, "invalid_request");
    }
    assert_eq!(upstream.connections(), 0);
    for head in [
        "GET /v1/models HTTP/1.1\r\nHost:\r\n",
        "GET /v1/models HTTP/1.0\r\n",
    ] {
        let mut client = daemon.client();
        client.write(format!("{head}\r\n")).unwrap();
        assert_eq!(client.answer().status(), 200);
    }
}
