//! Clients that are slow, idle, too many, or gone in the middle.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::message::End;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, DEADLINE};
use crate::support::wire::Departure;

/// With lines of the test's own in `[server]`.
fn with(upstream: &Upstream, server: &str) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .config(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\", \"unix:@DIR@/s\"]\n{server}\n\
             [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
             tls = {{ ca_file = \"@CA@\", platform_roots = false }}\n"
        ))
        .start()
}

#[track_caller]
fn assert_told_to_hurry(client: &mut Client, daemon: &Daemon) {
    let answer = client.answer();
    assert_eq!(answer.status(), 408);
    assert_eq!(answer.body.json()["error"]["code"], "request_timeout");
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert!(answer.head.has("proxy-status"));
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
    let event = daemon.wait_event("request_failed");
    assert_eq!(event["status"], 408);
    assert_eq!(event["error_code"], "request_timeout");
}

#[test]
fn half_a_head_is_waited_for_no_longer_than_header_timeout() {
    let upstream = Upstream::answering("{}");
    let daemon = with(&upstream, "header_timeout = \"200ms\"");
    let mut client = daemon.client();
    client.write("GET /v1/x HTTP/1.1\r\nHost: u\r\n").unwrap();
    assert_told_to_hurry(&mut client, &daemon);
}

#[test]
fn a_head_that_drips_is_waited_for_no_longer_than_header_timeout() {
    let upstream = Upstream::answering("{}");
    let daemon = with(&upstream, "header_timeout = \"300ms\"");
    let mut client = daemon.client();
    client.write("GET /v1/x HTTP/1.1\r\nX-Drip: ").unwrap();
    // A byte every 10 ms or so, until the daemon has had enough.
    let mut drops = 0;
    while client.early().is_empty() && client.write("a").is_ok() {
        drops += 1;
        assert!(drops < 500, "it goes on listening");
        client.peer_left(Duration::from_millis(10));
    }
    assert!(drops > 1, "it listened for {drops} bytes only");
    assert_told_to_hurry(&mut client, &daemon);
}

#[test]
fn header_timeout_runs_anew_for_each_request() {
    let upstream = Upstream::answering("{}");
    let daemon = with(&upstream, "header_timeout = \"200ms\"");
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/x").status(), 200);
    // Idle for longer than a head may take.
    assert_eq!(client.peer_left(Duration::from_millis(300)), None);
    assert_eq!(client.get("/v1/x").status(), 200);
    client.write("GET").unwrap();
    assert_told_to_hurry(&mut client, &daemon);
}

#[test]
fn a_body_that_stops_is_waited_for_no_longer_than_body_timeout() {
    for (path, kind) in [("/v1/responses", "application/json"), ("/v1/files", "a/b")] {
        for start in [
            "Content-Length: 10\r\n\r\n{",
            "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        ] {
            let upstream = Upstream::answering("{}");
            let daemon = with(&upstream, "body_timeout = \"200ms\"");
            let mut client = daemon.client();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: u\r\nContent-Type: {kind}\r\n{start}");
            client.write(head).unwrap();
            assert_told_to_hurry(&mut client, &daemon);
            if path == "/v1/files" {
                let end = upstream.wait_requests(1).remove(0).body.end;
                assert!(matches!(end, End::Cut(_)), "{end:?}");
            }
        }
    }
}

#[test]
fn a_body_that_goes_on_may_take_longer_than_body_timeout() {
    let upstream = Upstream::answering("{}");
    let daemon = with(&upstream, "body_timeout = \"600ms\"");
    for path in ["/v1/responses", "/v1/files"] {
        let mut client = daemon.client();
        client
            .write(format!(
                "POST {path} HTTP/1.1\r\nHost: u\r\nContent-Type: application/json\r\n\
                 Content-Length: 27\r\n\r\n{{}}"
            ))
            .unwrap();
        for _ in 0..25 {
            assert_eq!(client.peer_left(Duration::from_millis(30)), None);
            client.write(" ").unwrap();
        }
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let upstream = Upstream::answering("{}");
    let daemon = with(&upstream, "keepalive_timeout = \"100ms\"");
    let mut served = daemon.client();
    served.get("/v1/x");
    for mut client in [served, daemon.client(), daemon.unix_client()] {
        assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
        assert!(client.early().is_empty());
    }
    // Nothing that happened to them is a request.
    assert_eq!(daemon.client().get("/v1/y").status(), 200);
    daemon.wait_events("request_completed", 2);
    assert!(daemon.events_named("request_failed").is_empty());
}

#[test]
fn an_upload_that_is_cut_never_reaches_the_upstream_as_whole() {
    type Leave = fn(&mut Client) -> std::io::Result<()>;
    let ways: [Leave; 2] = [|client| client.fin(), |client| client.reset()];
    let starts = [
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ];
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut count = 0;
    for leave in ways {
        for start in starts {
            let mut client = daemon.client();
            let head = format!("POST /v1/files HTTP/1.1\r\nHost: u\r\n{start}");
            client.write(head).unwrap();
            count += 1;
            wait::until("the head is at the upstream", || {
                upstream.requests().len() == count
            });
            leave(&mut client).unwrap();
            let end = upstream.wait_requests(count).remove(count - 1).body.end;
            assert!(matches!(end, End::Cut(_)), "{end:?}");
            let event = daemon
                .wait_events("request_failed", count)
                .remove(count - 1);
            assert_eq!(event["path"], "/v1/files");
        }
    }
}

#[test]
fn a_json_body_that_is_cut_does_not_reach_the_upstream_at_all() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let starts = [
        "Content-Length: 20\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ];
    for start in starts {
        let mut client = daemon.client();
        let head = "POST /v1/responses HTTP/1.1\r\nHost: u\r\nContent-Type: application/json\r\n";
        client.write(format!("{head}{start}")).unwrap();
        client.fin().unwrap();
        client.peer_left(DEADLINE).expect("the daemon ends it too");
    }
    let events = daemon.wait_events("request_failed", 2);
    assert!(events.iter().all(|event| event["client_aborted"] == true));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_connection_over_the_cap_waits_until_another_closes() {
    let upstream = Upstream::answering("{}");
    let daemon = with(&upstream, "max_connections = 2");
    let mut first = daemon.client();
    let mut second = daemon.client();
    assert_eq!(first.get("/v1/1").status(), 200);
    assert_eq!(second.get("/v1/2").status(), 200);
    for mut third in [daemon.client(), daemon.unix_client()] {
        third.send("GET", "/v1/3", "", b"").unwrap();
        assert_eq!(third.peer_left(Duration::from_millis(200)), None);
        assert!(third.early().is_empty(), "a third connection is served");
        first.close();
        assert_eq!(third.answer().status(), 200);
        first = third;
    }
    assert_eq!(second.get("/v1/4").status(), 200);
}

#[test]
fn a_connection_that_uploaded_gives_its_place_back_when_it_is_idle() {
    let upstream = Upstream::answering("{}");
    let daemon = with(
        &upstream,
        "max_connections = 1\nkeepalive_timeout = \"100ms\"",
    );
    let mut first = daemon.client();
    first.send("POST", "/v1/files", "", b"abc").unwrap();
    assert_eq!(first.answer().status(), 200);
    // The first stays open on its side; nothing more is expected of it.
    let mut second = daemon.client();
    second.deadline = Duration::from_secs(2);
    assert_eq!(second.get("/v1/x").status(), 200);
}
