//! The tokens that an answer tells of, in its event.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::daemon::Daemon;
use crate::support::openai::Loopback;
use crate::support::upstream::Upstream;

#[test]
fn tokens_of_every_kind_of_answer_are_in_its_event() {
    let upstream = Loopback::start(Duration::ZERO);
    let daemon = Daemon::builder()
        .upstream_at(&upstream.base_url(), Some(upstream.ca_file()))
        .start();
    let question = json!([{ "role": "user", "content": "What does the last hop add?" }]);
    let with_usage = json!({ "include_usage": true });
    let asked = [
        ("chat/completions", json!({ "messages": question })),
        (
            "chat/completions",
            json!({ "messages": question, "stream": true, "stream_options": with_usage }),
        ),
        ("completions", json!({ "prompt": "What?" })),
        (
            "completions",
            json!({ "prompt": "What?", "stream": true, "stream_options": with_usage }),
        ),
        ("responses", json!({ "input": question })),
        ("responses", json!({ "input": question, "stream": true })),
        ("embeddings", json!({ "input": ["one", "two"] })),
    ];
    let mut client = daemon.client();
    for (number, (path, mut body)) in asked.into_iter().enumerate() {
        body["model"] = "gpt-5".into();
        let answer = client.post_json(&format!("/v1/{path}"), &body.to_string());
        assert_eq!(answer.status(), 200);
        let usage = usage_in(&answer);
        let event = daemon
            .wait_events("request_completed", number + 1)
            .remove(number);
        println!("{event}");
        let told = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64());
        let field = |name: &str| event[name].as_u64();
        assert_eq!(
            field("prompt_tokens"),
            told(["prompt_tokens", "input_tokens"])
        );
        assert_eq!(
            field("completion_tokens"),
            told(["completion_tokens", "output_tokens"])
        );
        assert_eq!(field("total_tokens"), usage["total_tokens"].as_u64());
        assert!(field("prompt_tokens") > Some(0));
        if path != "embeddings" {
            assert_eq!(field("completion_tokens"), Some(8));
            assert_eq!(field("reasoning_tokens"), Some(1));
            assert_eq!(field("cached_tokens"), Some(2));
            let id = event["response_id"].as_str().unwrap();
            assert!(id.ends_with("-loopback") || id == "resp_loopback", "{id}");
        }
        assert_eq!(event["missing_usage"], false);
        assert_eq!(event["model"], "gpt-5");
        assert_eq!(event["upstream_model"], "gpt-5");
        assert_eq!(event["streaming"], body["stream"] == true);
        assert_eq!(
            event["bytes_in"].as_u64(),
            Some(body.to_string().len() as u64)
        );
        assert_eq!(
            event["bytes_out"].as_u64(),
            Some(answer.body.data().len() as u64)
        );
    }
}

/// The usage that the client saw, wherever it stands.
fn usage_in(answer: &Answer) -> Value {
    let text = answer.body.text();
    let whole = serde_json::from_str::<Value>(&text).ok();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let mut usages = whole.into_iter().chain(events).flat_map(|mut value| {
        let inner = value["response"]["usage"].take();
        [value["usage"].take(), inner]
    });
    usages.rfind(Value::is_object).expect("there is a usage")
}

#[test]
fn an_answer_without_the_tokens_it_should_tell_is_marked_and_others_are_not() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| match request.head.target() {
            "/v1/embeddings" => conn.answer_json(400, "{}"),
            _ => conn.answer_json(200, "{}"),
        })
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for (number, (path, marked)) in [
        ("/v1/chat/completions", json!(true)),
        ("/v1/models", Value::Null),
        ("/v1/embeddings", Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        client.post_json(path, "{}");
        let event = daemon
            .wait_events("request_completed", number + 1)
            .remove(number);
        assert_eq!(event["missing_usage"], marked, "{path}");
    }
}

/// Anthropic's Messages API: its prompt is told in three numbers.
#[test]
fn tokens_of_anthropics_messages_are_in_the_event_with_the_cached_ones_among_the_prompts() {
    const WHOLE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-1",
        "content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":25,
        "cache_creation_input_tokens":8,"cache_read_input_tokens":4,"output_tokens":15}}"#;
    const STREAM: &str = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",",
        "\"type\":\"message\",\"model\":\"claude-1\",\"content\":[],\"usage\":{\"input_tokens\":25,",
        "\"cache_creation_input_tokens\":8,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":",
        "\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| {
            if request.body.text().contains("stream") {
                return conn.answer(200, "Content-Type: text/event-stream\r\n", STREAM);
            }
            conn.answer_json(200, WHOLE)
        })
    });
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    for body in [r#"{"model":"m"}"#, r#"{"model":"m","stream":true}"#] {
        client.post_json("/v1/messages", body);
    }
    for event in daemon.wait_request_events(2) {
        assert_eq!(event["prompt_tokens"], 37);
        assert_eq!(event["completion_tokens"], 15);
        assert_eq!(event["cached_tokens"], 4);
        assert_eq!(event["total_tokens"], Value::Null);
        assert_eq!(event["missing_usage"], false);
        assert_eq!(event["response_id"], "msg_1");
        assert_eq!(event["upstream_model"], "claude-1");
    }
}
