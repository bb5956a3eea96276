//! The end by a signal: what runs may finish, what is on its way is answered,
//! nothing new is taken.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{FIRST, SECOND, Upstream};
use crate::support::wait::{self, Gate};
use crate::support::wire::Departure;

/// The `drain_timeout` of these tests, 15 s, must not be what ends them.
const SOON: Duration = Duration::from_secs(5);

/// Answers with JSON when `gate` lets it through.
fn gated_json(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::tls(move |conn| {
        conn.serve(|conn, _| {
            gate.pass();
            conn.answer_json(200, "{}")
        })
    })
}

/// One worker, so that what one connection shows is true for all.
fn with_one_worker(upstream: &Upstream) -> Daemon {
    let config = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\n\
         [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
         [upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n";
    Daemon::builder().config(config).upstream(upstream).start()
}

/// Sends SIGTERM and waits until the worker drains: an idle connection is closed.
#[track_caller]
fn drain(daemon: &Daemon) {
    let mut idle = daemon.client();
    assert_eq!(idle.get("/health").status(), 200);
    daemon.signal("TERM");
    assert_eq!(idle.peer_left(SOON), Some(Departure::Fin));
}

fn refuses_connections(daemon: &Daemon) -> bool {
    let outcome = TcpStream::connect(daemon.address());
    outcome.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn running_streams_end_complete_while_nothing_new_is_taken() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::new();
        let upstream = Upstream::two_events(&gate);
        let mut daemon = Daemon::before(&upstream);
        let unix = daemon.unix_path();
        let mut clients = [daemon.client(), daemon.client(), daemon.unix_client()];
        for client in &mut clients {
            client.start_stream_at("/v1/stream");
        }
        daemon.signal(signal);
        let draining = daemon.wait_event("draining");
        assert_eq!(draining["requests"], 3);
        wait::until("the port is closed", || refuses_connections(&daemon));
        wait::until("the path is gone", || !unix.exists());

        let opened = Instant::now();
        gate.open();
        for client in &mut clients {
            let body = client.rest();
            assert!(body.is_complete(), "{:?}", body.end);
            assert_eq!(body.text(), [FIRST, SECOND].concat());
        }
        assert_eq!(daemon.wait_exit_within(SOON), Some(0));
        assert!(opened.elapsed() < SOON);
        assert_eq!(daemon.events_named("request_completed").len(), 3);
        assert_eq!(daemon.events_named("stopped")[0]["aborted"], 0);
    }
}

#[test]
fn answers_that_begin_during_the_drain_say_connection_close() {
    let gate = Gate::new();
    let upstream = gated_json(&gate);
    let mut daemon = with_one_worker(&upstream);
    let mut client = daemon.client();
    client.send("GET", "/v1/models", "", b"").unwrap();
    upstream.wait_requests(1);
    drain(&daemon);
    gate.open();
    let answer = client.answer();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(client.peer_left(SOON), Some(Departure::Fin));
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn an_upload_that_runs_is_taken_whole() {
    let upstream = Upstream::answering("{}");
    let mut daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client
        .write("POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst")
        .unwrap();
    wait::until("the upload has begun", || !upstream.requests().is_empty());
    daemon.signal("TERM");
    daemon.wait_event("draining");
    client.write("other").unwrap();
    assert_eq!(client.answer().status(), 200);
    assert_eq!(upstream.wait_requests(1)[0].body.text(), "firstother");
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn connections_without_a_request_are_closed() {
    let upstream = Upstream::answering("{}");
    let mut daemon = Daemon::before(&upstream);
    let mut idle = daemon.client();
    assert_eq!(idle.get("/v1/models").status(), 200);
    let mut unused = daemon.client();
    daemon.signal("TERM");
    assert_eq!(idle.peer_left(SOON), Some(Departure::Fin));
    assert_eq!(unused.peer_left(SOON), Some(Departure::Fin));
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn requests_that_were_on_their_way_are_answered() {
    let upstream = Upstream::answering("{}");
    let mut daemon = Daemon::before(&upstream);
    // While it stands still, everything comes at once: connections in the
    // backlog, requests on connections that it knows, and the signal.
    let mut known: Vec<Client> = (0..4).map(|_| daemon.client()).collect();
    for client in &mut known {
        assert_eq!(client.get("/v1/warm").status(), 200);
    }
    daemon.signal("STOP");
    for client in &mut known {
        client.send("GET", "/v1/known", "", b"").unwrap();
    }
    let mut fresh: Vec<Client> = (0..20).map(|_| daemon.client()).collect();
    fresh.extend((0..4).map(|_| daemon.unix_client()));
    for client in &mut fresh {
        client.send("GET", "/v1/fresh", "", b"").unwrap();
    }
    daemon.signal("TERM");
    daemon.signal("CONT");
    for client in known.iter_mut().chain(&mut fresh) {
        let answer = client.answer();
        assert_eq!(answer.status(), 200);
        assert!(answer.body.is_complete());
    }
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
    assert_eq!(daemon.events_named("request_completed").len(), 32);
}

#[test]
fn a_request_on_a_connection_made_just_before_is_answered() {
    let upstream = Upstream::answering("{}");
    let mut daemon = with_one_worker(&upstream);
    let mut client = daemon.client();
    drain(&daemon);
    let answer = client.get("/v1/models");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn health_says_503_while_draining() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = with_one_worker(&upstream);
    let mut running = daemon.client();
    running.start_stream_at("/v1/stream");
    // Half a head keeps the connection open as long as it takes to send the rest.
    let mut probe = daemon.client();
    probe.write("GET /health HTTP/1.1\r\nHost: x\r\n").unwrap();
    drain(&daemon);
    probe.write("\r\n").unwrap();
    let answer = probe.answer();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.body.json()["status"], "draining");
    assert_eq!(answer.head.field("connection"), Some("close"));
    gate.open();
    assert!(running.rest().is_complete());
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}
