//! Targets: where a request goes, byte for byte, and what cannot go anywhere.

use crate::support::client::{Answer, Client};
use crate::support::daemon::Daemon;
use crate::support::message::latin1;
use crate::support::upstream::Upstream;

/// The request line that reached the upstream for each request line, in order;
/// the answer's status where none did.
fn forwarded(upstream: &Upstream, daemon: &Daemon, lines: &[&str]) -> Vec<Result<String, u16>> {
    let ask = |line: &&str| {
        let before = upstream.requests().len();
        let answer = asked(&mut daemon.client(), line);
        match upstream.requests().split_off(before).as_slice() {
            [request] => Ok(request.head.start_line.clone()),
            [] => Err(answer.status()),
            more => panic!("{line:?} became {} requests", more.len()),
        }
    };
    lines.iter().map(ask).collect()
}

fn asked(client: &mut Client, line: &str) -> Answer {
    client
        .write(format!("{line} HTTP/1.1\r\nHost: u\r\n\r\n"))
        .unwrap();
    client.answer()
}

fn forwards(lines: &[(&str, &str)]) {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let sent: Vec<&str> = lines.iter().map(|(sent, _)| *sent).collect();
    let passed = forwarded(&upstream, &daemon, &sent);
    for ((sent, wanted), passed) in lines.iter().zip(passed) {
        let wanted = format!("{wanted} HTTP/1.1");
        // Lines are kept as Latin-1, one character an octet.
        let wanted = Ok(latin1(wanted.as_bytes()));
        assert!(passed == wanted, "{sent:.60?} became {passed:.60?}");
    }
}

/// Each is answered with `status` and the upstream hears nothing.
fn refuses(status: u16, code: &str, lines: &[&str]) {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    for line in lines {
        let answer = asked(&mut daemon.client(), line);
        assert_eq!(answer.status(), status, "{line:.60?}");
        assert_eq!(answer.body.json()["error"]["code"], code, "{line:.60?}");
    }
    assert_eq!(upstream.connections(), 0);
    let events = daemon.wait_events("request_failed", lines.len());
    assert!(events.iter().all(|event| event["status"] == status));
}

#[test]
fn with_and_without_v1_reach_the_same_place() {
    forwards(&[
        ("GET /v1/models", "GET /v1/models"),
        ("GET /models", "GET /v1/models"),
        ("DELETE /v1/files/file-1", "DELETE /v1/files/file-1"),
        ("GET /v10/models", "GET /v1/v10/models"),
        ("GET /v1", "GET /v1"),
        ("GET /", "GET /v1/"),
        ("GET /v1/v1/models", "GET /v1/v1/models"),
    ]);
}

#[test]
fn every_method_passes() {
    forwards(&[
        ("OPTIONS /v1/x", "OPTIONS /v1/x"),
        ("PATCH /v1/x", "PATCH /v1/x"),
        ("PUT /v1/x", "PUT /v1/x"),
        ("TRACE /v1/x", "TRACE /v1/x"),
        ("PROPFIND /v1/x", "PROPFIND /v1/x"),
        ("get /v1/x", "get /v1/x"),
    ]);
}

#[test]
fn path_and_query_keep_their_bytes() {
    forwards(&[
        ("GET /v1/a%20b%2fc%2F%41", "GET /v1/a%20b%2fc%2F%41"),
        (
            "GET /v1/x?q=%7B%22a%22%3A1%7D&&=&b=a+b",
            "GET /v1/x?q=%7B%22a%22%3A1%7D&&=&b=a+b",
        ),
        ("GET /v1/a//b/./c;d=e:f@g,h", "GET /v1/a//b/./c;d=e:f@g,h"),
        ("GET /v1/x?", "GET /v1/x?"),
        ("GET /v1/x?a?b/../c", "GET /v1/x?a?b/../c"),
        ("GET /v1/%zz?%", "GET /v1/%zz?%"),
        (
            "GET /v1/caf\u{e9}?q=\u{20ac}",
            "GET /v1/caf\u{e9}?q=\u{20ac}",
        ),
        ("GET /v1/{a}?q={[1]}|'~^`\\", "GET /v1/{a}?q={[1]}|'~^`\\"),
        ("GET //v1/models", "GET /v1//v1/models"),
        ("GET /v1/a...b/..c/d../.../.", "GET /v1/a...b/..c/d../.../."),
    ]);
}

#[test]
fn no_form_of_dot_dot_leaves_the_base_path() {
    refuses(
        400,
        "invalid_path",
        &[
            "GET /..",
            "GET /v1/..",
            "GET /v1/../admin",
            "GET /v1/a/../../b",
            "GET /v1/%2e%2e/x",
            "GET /v1/%2E./x",
            "GET /v1/.%2e",
            "GET /v1/a%2f..%2fb",
            "GET /v1/..%5cx",
            "GET /v1/..\\x",
            "GET /v1/%252e%252e/x",
            "GET /v1/..;a=b/x",
            "GET http://u/v1/../admin",
        ],
    );
}

#[test]
fn absolute_form_is_taken_for_its_path() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::before(&upstream);
    let passed = forwarded(
        &upstream,
        &daemon,
        &[
            "GET http://elsewhere.test:81/v1/models?a=b",
            "GET https://elsewhere.test/models",
        ],
    );
    assert_eq!(passed[0], Ok("GET /v1/models?a=b HTTP/1.1".into()));
    assert_eq!(passed[1], Ok("GET /v1/models HTTP/1.1".into()));
    let host = format!("localhost:{}", upstream.address().port());
    for request in upstream.requests() {
        assert_eq!(request.head.values("host"), [host.as_str()]);
    }
}

#[test]
fn what_is_no_path_is_refused() {
    refuses(
        400,
        "invalid_path",
        &["OPTIONS *", "CONNECT elsewhere.test:443", "CONNECT /v1/x"],
    );
}

#[test]
fn a_target_that_is_too_long_is_refused_as_that() {
    let (hundred, million) = ("a".repeat(100_000), "a".repeat(1_000_000));
    let lines = [format!("GET /v1/{hundred}"), format!("GET /{million}")];
    refuses(414, "path_too_long", &[&lines[0], &lines[1]]);
}

#[test]
fn a_target_of_60000_bytes_passes() {
    let line = format!("GET /v1/x?{}", "a".repeat(60_000));
    forwards(&[(&line, &line)]);
}
