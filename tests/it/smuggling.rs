//! Requests that two servers could read differently: each is refused, or
//! reaches the upstream as exactly one well-framed request.

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::message::End;
use crate::support::upstream::Upstream;
use crate::support::wait::DEADLINE;

/// Rides behind each request, for a daemon that ends it too early.
const RIDER: &str = "GET /v1/smuggled HTTP/1.1\r\nHost: u\r\n\r\n";

/// A daemon before an upstream that answers with the target it was asked for.
struct Edge {
    upstream: Upstream,
    daemon: Daemon,
}

impl Edge {
    fn start() -> Edge {
        let upstream = Upstream::tls(|conn| {
            conn.serve(|conn, request| conn.answer(200, "", request.head.target()))
        });
        let daemon = Daemon::before(&upstream);
        Edge { upstream, daemon }
    }

    fn send(&self, bytes: &[u8]) -> Client {
        let mut client = self.daemon.client();
        client.write(bytes).unwrap();
        client
    }

    /// `request` is refused in OpenAI's shape, recorded, and the connection
    /// ends with it; no whole request reaches the upstream.
    #[track_caller]
    fn refuses(&self, request: &[u8], statuses: &[u16]) {
        let shown = String::from_utf8_lossy(request).into_owned();
        let (requests, events) = (self.upstream.requests().len(), self.failures());
        let mut client = self.send(request);
        let answer = client.answer();
        assert!(
            statuses.contains(&answer.status()),
            "{} for {shown:?}",
            answer.status()
        );
        let error = &answer.body.json()["error"];
        assert!(
            error["message"].is_string() && error["type"].is_string(),
            "{shown:?}"
        );
        assert_eq!(answer.head.field("content-type"), Some("application/json"));
        assert!(answer.head.has("proxy-status"), "{shown:?}");
        assert_eq!(answer.head.field("connection"), Some("close"), "{shown:?}");
        client
            .peer_left(DEADLINE)
            .expect("the connection is closed");
        assert!(
            client.early().is_empty(),
            "more than one answer to {shown:?}"
        );
        let recorded = self.daemon.wait_events("request_failed", events + 1);
        assert_eq!(recorded.len(), events + 1, "{shown:?}");
        assert_eq!(recorded[events]["status"], answer.status());
        for request in self.upstream.requests().split_off(requests) {
            assert!(!request.body.is_complete(), "{shown:?} came as {request:?}");
            assert_ne!(request.head.target(), "/v1/smuggled");
        }
    }

    /// `request` is answered once, reaches the upstream once, with `body`, and
    /// what rides behind it is a request of its own, or not read at all.
    #[track_caller]
    fn takes_one(&self, request: &[u8], body: &[u8], then_closes: bool) {
        let shown = String::from_utf8_lossy(request).into_owned();
        let requests = self.upstream.requests().len();
        let mut client = self.send(&[request, RIDER.as_bytes()].concat());
        let answer = client.answer();
        assert_eq!(answer.body.text(), "/v1/files", "{shown:?}");
        let next = client.read_answer_head();
        assert_eq!(next.is_err(), then_closes, "{shown:?}");
        let passed = self
            .upstream
            .wait_requests(requests + 1)
            .split_off(requests);
        assert_eq!(passed.len(), if then_closes { 1 } else { 2 }, "{shown:?}");
        let head = &passed[0].head;
        assert_eq!(passed[0].body.end, End::Complete);
        assert_eq!(passed[0].body.data(), body, "{shown:?}");
        let framings = [
            head.values("content-length"),
            head.values("transfer-encoding"),
        ]
        .concat();
        assert_eq!(framings.len(), 1, "{shown:?} came with {framings:?}");
        assert!(
            !framings[0].contains(','),
            "{shown:?} came with {framings:?}"
        );
    }

    fn failures(&self) -> usize {
        self.daemon.events_named("request_failed").len()
    }
}

/// A POST with `fields` (whole lines) and `body`.
fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/files HTTP/1.1\r\nHost: u\r\n{fields}\r\n{body}").into_bytes()
}

const ABC: &str = "3\r\nabc\r\n0\r\n\r\n";

#[test]
fn with_both_framings_chunks_count_and_the_connection_ends() {
    let edge = Edge::start();
    let (length, chunked) = ("Content-Length: 4\r\n", "Transfer-Encoding: chunked\r\n");
    for fields in [
        format!("{length}{chunked}"),
        format!("{chunked}{length}"),
        format!("{length}{chunked}Connection: keep-alive\r\n"),
        format!("{chunked}Content-Length: nonsense\r\n"),
    ] {
        edge.takes_one(&post(&fields, ABC), b"abc", true);
    }
}

#[test]
fn lengths_that_agree_are_one_and_others_are_refused() {
    let edge = Edge::start();
    let three = "Content-Length: 3\r\n";
    edge.takes_one(&post(&format!("{three}{three}"), "abc"), b"abc", false);
    for lengths in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 4\r\n",
        "Content-Length: 5,5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 18446744073709551615\r\n",
    ] {
        edge.refuses(&post(lengths, "abcde"), &[400, 413, 431]);
    }
}

#[test]
fn transfer_codings_other_than_chunked_are_refused() {
    let edge = Edge::start();
    for codings in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked chunked\r\n",
        "Transfer-Encoding: \x0bchunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: x\r\n",
    ] {
        edge.refuses(&post(codings, ABC), &[400, 501]);
    }
}

#[test]
fn chunked_is_chunked_in_any_case_and_between_blanks() {
    let edge = Edge::start();
    for coding in ["CHUNKED", "Chunked", "\tchunked", "chunked \t", "  chunked"] {
        let request = post(&format!("Transfer-Encoding: {coding}\r\n"), ABC);
        edge.takes_one(&request, b"abc", false);
    }
}

#[test]
fn http_1_0_has_no_chunks() {
    let edge = Edge::start();
    let request = format!("POST /v1/files HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{ABC}");
    edge.refuses(request.as_bytes(), &[400]);
}

#[test]
fn chunk_extensions_stay_here() {
    let edge = Edge::start();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for body in [
        "3;a=b\r\nabc\r\n0\r\n\r\n",
        "3 ; a=\"b\"\r\nabc\r\n0;c\r\n\r\n",
        "0000003\r\nabc\r\n000\r\n\r\n",
    ] {
        let before = edge.upstream.requests().len();
        edge.takes_one(&post(chunked, body), b"abc", false);
        let raw = edge.upstream.requests()[before].body.raw.clone();
        assert_eq!(raw, ABC.as_bytes());
    }
}

#[test]
fn chunks_that_are_none_are_refused() {
    let edge = Edge::start();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for body in [
        "10000000000000000\r\nabc\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "g\r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\rabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\nno trailer\r\n\r\n",
    ] {
        edge.refuses(&post(chunked, body), &[400]);
        let json = format!("{chunked}Content-Type: application/json\r\n");
        let read = format!("POST /v1/responses HTTP/1.1\r\nHost: u\r\n{json}\r\n{body}");
        edge.refuses(read.as_bytes(), &[400]);
    }
}

#[test]
fn heads_that_are_not_clean_are_refused() {
    let edge = Edge::start();
    let line = "GET /v1/files HTTP/1.1\r\n";
    for fields in [
        "X-Folded: a\r\n b\r\n",
        "X-Folded: a\r\n\tContent-Length: 3\r\n",
        "Content-Length : 3\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        "X-Nul: a\0b\r\n",
        "X-Nul\0: a\r\n",
        "X-Cr: a\rb\r\n",
        "X-Cr: a\rContent-Length: 3\r\n",
        ": nameless\r\n",
        "no colon\r\n",
        "X-D\u{e9}: a\r\n",
        "X-Del: a\x7fb\r\n",
    ] {
        edge.refuses(format!("{line}Host: u\r\n{fields}\r\n").as_bytes(), &[400]);
        edge.refuses(format!("{line}{fields}Host: u\r\n\r\n").as_bytes(), &[400]);
    }
    for request in [
        " GET /v1/files HTTP/1.1\r\nHost: u\r\n\r\n",
        "GET  /v1/files HTTP/1.1\r\nHost: u\r\n\r\n",
        "GET /v1/files  HTTP/1.1\r\nHost: u\r\n\r\n",
        "GET /v1/fi les HTTP/1.1\r\nHost: u\r\n\r\n",
        "GET /v1/files\r\nHost: u\r\n\r\n",
        "GET /v1/files HTTP/1.2\r\nHost: u\r\n\r\n",
        "GET /v1/files HTTP/2.0\r\nHost: u\r\n\r\n",
        "GET /v1/files HTTP/1.1 \r\nHost: u\r\n\r\n",
        "GET /v1/files HTTP/1.1\rHost: u\r\n\r\n",
        "GET /v1/files http/1.1\r\nHost: u\r\n\r\n",
        "G\0T /v1/files HTTP/1.1\r\nHost: u\r\n\r\n",
        "GET /v1/fi\0les HTTP/1.1\r\nHost: u\r\n\r\n",
    ] {
        edge.refuses(request.as_bytes(), &[400, 505]);
    }
}

#[test]
fn bare_line_feeds_make_no_second_request() {
    let edge = Edge::start();
    for request in [
        "GET /v1/files HTTP/1.1\nHost: u\n\n",
        "GET /v1/files HTTP/1.1\r\nHost: u\nX-A: b\r\n\r\n",
        "GET /v1/files HTTP/1.1\r\nHost: u\r\nX-A: b\n\r\n",
    ] {
        let before = edge.upstream.requests().len();
        let mut client = edge.send(request.as_bytes());
        let answer = client.answer();
        let passed = edge.upstream.requests().split_off(before);
        match answer.status() {
            200 => assert_eq!(passed.len(), 1),
            status => assert_eq!((status, passed.len()), (400, 0)),
        }
        for request in passed {
            let raw = String::from_utf8(request.head.raw).unwrap();
            assert!(!raw.replace("\r\n", "").contains('\n'), "{raw:?}");
        }
    }
}

#[test]
fn a_request_in_the_body_of_another_stays_a_body() {
    let edge = Edge::start();
    let fields = format!("Content-Length: {}\r\n", RIDER.len());
    let before = edge.upstream.requests().len();
    edge.takes_one(&post(&fields, RIDER), RIDER.as_bytes(), false);
    assert_eq!(edge.upstream.requests().len(), before + 2);
}
