//! What comes of the answer.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;

use super::{ASKED, BODY, BODY_ASKING, EXTRA, PLAIN, asking, is_asked, openai, streaming};
use crate::backpressure::stuck;
use crate::metrics::scrape;
use crate::support::http2::{Http2Upstream, Settings};
use crate::support::message::Framing;
use crate::support::upstream::Upstream;
use crate::support::wait::{DEADLINE, Gate};

#[test]
fn a_stream_is_as_if_its_usage_had_not_been_asked_for_and_its_tokens_are_known() {
    let upstream = openai();
    let admin = "admin = \"unix:@DIR@/admin.sock\"";
    let daemon = asking(&upstream).server_settings(admin).start();
    let answer = daemon.client().post_json("/v1/chat/completions", BODY);
    assert_eq!(answer.body.text(), PLAIN);
    assert!(answer.body.is_complete());
    let event = daemon.wait_request_event();
    assert_eq!(event["event"], "request_completed");
    assert_eq!(event["prompt_tokens"], 11);
    assert_eq!(event["completion_tokens"], 31);
    assert_eq!(event["reasoning_tokens"], 7);
    assert_eq!(event["total_tokens"], 42);
    assert_eq!(event["missing_usage"], false);
    assert_eq!(event["upstream_model"], "gpt-5-2026");
    assert_eq!(event["bytes_in"], BODY.len());
    assert_eq!(event["bytes_out"], PLAIN.len());
    let route = "gen_ai_request_model=\"gpt-5\",upstream=\"test\"";
    let output = format!("upstreamd_tokens_total{{kind=\"output\",{route}}} 31");
    let lines = scrape(&daemon);
    assert!(lines.contains(&output), "{lines:#?}");
}

#[test]
fn a_stream_cut_at_any_byte_is_filtered_the_same() {
    // With CRLF, whose halves come apart too.
    let (asked, plain) = (ASKED.replace('\n', "\r\n"), PLAIN.replace('\n', "\r\n"));
    let cuts = 1..asked.len();
    let next = AtomicUsize::new(1);
    let pieces = asked.clone();
    let upstream = streaming(move |conn| {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let (one, other) = pieces.as_bytes().split_at(at);
        conn.write_chunk(one)?;
        conn.write_chunk(other)?;
        conn.write_last_chunk("")
    });
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    for at in cuts.clone() {
        client.start_stream();
        let body = client.rest();
        assert!(body.is_complete(), "{:?}", body.end);
        assert_eq!(body.text(), plain, "cut at {at}");
    }
    for event in daemon.wait_request_events(cuts.len()) {
        assert_eq!(event["total_tokens"], 42);
        assert_eq!(event["bytes_out"], plain.len());
    }
}

#[test]
fn a_stream_of_single_bytes_with_comments_and_errors_is_filtered_the_same() {
    let error = "event: error\ndata: {\"error\":{\"message\":\"overloaded\",\"usage\":null}}\n\n";
    let around = |text: &str| format!("\u{feff}: PROCESSING\n\n:\n{text}: bye\n\n{error}");
    let asked = around(ASKED);
    let upstream = streaming(move |conn| {
        for byte in asked.as_bytes() {
            conn.write_chunk([*byte])?;
        }
        conn.write_last_chunk("")
    });
    let daemon = asking(&upstream).start();
    let answer = daemon.client().post_json("/v1/chat/completions", BODY);
    assert_eq!(answer.body.text(), around(PLAIN));
    assert_eq!(daemon.wait_request_event()["total_tokens"], 42);
}

#[test]
fn no_chunk_waits_for_the_next() {
    let gate = Gate::new();
    let chunk = |n: usize, usage: &str| {
        format!("data: {{\"id\":\"1\",\"choices\":[{{\"delta\":{n}}}]{usage}}}\n\n")
    };
    let pass = gate.clone();
    let upstream = streaming(move |conn| {
        for n in 0..5 {
            pass.pass();
            conn.write_chunk(chunk(n, ",\"usage\":null"))?;
        }
        pass.pass();
        conn.write_chunk("data: {\"id\":\"1\",\"choices\":[{\"delta\":")?;
        pass.pass();
        conn.write_chunk(format!("5}}]}}\n\n{EXTRA}"))?;
        pass.pass();
        conn.write_chunk("data: [DONE]\n\n")?;
        conn.write_last_chunk("")
    });
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    client.start_stream();
    let mut next = || {
        assert!(client.early().is_empty());
        gate.let_one_through();
        String::from_utf8(client.next_chunk().unwrap().data).unwrap()
    };
    for n in 0..5 {
        assert_eq!(next(), chunk(n, ""));
    }
    // Of an event that is not whole yet, what is known to be another.
    assert_eq!(next(), "data: {\"id\":\"1\",\"choices\":[{\"delta\":");
    assert_eq!(next(), "5}]}\n\n");
    assert_eq!(next(), "data: [DONE]\n\n");
    assert!(client.rest().is_complete());
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream() {
    const MIB: u64 = 1 << 20;
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let text = "x".repeat(16 * 1024);
    let event = |usage: &str| format!("data: {{\"choices\":[\"{text}\"]{usage}}}\n\n");
    let (asked, plain) = (event(",\"usage\":null"), event(""));
    let upstream = streaming(move |conn| {
        conn.deadline = DEADLINE * 6;
        loop {
            conn.write_chunk(&asked)?;
            count.fetch_add(asked.len() as u64, Ordering::Relaxed);
        }
    });
    let daemon = asking(&upstream).start();
    let before = daemon.process().rss();
    let mut client = daemon.client();
    client.start_stream();
    let held = stuck(&written);
    assert!(held < 24 * MIB, "{held} bytes");
    let grown = daemon.process().rss().saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes");
    let mut read = Vec::new();
    while (read.len() as u64) < held + 4 * MIB {
        read.extend(client.next_chunk().expect("the stream goes on").data);
    }
    for got in read.chunks_exact(plain.len()) {
        assert!(got == plain.as_bytes());
    }
}

#[test]
fn what_the_client_asks_for_itself_passes_whole() {
    let upstream = openai();
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    let answer = client.post_json("/v1/chat/completions", BODY_ASKING);
    assert_eq!(answer.body.text(), ASKED);
    assert_eq!(upstream.wait_requests(1)[0].body.text(), BODY_ASKING);
    assert_eq!(daemon.wait_request_event()["total_tokens"], 42);
    // To say no is to be answered as if nothing had been asked.
    let body = BODY_ASKING.replace("true}", "false}");
    let answer = client.post_json("/v1/completions", &body);
    assert_eq!(answer.body.text(), PLAIN);
    assert_eq!(upstream.wait_requests(2)[1].body.text(), BODY_ASKING);
}

#[test]
fn a_stream_of_a_known_length_is_filtered_and_loses_it() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| {
            assert!(is_asked(request));
            let fields = "Content-Type: text/event-stream; charset=utf-8\r\nETag: \"x\"\r\n\
                          Repr-Digest: sha-256=:AA==:\r\nX-Other: 1\r\n";
            conn.answer(200, fields, ASKED)
        })
    });
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    let answer = client.post_json("/v1/chat/completions", BODY);
    assert_eq!(answer.body.text(), PLAIN);
    assert_eq!(answer.head.answer_framing(), Framing::Chunked);
    for gone in ["content-length", "etag", "repr-digest"] {
        assert!(!answer.head.has(gone), "{gone}");
    }
    assert!(answer.head.has("x-other"));
    // HTTP/1.0 has no chunks.
    let length = BODY.len();
    let fields = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    let mut client = daemon.client();
    client
        .write(format!(
            "POST /v1/chat/completions HTTP/1.0\r\n{fields}\r\n{BODY}"
        ))
        .unwrap();
    let answer = client.answer();
    assert_eq!(answer.head.answer_framing(), Framing::UntilClose);
    assert_eq!(answer.body.text(), PLAIN);
    assert!(answer.body.is_complete());
}

#[test]
fn errors_and_answers_that_are_no_plain_stream_pass_untouched() {
    const ANSWERS: [(u16, &str); 4] = [
        (400, "Content-Type: application/json\r\n"),
        (503, "Content-Type: text/event-stream\r\n"),
        (200, "Content-Type: application/json\r\n"),
        (
            200,
            "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n",
        ),
    ];
    let next = Mutex::new(ANSWERS.into_iter());
    let upstream = Upstream::tls(move |conn| {
        conn.serve(|conn, request| {
            assert!(is_asked(request));
            let (status, fields) = next.lock().unwrap().next().unwrap();
            conn.answer(status, fields, EXTRA)
        })
    });
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    for (status, fields) in ANSWERS {
        let answer = client.post_json("/v1/chat/completions", BODY);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.body.text(), EXTRA, "{fields}");
        let length = EXTRA.len() as u64;
        assert_eq!(answer.head.answer_framing(), Framing::Length(length));
    }
}

#[test]
fn trailers_come_behind_what_was_held_back() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| {
            assert!(is_asked(request));
            conn.write(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Trailer: x-checked, repr-digest\r\nTransfer-Encoding: chunked\r\n\r\n",
            )?;
            conn.write_chunk(format!("{EXTRA}data: {{\"choices\":["))?;
            conn.write_last_chunk("X-Checked: yes\r\nRepr-Digest: sha-256=:AA==:\r\n")
        })
    });
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    let fields = "Content-Type: application/json\r\nTE: trailers\r\nConnection: te\r\n";
    client
        .send("POST", "/v1/chat/completions", fields, BODY.as_bytes())
        .unwrap();
    let body = client.answer().body;
    assert_eq!(body.text(), "data: {\"choices\":[");
    assert!(body.is_complete());
    assert_eq!(body.trailers, [("x-checked".into(), "yes".into())]);
    let event = daemon.wait_request_event();
    assert_eq!(event["event"], "request_completed");
    assert_eq!(event["bytes_out"], body.data().len());
}

#[test]
fn an_event_that_comes_slowly_is_no_silence() {
    let pause = Duration::from_millis(200);
    let upstream = streaming(move |conn| {
        for piece in [
            "data: {\"id\":\"1\"",
            ",\"a\":1",
            ",\"b\":2",
            ",\"c\":3",
            "}\n\n",
        ] {
            conn.write_chunk(piece)?;
            // What is measured is how long nothing comes.
            std::thread::sleep(pause);
        }
        conn.write_last_chunk("")
    });
    let daemon = asking(&upstream)
        .upstream_settings("idle_timeout = \"600ms\"")
        .start();
    let answer = daemon.client().post_json("/v1/chat/completions", BODY);
    assert_eq!(
        answer.body.text(),
        "data: {\"id\":\"1\",\"a\":1,\"b\":2,\"c\":3}\n\n"
    );
    assert!(answer.body.is_complete(), "{:?}", answer.body.end);
}

#[test]
fn streams_over_http_2_are_filtered_too() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        exchange.count_body().await?;
        let mut stream = exchange.start(200, crate::http2::events())?;
        for chunk in ASKED.as_bytes().chunks(100) {
            exchange.send(&mut stream, chunk.into()).await?;
        }
        // The end comes in a frame of its own.
        stream.send_data(Bytes::from_static(b"data: {"), false)?;
        stream.send_data(Bytes::new(), true)
    });
    let daemon = crate::http2::before(&upstream, "include_usage = true");
    let mut client = daemon.client();
    for _ in 0..2 {
        let answer = client.post_json("/v1/chat/completions", BODY);
        assert_eq!(answer.body.text(), format!("{PLAIN}data: {{"));
        assert!(answer.body.is_complete());
    }
    assert_eq!(daemon.wait_request_events(2)[1]["total_tokens"], 42);
}
