//! Connections to the upstream: used again, sent on again, closed in time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::refusal::{Verdict, assert_answer};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Request, Upstream};
use crate::support::wait::{self, DEADLINE, Gate};

const INCOMPLETE: Verdict = (502, "upstream_protocol_error", "http_response_incomplete");

/// A daemon with one worker, so one pool.
fn alone(upstream: &Upstream, settings: &str) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .server_settings("workers = 1")
        .upstream_settings(settings)
        .start()
}

/// Answers the first request of its connection; behind the second one's head it
/// writes `last` and closes.
fn answering_once(last: &'static str, good: usize) -> Upstream {
    Upstream::tls(move |conn| {
        if conn.number <= good {
            conn.read_request()?;
            conn.answer_json(200, "{}")?;
        }
        conn.read_head()?;
        conn.read_chunk();
        conn.write(last)
    })
}

/// Its only connection's second request meets the end of it.
fn closing_the_first_connection() -> Upstream {
    Upstream::tls(|conn| match conn.number {
        1 => {
            conn.read_request()?;
            conn.answer_json(200, "{}")?;
            conn.read_head()?;
            conn.read_chunk();
            Ok(())
        }
        _ => conn.serve(|conn, _| conn.answer_json(200, "{}")),
    })
}

fn bodies(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| request.body.text()).collect()
}

#[test]
fn a_request_that_meets_a_closed_connection_is_sent_again_once() {
    let upstream = closing_the_first_connection();
    let daemon = alone(&upstream, "");
    let mut client = daemon.client();
    client.post_json("/v1/chat/completions", r#"{"n":1}"#);
    let answer = client.post_json("/v1/chat/completions", r#"{"n":2}"#);
    assert_eq!(answer.status(), 200);
    let requests = upstream.wait_requests(3);
    assert_eq!(
        bodies(&requests),
        [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":2}"#]
    );
    assert_eq!(requests[2].head.raw, requests[1].head.raw);
    assert_eq!(upstream.connections(), 2);
    let events = daemon.wait_request_events(2);
    assert_eq!(
        (&events[0]["attempts"], &events[1]["attempts"]),
        (&1.into(), &2.into())
    );
    assert_eq!(events[1]["error_code"], serde_json::Value::Null);
}

#[test]
fn a_request_without_a_body_is_sent_again_too() {
    let upstream = closing_the_first_connection();
    let daemon = alone(&upstream, "");
    let mut client = daemon.client();
    client.get("/v1/models");
    assert_eq!(client.get("/v1/models").status(), 200);
    assert_eq!(upstream.wait_requests(3).len(), 3);
}

#[test]
fn a_request_is_not_sent_a_third_time() {
    let upstream = answering_once("", 1);
    let daemon = alone(&upstream, "");
    let mut client = daemon.client();
    client.post_json("/v1/chat/completions", r#"{"n":1}"#);
    let answer = client.post_json("/v1/chat/completions", r#"{"n":2}"#);
    assert_answer(&answer, INCOMPLETE);
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(daemon.wait_request_events(2)[1]["attempts"], 2);
}

#[test]
fn a_request_is_not_sent_again_once_a_byte_of_an_answer_came() {
    let upstream = answering_once("H", usize::MAX);
    let daemon = alone(&upstream, "");
    let mut client = daemon.client();
    client.post_json("/v1/chat/completions", r#"{"n":1}"#);
    let answer = client.post_json("/v1/chat/completions", r#"{"n":2}"#);
    assert_answer(&answer, INCOMPLETE);
    assert_eq!(bodies(&upstream.requests()), [r#"{"n":1}"#, r#"{"n":2}"#]);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_body_that_streams_through_is_not_sent_again() {
    let upstream = answering_once("", usize::MAX);
    let daemon = alone(&upstream, "");
    let mut client = daemon.client();
    client.get("/v1/models");
    let fields = "Content-Type: multipart/form-data; boundary=b\r\n";
    let part = b"--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n";
    client
        .send("POST", "/v1/audio/transcriptions", fields, part)
        .unwrap();
    let answer = client.answer();
    assert_answer(&answer, INCOMPLETE);
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(upstream.connections(), 1);
    assert_eq!(daemon.wait_request_events(2)[1]["attempts"], 1);
}

#[test]
fn an_idle_connection_is_closed_after_pool_idle_timeout() {
    let upstream = Upstream::answering("{}");
    let daemon = alone(&upstream, "pool_idle_timeout = \"50ms\"");
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
    assert_eq!(upstream.connections(), 1);
    wait::until("the idle connection is closed", || {
        upstream.open_connections() == 0
    });
    assert_eq!(upstream.script_errors(), [""; 0]);
}

#[test]
fn no_more_than_pool_max_idle_connections_are_kept() {
    let gate = Gate::new();
    let upstream = gated(&gate);
    let daemon = alone(&upstream, "pool_max_idle = 2");
    let clients = asking(&daemon, 5);
    wait::until("all have asked", || upstream.requests().len() == 5);
    gate.open();
    answered(clients);
    wait::until("three are closed", || upstream.open_connections() == 2);
}

#[test]
fn parallel_requests_open_connections_that_later_ones_use() {
    const PARALLEL: usize = 40;
    let gate = Gate::new();
    let upstream = gated(&gate);
    let daemon = alone(&upstream, "");
    let clients = asking(&daemon, PARALLEL);
    wait::until("all are served at once", || {
        upstream.requests().len() == PARALLEL
    });
    assert_eq!(upstream.connections(), PARALLEL);
    gate.open();
    answered(clients);
    daemon.wait_request_events(PARALLEL);
    answered(asking(&daemon, PARALLEL));
    assert_eq!(upstream.connections(), PARALLEL);
}

#[test]
fn a_connection_whose_answer_was_not_read_to_its_end_is_not_used_again() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| match request.head.target() {
            "/v1/long" => {
                conn.start_events()?;
                conn.write_chunk("data: 1\n\n")
            }
            _ => conn.answer_json(200, "{}"),
        })
    });
    let daemon = alone(&upstream, "");
    let mut leaver = daemon.client();
    leaver.send("GET", "/v1/long", "", b"").unwrap();
    leaver.answer_head().unwrap();
    leaver.next_chunk().unwrap();
    leaver.close();
    wait::until("it is cancelled", || upstream.open_connections() == 0);
    let answer = daemon.client().get("/v1/models");
    assert_eq!(answer.body.data(), b"{}");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_early_answer_reaches_the_client_and_ends_the_upload() {
    let cut = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&cut);
    let upstream = Upstream::tls(move |conn: &mut Conn| -> io::Result<()> {
        conn.read_head()?;
        conn.answer_json(413, r#"{"error":{"message":"too large"}}"#)?;
        // The rest is not wanted: the daemon leaves instead of sending it all.
        if conn.peer_left(DEADLINE).is_some() {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    let daemon = alone(&upstream, "");
    let mut client = daemon.client();
    client
        .write("POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc")
        .unwrap();
    client.deadline = Duration::from_secs(5);
    let answer = client.answer();
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.body.json()["error"]["message"], "too large");
    client.close();
    wait::until("the upload has ended", || cut.load(Ordering::Relaxed) == 1);
}

/// Holds every answer until the gate opens.
fn gated(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::tls(move |conn| {
        conn.serve(|conn, _| {
            gate.pass();
            conn.answer_json(200, "{}")
        })
    })
}

fn asking(daemon: &Daemon, count: usize) -> Vec<Client> {
    let ask = || {
        let mut client = daemon.client();
        client.send("GET", "/v1/models", "", b"").unwrap();
        client
    };
    (0..count).map(|_| ask()).collect()
}

fn answered(clients: Vec<Client>) {
    for mut client in clients {
        assert_eq!(client.answer().status(), 200);
    }
}
