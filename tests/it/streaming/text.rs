//! Whatever an event stream looks like and however it is cut, the client gets
//! its bytes and the event gets its usage.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::EVENTS;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};

/// Pieces of one answer.
type Pieces = Vec<Vec<u8>>;

/// Answers each request with the next of `answers`, a chunk a piece.
fn in_pieces(answers: impl IntoIterator<Item = Pieces>) -> Upstream {
    let mut answers: Vec<Pieces> = answers.into_iter().collect();
    answers.reverse();
    let answers = Arc::new(Mutex::new(answers));
    Upstream::tls(move |conn: &mut Conn| {
        conn.serve(|conn, _| {
            let next = answers.lock().unwrap().pop();
            let pieces = next.ok_or_else(|| io::Error::other("nothing left to answer"))?;
            conn.start_events()?;
            for piece in pieces {
                conn.write_chunk(piece)?;
            }
            conn.write_last_chunk("")
        })
    })
}

fn bytes_of(text: &str) -> Pieces {
    text.bytes().map(|byte| vec![byte]).collect()
}

#[track_caller]
fn assert_usage(event: &Value) {
    assert_eq!(event["event"], "request_completed");
    assert_eq!(event["prompt_tokens"], 11);
    assert_eq!(event["completion_tokens"], 31);
    assert_eq!(event["reasoning_tokens"], 7);
    assert_eq!(event["total_tokens"], 42);
    assert_eq!(event["missing_usage"], false);
    assert_eq!(event["upstream_model"], "gpt-5-2026");
    assert_eq!(event["response_id"], "chatcmpl-1");
    assert_eq!(event["streaming"], true);
}

/// The answers, each read whole and compared.
fn passes_unchanged(texts: &[&str], pieces: fn(&str) -> Pieces) -> Vec<Value> {
    let upstream = in_pieces(texts.iter().map(|text| pieces(text)));
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for text in texts {
        client.start_stream();
        let body = client.rest();
        assert!(body.is_complete(), "{:?}", body.end);
        assert_eq!(body.text(), *text);
    }
    let events = daemon.wait_request_events(texts.len());
    for (event, text) in events.iter().zip(texts) {
        assert_eq!(event["bytes_out"], text.len());
    }
    events
}

#[test]
fn a_stream_cut_at_any_byte_arrives_byte_for_byte() {
    let cuts = 1..EVENTS.len();
    let cut = |at: usize| {
        let (one, other) = EVENTS.as_bytes().split_at(at);
        vec![one.to_vec(), other.to_vec()]
    };
    let upstream = in_pieces(cuts.clone().map(cut));
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for _ in cuts.clone() {
        client.start_stream();
        let body = client.rest();
        assert!(body.is_complete(), "{:?}", body.end);
        assert_eq!(body.data(), EVENTS.as_bytes());
    }
    for event in daemon.wait_request_events(cuts.len()) {
        assert_usage(&event);
    }
}

#[test]
fn a_stream_of_single_bytes_arrives_byte_for_byte() {
    for event in passes_unchanged(&[EVENTS], bytes_of) {
        assert_usage(&event);
    }
}

#[test]
fn line_ends_comments_and_missing_newlines_pass_as_they_are() {
    let crlf = EVENTS.replace('\n', "\r\n");
    let cr = EVENTS.replace('\n', "\r");
    let commented = format!(": OPENROUTER PROCESSING\n\n:\n{EVENTS}: bye\n\n");
    let fields = format!("\u{feff}id: 7\nretry: 10\nevent: x\n{EVENTS}");
    let unfinished = EVENTS.trim_end();
    let texts = [&*crlf, &cr, &commented, &fields, unfinished];
    for event in passes_unchanged(&texts, bytes_of) {
        assert_usage(&event);
    }
    for event in passes_unchanged(&texts, |text| vec![text.as_bytes().to_vec()]) {
        assert_usage(&event);
    }
}

#[test]
fn an_event_of_a_mebibyte_passes_and_the_usage_behind_it_is_read() {
    let long = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n{EVENTS}",
        "é\\\"".repeat(1 << 18)
    );
    assert!(long.len() > 1 << 20);
    let thousands = |text: &str| text.as_bytes().chunks(10_007).map(<[u8]>::to_vec).collect();
    for event in passes_unchanged(&[&long, &long], thousands) {
        assert_usage(&event);
    }
    for event in passes_unchanged(&[&long], |text| vec![text.as_bytes().to_vec()]) {
        assert_usage(&event);
    }
}

#[test]
fn an_answer_without_usage_is_said_to_miss_it() {
    let [event] = &passes_unchanged(&["data: {\"id\":\"x\"}\n\n"], bytes_of)[..] else {
        panic!("one event");
    };
    assert_eq!(event["missing_usage"], true);
    assert_eq!(event["total_tokens"], Value::Null);
}
