//! Requests and answers as they look over HTTP/2.

use bytes::Bytes;
use http::HeaderMap;

use super::{before, events};
use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::http2::{Http2Upstream, Settings};
use crate::support::upstream::Upstream;

const CHAT: &str = r#"{"id":"chatcmpl-1","model":"m","usage":{"total_tokens":42}}"#;

fn answers_chat(settings: Settings) {
    let upstream = Http2Upstream::start(settings, |mut exchange| async move {
        exchange.count_body().await?;
        exchange.answer("application/json", CHAT)
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    for _ in 0..3 {
        let answer = client.post_json("/v1/chat/completions", r#"{"model":"gpt-5"}"#);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.body.text(), CHAT);
        assert!(answer.body.is_complete());
    }
    let record = upstream.record();
    assert_eq!(record.connections, 1);
    let head = &record.requests[2].1;
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.path(), "/v1/chat/completions");
    let authority = head.uri.authority().unwrap().as_str();
    assert!(upstream.base_url().contains(&format!("//{authority}/")));
    assert!(!head.headers.contains_key("host"));
    assert_eq!(
        head.headers["authorization"],
        format!("Bearer {UPSTREAM_KEY}")
    );
    let events = daemon.wait_request_events(3);
    assert_eq!(events[0]["total_tokens"], 42);
    assert!(events[0]["upstream_connect_s"].is_f64());
    assert!(events[1]["upstream_connect_s"].is_null());
}

#[test]
fn requests_share_a_connection_over_tls() {
    answers_chat(Settings::default());
}

#[test]
fn plain_http_is_spoken_with_prior_knowledge() {
    answers_chat(Settings {
        tls: false,
        ..Settings::default()
    });
}

#[test]
fn a_stream_passes_chunk_by_chunk() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        let mut stream = exchange.start(200, events())?;
        for number in 0..5 {
            let event = Bytes::from(format!("data: {{\"n\":{number}}}\n\n"));
            exchange.send(&mut stream, event).await?;
            // Lets the connection send it before the next one is there.
            tokio::task::yield_now().await;
        }
        let usage = "data: {\"usage\":{\"total_tokens\":42}}\n\n";
        stream.send_data(Bytes::from_static(usage.as_bytes()), true)
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    let head = client.start_stream();
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    let body = client.rest();
    assert!(body.is_complete());
    assert!(
        body.text()
            .starts_with("data: {\"n\":0}\n\ndata: {\"n\":1}\n\n")
    );
    let event = daemon.wait_request_event();
    assert_eq!(event["total_tokens"], 42);
    assert_eq!(event["event"], "request_completed");
}

#[test]
fn an_error_is_tried_again_and_the_last_one_passes_whole() {
    // More than a stream's window, so that it can't have come before it is read.
    let large = Bytes::from(vec![b'x'; 300_000]);
    let error = large.clone();
    let upstream = Http2Upstream::start(Settings::default(), move |mut exchange| {
        let error = error.clone();
        async move {
            exchange.count_body().await?;
            let mut stream = exchange.start(503, HeaderMap::new())?;
            exchange.send(&mut stream, error).await?;
            stream.send_data(Bytes::from_static(b"end"), true)
        }
    });
    let daemon = Daemon::builder()
        .upstream_at(&upstream.base_url(), upstream.ca_file())
        .upstream_settings("http2 = true")
        .more_config("[retry]\nbackoff = \"20ms\"\n")
        .start();
    let answer = daemon.client().post_json("/v1/responses", "{}");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.head.field("x-upstreamd-attempts"), Some("3"));
    assert!(answer.body.is_complete());
    assert_eq!(answer.body.data(), [&large[..], b"end"].concat());
    let record = upstream.record();
    assert_eq!((record.requests.len(), record.connections), (3, 1));
}

#[test]
fn a_head_of_64_kib_passes() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        let mut fields = HeaderMap::new();
        fields.insert("x-long", "y".repeat(64 * 1024).parse().unwrap());
        let mut stream = exchange.start(200, fields)?;
        stream.send_data(Bytes::from_static(b"ok"), true)
    });
    let daemon = before(&upstream, "");
    let answer = daemon.client().get("/v1/models");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("x-long").map(str::len), Some(64 * 1024));
    assert_eq!(answer.body.data(), b"ok");
}

#[test]
fn trailers_pass() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        let mut fields = events();
        fields.insert("trailer", "x-sum".parse().unwrap());
        let mut stream = exchange.start(200, fields)?;
        stream.send_data(Bytes::from_static(b"data: 1\n\n"), false)?;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "7".parse().unwrap());
        stream.send_trailers(trailers)
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    client
        .send(
            "GET",
            "/v1/models",
            "TE: trailers\r\nConnection: TE\r\n",
            b"",
        )
        .unwrap();
    let answer = client.answer();
    assert_eq!(answer.body.text(), "data: 1\n\n");
    assert_eq!(answer.body.trailers, [("x-sum".into(), "7".into())]);
    assert_eq!(upstream.record().requests[0].1.headers["te"], "trailers");
    client.close();
    assert_eq!(daemon.wait_request_event()["event"], "request_completed");
}

#[test]
fn an_upstream_that_only_speaks_http_1_1_is_spoken_to_in_it() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("workers = 1")
        .upstream_settings("http2 = true")
        .start();
    let mut client = daemon.client();
    for _ in 0..3 {
        assert_eq!(client.get("/v1/models").status(), 200);
    }
    let requests = upstream.requests();
    assert!(requests[0].head.start_line.ends_with("HTTP/1.1"));
    assert!(requests[0].head.has("host"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_answer_that_has_no_content_is_over_with_its_head() {
    // Some servers end such a stream with an empty DATA frame of its own.
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        let status = match exchange.head.uri.path() {
            "/v1/nothing" => 204,
            "/v1/same" => 304,
            _ => 200,
        };
        let mut stream = exchange.start(status, HeaderMap::new())?;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        stream.send_data(Bytes::new(), true)
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    for (number, (method, path)) in [
        ("GET", "/v1/nothing"),
        ("GET", "/v1/same"),
        ("HEAD", "/v1/models"),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(method, path, "", b"").unwrap();
        let (_, head) = client.answer_head().unwrap();
        assert!(!head.has("transfer-encoding"), "{path}");
        let events = daemon.wait_request_events(number + 1);
        assert_eq!(events[number]["status"], head.status());
        assert_eq!(events[number]["client_aborted"], false);
    }
    assert_eq!(upstream.record().connections, 1);
}
