//! Which connections serve again, and which are dead without having said so.

use std::io;

use super::Act;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::{self, DEADLINE};

/// A daemon with one worker, so one pool.
fn alone(upstream: &Upstream) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .server_settings("workers = 1")
        .start()
}

#[test]
fn a_connection_serves_again_whatever_ended_the_answer_before() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| match request.head.target() {
            "/v1/length" => conn.answer_json(200, "{}"),
            "/v1/empty" => conn.answer(200, "", ""),
            "/v1/chunked" => {
                conn.start_chunked("application/json")?;
                conn.write_chunk("{}")?;
                conn.write_last_chunk("")
            }
            "/v1/late-end" => {
                conn.start_chunked("application/json")?;
                conn.write_chunk("{}")?;
                conn.write("0\r\n")?;
                conn.write("\r\n")
            }
            "/v1/trailers" => {
                conn.start_chunked("application/json")?;
                conn.write_last_chunk("X-Sum: 1\r\n")
            }
            "/v1/head" => conn.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            "/v1/204" => conn.write("HTTP/1.1 204 No Content\r\n\r\n"),
            "/v1/304" => conn.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
            "/v1/error" => conn.answer_json(429, "{}"),
            other => panic!("{other}"),
        })
    });
    let daemon = alone(&upstream);
    let mut client = daemon.client();
    for round in 0..2 {
        for path in [
            "length", "empty", "chunked", "late-end", "trailers", "204", "304", "error",
        ] {
            let answer = client.get(&format!("/v1/{path}"));
            assert!(answer.body.is_complete(), "{path}: {:?}", answer.body.end);
            assert_eq!(upstream.connections(), 1, "after {path}, round {round}");
        }
        client.send("HEAD", "/v1/head", "", b"").unwrap();
        let answer = client.answer_to_head();
        assert_eq!(answer.head.field("content-length"), Some("1000"));
    }
    assert_eq!(upstream.connections(), 1);
    let events = daemon.wait_request_events(18);
    assert!(events[0]["upstream_connect_s"].is_f64());
    assert!(events[1]["upstream_connect_s"].is_null());
}

#[test]
fn an_upstream_that_says_close_is_not_asked_again() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.answer(200, "Connection: close\r\n", "{}")?;
        assert!(conn.peer_left(DEADLINE).is_some());
        Ok(())
    });
    let daemon = alone(&upstream);
    let mut client = daemon.client();
    for number in 1..=3 {
        let answer = client.get("/v1/models");
        assert_eq!(answer.status(), 200);
        assert!(
            !answer.head.has("connection"),
            "it is between the two of them"
        );
        assert_eq!(upstream.connections(), number);
    }
    assert!(
        daemon
            .wait_request_events(3)
            .iter()
            .all(|event| event["attempts"] == 1)
    );
}

#[test]
fn an_idle_connection_that_was_closed_in_any_way_is_not_used() {
    let ways: [Act; 4] = [
        |conn| conn.fin(),
        |conn| conn.close_notify(),
        |conn| conn.reset(),
        |conn| {
            conn.close();
            Ok(())
        },
    ];
    for way in ways {
        let upstream = Upstream::tls(move |conn: &mut Conn| -> io::Result<()> {
            conn.read_request()?;
            conn.answer_json(200, "{}")?;
            way(conn)?;
            conn.peer_left(DEADLINE);
            Ok(())
        });
        let daemon = alone(&upstream);
        let mut client = daemon.client();
        for number in 1..=3 {
            assert_eq!(client.get("/v1/models").status(), 200);
            assert_eq!(upstream.connections(), number);
            // The daemon closes its side too, asked again or not.
            wait::until("both sides are closed", || upstream.open_connections() == 0);
        }
        let requests = upstream.requests();
        assert_eq!(requests.len(), 3, "none was sent twice");
    }
}
