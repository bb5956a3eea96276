//! Bodies on their way up: every byte arrives, framed as HTTP wants it.

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Request, Upstream};
use crate::support::wait;

/// What reached the upstream of a POST with `fields` (its framing among them)
/// and `body`, both as they stand.
fn passed_up(path: &str, fields: &str, body: &[u8]) -> Request {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    post(&mut client, path, fields, body);
    assert_eq!(client.answer().status(), 200);
    let request = upstream.wait_requests(1).remove(0);
    assert!(request.body.is_complete(), "{:?}", request.body.end);
    request
}

fn post(client: &mut Client, path: &str, fields: &str, body: &[u8]) {
    let head = format!("POST {path} HTTP/1.1\r\nHost: u\r\n{fields}\r\n");
    client.write([head.as_bytes(), body].concat()).unwrap();
}

const CHAT: &str = "/v1/chat/completions";

/// Odd blanks, escapes and key order, which must all stay.
const JSON: &[u8] = b" {\"messages\" : [ ],\r\n\t\"model\":\"gpt\\u002d5\",\"n\":1.0e0}  ";

#[test]
fn a_json_body_arrives_byte_for_byte() {
    let fields = format!(
        "Content-Type: application/json\r\nContent-Length: {}\r\n",
        JSON.len()
    );
    let request = passed_up(CHAT, &fields, JSON);
    assert_eq!(request.body.raw, JSON);
    let length = JSON.len().to_string();
    assert_eq!(request.head.values("content-length"), [length.as_str()]);
    assert_eq!(request.head.field("content-type"), Some("application/json"));
}

#[test]
fn a_chunked_json_body_is_sent_on_with_its_length() {
    let fields = "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n";
    let (one, two) = JSON.split_at(7);
    let chunk = |part: &[u8]| [format!("{:X}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let body = [chunk(one), chunk(two), b"0\r\n\r\n".to_vec()].concat();
    let request = passed_up(CHAT, fields, &body);
    assert_eq!(request.body.raw, JSON);
    let length = JSON.len().to_string();
    assert_eq!(request.head.values("content-length"), [length.as_str()]);
    assert!(!request.head.has("transfer-encoding"));
}

#[test]
fn the_model_is_read_out_of_the_body_for_the_event() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    daemon
        .client()
        .post_json(CHAT, std::str::from_utf8(JSON).unwrap());
    let event = daemon.wait_event("request_completed");
    assert_eq!(event["model"], "gpt-5");
    assert_eq!(event["bytes_in"], JSON.len());
}

#[test]
fn a_multipart_form_arrives_byte_for_byte() {
    let form = b"--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\xff.wav\"\r\n\r\n\
        RIFF\x00\xff\r\n\r\n--b--\r\n";
    let fields = format!(
        "Content-Type: multipart/form-data; boundary=\"b\"\r\nContent-Length: {}\r\n",
        form.len()
    );
    let request = passed_up("/v1/audio/transcriptions", &fields, form);
    assert_eq!(request.body.raw, form);
    let length = form.len().to_string();
    assert_eq!(request.head.values("content-length"), [length.as_str()]);
    let kind = request.head.field("content-type");
    assert_eq!(kind, Some("multipart/form-data; boundary=\"b\""));
}

#[test]
fn every_octet_of_a_chunked_binary_body_arrives() {
    let octets: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    post(
        &mut client,
        "/v1/files",
        "Transfer-Encoding: chunked\r\n",
        b"",
    );
    for part in octets.chunks(777) {
        client.write_chunk(part).unwrap();
    }
    client.write_last_chunk("").unwrap();
    assert_eq!(client.answer().status(), 200);
    assert!(upstream.wait_requests(1)[0].body.data() == octets);
}

#[test]
fn a_chunk_reaches_the_upstream_before_the_next_is_sent() {
    let upstream = Upstream::tls(|conn| {
        conn.read_head()?;
        while conn.read_chunk().is_some() {}
        conn.answer_json(200, "{}")
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    post(
        &mut client,
        "/v1/files",
        "Transfer-Encoding: chunked\r\n",
        b"",
    );
    for sent in 1..=3 {
        client.write_chunk("abc").unwrap();
        wait::until("the chunk is at the upstream", || {
            let requests = upstream.requests();
            requests
                .first()
                .is_some_and(|request| request.body.data().len() == 3 * sent)
        });
    }
    client.write_last_chunk("").unwrap();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn an_empty_body_stays_an_empty_body() {
    let request = passed_up("/v1/responses/r/cancel", "Content-Length: 0\r\n", b"");
    assert_eq!(request.head.values("content-length"), ["0"]);
    assert!(!request.head.has("transfer-encoding"));
}

#[test]
fn a_get_without_a_body_gets_no_framing() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    daemon.client().get("/v1/models");
    let head = upstream.wait_requests(1).remove(0).head;
    assert!(!head.has("content-length") && !head.has("transfer-encoding"));
}

#[test]
fn trailers_pass_up() {
    let fields = "Transfer-Encoding: chunked\r\nTrailer: X-Checksum, X-Other\r\n";
    let body = b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\nx-other: \xe9\r\nX-Checksum: 2\r\n\r\n";
    let request = passed_up("/v1/files", fields, body);
    assert_eq!(request.body.data(), b"abc");
    let trailers = &request.body.trailers;
    let of = |name: &str| -> Vec<&str> {
        let same = trailers.iter().filter(|(found, _)| found == name);
        same.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(of("x-checksum"), ["1", "2"]);
    assert_eq!(of("x-other"), ["\u{e9}"]);
}

#[test]
fn credentials_do_not_reach_the_upstream_as_trailers() {
    let fields =
        "Transfer-Encoding: chunked\r\nTrailer: X-Api-Key, Cookie, Authorization, X-Ok\r\n";
    let body = b"3\r\nabc\r\n0\r\nX-Api-Key: client-secret\r\nCookie: client-secret\r\n\
        Authorization: client-secret\r\nX-Ok: 1\r\n\r\n";
    let request = passed_up("/v1/files", fields, body);
    assert_eq!(request.body.trailers, [("x-ok".into(), "1".into())]);
}

#[test]
fn a_body_that_says_it_is_no_json_passes_unread() {
    for kind in [
        "text/plain",
        "application/octet-stream",
        "application/jsonl",
    ] {
        let fields = format!("Content-Type: {kind}\r\nContent-Length: 8\r\n");
        let request = passed_up(CHAT, &fields, b"not json");
        assert_eq!(request.body.raw, b"not json");
    }
    let request = passed_up(CHAT, "Content-Length: 8\r\n", b"not json");
    assert_eq!(request.body.raw, b"not json");
}

#[test]
fn a_compressed_json_body_passes_unread() {
    let fields =
        "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n";
    let request = passed_up(CHAT, fields, b"\x1f\x8b\x08\x00");
    assert_eq!(request.body.raw, b"\x1f\x8b\x08\x00");
    assert_eq!(request.head.field("content-encoding"), Some("gzip"));
}

#[test]
fn json_on_an_endpoint_that_is_not_read_passes_unread() {
    let fields = "Content-Type: application/json\r\nContent-Length: 8\r\n";
    let request = passed_up("/v1/batches", fields, b"not json");
    assert_eq!(request.body.raw, b"not json");
}
