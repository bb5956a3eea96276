//! An upstream that leaves in the middle.

use super::{Act, INCOMPLETE, assert_cut, assert_error_event, stream};
use crate::refusal::assert_refused;
use crate::support::daemon::Daemon;
use crate::support::message::{End, Framing};
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::DEADLINE;
use crate::support::wire::Departure;

const CODE: &str = "upstream_protocol_error";

/// Every way to leave, with TLS's goodbye and without.
const WAYS: [Act; 5] = [
    |conn| conn.reset(),
    fin,
    |conn| {
        conn.close();
        Ok(())
    },
    |conn| {
        conn.close_notify()?;
        conn.peer_left(DEADLINE);
        Ok(())
    },
    |conn| {
        conn.close_notify()?;
        fin(conn)
    },
];

fn fin(conn: &mut Conn) -> std::io::Result<()> {
    conn.fin()?;
    conn.peer_left(DEADLINE);
    Ok(())
}

/// Writes `answer` and then leaves in this way.
fn leaving(answer: &'static str, way: Act) -> Upstream {
    Upstream::tls(move |conn| {
        conn.read_request()?;
        conn.write(answer)?;
        way(conn)
    })
}

#[test]
fn an_upstream_that_leaves_before_an_answer_is_a_502() {
    for way in WAYS {
        for begun in ["", "HTTP/1.1 200 OK\r\nContent-Type: text/ev"] {
            let upstream = leaving(begun, way);
            let daemon = Daemon::before(&upstream);
            let event = assert_refused(&daemon, &stream(&daemon), INCOMPLETE);
            assert_eq!(event["attempts"], 1, "a new connection is no stale one");
            assert_eq!(upstream.connections(), 1);
        }
    }
}

#[test]
fn a_stream_cut_between_events_ends_with_an_error_event_and_an_abort() {
    for way in WAYS {
        let upstream = leaving(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
            way,
        );
        let daemon = Daemon::before(&upstream);
        let answer = stream(&daemon);
        assert_cut(&daemon, &answer, CODE);
        assert_error_event(&answer, "data: 1\n\n", CODE);
    }
}

#[test]
fn a_stream_cut_before_its_first_event_ends_with_an_error_event_and_an_abort() {
    let upstream = leaving(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        |conn| conn.reset(),
    );
    let daemon = Daemon::before(&upstream);
    let answer = stream(&daemon);
    assert_cut(&daemon, &answer, CODE);
    assert_error_event(&answer, "", CODE);
}

#[test]
fn a_stream_cut_within_an_event_or_a_chunk_is_aborted_without_a_word() {
    let cuts = [
        ("10\r\ndata: 1\n\ndata: {\r\n", "data: 1\n\ndata: {"),
        ("a\r\ndata: 1\n\n", "data: 1\n\n"),
        ("9\r\ndata: 1\n\n", "data: 1\n\n"),
    ];
    for way in WAYS {
        for (chunks, passed) in cuts {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunks}"
            );
            let upstream = leaving(answer.leak(), way);
            let daemon = Daemon::before(&upstream);
            let answer = stream(&daemon);
            assert_cut(&daemon, &answer, CODE);
            // A cut chunk can end at an event's end; then the error may be told.
            assert!(answer.body.text().starts_with(passed));
            if passed.ends_with('{') {
                assert_eq!(answer.body.text(), passed);
            }
        }
    }
}

#[test]
fn an_answer_shorter_than_its_length_never_ends_cleanly() {
    for way in WAYS {
        for kind in ["application/json", "text/event-stream"] {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 20\r\n\r\ndata: 1\n\n"
            );
            let upstream = leaving(answer.leak(), way);
            let daemon = Daemon::before(&upstream);
            let answer = stream(&daemon);
            assert_cut(&daemon, &answer, CODE);
            assert_eq!(answer.body.text(), "data: 1\n\n", "no byte of ours in it");
        }
    }
}

#[test]
fn a_cut_answer_without_a_length_resets_an_http_1_0_client() {
    for way in WAYS {
        let upstream = leaving(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            way,
        );
        let daemon = Daemon::before(&upstream);
        let mut client = daemon.client();
        client
            .write("GET /v1/files/x/content HTTP/1.0\r\n\r\n")
            .unwrap();
        let (_, head) = client.answer_head().unwrap();
        assert_eq!(head.answer_framing(), Framing::UntilClose);
        let body = client.rest();
        assert!(matches!(body.end, End::Cut(_)), "{:?}", body.end);
        let event = daemon.wait_request_event();
        assert_eq!(event["truncated"], true);
    }
}

#[test]
fn a_whole_answer_without_a_length_ends_cleanly_for_an_http_1_0_client() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.start_chunked("text/plain")?;
        conn.write_chunk("abc")?;
        conn.write_last_chunk("")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client
        .write("GET /v1/files/x/content HTTP/1.0\r\n\r\n")
        .unwrap();
    let answer = client.answer();
    assert_eq!(answer.body.data(), b"abc");
    assert!(answer.body.is_complete(), "{:?}", answer.body.end);
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
    assert_eq!(daemon.wait_request_event()["event"], "request_completed");
}

#[test]
fn an_answer_that_ends_with_the_connection_is_whole_only_if_tls_says_goodbye() {
    let text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nabc";
    let goodbye: [Act; 2] = [WAYS[3], WAYS[4]];
    for way in goodbye {
        let upstream = leaving(text, way);
        let daemon = Daemon::before(&upstream);
        let answer = stream(&daemon);
        assert_eq!(answer.body.text(), "abc");
        assert!(answer.body.is_complete(), "{:?}", answer.body.end);
        assert_eq!(daemon.wait_request_event()["event"], "request_completed");
    }
    // Without it, anybody on the way could have cut it (RFC 8446, 6.1).
    for way in [WAYS[0], WAYS[1]] {
        let upstream = leaving(text, way);
        let daemon = Daemon::before(&upstream);
        assert_cut(&daemon, &stream(&daemon), CODE);
    }
}
