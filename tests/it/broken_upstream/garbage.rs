//! An upstream that speaks no HTTP, or speaks it badly.

use super::{PROTOCOL, assert_cut, stream};
use crate::refusal::{Verdict, assert_refused};
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::DEADLINE;

/// Answers `bytes` and waits.
fn saying(bytes: impl Into<String>) -> Upstream {
    let bytes = bytes.into();
    Upstream::tls(move |conn| {
        conn.read_request()?;
        conn.write(&bytes)?;
        conn.peer_left(DEADLINE);
        Ok(())
    })
}

#[test]
fn an_answer_that_is_no_http_is_a_502() {
    let garbage = [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
        "<html>\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ];
    for bytes in garbage {
        let upstream = saying(bytes);
        let daemon = Daemon::before(&upstream);
        let answer = stream(&daemon);
        assert!(answer.status() == 502, "{bytes:?}: {:?}", answer.head);
        assert_refused(&daemon, &answer, PROTOCOL);
    }
}

#[test]
fn a_folded_field_of_an_answer_never_reaches_the_client_folded() {
    let upstream = saying("HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok");
    let daemon = Daemon::before(&upstream);
    let answer = stream(&daemon);
    assert_refused(&daemon, &answer, PROTOCOL);
}

#[test]
fn a_head_over_the_limit_is_a_502_and_one_of_64_kib_passes() {
    let field = |length: usize| format!("X-Long: {}\r\n", "x".repeat(length));
    let upstream =
        Upstream::tls(move |conn| conn.serve(|conn, _| conn.answer(200, &field(64 * 1024), "{}")));
    let daemon = Daemon::before(&upstream);
    let answer = stream(&daemon);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("x-long").map(str::len), Some(64 * 1024));

    let upstream = saying(format!("HTTP/1.1 200 OK\r\n{}\r\n", field(256 * 1024)));
    let daemon = Daemon::before(&upstream);
    let verdict: Verdict = (
        502,
        "upstream_protocol_error",
        "http_response_header_section_size",
    );
    assert_refused(&daemon, &stream(&daemon), verdict);
}

#[test]
fn chunks_that_are_none_cut_the_answer() {
    for chunks in [
        "x\r\n",
        "9\r\ndata: 1\n\nXX5\r\n",
        "ffffffffffffffff1\r\n",
        "-1\r\n",
    ] {
        let upstream = saying(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
             Transfer-Encoding: chunked\r\n\r\n{chunks}"
        ));
        let daemon = Daemon::before(&upstream);
        assert_cut(&daemon, &stream(&daemon), "upstream_protocol_error");
    }
}
