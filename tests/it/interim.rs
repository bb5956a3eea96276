//! Interim answers: `Expect: 100-continue`, and what an upstream says early.

use std::time::Duration;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::Gate;

/// Lets only clients in that present the key `client-key`.
fn guarded(upstream: &Upstream) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .more_config("\n[client.app]\nkey = \"client.app\"\n")
        .credential("client.app", "client-key")
        .start()
}

/// Sends a head that waits for 100.
fn expecting(client: &mut Client, path: &str, fields: &str, length: usize) {
    client
        .write(format!(
            "POST {path} HTTP/1.1\r\nHost: u\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n{fields}\r\n"
        ))
        .unwrap();
}

#[test]
fn a_body_is_asked_for_once_its_client_is_let_in() {
    let upstream = Upstream::answering("{}");
    let daemon = guarded(&upstream);
    let mut client = daemon.client();
    let json = "Content-Type: application/json\r\n";
    for (path, kind) in [("/v1/chat/completions", json), ("/v1/files", "")] {
        let fields = format!("Authorization: Bearer client-key\r\n{kind}");
        expecting(&mut client, path, &fields, 2);
        let head = client.read_answer_head().unwrap();
        assert_eq!(head.start_line, "HTTP/1.1 100 Continue");
        client.write("{}").unwrap();
        let answer = client.answer();
        assert_eq!((answer.status(), answer.interim.len()), (200, 0));
        let request = upstream.requests().pop().unwrap();
        assert!(!request.head.has("expect"));
        assert_eq!(request.body.raw, b"{}");
    }
}

#[test]
fn a_client_that_is_not_let_in_is_not_asked_for_its_body() {
    let upstream = Upstream::answering("{}");
    let daemon = guarded(&upstream);
    let mut client = daemon.client();
    expecting(&mut client, "/v1/files", "", 1_000_000);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.interim.len()), (401, 0));
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_body_that_is_too_large_is_not_asked_for() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    let json = "Content-Type: application/json\r\n";
    expecting(&mut client, "/v1/chat/completions", json, 100_000_000);
    let answer = client.answer();
    assert_eq!((answer.status(), answer.interim.len()), (413, 0));
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_client_that_does_not_wait_for_100_is_served() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    let fields = "Expect: 100-continue\r\n";
    client.send("POST", "/v1/files", fields, b"abc").unwrap();
    assert_eq!(client.answer().status(), 200);
    assert_eq!(upstream.wait_requests(1)[0].body.raw, b"abc");
}

#[test]
fn early_hints_reach_the_client_before_the_answer() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::tls(move |conn| {
        conn.serve(|conn, _| {
            conn.write(
                "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\nSet-Cookie: c\r\n\r\n",
            )?;
            script.pass();
            conn.write("HTTP/1.1 102 Processing\r\n\r\n")?;
            conn.answer_json(200, "{}")
        })
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    // Twice: the connection stays in step.
    for _ in 0..2 {
        client.send("GET", "/v1/x", "", b"").unwrap();
        let hints = client.read_answer_head().unwrap();
        assert_eq!(hints.start_line, "HTTP/1.1 103 Early Hints");
        assert_eq!(hints.values("link"), ["</a>", "</b>"]);
        assert!(!hints.has("set-cookie"));
        gate.let_one_through();
        let answer = client.answer();
        let interim: Vec<u16> = answer.interim.iter().map(|head| head.status()).collect();
        assert_eq!((interim, answer.status()), (vec![102], 200));
        assert_eq!(answer.body.data(), b"{}");
    }
}

#[test]
fn early_hints_do_not_reach_an_http_1_0_client() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")?;
        conn.answer_json(200, "{}")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client.write("GET /v1/x HTTP/1.0\r\n\r\n").unwrap();
    let answer = client.answer();
    assert_eq!((answer.status(), answer.interim.len()), (200, 0));
}

#[test]
fn an_upstreams_own_100_stays_here() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        conn.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        conn.read_body();
        conn.answer_json(200, "{}")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client.send("POST", "/v1/files", "", b"abc").unwrap();
    let answer = client.answer();
    assert_eq!((answer.status(), answer.interim.len()), (200, 0));
}

#[test]
fn an_answer_may_come_before_the_body_has_ended() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        conn.answer(429, "Retry-After: 7\r\n", "slow down")?;
        conn.peer_left(Duration::from_secs(10));
        Ok(())
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client
        .write("POST /v1/files HTTP/1.1\r\nHost: u\r\nContent-Length: 1000\r\n\r\nabc")
        .unwrap();
    let answer = client.answer();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.head.field("retry-after"), Some("7"));
    assert_eq!(answer.body.text(), "slow down");
}
