//! A drain that takes too long, or is told twice to end: an honest abort.

use std::time::Duration;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::message::End;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::DEADLINE;

/// What an abort may take: well below the 15 s of an ordinary `drain_timeout`.
const SOON: Duration = Duration::from_secs(6);

/// Starts the answer that the path asks for, and never ends it.
fn endless(conn: &mut Conn) -> std::io::Result<()> {
    let request = conn.read_request()?;
    match request.head.target() {
        "/v1/events" => {
            conn.start_events()?;
            conn.write_chunk("data: 1\n\n")?;
        }
        "/v1/within-an-event" => {
            conn.start_events()?;
            conn.write_chunk("data: {\"ha")?;
        }
        "/v1/chunks" => {
            conn.start_chunked("audio/mpeg")?;
            conn.write_chunk("sound")?;
        }
        "/v1/length" => conn.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome")?,
        "/v1/socket" => conn.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello",
        )?,
        "/v1/flood" => {
            conn.start_events()?;
            let event = format!("data: {}\n\n", "x".repeat(60_000));
            // Until the client's side is full, and on.
            while conn.write_chunk(&event).is_ok() {}
        }
        _ => {}
    }
    conn.peer_left(DEADLINE * 2);
    Ok(())
}

fn short_drain(upstream: &Upstream) -> Daemon {
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\ndrain_timeout = \"300ms\"\nworkers = 1\n\n\
         [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
         [upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n";
    Daemon::builder().config(config).upstream(upstream).start()
}

fn started(daemon: &Daemon, path: &str) -> Client {
    let mut client = daemon.client();
    client.start_stream_at(path);
    client
}

fn event_of(daemon: &Daemon, path: &str) -> Value {
    let events = daemon.events();
    let mut of_it = events.iter().filter(|event| event["path"] == path);
    let event = of_it.next().unwrap_or_else(|| panic!("no event of {path}"));
    assert!(of_it.next().is_none(), "two events of {path}");
    event.clone()
}

#[test]
fn when_drain_timeout_is_over_no_answer_ends_as_if_it_were_whole() {
    let upstream = Upstream::tls(endless);
    let mut daemon = short_drain(&upstream);
    let paths = [
        "/v1/events",
        "/v1/within-an-event",
        "/v1/chunks",
        "/v1/length",
    ];
    let mut clients = paths.map(|path| started(&daemon, path));
    let mut waiting = daemon.client();
    waiting.send("GET", "/v1/silent", "", b"").unwrap();
    upstream.wait_requests(5);
    daemon.signal("TERM");
    daemon.wait_event("drain_aborted");

    let bodies = clients.each_mut().map(|client| client.rest());
    for (path, body) in paths.iter().zip(&bodies) {
        assert!(matches!(body.end, End::Cut(_)), "{path}: {:?}", body.end);
    }
    // At a boundary there is room for an event that says why.
    let text = bodies[0].text();
    let last = text
        .strip_prefix("data: 1\n\ndata: ")
        .unwrap_or_else(|| panic!("{text:?}"));
    let error: Value = serde_json::from_str(last.trim_end()).unwrap();
    assert_eq!(error["error"]["code"], "shutting_down");
    assert_eq!(bodies[1].text(), "data: {\"ha");
    assert_eq!(bodies[2].text(), "sound");
    assert_eq!(bodies[3].text(), "some");

    let answer = waiting.answer();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body.json()["error"]["code"], "shutting_down");
    assert!(answer.head.has("retry-after"));

    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
    for path in paths {
        let event = event_of(&daemon, path);
        assert_eq!(event["event"], "streaming_error", "{event}");
        assert_eq!(event["truncated"], true, "{event}");
        assert_eq!(event["client_aborted"], false, "{event}");
        assert_eq!(event["error_code"], "shutting_down", "{event}");
    }
    let event = event_of(&daemon, "/v1/silent");
    assert_eq!(event["status"], 503);
    assert_eq!(event["truncated"], false);
    assert_eq!(daemon.events_named("stopped")[0]["aborted"], 5);
}

#[test]
fn a_client_that_does_not_read_is_no_reason_to_stay_and_is_not_blamed() {
    let upstream = Upstream::tls(endless);
    let mut daemon = short_drain(&upstream);
    let mut client = started(&daemon, "/v1/flood");
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
    assert!(!client.rest().is_complete());
    let event = event_of(&daemon, "/v1/flood");
    assert_eq!(event["truncated"], true, "{event}");
    assert_eq!(event["client_aborted"], false, "{event}");
    assert_eq!(event["error_code"], "shutting_down", "{event}");
}

#[test]
fn a_close_delimited_answer_is_reset_and_not_ended() {
    let upstream = Upstream::tls(endless);
    let mut daemon = short_drain(&upstream);
    let mut client = daemon.client();
    client.write("GET /v1/chunks HTTP/1.0\r\n\r\n").unwrap();
    client.answer_head().unwrap();
    client.next_chunk().unwrap();
    daemon.signal("TERM");
    let body = client.rest();
    assert!(matches!(body.end, End::Cut(_)), "{:?}", body.end);
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn a_second_signal_aborts_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let upstream = Upstream::tls(endless);
        let mut daemon = Daemon::before(&upstream);
        let mut client = started(&daemon, "/v1/events");
        daemon.signal(first);
        daemon.wait_event("draining");
        assert!(daemon.events_named("drain_aborted").is_empty());
        daemon.signal(second);
        let body = client.rest();
        assert!(matches!(body.end, End::Cut(_)), "{:?}", body.end);
        assert!(body.text().contains("shutting_down"));
        assert_eq!(daemon.wait_exit_within(SOON), Some(0));
        assert_eq!(event_of(&daemon, "/v1/events")["truncated"], true);
        assert!(!daemon.directory().join("upstreamd.sock").exists());
    }
}

#[test]
fn tunnels_run_on_during_the_drain_and_end_with_it() {
    let upstream = Upstream::tls(endless);
    let mut daemon = short_drain(&upstream);
    let mut client = daemon.client();
    let fields = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    client.send("GET", "/v1/socket", fields, b"").unwrap();
    let (_, head) = client.answer_head().unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(client.read_exactly(5).unwrap(), b"hello");
    daemon.signal("TERM");
    let draining = daemon.wait_event("draining");
    assert_eq!(draining["requests"], 1);
    assert!(client.peer_left(SOON).is_some());
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
    let event = event_of(&daemon, "/v1/socket");
    assert_eq!(event["status"], 101);
    assert_eq!(event["bytes_out"], 5);
    assert_eq!(event["truncated"], true);
}
