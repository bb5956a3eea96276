//! `/v1/embeddings`: as numbers, or as base64, which the SDKs ask for by themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::chat::prompt_tokens;

/// Exact in binary, so that both encodings give the same numbers.
const VECTOR: [f32; 4] = [0.5, -0.25, 0.125, 1.0];

/// One vector an input.
pub fn create(asked: &Value) -> Answer {
    let inputs = asked["input"].as_array().map_or(1, Vec::len);
    let vector = match asked["encoding_format"].as_str() {
        Some("base64") => {
            let octets: Vec<u8> = VECTOR.iter().flat_map(|x| x.to_le_bytes()).collect();
            STANDARD.encode(octets).into()
        }
        _ => json!(VECTOR),
    };
    let data: Vec<Value> = (0..inputs)
        .map(|index| json!({ "object": "embedding", "index": index, "embedding": vector }))
        .collect();
    let tokens = prompt_tokens(&asked["input"]);
    answer::json(&json!({
        "object": "list",
        "data": data,
        "model": asked["model"],
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
}
