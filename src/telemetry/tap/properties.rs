//! What holds for every answer, however it is cut into pieces.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Observed, Tap, Usage};
use crate::telemetry::bounded::Bounded;

const CHAT: &str = concat!(
    ": ping\r\n\r\ndata: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-5\",\"choices\":[{\"delta\":",
    "{\"content\":\"\\\"usage\\\": ü😀\"}}],\"usage\":null}\n\ndata:{\"id\":\"chatcmpl-1\",\"model\":",
    "\"gpt-5-2026\",\ndata: \"choices\":[],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":12,",
    "\"prompt_tokens_details\":{\"cached_tokens\":8}}}\r\rdata: [DONE]",
);

const ANSWER: &str = r#" {"id":"resp_\u0031","model":"gpt-5","output":[{"id":"no","content":
    "\\\" ,\"usage\":{\"total_tokens\":1} \\"}, [1.5e3, true]], "error" : null,"usage" :
    {"input_tokens":1,"output_tokens":2, "output_tokens_details":{"reasoning_tokens":2}}} "#;

#[test]
fn an_event_stream_cut_at_every_byte_shows_the_same() {
    let whole = observe(sse(), [CHAT.as_bytes()]);
    assert_eq!(whole.response_id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(whole.model.as_deref(), Some("gpt-5-2026"));
    assert_eq!(whole.usage.and_then(|usage| usage.cached_tokens), Some(8));
    cut_everywhere(sse, CHAT.as_bytes(), &whole);
}

#[test]
fn a_json_answer_cut_at_every_byte_shows_the_same() {
    let whole = observe(json(), [ANSWER.as_bytes()]);
    assert_eq!(whole.response_id.as_deref(), Some("resp_1"));
    assert_eq!(whole.model.as_deref(), Some("gpt-5"));
    let expected = Usage {
        prompt_tokens: Some(1),
        completion_tokens: Some(2),
        reasoning_tokens: Some(2),
        ..Usage::default()
    };
    assert_eq!(whole.usage, Some(expected));
    cut_everywhere(json, ANSWER.as_bytes(), &whole);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_json_shows_what_serde_json_sees(answer in answer(), pretty: bool, cuts in cuts()) {
        let text = if pretty {
            serde_json::to_vec_pretty(&answer)
        } else {
            serde_json::to_vec(&answer)
        }.expect("a tree can be written");
        let expected = seen_by_serde(&answer);
        prop_assert_eq!(&observe(json(), pieces(&text, &cuts)), &expected);

        let mut event = b"event: x\ndata: ".to_vec();
        event.extend(String::from_utf8(text).expect("JSON is UTF-8").replace('\n', "\ndata: ").into_bytes());
        prop_assert_eq!(&observe(sse(), pieces(&event, &cuts)), &expected);
    }

    #[test]
    fn any_bytes_in_any_pieces_show_the_same_and_never_panic(bytes in jsonish(), cuts in cuts()) {
        for tap in [json, sse] {
            let mut whole = tap();
            whole.feed(&bytes);
            let mut cut = tap();
            for piece in pieces(&bytes, &cuts) {
                cut.feed(piece);
            }
            prop_assert_eq!(cut.at_event_boundary(), whole.at_event_boundary());
            prop_assert_eq!(cut.finish(), whole.finish());
        }
    }
}

fn json() -> Tap {
    tap("application/json")
}

fn sse() -> Tap {
    tap("text/event-stream")
}

fn tap(content_type: &'static str) -> Tap {
    Tap::for_answer(&HeaderMap::from_iter([(
        CONTENT_TYPE,
        HeaderValue::from_static(content_type),
    )]))
}

fn observe<'a>(mut tap: Tap, pieces: impl IntoIterator<Item = &'a [u8]>) -> Observed {
    for piece in pieces {
        tap.feed(piece);
    }
    tap.finish()
}

/// In two pieces, in three pieces, byte by byte, and with empty pieces between.
fn cut_everywhere(tap: fn() -> Tap, bytes: &[u8], whole: &Observed) {
    for first in 0..=bytes.len() {
        for second in first..=bytes.len().min(first + 9) {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(
                &observe(tap(), pieces),
                whole,
                "cut at {first} and {second}"
            );
        }
    }
    assert_eq!(&observe(tap(), bytes.chunks(1)), whole, "byte by byte");
}

/// Lengths of pieces, used over and over until the bytes are gone.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..40, 1..8)
}

fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &length in cuts.iter().cycle() {
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        pieces.push(piece);
        if rest.is_empty() {
            break;
        }
        bytes = rest;
    }
    pieces
}

/// Bytes that look like JSON and event streams often enough to get far.
fn jsonish() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => prop::sample::select(vec![
            "{", "}", "[", "]", "\"", "\\", ":", ",", " ", "\n", "\r", "data: ", "data:", "data",
            "\"usage\":", "{\"total_tokens\":3}", "\"id\":\"i\"", "\"model\":", "\"response\":{",
            "\"message\":{",
            "null", "12", "\u{feff}", "{\"usage\":{", "\"x\":",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

fn answer() -> impl Strategy<Value = Value> {
    prop_oneof![9 => object(value()), 1 => value()]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0_u64..1000).prop_map(Value::from),
        text().prop_map(Value::from),
        usage(),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        8 => prop::sample::select(vec!["usage", "id", "model", "response", "message", "choices", ""])
            .prop_map(str::to_owned),
        2 => text(),
    ];
    prop::collection::vec((name, inner), 0..6)
        .prop_map(|members| Value::from(Map::from_iter(members)))
}

fn usage() -> impl Strategy<Value = Value> {
    (0_u64..9, 0_u64..9).prop_map(|(prompt, reasoning)| {
        json!({"prompt_tokens": prompt, "x": "}{\"", "total_tokens": null,
            "output_tokens_details": {"reasoning_tokens": reasoning}})
    })
}

/// Of any characters, with those that JSON escapes among them more often.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        1 => prop::sample::select(vec!['"', '\\', '{', '}', '[', ']', '\n', '\u{0}', '😀']),
        1 => any::<char>(),
        2 => prop::char::range('a', 'z'),
    ];
    prop::collection::vec(character, 0..40).prop_map(String::from_iter)
}

/// The rules of the tap over a tree of the whole answer.
fn seen_by_serde(answer: &Value) -> Observed {
    let mut seen = Seen::default();
    for (name, value) in answer.as_object().into_iter().flatten() {
        seen.member(name, value, false);
        if name == "response" || name == "message" {
            for (inner, value) in value.as_object().into_iter().flatten() {
                seen.member(inner, value, name == "message");
            }
        }
    }
    let (first, last) = (seen.begun, seen.usage);
    let usage = Usage {
        prompt_tokens: last.prompt_tokens.or(first.prompt_tokens),
        reasoning_tokens: last.reasoning_tokens.or(first.reasoning_tokens),
        ..Usage::default()
    };
    Observed {
        usage: (usage != Usage::default()).then_some(usage),
        ..seen.observed
    }
}

#[derive(Default)]
struct Seen {
    observed: Observed,
    usage: Usage,
    /// That in a `message`.
    begun: Usage,
}

impl Seen {
    fn member(&mut self, name: &str, value: &Value, in_message: bool) {
        let text = || {
            value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(Bounded::from)
        };
        match name {
            "id" if value.is_string() => self.observed.response_id = text(),
            "model" if value.is_string() => self.observed.model = text(),
            "usage" if value.is_object() => {
                let usage = if in_message {
                    &mut self.begun
                } else {
                    &mut self.usage
                };
                *usage = Usage {
                    prompt_tokens: value["prompt_tokens"].as_u64(),
                    reasoning_tokens: value["output_tokens_details"]["reasoning_tokens"].as_u64(),
                    ..Usage::default()
                };
            }
            _ => {}
        }
    }
}
