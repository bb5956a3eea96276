//! The last request as it reached this side, for tests that can't look at
//! memory: the SDKs' ones are Python and JavaScript.

use http::request::Parts;
use serde_json::{Value, json};

use super::answer::{self, Answer};
use crate::support::message::latin1;

/// `GET /__seen` is answered with it.
#[derive(Default)]
pub struct Seen(Value);

impl Seen {
    /// Replaces it.
    pub fn keep(&mut self, head: &Parts, body: &[u8]) {
        let fields: Vec<Value> = head
            .headers
            .iter()
            .map(|(name, value)| json!([name.as_str(), latin1(value.as_bytes())]))
            .collect();
        self.0 = json!({
            "method": head.method.as_str(),
            "target": head.uri.path_and_query().map(|target| target.as_str()),
            "version": format!("{:?}", head.version),
            "fields": fields,
            "body_bytes": body.len(),
            "json": serde_json::from_slice::<Value>(body).ok(),
        });
    }

    /// With the number of streams whose reader left before their end.
    pub fn as_answer(&self, aborted_streams: u64) -> Answer {
        let seen = json!({ "last": self.0, "aborted_streams": aborted_streams });
        answer::json(&seen)
    }
}
