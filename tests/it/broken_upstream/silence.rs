//! An upstream that says nothing (more).

use std::time::Duration;

use super::{TIMEOUT, assert_cut, assert_error_event, stream};
use crate::refusal::assert_refused;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, DEADLINE};

#[test]
fn no_answer_within_response_timeout_is_a_504() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        assert!(conn.peer_left(DEADLINE).is_some(), "it is given up");
        Ok(())
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("response_timeout = \"200ms\"")
        .start();
    let answer = stream(&daemon);
    let event = assert_refused(&daemon, &answer, TIMEOUT);
    assert_eq!(event["attempts"], 1);
    assert!(event["duration_s"].as_f64().unwrap() >= 0.2);
    wait::until("the upstream's connection is closed", || {
        upstream.open_connections() == 0
    });
}

#[test]
fn half_a_head_is_no_answer_either() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.write("HTTP/1.1 200 OK\r\nContent-")?;
        conn.peer_left(DEADLINE);
        Ok(())
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("response_timeout = \"200ms\"")
        .start();
    assert_refused(&daemon, &stream(&daemon), TIMEOUT);
}

#[test]
fn response_timeout_begins_with_the_last_byte_of_the_request() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.answer_json(200, "{}")
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("response_timeout = \"100ms\"")
        .start();
    let mut client = daemon.client();
    client
        .write("POST /v1/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    client.write_chunk("a").unwrap();
    wait::until("the upstream has the first byte", || {
        upstream.requests().len() == 1
    });
    // Not to wait for something, but to be slower than the timeout.
    std::thread::sleep(Duration::from_millis(300));
    client.write_last_chunk("").unwrap();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn a_stream_that_stalls_between_events_ends_with_an_error_event_and_an_abort() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.start_events()?;
        conn.write_chunk("data: 1\n\n")?;
        assert!(conn.peer_left(DEADLINE).is_some(), "it is given up");
        Ok(())
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("idle_timeout = \"200ms\"")
        .start();
    let answer = stream(&daemon);
    assert_cut(&daemon, &answer, "upstream_timeout");
    assert_error_event(&answer, "data: 1\n\n", "upstream_timeout");
    wait::until("the upstream's connection is closed", || {
        upstream.open_connections() == 0
    });
}

#[test]
fn a_stream_that_stalls_within_an_event_is_aborted_without_a_word() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.start_events()?;
        conn.write_chunk("data: 1\n\ndata: {")?;
        conn.peer_left(DEADLINE);
        Ok(())
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("idle_timeout = \"200ms\"")
        .start();
    let answer = stream(&daemon);
    assert_cut(&daemon, &answer, "upstream_timeout");
    assert_eq!(answer.body.text(), "data: 1\n\ndata: {");
}

#[test]
fn an_upload_that_the_upstream_does_not_take_is_a_504() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        // Alive, but deaf.
        wait::holds_within(DEADLINE, || conn.wire.tls().is_none());
        Ok(())
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("idle_timeout = \"300ms\"")
        .start();
    let mut client = daemon.client();
    client
        .write("POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        .unwrap();
    client.deadline = Duration::from_millis(20);
    while daemon.request_events().is_empty() {
        // It fails when the daemon takes no more for now.
        let _ = client.write([0; 65536]);
    }
    client.deadline = DEADLINE;
    let answer = client.answer();
    let verdict = (504, "upstream_timeout", "connection_write_timeout");
    assert_refused(&daemon, &answer, verdict);
}
