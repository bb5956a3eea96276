//! The test support against itself: what the other tests rely on is true.

use std::io;
use std::time::Duration;

use serde_json::json;

use crate::support::certs::{Authority, LOOPBACK_NAMES};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::message::End;
use crate::support::openai::Loopback;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::{self, Gate};
use crate::support::wire::Departure;

const SHORT: Duration = Duration::from_secs(2);

/// A script, or a part of one.
type Act = fn(&mut Conn) -> io::Result<()>;

fn connected(upstream: &Upstream) -> io::Result<Client> {
    let root = upstream.authority().root();
    Client::tls(upstream.address(), "localhost", root)
}

#[test]
fn every_request_of_a_kept_connection_is_answered_and_recorded() {
    let upstream = Upstream::answering(r#"{"ok":true}"#);
    let mut client = connected(&upstream).unwrap();
    for number in 1..=3 {
        let answer = client.post_json(&format!("/v1/{number}"), r#"{"n":1}"#);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body.json(), json!({ "ok": true }));
    }
    let requests = upstream.wait_requests(3);
    assert_eq!(requests[2].head.start_line, "POST /v1/3 HTTP/1.1");
    assert_eq!(requests[2].body.text(), r#"{"n":1}"#);
    assert_eq!(requests[2].connection, 1);
    assert_eq!((upstream.connections(), upstream.handshakes()), (1, 1));
}

#[test]
fn chunks_keep_their_boundaries_and_come_when_the_script_sends_them() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::plain(move |conn| {
        conn.read_request()?;
        conn.start_events()?;
        for chunk in ["data: 1\n\n", "data: 2\n\n"] {
            script.pass();
            conn.write_chunk(chunk)?;
        }
        conn.write_last_chunk("Grpc-Status: 0\r\n")
    });
    let mut client = Client::tcp(upstream.address());
    client.send("GET", "/v1/stream", "", b"").unwrap();
    let (_, head) = client.answer_head().unwrap();
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    gate.let_one_through();
    assert_eq!(client.next_chunk().unwrap().data, b"data: 1\n\n");
    gate.let_one_through();
    let body = client.rest();
    assert_eq!(body.chunks.len(), 2);
    assert!(body.chunks[0].at < body.chunks[1].at);
    assert_eq!(body.trailers, [("Grpc-Status".into(), "0".into())]);
    assert_eq!(
        body.raw,
        b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\nGrpc-Status: 0\r\n\r\n"
    );
    assert!(body.is_complete());
}

#[test]
fn a_chunked_upload_is_read_with_extensions_and_trailers() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.answer_json(200, "{}")
    });
    let mut client = connected(&upstream).unwrap();
    client
        .write("POST / HTTP/1.1\r\nX-Octets: \u{e9}\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    client.write("3;a=b\r\nabc\r\n").unwrap();
    client.write("2\r\nde\r\n0\r\nT: 1\r\n\r\n").unwrap();
    assert_eq!(client.answer().status(), 200);
    let request = upstream.wait_requests(1).remove(0);
    assert_eq!(request.head.field("x-octets"), Some("\u{c3}\u{a9}"));
    assert_eq!(request.body.chunks[0].extension, ";a=b");
    assert_eq!(request.body.data(), b"abcde");
    assert_eq!(request.body.trailers, [("T".into(), "1".into())]);
}

#[test]
fn a_cut_body_is_told_from_a_complete_one() {
    let ends: [(Act, bool); 3] = [
        (|conn| conn.reset(), false),
        (|conn| conn.fin(), false),
        (|conn| conn.write_last_chunk(""), true),
    ];
    for (last_act, complete) in ends {
        let upstream = Upstream::tls(move |conn| {
            conn.read_request()?;
            conn.start_events()?;
            conn.write_chunk("data: 1\n\n")?;
            last_act(conn)?;
            conn.peer_left(SHORT);
            Ok(())
        });
        let mut client = connected(&upstream).unwrap();
        let answer = client.get("/");
        match answer.body.end {
            End::Complete => assert!(complete),
            End::Cut(_) => assert!(!complete),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_ways_of_closing_look_different_to_the_peer() {
    let ways: [(Act, Departure); 3] = [
        (|conn| conn.close_notify(), Departure::CloseNotify),
        (|conn| conn.fin(), Departure::Fin),
        (|conn| conn.reset(), Departure::Reset),
    ];
    for (leave, departure) in ways {
        let upstream = Upstream::tls(move |conn| {
            leave(conn)?;
            conn.peer_left(SHORT);
            Ok(())
        });
        let mut client = connected(&upstream).unwrap();
        assert_eq!(client.peer_left(SHORT), Some(departure));
    }
}

#[test]
fn a_client_that_leaves_is_seen_by_the_script() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        assert!(conn.peer_left(Duration::from_millis(50)).is_none());
        conn.start_events()?;
        assert_eq!(conn.peer_left(SHORT), Some(Departure::Reset));
        Ok(())
    });
    let mut client = connected(&upstream).unwrap();
    client.send("GET", "/", "", b"").unwrap();
    client.answer_head().unwrap();
    client.reset().unwrap();
    wait::until("the script has ended", || upstream.open_connections() == 0);
}

#[test]
fn a_reader_that_stops_stops_the_writer() {
    let upstream = Upstream::plain(|conn| {
        conn.read_request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\n")?;
        let written = conn.write_until_stuck(&[b'x'; 64 * 1024], Duration::from_millis(200))?;
        assert!(written > 0);
        conn.peer_left(SHORT);
        Ok(())
    });
    let mut client = Client::tcp(upstream.address());
    client.send("GET", "/", "", b"").unwrap();
    client.answer_head().unwrap();
    wait::until("the request is recorded", || upstream.requests().len() == 1);
    client.reset().unwrap();
}

#[test]
fn bad_certificates_are_refused_and_client_certificates_asked_for() {
    let authority = Authority::new();
    let expired = authority.expired_server(&LOOPBACK_NAMES);
    let upstream = Upstream::with(authority).identity(expired).tls(|_| Ok(()));
    let refusal = connected(&upstream).err().unwrap().to_string();
    assert!(refusal.contains("expired"), "{refusal}");

    let authority = Authority::new();
    let elsewhere = authority.server(&["elsewhere.test"]);
    let upstream = Upstream::with(authority)
        .identity(elsewhere)
        .tls(|_| Ok(()));
    let refusal = connected(&upstream).err().unwrap().to_string();
    assert!(refusal.contains("not valid for name"), "{refusal}");

    let authority = Authority::new();
    let own = authority.self_signed_server(&LOOPBACK_NAMES);
    let upstream = Upstream::with(authority).identity(own).tls(|_| Ok(()));
    assert!(connected(&upstream).is_err());

    let upstream = Upstream::with(Authority::new())
        .client_certificate_needed()
        .tls(|_| Ok(()));
    let mut client = connected(&upstream).expect("TLS 1.3 refuses after the client's Finished");
    assert!(client.read_exactly(1).is_err());
    assert_eq!(upstream.handshakes(), 0);
}

#[test]
fn a_silent_upstream_accepts_and_says_nothing() {
    let upstream = Upstream::silent();
    let mut client = Client::tcp(upstream.address());
    client.deadline = Duration::from_millis(100);
    let error = client.read_exactly(1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!((upstream.connections(), upstream.handshakes()), (1, 0));
}

#[test]
#[should_panic(expected = "a script of the upstream panicked: the promise is broken")]
fn a_script_that_panics_fails_its_test() {
    let upstream = Upstream::plain(|_| panic!("the promise is broken"));
    let mut client = Client::tcp(upstream.address());
    client.peer_left(SHORT);
}

#[test]
fn a_daemon_is_read_signalled_and_waited_for() {
    // A shell stands in for the daemon; tests of the daemon are elsewhere.
    let script = r#"
        trap 'echo "{\"event\":\"reloaded\"}" >&2' HUP
        trap 'echo bye; exit 7' TERM
        echo '{"event":"ready","listeners":"127.0.0.1:9 unix:/nowhere"}' >&2
        echo 'no JSON' >&2
        while :; do sleep 0.01; done"#;
    let mut daemon = Daemon::builder().binary("sh").arg("-c").arg(script).start();
    assert_eq!(daemon.address().port(), 9);
    assert_eq!(daemon.unix_path().to_str(), Some("/nowhere"));
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    let process = daemon.process();
    assert!(process.rss() > 0 && process.peak_rss() >= process.rss());
    assert!(process.descriptors() >= 3 && process.threads() == 1);
    let _ = process.cpu_time();
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(7));
    assert!(daemon.stderr().contains("no JSON"));
    assert_eq!(daemon.stdout(), "bye\n");
}

#[test]
fn a_daemon_leaves_neither_process_nor_directory_behind() {
    let upstream = Upstream::silent();
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .binary("sh")
        .config("-c")
        .spawn();
    let (pid, directory) = (daemon.pid(), daemon.directory().to_owned());
    assert!(directory.join("credentials/test").exists());
    drop(daemon);
    assert!(!directory.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn the_loopback_upstream_speaks_openai() {
    let upstream = Loopback::start(Duration::from_millis(1));
    let root = upstream.authority().root();
    let mut client = Client::tls(upstream.address(), "localhost", root).unwrap();
    let mut ask = |path: &str, json: &str| {
        let fields = format!(
            "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n",
            Loopback::KEY
        );
        client.send("POST", path, &fields, json.as_bytes()).unwrap();
        client.answer()
    };

    let chat = ask("/v1/chat/completions", r#"{"model":"gpt-5","messages":[]}"#);
    assert_eq!(chat.status(), 200);
    let usage = &chat.body.json()["usage"];
    assert_eq!(usage["completion_tokens"], 8);

    let stream = ask(
        "/v1/chat/completions",
        r#"{"model":"gpt-5","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#,
    );
    assert_eq!(stream.body.chunks.len(), 12);
    assert!(stream.body.text().ends_with("data: [DONE]\n\n"));

    let stream = ask("/v1/responses", r#"{"model":"gpt-5","stream":true}"#);
    let text = stream.body.text();
    assert!(text.starts_with("event: response.created\n"));
    assert!(text.contains("event: response.completed\n"));

    let limited = ask("/v1/embeddings", r#"{"model":"error-429"}"#);
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.head.field("retry-after"), Some("1"));

    let seen = client.get("/v1/__seen").body.json();
    assert_eq!(seen["last"]["target"], "/v1/embeddings");
    assert_eq!(client.get("/v1/models").status(), 401);
}
