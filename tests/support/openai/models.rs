//! `/v1/models`.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::chat::CREATED;
use super::error;

const MODELS: [&str; 3] = ["gpt-5", "gpt-5-mini", "text-embedding-3-small"];

/// All of them.
pub fn list() -> Answer {
    let data: Vec<Value> = MODELS.iter().map(|id| model(id)).collect();
    answer::json(&json!({ "object": "list", "data": data }))
}

/// One of them.
pub fn get(id: &str) -> Answer {
    match MODELS.contains(&id) {
        true => answer::json(&model(id)),
        false => error::answer(404, &format!("The model '{id}' does not exist")),
    }
}

fn model(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "loopback" })
}
