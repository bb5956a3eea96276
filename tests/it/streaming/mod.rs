//! An answer goes on to the client as it comes: at once, byte for byte.

mod departure;
mod pace;
mod text;

/// A chat completion as an event stream; 42 tokens, the last event has no text.
const EVENTS: &str = concat!(
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[{"delta":{"content":"Grüße 🦀"}}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[],"usage":{"prompt_tokens":11,"#,
    r#""completion_tokens":31,"total_tokens":42,"completion_tokens_details":{"reasoning_tokens":7}}}"#,
    "\n\ndata: [DONE]\n\n",
);
