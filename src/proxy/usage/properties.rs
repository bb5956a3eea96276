//! What holds for every stream, however it is cut into pieces: with its usage
//! asked for and filtered it is the stream without.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Filter;
use super::held::MOST;
use super::{edit, question};

fn filtered(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut filter = Filter::default();
    let mut passed = Vec::new();
    for piece in pieces {
        passed.extend_from_slice(&filter.feed(&Bytes::copy_from_slice(piece.as_ref())));
    }
    passed.extend_from_slice(&filter.finish());
    passed
}

/// Whole, in two pieces cut at each byte, and byte by byte.
#[track_caller]
fn assert_filtered(stream: &str, expected: &str) {
    let show = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    assert_eq!(show(filtered([stream])), expected, "whole");
    for at in 0..=stream.len() {
        let (one, other) = stream.as_bytes().split_at(at);
        let shown = show(filtered([one, other]));
        assert_eq!(shown, expected, "cut at {at} of {stream:?}");
    }
    let shown = show(filtered(stream.as_bytes().chunks(1)));
    assert_eq!(shown, expected, "byte by byte");
}

/// As OpenAI answers: one that was asked for its usage, and one that was not.
const ASKED: &str = concat!(
    r#"data: {"id":"c","choices":[{"delta":{"content":"\"usage\":null"}}],"usage":null,"obfuscation":"x"}"#,
    "\n\n",
    r#"data: {"id":"c","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"details":{"choices":[1]}},"obfuscation":"y"}"#,
    "\n\ndata: [DONE]\n\n",
);
const PLAIN: &str = concat!(
    r#"data: {"id":"c","choices":[{"delta":{"content":"\"usage\":null"}}],"obfuscation":"x"}"#,
    "\n\n",
    r#"data: {"id":"c","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    "\n\ndata: [DONE]\n\n",
);

#[test]
fn what_asking_adds_is_taken_out_and_nothing_else() {
    assert_filtered(ASKED, PLAIN);
    assert_filtered(&ASKED.replace('\n', "\r\n"), &PLAIN.replace('\n', "\r\n"));
    assert_filtered(&ASKED.replace('\n', "\r"), &PLAIN.replace('\n', "\r"));
    assert_filtered(PLAIN, PLAIN);
}

#[test]
fn a_null_usage_is_taken_out_wherever_it_stands() {
    for (object, left) in [
        (r#"{"usage":null,"a":1}"#, r#"{"a":1}"#),
        (r#"{ "usage" : null , "a":1 }"#, r#"{ "a":1 }"#),
        (r#"{"a":1 , "usage": null , "b":2}"#, r#"{"a":1 , "b":2}"#),
        (r#"{"a":1, "usage": null }"#, r#"{"a":1 }"#),
        (r#"{"usage":null}"#, "{}"),
        (r#"{ "usage":null }"#, "{  }"),
        (
            r#"{"usage":null,"usage":null,"choices":[1],"usage":null}"#,
            r#"{"choices":[1]}"#,
        ),
        (r#"{"usage":null,"choices":[]}"#, r#"{"choices":[]}"#),
        (r#"{"choices":[],"usage":null}"#, r#"{"choices":[]}"#),
    ] {
        assert_filtered(&format!("data: {object}\n\n"), &format!("data: {left}\n\n"));
    }
}

#[test]
fn what_is_another_event_or_member_passes() {
    for data in [
        r#"{"choices":[{}],"usage":{"total_tokens":1}}"#,
        r#"{"choices":[{"usage":null}],"x":{"usage":null},"y":["usage",null]}"#,
        r#"{"choices":[],"usage":1}"#,
        r#"{"choices":[],"usage":nullx}"#,
        r#"{"choices":[],"usage":nul"#,
        r#"{"choices":[],"prompt_filter_results":[{}]}"#,
        r#"{"choices":null,"usage":{}}"#,
        r#"{"usage":{"total_tokens":1}}"#,
        r#"{"choices":[],"choices":[1],"usage":{}}"#,
        r#"{"choices":[],"usage":{}} x"#,
        r#"{"choices":[],"usage":{}"#,
        r#"["choices",[],"usage",null]"#,
        r#"{"us":null,"usages":null,"Usage":null,"a":null}"#,
        r#"{"error":{"message":"no","usage":null}}"#,
        "{\"choices\":[]\ndata: ,\"usage\":null}",
        "{\"choices\":[],\"usage\"\nid: 3\ndata: :null}",
        "[DONE]",
        "",
        "{]",
    ] {
        let stream = format!("data: {data}\n\ndata: next\n\n");
        assert_filtered(&stream, &stream);
    }
}

#[test]
fn the_extra_event_goes_whole_in_every_form_of_an_event() {
    for extra in [
        "data:{\"usage\":{},\"choices\":[]}\n\n",
        "event: chunk\nid: 4\ndata: { \"choices\" : [ ] , \"usage\" : { } } \n\n",
        "data: {\"choices\":[],\ndata: \"usage\":{}}\nretry: 1\n\n",
        "data\n: now\ndata:{\"choices\":[],\"usage\":{}}\n\n",
    ] {
        let stream = |extra: &str| format!("\u{feff}: hello\n\ndata: 1\n\n{extra}: bye\n\n");
        assert_filtered(&stream(extra), &stream(""));
        let crlf = |extra: &str| stream(extra).replace('\n', "\r\n");
        assert_filtered(&crlf(extra), &crlf(""));
    }
    // A comment before it is none of it; its end may be missing.
    let extra = "data: {\"choices\":[],\"usage\":{}}";
    assert_filtered(&format!(": ping\n{extra}\n\ndata: 1"), ": ping\ndata: 1");
    assert_filtered(&format!("data: 1\n\n{extra}"), "data: 1\n\n");
    assert_filtered(&format!("data: 1\n\n{extra}\n"), "data: 1\n\n");
}

#[test]
fn of_a_stream_that_is_cut_nothing_is_lost() {
    let extra = "data: {\"choices\":[],\"usage\":{}";
    for cut in (0..extra.len()).map(|at| &extra[..at]) {
        let stream = format!("data: 1\n\n{cut}");
        assert_filtered(&stream, &stream);
    }
}

#[test]
fn an_event_larger_than_the_bound_passes() {
    for (length, passes) in [(MOST - 200, false), (MOST, true), (3 * MOST, true)] {
        let pad = "x".repeat(length);
        let extra = format!("data: {{\"id\":\"{pad}\",\"choices\":[],\"usage\":{{}}}}\n\n");
        let stream = format!("data: 1\n\n{extra}data: [DONE]\n\n");
        let left = match passes {
            true => stream.clone(),
            false => stream.replace(&extra, ""),
        };
        for size in [stream.len(), 1000, 37, 1] {
            assert!(
                filtered(stream.as_bytes().chunks(size)) == left.as_bytes(),
                "{size}"
            );
        }
        // Of another event the member goes nevertheless.
        let event = |usage| format!("data: {{\"id\":\"{pad}\"{usage},\"choices\":[1]}}\n\n");
        for size in [2 * MOST, 1000, 1] {
            let asked = event(",\"usage\":null");
            assert!(
                filtered(asked.as_bytes().chunks(size)) == event("").as_bytes(),
                "{size}"
            );
        }
    }
}

#[test]
fn an_event_goes_on_as_soon_as_it_is_known_to_be_another() {
    let mut filter = Filter::default();
    let mut feed = |bytes: &'static str| {
        let passed = filter.feed(&Bytes::from_static(bytes.as_bytes()));
        String::from_utf8(passed.to_vec()).unwrap()
    };
    for (piece, passed) in [
        (": comment", ": comment"),
        (" more\n", " more\n"),
        ("\ndata: {\"id\":1,", "\n"),
        ("\"choices\":[", ""),
        ("{\"a\"", "data: {\"id\":1,\"choices\":[{\"a\""),
        (":1}", ":1}"),
        ("]", "]"),
        (",\"usage", ""),
        ("\":nul", ""),
        ("l", ""),
        (",\"b\":", ",\"b\":"),
        ("2", "2"),
        (",", ""),
        ("\"u", ""),
        ("x\":1}\n", ",\"ux\":1}\n"),
        ("\n", "\n"),
        ("data: [", "data: ["),
        ("DONE]\n\n", "DONE]\n\n"),
    ] {
        assert_eq!(feed(piece), passed, "{piece:?}");
    }
    assert!(filter.is_empty());
}

#[test]
fn what_passes_whole_is_not_copied() {
    let bytes = Bytes::from_static(PLAIN.as_bytes());
    let passed = Filter::default().feed(&bytes);
    assert_eq!(passed.as_ptr(), bytes.as_ptr());
    let extra = Bytes::from_static(b"data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n");
    let passed = Filter::default().feed(&extra);
    assert_eq!(passed, "data: [DONE]\n\n");
    assert_eq!(passed.as_ptr(), extra[extra.len() - 14..].as_ptr());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn a_stream_with_its_usage_asked_for_and_filtered_is_the_stream_without(
        events in prop::collection::vec(event(), 0..8),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in cuts(),
    ) {
        let stream = |asked: bool| -> String {
            let texts = events.iter().map(|event| event.text(asked));
            texts.collect::<String>().replace('\n', end)
        };
        let (asked, plain) = (stream(true), stream(false));
        let got = filtered(pieces(asked.as_bytes(), &cuts));
        prop_assert_eq!(String::from_utf8_lossy(&got), &*plain, "of {}", asked);
        prop_assert!(filtered([plain.as_bytes()]) == plain.as_bytes());
    }

    #[test]
    fn any_bytes_in_any_pieces_give_the_same_and_only_what_was_there(
        bytes in streamish(),
        cuts in cuts(),
    ) {
        let whole = filtered([&bytes]);
        prop_assert_eq!(&filtered(pieces(&bytes, &cuts)), &whole);
        let mut rest = bytes.iter();
        prop_assert!(whole.iter().all(|byte| rest.any(|other| other == byte)));
    }

    /// Against serde_json, combined with other edits: the value is that of a map
    /// edited in the same way, and without the question the bytes are the client's.
    #[test]
    fn the_question_is_the_only_change(
        members in prop::collection::vec((name(), json(2)), 0..5),
        options in prop::option::of(options()),
        pretty: bool,
    ) {
        let mut body: Map<String, Value> = members.into_iter().collect();
        body.remove("stream_options");
        if let Some(options) = &options {
            body.insert("stream_options".into(), options.clone());
        }
        let text = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        let asks = match &options {
            None | Some(Value::Null) => true,
            Some(Value::Object(options)) => {
                matches!(options.get("include_usage"), None | Some(Value::Null | Value::Bool(false)))
            }
            Some(_) => false,
        };
        let question = question(&text);
        prop_assert_eq!(question.is_some(), asks);
        let Some(question) = question else { return Ok(()) };
        let rename = edit::Edit { name: "model".into(), value: Some("\"there\"".into()) };
        let edited = edit::edited(&text, &[rename, question.clone()]).unwrap();
        let mut expected = body.clone();
        expected.insert("model".into(), "there".into());
        let mut with = options.filter(Value::is_object).unwrap_or_else(|| json!({}));
        with["include_usage"] = true.into();
        expected.insert("stream_options".into(), with);
        prop_assert_eq!(serde_json::from_slice::<Value>(&edited).unwrap(), Value::Object(expected));

        // All bytes but a value that it replaces (null, false) are there, in their order.
        let edited = edit::edited(&text, &[question]).unwrap();
        let same = |(one, other): &(&u8, &u8)| one == other;
        let before = text.iter().zip(&edited).take_while(same).count();
        let (text, edited) = (&text[before..], &edited[before..]);
        let after = text.iter().rev().zip(edited.iter().rev()).take_while(same).count();
        prop_assert!(text.len() - after <= "false".len());
        let question = ",\"stream_options\":{\"include_usage\":true}";
        prop_assert!(edited.len() - after <= question.len());
    }
}

/// A part of a stream: as it is without the question, and what that adds.
#[derive(Debug, Clone)]
enum Part {
    /// The same in both.
    Plain(String),
    /// A chunk, with the place among its members where a null usage comes.
    Chunk(Vec<(String, Value)>, usize, [&'static str; 2]),
    /// Only in the one that was asked.
    Extra(Vec<(String, Value)>, [&'static str; 2]),
}

impl Part {
    fn text(&self, asked: bool) -> String {
        match self {
            Part::Plain(text) => text.clone(),
            Part::Chunk(members, place, spaces) => {
                let mut members = members.clone();
                if asked {
                    let place = place % (members.len() + 1);
                    members.insert(place, ("usage".into(), Value::Null));
                }
                format!("data: {}\n\n", object(&members, *spaces))
            }
            Part::Extra(members, spaces) if asked => {
                format!("data: {}\n\n", object(members, *spaces))
            }
            Part::Extra(..) => String::new(),
        }
    }
}

fn object(members: &[(String, Value)], [comma, colon]: [&str; 2]) -> String {
    let members = members.iter().map(|(name, value)| {
        let name = Value::from(name.as_str());
        format!("{name}{colon}{value}")
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(comma))
}

fn event() -> impl Strategy<Value = Part> {
    let spaces = || prop::sample::select(vec![[",", ":"], [", ", ": "], [" ,\t", " : "]]);
    let plain = prop::sample::select(vec![
        ": OPENROUTER PROCESSING\n\n",
        ":\n",
        "\n",
        "data: [DONE]\n\n",
        "event: error\ndata: {\"error\":{\"message\":\"usage\"}}\n\n",
        "id: 1\nretry: 3\n\n",
    ]);
    let other = |name: &str| name != "usage" && name != "choices";
    let members = move || {
        let members = prop::collection::vec((name(), json(2)), 0..4);
        members.prop_map(move |mut members: Vec<(String, Value)>| {
            members.retain(|(name, _)| other(name));
            members
        })
    };
    let choices = prop::collection::vec(json(2), 1..3).prop_map(Value::from);
    let chunk = (members(), choices, any::<[usize; 2]>(), spaces());
    let extra = (members(), json(2), any::<[usize; 2]>(), spaces());
    prop_oneof![
        2 => plain.prop_map(|text| Part::Plain(text.to_owned())),
        4 => chunk.prop_map(|(mut members, choices, [one, other], spaces)| {
            members.insert(one % (members.len() + 1), ("choices".into(), choices));
            Part::Chunk(members, other, spaces)
        }),
        1 => extra.prop_map(|(mut members, detail, [one, other], spaces)| {
            let usage = json!({ "total_tokens": 3, "detail": detail });
            members.insert(one % (members.len() + 1), ("choices".into(), json!([])));
            members.insert(other % (members.len() + 1), ("usage".into(), usage));
            Part::Extra(members, spaces)
        }),
    ]
}

/// Lengths of pieces, used over and over until the bytes are gone.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..60, 1..8)
}

fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in cuts.iter().cycle() {
        let (piece, rest) = bytes.split_at(bytes.len().min(*length));
        pieces.push(piece);
        if rest.is_empty() {
            break;
        }
        bytes = rest;
    }
    pieces
}

/// Bytes that look like a stream often enough to get far.
fn streamish() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        12 => prop::sample::select(vec![
            "data: {", "data:", "data", ": ", "{", "}", "[", "]", "\"", "\\", ":", ",", " ",
            "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "\"usage\":null", "\"usage\":", "null",
            "\"choices\":[]", "\"choices\":[{}]", "{\"choices\":[],\"usage\":{}}", "\u{feff}",
            "\"x\":1", "12",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

fn options() -> impl Strategy<Value = Value> {
    let include = prop_oneof![
        4 => prop::sample::select(vec![Value::Null, false.into(), true.into()]),
        1 => json(1),
    ];
    prop_oneof![
        1 => json(1),
        4 => (prop::option::of(include), prop::collection::vec((name(), json(1)), 0..3)).prop_map(
            |(include, members)| {
                let mut options: Map<String, Value> = members.into_iter().collect();
                if let Some(include) = include {
                    options.insert("include_usage".into(), include);
                }
                options.into()
            }
        ),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["(id|object|model|stream|usage|choices|delta)", ".{0,4}"]
}

fn json(depth: u32) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from("\"usage\":null,\\")),
    ];
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
