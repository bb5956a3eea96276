//! `/v1/responses`, whole and as the stream of named events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::chat::{CREATED, prompt_tokens, words};
use super::route::State;

const MESSAGE: &str = "msg_loopback";

/// A response.
pub fn create(state: &State, asked: &Value) -> Answer {
    let words = words(asked);
    if asked["stream"] == true {
        let events = events(asked, &words);
        return answer::paced(state, "text/event-stream; charset=utf-8", events);
    }
    answer::json(&completed(asked, &words))
}

/// The events in their order, numbered as OpenAI does.
fn events(asked: &Value, words: &[&str]) -> Vec<Bytes> {
    let place = |mut event: Value| {
        event["item_id"] = MESSAGE.into();
        event["output_index"] = 0.into();
        event["content_index"] = 0.into();
        event
    };
    let text = words.concat();
    let begun = || json!({ "response": response(asked, "in_progress", json!([]), Value::Null) });
    let item = |status: &str, content: Value| json!({ "output_index": 0, "item": message(status, content) });
    let mut events = vec![
        ("response.created", begun()),
        ("response.in_progress", begun()),
        ("response.output_item.added", item("in_progress", json!([]))),
        (
            "response.content_part.added",
            place(json!({ "part": part("") })),
        ),
    ];
    events.extend(words.iter().map(|word| {
        let delta = json!({ "delta": word, "logprobs": [] });
        ("response.output_text.delta", place(delta))
    }));
    events.extend([
        (
            "response.output_text.done",
            place(json!({ "text": text, "logprobs": [] })),
        ),
        (
            "response.content_part.done",
            place(json!({ "part": part(&text) })),
        ),
        (
            "response.output_item.done",
            item("completed", json!([part(&text)])),
        ),
        (
            "response.completed",
            json!({ "response": completed(asked, words) }),
        ),
    ]);
    let numbered = events.into_iter().enumerate();
    numbered
        .map(|(number, (name, mut event))| {
            event["type"] = name.into();
            event["sequence_number"] = number.into();
            format!("event: {name}\ndata: {event}\n\n").into()
        })
        .collect()
}

fn completed(asked: &Value, words: &[&str]) -> Value {
    let input = prompt_tokens(&asked["input"]);
    let usage = json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": 2 },
        "output_tokens": words.len(),
        "output_tokens_details": { "reasoning_tokens": 1 },
        "total_tokens": input + words.len(),
    });
    let output = json!([message("completed", json!([part(&words.concat())]))]);
    response(asked, "completed", output, usage)
}

fn response(asked: &Value, status: &str, output: Value, usage: Value) -> Value {
    json!({
        "id": "resp_loopback",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "instructions": asked["instructions"],
        "metadata": {},
        "model": asked["model"],
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "temperature": 1.0,
        "text": { "format": { "type": "text" } },
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage,
    })
}

fn message(status: &str, content: Value) -> Value {
    json!({
        "id": MESSAGE, "type": "message", "status": status,
        "role": "assistant", "content": content,
    })
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}
