//! SIGUSR1: another instance accepts on the same socket, and this one ends with
//! its last request.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::{FIRST, SECOND, Upstream};
use crate::support::wait::{self, Gate};
use crate::support::wire::Departure;

/// Less than `handover_timeout` and the time that an idle connection is given.
const SOON: Duration = Duration::from_secs(4);

fn on(socket: &TcpListener, upstream: &Upstream) -> Builder {
    let socket = socket.try_clone().unwrap();
    Daemon::builder()
        .upstream(upstream)
        .pass("upstreamd", socket)
}

fn listening() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn hand_over(daemon: &Daemon) {
    daemon.signal("USR1");
    daemon.wait_event("handing_over");
}

fn completed(daemon: &Daemon) -> usize {
    daemon.events_named("request_completed").len()
}

#[test]
fn a_stream_runs_on_for_longer_than_a_drain_would_let_it() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("drain_timeout = \"0s\"")
        .start();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    hand_over(&daemon);
    gate.open();
    let body = client.rest();
    assert!(body.is_complete(), "{:?}", body.end);
    assert_eq!(body.text(), [FIRST, SECOND].concat());
    assert_eq!(daemon.wait_exit_within(3 * SOON), Some(0));
    assert_eq!(daemon.events_named("stopped")[0]["aborted"], 0);
}

#[test]
fn no_connection_is_lost_between_two_instances_that_take_turns() {
    let upstream = Upstream::answering("{}");
    let (socket, address) = listening();
    let mut one = on(&socket, &upstream).start();
    let mut asked = 0;
    for _ in 0..4 {
        let other = on(&socket, &upstream).start();
        // Connected before, during and after; asked by turns before and after.
        let mut clients: Vec<Client> = (0..20).map(|_| Client::tcp(address)).collect();
        for client in clients.iter_mut().step_by(2) {
            client.send("GET", "/v1/models", "", b"").unwrap();
        }
        one.signal("USR1");
        clients.extend((0..20).map(|_| Client::tcp(address)));
        let (before, after) = clients.split_at_mut(20);
        for client in before.iter_mut().skip(1).step_by(2).chain(after) {
            client.send("GET", "/v1/models", "", b"").unwrap();
        }
        for client in &mut clients {
            assert_eq!(client.answer().status(), 200);
        }
        asked += clients.len();
        drop(clients);
        assert_eq!(one.wait_exit_within(SOON), Some(0));
        asked -= completed(&one);
        one = other;
    }
    wait::until("every request has its event", || completed(&one) == asked);
}

#[test]
fn the_other_instance_gets_every_connection_that_comes_afterwards() {
    let gate = Gate::new();
    let passing = gate.clone();
    let upstream = Upstream::tls(move |conn| {
        conn.serve(|conn, request| {
            if request.head.target() == "/v1/running" {
                passing.pass();
            }
            conn.answer_json(200, "{}")
        })
    });
    let (socket, address) = listening();
    let mut one = on(&socket, &upstream).start();
    let mut running = Client::tcp(address);
    running.send("GET", "/v1/running", "", b"").unwrap();
    upstream.wait_requests(1);
    let other = on(&socket, &upstream).start();
    hand_over(&one);
    for _ in 0..50 {
        assert_eq!(Client::tcp(address).get("/v1/models").status(), 200);
    }
    wait::until("the other one had them all", || completed(&other) == 50);
    gate.open();
    assert_eq!(running.answer().status(), 200);
    assert_eq!(one.wait_exit_within(SOON), Some(0));
    assert_eq!(completed(&one), 1);
}

#[test]
fn a_client_that_keeps_its_connection_hears_of_the_end_in_its_next_answer() {
    let upstream = Upstream::answering("{}");
    let mut daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").status(), 200);
    hand_over(&daemon);
    let answer = client.get("/v1/models");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(client.peer_left(SOON), Some(Departure::Fin));
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn an_idle_connection_does_not_hold_it_up_for_long() {
    let upstream = Upstream::answering("{}");
    let mut daemon = Daemon::before(&upstream);
    let mut idle = daemon.client();
    assert_eq!(idle.get("/v1/models").status(), 200);
    let mut unused = daemon.client();
    hand_over(&daemon);
    let begun = Instant::now();
    for client in [&mut idle, &mut unused] {
        assert_eq!(client.peer_left(2 * SOON), Some(Departure::Fin));
    }
    assert!(begun.elapsed() > SOON);
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn health_is_that_of_the_service_which_goes_on() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut probe = daemon.client();
    assert_eq!(probe.get("/health").status(), 200);
    hand_over(&daemon);
    let answer = probe.get("/health");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("connection"), Some("close"));
}

#[test]
fn what_runs_longer_than_handover_timeout_is_aborted() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("handover_timeout = \"300ms\"")
        .start();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    hand_over(&daemon);
    assert!(!client.rest().is_complete());
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
    assert_eq!(daemon.events_named("stopped")[0]["aborted"], 1);
}

#[test]
fn a_stop_that_comes_meanwhile_is_a_drain_like_any_other() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("drain_timeout = \"300ms\"")
        .start();
    let mut idle = daemon.client();
    assert_eq!(idle.get("/health").status(), 200);
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    hand_over(&daemon);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_event("draining")["requests"], 1);
    assert_eq!(idle.peer_left(SOON), Some(Departure::Fin));
    assert!(!client.rest().is_complete());
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
}

#[test]
fn a_reload_works_meanwhile() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    hand_over(&daemon);
    // Told twice, it does nothing new.
    daemon.signal("USR1");
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    gate.open();
    assert!(client.rest().is_complete());
    assert_eq!(daemon.wait_exit_within(SOON), Some(0));
    assert_eq!(daemon.events_named("handing_over").len(), 1);
}
