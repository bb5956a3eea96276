//! Answers on their way down: with and without bodies, to old and new clients.

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::DEADLINE;
use crate::support::wire::Departure;

/// Answers each request with the same bytes.
fn answering(bytes: &'static [u8]) -> Upstream {
    Upstream::tls(move |conn: &mut Conn| conn.serve(|conn, _| conn.write(bytes)))
}

fn ask(client: &mut Client, request: &str) {
    client.write(format!("{request}\r\n\r\n")).unwrap();
}

#[test]
fn an_answer_to_head_has_its_length_and_no_body() {
    let upstream =
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: a/b\r\n\r\n");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    // Twice: the connection stays in step.
    for _ in 0..2 {
        ask(&mut client, "HEAD /v1/files/f HTTP/1.1\r\nHost: u");
        let answer = client.answer_to_head();
        assert_eq!(answer.head.values("content-length"), ["1234"]);
        assert_eq!(answer.head.field("content-type"), Some("a/b"));
        assert!(client.early().is_empty());
    }
}

#[test]
fn a_204_has_neither_body_nor_length() {
    let upstream = answering(b"HTTP/1.1 204 No Content\r\nX-Mark: 1\r\n\r\n");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for _ in 0..2 {
        let answer = client.get("/v1/x");
        assert_eq!(
            (answer.status(), answer.head.field("x-mark")),
            (204, Some("1"))
        );
        assert!(!answer.head.has("content-length") && !answer.head.has("transfer-encoding"));
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_answer_with_length_and_chunks_has_only_its_chunks() {
    let upstream = answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
          6\r\nabcdef\r\n0\r\n\r\n",
    );
    let daemon = Daemon::before(&upstream);
    let answer = daemon.client().get("/v1/x");
    assert!(!answer.head.has("content-length"), "{:?}", answer.head);
    assert_eq!(answer.body.data(), b"abcdef");
}

#[test]
fn a_304_keeps_its_validators() {
    let upstream =
        answering(b"HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 1234\r\n\r\n");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for _ in 0..2 {
        let answer = client.get("/v1/x");
        assert_eq!(
            (answer.status(), answer.head.field("etag")),
            (304, Some("\"e\""))
        );
        // The length is of the 200 that it stands for; it may be left out (RFC 9110, 15.4.5).
        assert!(
            answer
                .head
                .field("content-length")
                .is_none_or(|length| length == "1234")
        );
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_empty_answer_has_the_length_0() {
    let upstream = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let daemon = Daemon::before(&upstream);
    let answer = daemon.client().get("/v1/x");
    assert_eq!(answer.head.values("content-length"), ["0"]);
}

#[test]
fn a_compressed_answer_is_not_touched() {
    let upstream = answering(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: application/json\r\n\
          Content-Length: 6\r\nVary: accept-encoding\r\n\r\n\x1f\x8b\x08\x00\xff\x0a",
    );
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(
        &mut client,
        "GET /v1/models HTTP/1.1\r\nHost: u\r\nAccept-Encoding: gzip, br",
    );
    let answer = client.answer();
    assert_eq!(answer.body.raw, b"\x1f\x8b\x08\x00\xff\x0a");
    assert_eq!(answer.head.field("content-encoding"), Some("gzip"));
    let head = upstream.wait_requests(1).remove(0).head;
    assert_eq!(head.values("accept-encoding"), ["gzip, br"]);
}

#[test]
fn nobody_asks_for_compression_in_the_clients_place() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    daemon.client().get("/v1/models");
    let head = upstream.wait_requests(1).remove(0).head;
    assert!(!head.has("accept-encoding"));
}

#[test]
fn trailers_pass_down_to_a_client_that_reads_them() {
    let upstream = answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
          3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for (te, trailers) in [("TE: trailers", 1), ("TE: gzip, trailers", 1), ("X: x", 0)] {
        ask(
            &mut client,
            &format!("GET /v1/x HTTP/1.1\r\nHost: u\r\n{te}"),
        );
        let answer = client.answer();
        assert_eq!(answer.body.data(), b"abc");
        assert!(answer.body.is_complete());
        assert_eq!(answer.body.trailers.len(), trailers, "{te}");
        let asked = upstream.requests().pop().unwrap().head;
        let asks = (trailers == 1).then_some("trailers");
        assert_eq!(asked.field("te"), asks, "{te}");
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_whole() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.write("HTTP/1.1 200 OK\r\n\r\nabc")?;
        conn.write("def")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for _ in 0..2 {
        let answer = client.get("/v1/x");
        assert_eq!(answer.body.data(), b"abcdef");
        assert!(answer.body.is_complete());
        assert_eq!(answer.head.field("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn an_http_1_0_client_gets_an_answer_that_ends_with_its_connection() {
    let upstream = answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    );
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    // It asks to keep the connection, which cannot be done without a length.
    ask(&mut client, "GET /v1/x HTTP/1.0\r\nConnection: keep-alive");
    let answer = client.answer();
    assert!(!answer.head.has("transfer-encoding"));
    assert_eq!(answer.body.raw, b"abcdef");
    assert!(answer.body.is_complete());
    assert_eq!(upstream.requests()[0].head.start_line, "GET /v1/x HTTP/1.1");
}

#[test]
fn an_http_1_0_client_never_takes_a_cut_answer_for_a_whole_one() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.start_chunked("text/plain")?;
        conn.write_chunk("abc")?;
        conn.reset()
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(&mut client, "GET /v1/x HTTP/1.0");
    client.answer_head().unwrap();
    assert!(!client.rest().is_complete());
    let event = daemon.wait_event("streaming_error");
    assert_eq!(event["truncated"], true);
}

#[test]
fn an_http_1_0_client_keeps_its_connection_if_it_asks() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for _ in 0..2 {
        ask(&mut client, "GET /v1/x HTTP/1.0\r\nConnection: Keep-Alive");
        let answer = client.answer();
        assert_eq!(answer.body.data(), b"{}");
        assert_eq!(answer.head.field("connection"), Some("keep-alive"));
    }
    ask(&mut client, "GET /v1/x HTTP/1.0");
    assert_eq!(client.answer().body.data(), b"{}");
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
}

#[test]
fn a_client_that_says_close_is_closed() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    ask(
        &mut client,
        "GET /v1/x HTTP/1.1\r\nHost: u\r\nConnection: close",
    );
    let answer = client.answer();
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(client.peer_left(DEADLINE), Some(Departure::Fin));
    assert!(!upstream.wait_requests(1)[0].head.has("connection"));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| conn.answer(200, "", request.head.target()))
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    let get = |n: u8| format!("GET /v1/{n} HTTP/1.1\r\nHost: u\r\n\r\n");
    let post = "POST /v1/embeddings HTTP/1.1\r\nHost: u\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\n\r\n{}";
    client
        .write(format!("{}{}{post}{}", get(1), get(2), get(3)))
        .unwrap();
    for target in ["/v1/1", "/v1/2", "/v1/embeddings", "/v1/3"] {
        assert_eq!(client.answer().body.text(), target);
    }
    let events = daemon.wait_events("request_completed", 4);
    let paths: Vec<_> = events
        .iter()
        .filter_map(|event| event["path"].as_str())
        .collect();
    assert_eq!(paths, ["/v1/1", "/v1/2", "/v1/embeddings", "/v1/3"]);
}
