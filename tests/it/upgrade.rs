//! A WebSocket (the Realtime API): after the handshake, bytes both ways, unread.

use std::io;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::{self, DEADLINE};
use crate::support::wire::Departure;

const FIELDS: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
     Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A frame with every kind of byte in it.
fn frame() -> Vec<u8> {
    (0..=255).collect()
}

fn ask(client: &mut Client, fields: &str) {
    let path = "/v1/realtime?model=gpt-realtime";
    client
        .send("GET", path, &format!("{FIELDS}{fields}"), b"")
        .unwrap();
}

#[track_caller]
fn switched(client: &mut Client) {
    let (_, head) = client.answer_head().unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(head.field("upgrade"), Some("websocket"));
    let connection = head.field("connection").unwrap_or_default();
    assert!(connection.eq_ignore_ascii_case("upgrade"), "{connection}");
    assert!(head.has("sec-websocket-accept"));
}

/// Switches protocols, then returns every byte.
fn echo(conn: &mut Conn) -> io::Result<()> {
    conn.read_head()?;
    conn.write(SWITCHING)?;
    loop {
        let byte = conn.read_exactly(1)?;
        conn.write(byte)?;
    }
}

#[test]
fn frames_pass_in_both_directions() {
    let upstream = Upstream::tls(echo);
    let daemon = Daemon::before(&upstream);
    for mut client in [daemon.client(), daemon.unix_client()] {
        ask(&mut client, "");
        switched(&mut client);
        for _ in 0..3 {
            client.write(frame()).unwrap();
            assert_eq!(client.read_exactly(256).unwrap(), frame());
        }
    }
    let head = upstream.requests().remove(0).head;
    assert_eq!(head.target(), "/v1/realtime?model=gpt-realtime");
    assert_eq!(head.field("upgrade"), Some("websocket"));
    assert!(
        head.field("connection")
            .unwrap()
            .eq_ignore_ascii_case("upgrade")
    );
    assert_eq!(
        head.field("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert_eq!(head.field("sec-websocket-version"), Some("13"));
    for event in daemon.wait_request_events(2) {
        assert_eq!(event["status"], 101);
        assert_eq!(
            (&event["bytes_in"], &event["bytes_out"]),
            (&768.into(), &768.into())
        );
        assert_eq!(event["error_code"], serde_json::Value::Null);
    }
}

#[test]
fn bytes_right_behind_the_101_and_right_behind_the_request_are_not_lost() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        conn.write([SWITCHING.as_bytes(), b"early from the upstream"].concat())?;
        assert_eq!(conn.read_exactly(21)?, b"early from the client");
        conn.write("got it")?;
        conn.peer_left(DEADLINE);
        Ok(())
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    let request =
        format!("GET /v1/realtime HTTP/1.1\r\nHost: x\r\n{FIELDS}\r\nearly from the client");
    client.write(request).unwrap();
    switched(&mut client);
    assert_eq!(
        client.read_exactly(29).unwrap(),
        b"early from the upstreamgot it"
    );
}

#[test]
fn a_refused_upgrade_passes_with_its_body() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, _| conn.answer_json(403, r#"{"error":"no realtime for you"}"#))
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(&mut client, "");
    let answer = client.answer();
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.body.text(), r#"{"error":"no realtime for you"}"#);
    assert!(!answer.head.has("upgrade"));
    // And the connection goes on with HTTP.
    assert_eq!(client.get("/v1/models").status(), 403);
}

#[test]
fn an_upgrade_that_gets_no_answer_is_a_502() {
    let upstream = Upstream::tls(|conn| conn.read_head().map(drop));
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(&mut client, "");
    let verdict = (502, "upstream_protocol_error", "http_response_incomplete");
    crate::refusal::assert_refused(&daemon, &client.answer(), verdict);
}

#[test]
fn a_client_that_closes_closes_the_upstream() {
    let upstream = Upstream::tls(echo);
    let daemon = Daemon::before(&upstream);
    let leave: [fn(&mut Client); 2] = [|client| client.close(), |client| client.reset().unwrap()];
    for leave in leave {
        let mut client = daemon.client();
        ask(&mut client, "");
        switched(&mut client);
        client.write("x").unwrap();
        assert_eq!(client.read_exactly(1).unwrap(), b"x");
        leave(&mut client);
        let closed =
            wait::holds_within(Duration::from_secs(1), || upstream.open_connections() == 0);
        assert!(closed);
    }
    daemon.wait_request_events(2);
}

#[test]
fn an_upstream_that_closes_closes_the_client_after_the_last_byte() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        conn.write(SWITCHING)?;
        conn.write("goodbye")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(&mut client, "");
    switched(&mut client);
    assert_eq!(client.read_exactly(7).unwrap(), b"goodbye");
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
    client.close();
    assert_eq!(daemon.wait_request_event()["bytes_out"], 7);
}

#[test]
fn one_direction_may_end_before_the_other() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        conn.write(SWITCHING)?;
        assert_eq!(conn.read_to_end()?, b"question");
        conn.write("answer")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(&mut client, "");
    switched(&mut client);
    client.write("question").unwrap();
    client.fin().unwrap();
    assert_eq!(client.read_to_end().unwrap(), b"answer");
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed_after_idle_timeout() {
    let upstream = Upstream::tls(echo);
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("idle_timeout = \"200ms\"")
        .start();
    let mut client = daemon.client();
    ask(&mut client, "");
    switched(&mut client);
    assert!(client.peer_left(DEADLINE).is_some());
    wait::until("the upstream's side is closed", || {
        upstream.open_connections() == 0
    });
}

#[test]
fn a_key_among_the_subprotocols_lets_a_client_in_and_stays_here() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        let switching =
            SWITCHING.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: realtime\r\n\r\n");
        conn.write(switching)
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .credential("app", "sk-client")
        .more_config("\n[client.app]\nkey = \"app\"\n")
        .start();
    let mut client = daemon.client();
    ask(
        &mut client,
        "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-client, openai-beta.realtime-v1\r\n",
    );
    let (_, head) = client.answer_head().unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(head.field("sec-websocket-protocol"), Some("realtime"));
    let request = upstream.requests().remove(0);
    let protocols = request.head.field("sec-websocket-protocol");
    assert_eq!(protocols, Some("realtime, openai-beta.realtime-v1"));
    assert!(!String::from_utf8_lossy(&request.head.raw).contains("sk-client"));
    assert!(!daemon.stderr().contains("sk-client"));

    let mut stranger = daemon.client();
    ask(
        &mut stranger,
        "Sec-WebSocket-Protocol: openai-insecure-api-key.sk-wrong\r\n",
    );
    assert_eq!(stranger.answer().status(), 401);
}

#[test]
fn no_protocol_but_a_websocket_is_switched_to() {
    let upstream = Upstream::tls(|conn| conn.serve(|conn, _| conn.answer_json(200, "{}")));
    let daemon = Daemon::before(&upstream);
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    let mut client = daemon.client();
    client.send("GET", "/v1/models", h2c, b"").unwrap();
    assert_eq!(client.answer().status(), 200);
    client.send("POST", "/v1/files", FIELDS, b"x").unwrap();
    assert_eq!(client.answer().status(), 200);
    for request in upstream.requests() {
        for field in ["upgrade", "connection", "http2-settings"] {
            assert!(!request.head.has(field), "{field}");
        }
    }
}
