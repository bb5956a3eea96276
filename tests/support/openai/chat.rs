//! `/v1/chat/completions` and `/v1/completions`, whole and streamed.

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::route::State;

/// When everything here was created: a fixed second, so that answers compare.
pub const CREATED: u64 = 1_760_000_000;

const WORDS: [&str; 8] = [
    "The ", "last ", "hop ", "adds ", "next ", "to ", "nothing", ".",
];

/// The output of the model: as many words as `asked` wants, [`WORDS`] at first.
pub fn words(asked: &Value) -> Vec<&'static str> {
    let wanted = ["max_completion_tokens", "max_output_tokens", "max_tokens"]
        .iter()
        .find_map(|name| asked[*name].as_u64())
        .and_then(|wanted| usize::try_from(wanted).ok())
        .unwrap_or(WORDS.len());
    WORDS.iter().copied().cycle().take(wanted).collect()
}

/// Tokens of the question: one each four bytes, as the rule of thumb says.
pub fn prompt_tokens(question: &Value) -> usize {
    question.to_string().len().div_ceil(4)
}

/// A chat completion.
pub fn chat(state: &State, asked: &Value) -> Answer {
    let words = words(asked);
    if asked["stream"] == true {
        return stream(state, asked, &Chat, &words);
    }
    answer::json(&json!({
        "id": Chat.id(),
        "object": "chat.completion",
        "created": CREATED,
        "model": asked["model"],
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant", "content": words.concat(),
                "refusal": null, "annotations": [],
            },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage(&asked["messages"], words.len()),
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    }))
}

/// A completion of the old kind.
pub fn text(state: &State, asked: &Value) -> Answer {
    let words = words(asked);
    if asked["stream"] == true {
        return stream(state, asked, &Text, &words);
    }
    answer::json(&json!({
        "id": Text.id(),
        "object": "text_completion",
        "created": CREATED,
        "model": asked["model"],
        "choices": [Text.choice(&words.concat(), Some("stop"))],
        "usage": usage(&asked["prompt"], words.len()),
    }))
}

/// What differs between the two kinds of streams.
trait Kind {
    fn id(&self) -> &str;
    fn object(&self) -> &str;
    fn question<'a>(&self, asked: &'a Value) -> &'a Value;
    fn first(&self) -> Option<Value>;
    fn choice(&self, word: &str, finish_reason: Option<&str>) -> Value;
    fn last(&self) -> Value;
}

struct Chat;
struct Text;

fn stream(state: &State, asked: &Value, kind: &impl Kind, words: &[&str]) -> Answer {
    let with_usage = asked["stream_options"]["include_usage"] == true;
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": kind.id(),
            "object": kind.object(),
            "created": CREATED,
            "model": asked["model"],
            "system_fingerprint": "fp_loopback",
            "choices": choices,
        });
        // As OpenAI does: null until the last chunk, and only where it was asked for.
        if with_usage {
            chunk["usage"] = usage;
        }
        event(&chunk.to_string())
    };
    let choices = kind
        .first()
        .into_iter()
        .chain(words.iter().map(|word| kind.choice(word, None)))
        .chain([kind.last()]);
    let mut events: Vec<Bytes> = choices
        .map(|choice| chunk(json!([choice]), Value::Null))
        .collect();
    if with_usage {
        let usage = usage(kind.question(asked), words.len());
        events.push(chunk(json!([]), usage));
    }
    events.push(event("[DONE]"));
    answer::paced(state, "text/event-stream; charset=utf-8", events)
}

impl Kind for Chat {
    fn id(&self) -> &str {
        "chatcmpl-loopback"
    }

    fn object(&self) -> &str {
        "chat.completion.chunk"
    }

    fn question<'a>(&self, asked: &'a Value) -> &'a Value {
        &asked["messages"]
    }

    fn first(&self) -> Option<Value> {
        let delta = json!({ "role": "assistant", "content": "", "refusal": null });
        Some(json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }))
    }

    fn choice(&self, word: &str, finish_reason: Option<&str>) -> Value {
        let delta = json!({ "content": word });
        json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason })
    }

    fn last(&self) -> Value {
        json!({ "index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop" })
    }
}

impl Kind for Text {
    fn id(&self) -> &str {
        "cmpl-loopback"
    }

    fn object(&self) -> &str {
        "text_completion"
    }

    fn question<'a>(&self, asked: &'a Value) -> &'a Value {
        &asked["prompt"]
    }

    fn first(&self) -> Option<Value> {
        None
    }

    fn choice(&self, word: &str, finish_reason: Option<&str>) -> Value {
        json!({ "index": 0, "text": word, "logprobs": null, "finish_reason": finish_reason })
    }

    fn last(&self) -> Value {
        self.choice("", Some("stop"))
    }
}

fn event(data: &str) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn usage(question: &Value, completion: usize) -> Value {
    let prompt = prompt_tokens(question);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": { "cached_tokens": 2, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": 1, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}
