//! `tokens_per_minute`: what answers have used, as soon as they say so.

use super::{ask, assert_refused, held, retry_after, send};
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::DEADLINE;

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"m","usage":{"prompt_tokens":30,"completion_tokens":40,"total_tokens":70}}"#;

#[track_caller]
fn left(daemon: &Daemon) -> String {
    let answer = ask(daemon, "sk-one");
    assert_eq!(answer.status(), 200, "{}", answer.body.text());
    let field = answer.head.field("x-ratelimit-remaining-tokens");
    field.unwrap().to_owned()
}

#[test]
fn tokens_are_taken_when_an_answer_has_used_them() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = held(&upstream, "tokens_per_minute = 100").start();
    assert_eq!(left(&daemon), "100");
    assert_eq!(left(&daemon), "30");
    // 140 of 100 were used: 41 have to come back, of 100 a minute.
    let answer = ask(&daemon, "sk-one");
    let message = assert_refused(&answer, 429, "rate_limit_exceeded");
    assert!(message.contains("the 100 tokens"), "{message}");
    assert!((20..=25).contains(&retry_after(&answer)));
    assert_eq!(answer.head.field("x-ratelimit-limit-tokens"), Some("100"));
    assert_eq!(answer.head.field("x-ratelimit-remaining-tokens"), Some("0"));
    let reset = answer.head.field("x-ratelimit-reset-tokens").unwrap();
    assert!(reset.starts_with("1m2"), "{reset}");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn tokens_of_a_stream_are_taken_before_its_end_is_seen() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, _| {
            conn.start_events()?;
            conn.write_chunk("data: {\"id\":\"1\",\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n")?;
            conn.write_chunk("data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":91}}\n\n")?;
            conn.write_chunk("data: [DONE]\n\n")?;
            conn.write_last_chunk("")
        })
    });
    let daemon = held(&upstream, "tokens_per_minute = 100").start();
    assert_eq!(left(&daemon), "100");
    // No total: the sum of both.
    assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
    assert_eq!(ask(&daemon, "sk-two").status(), 200);
}

#[test]
fn what_uses_no_tokens_takes_none() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| match request.head.target() {
            "/v1/files/1/content" => conn.answer_json(200, ANSWER),
            _ => conn.answer_json(400, ANSWER),
        })
    });
    let daemon = held(&upstream, "tokens_per_minute = 1").start();
    for _ in 0..3 {
        assert_eq!(ask(&daemon, "sk-one").status(), 400);
        let mut client = daemon.client();
        let field = "Authorization: Bearer sk-one\r\n";
        client
            .send("GET", "/v1/files/1/content", field, b"")
            .unwrap();
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn who_leaves_a_stream_pays_for_what_it_had_said() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, _| {
            conn.start_events()?;
            conn.write_chunk("data: {\"choices\":[],\"usage\":{\"total_tokens\":100}}\n\n")?;
            conn.peer_left(DEADLINE);
            Ok(())
        })
    });
    let daemon = held(&upstream, "tokens_per_minute = 100").start();
    let mut client = daemon.client();
    send(&mut client, "sk-one");
    client.answer_head().unwrap();
    client.next_chunk().unwrap();
    client.close();
    let event = daemon.wait_request_event();
    assert_eq!(event["client_aborted"], true);
    assert_eq!(event["total_tokens"], 100);
    assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
}
