//! Bytes behind the end of an answer are nobody's answer.

use std::io;
use std::time::Duration;

use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::{self, DEADLINE, Gate};

const FORGED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

/// Every answer in each framing, followed by a forged one in the same write.
#[test]
fn bytes_behind_an_answer_throw_the_connection_away() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n",
    ];
    for answer in answers {
        for surplus in [FORGED, "\r\n", "x"] {
            let upstream = Upstream::tls(move |conn| {
                conn.serve(|conn, _| conn.write(format!("{answer}{surplus}")))
            });
            let daemon = alone(&upstream);
            let mut client = daemon.client();
            for number in 1..=3 {
                let answer = client.get("/v1/models");
                assert_eq!(answer.body.data(), b"true");
                assert!(answer.body.is_complete());
                assert_eq!(upstream.connections(), number, "{surplus:?}");
            }
        }
    }
}

#[test]
fn bytes_behind_an_answer_without_a_body_throw_the_connection_away() {
    for status in [204, 304] {
        let upstream = Upstream::tls(move |conn| {
            conn.serve(|conn, _| conn.write(format!("HTTP/1.1 {status} X\r\n\r\n{FORGED}")))
        });
        let daemon = alone(&upstream);
        let mut client = daemon.client();
        for number in 1..=2 {
            assert_eq!(client.get("/v1/models").status(), status);
            assert_eq!(upstream.connections(), number);
        }
    }
}

#[test]
fn bytes_that_come_while_a_connection_is_idle_are_not_the_next_answer() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::tls(move |conn: &mut Conn| {
        conn.read_request()?;
        conn.answer_json(200, "true")?;
        script.pass();
        // Whether it is still listening or has closed already.
        let _ = conn.write(FORGED);
        left(conn)
    });
    let daemon = alone(&upstream);
    let mut client = daemon.client();
    assert_eq!(client.get("/v1/models").body.data(), b"true");
    gate.open();
    wait::until("the surplus has closed the connection", || {
        upstream.open_connections() == 0
    });
    assert_eq!(client.get("/v1/models").body.data(), b"true");
    assert_eq!(upstream.connections(), 2);
}

fn left(conn: &mut Conn) -> io::Result<()> {
    assert!(conn.peer_left(DEADLINE).is_some());
    Ok(())
}

/// A daemon with one worker, so one pool.
fn alone(upstream: &Upstream) -> Daemon {
    Daemon::builder()
        .upstream(upstream)
        .server_settings("workers = 1")
        .start()
}

/// How long a connection may stay open that the daemon has no use for.
#[test]
fn an_answer_longer_than_its_length_is_cut_to_it() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, _| {
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue and more")?;
            assert!(conn.peer_left(Duration::from_secs(5)).is_some());
            Ok(())
        })
    });
    let daemon = alone(&upstream);
    let answer = daemon.client().get("/v1/models");
    assert_eq!(answer.body.data(), b"true");
    assert!(answer.body.is_complete());
}
