use super::*;

fn observed(text: &[u8]) -> Observed {
    let mut scanner = Scanner::default();
    scanner.feed(text);
    scanner.observed()
}

fn total(text: &str) -> Option<u64> {
    observed(text.as_bytes()).usage?.total_tokens
}

#[test]
fn only_members_of_the_answer_itself_are_taken() {
    let text = br#"{"choices":[{"id":"a","message":{"content":"{\"usage\":{\"total_tokens\":1}}",
        "usage":{"total_tokens":2},"model":"b","response":{"id":"c"}}}],"x":{"usage":{"total_tokens":3}},
        "response":{"output":[{"id":"d"}],"x":{"model":"e"},"response":{"id":"f"}}}"#;
    assert_eq!(observed(text), Observed::default());
    for text in [
        r#"[{"id":"a"}]"#,
        r#"{"response":{}},"id":"a""#,
        r#"{}"id":"a""#,
    ] {
        assert_eq!(observed(text.as_bytes()), Observed::default(), "{text}");
    }
}

#[test]
fn members_of_a_response_inside_an_event_are_taken() {
    let text = br#"{"type":"response.completed","response":{"id":"resp_1","usage":
        {"total_tokens":3},"model":"gpt-5"},"sequence_number":4}"#;
    let seen = observed(text);
    assert_eq!(seen.response_id.as_deref(), Some("resp_1"));
    assert_eq!(seen.model.as_deref(), Some("gpt-5"));
    assert_eq!(seen.usage.and_then(|usage| usage.total_tokens), Some(3));
}

#[test]
fn a_stream_of_anthropics_messages_is_read_from_its_first_and_last_events() {
    let mut scanner = Scanner::default();
    for text in [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",
            "content":[],"model":"claude-1","stop_reason":null,"usage":{"input_tokens":25,
            "cache_creation_input_tokens":8,"cache_read_input_tokens":4,"output_tokens":1}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"usage"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
        r#"{"type":"message_stop"}"#,
    ] {
        scanner.restart();
        scanner.feed(text.as_bytes());
    }
    let seen = scanner.observed();
    assert_eq!(seen.response_id.as_deref(), Some("msg_1"));
    assert_eq!(seen.model.as_deref(), Some("claude-1"));
    let expected = crate::telemetry::tap::Usage {
        prompt_tokens: Some(37),
        completion_tokens: Some(15),
        cached_tokens: Some(4),
        ..crate::telemetry::tap::Usage::default()
    };
    assert_eq!(seen.usage, Some(expected));
}

#[test]
fn the_last_usage_that_is_not_null_wins() {
    let mut scanner = Scanner::default();
    for (text, total) in [
        (r#"{"usage":null}"#, None),
        (r#"{"usage":{"total_tokens":1}}"#, Some(1)),
        (r#"{"usage":{"total_tokens":2}}"#, Some(2)),
        (r#"{"usage":null}"#, Some(2)),
        (r#"{"usage":{"total_tokens":3"#, Some(2)),
    ] {
        scanner.restart();
        scanner.feed(text.as_bytes());
        assert_eq!(
            scanner
                .observed()
                .usage
                .and_then(|usage| usage.total_tokens),
            total
        );
    }
}

#[test]
fn a_value_that_is_too_long_is_absent() {
    let pad = " ".repeat(USAGE_BYTES);
    assert_eq!(
        total(&format!(r#"{{"usage":{{"total_tokens":7{pad}}}}}"#)),
        None
    );
    assert_eq!(total(r#"{"usage":{"total_tokens":7  }}"#), Some(7));
    let long = format!(
        r#"{{"model":"{}","id":"{}"}}"#,
        "m".repeat(257),
        "i".repeat(256)
    );
    assert_eq!(observed(long.as_bytes()).model, None);
    assert_eq!(
        observed(long.as_bytes()).response_id.as_deref(),
        Some(&*"i".repeat(256))
    );
}

#[test]
fn a_million_open_brackets_and_a_hundred_million_bytes_of_string_cost_no_memory() {
    let mut scanner = Scanner::default();
    scanner.feed(br#"{"a":"#);
    for _ in 0..1000 {
        scanner.feed(&[b'['; 1000]);
    }
    scanner.feed(b"\"");
    let filler = [b'x'; 100_000];
    for _ in 0..1000 {
        scanner.feed(&filler);
    }
    scanner.feed(b"\"");
    for _ in 0..1000 {
        scanner.feed(&[b']'; 1000]);
    }
    scanner.feed(br#","model":"m"}"#);
    assert_eq!(scanner.observed().model.as_deref(), Some("m"));
    assert!(scanner.partial.capacity() < 1024);
}

#[test]
fn an_unterminated_string_shows_nothing_and_ends_with_its_text() {
    let mut scanner = Scanner::default();
    scanner.feed(br#"{"model":"m","usage":{"a":"\"#);
    scanner.restart();
    scanner.feed(br#"{"id":"i"}"#);
    let seen = scanner.observed();
    assert_eq!(seen.model.as_deref(), Some("m"));
    assert_eq!(seen.response_id.as_deref(), Some("i"));
    assert_eq!(seen.usage, None);
}
