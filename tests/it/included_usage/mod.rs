//! `include_usage`: streams are asked for their usage in the client's place, and
//! the client's bytes are as if nothing had been asked.

mod asked;
mod broken;
mod taken_out;

use serde_json::Value;

use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::{Conn, Request, Upstream};

/// What the client sends, and what the upstream gets of it.
const BODY: &str = r#"{"model":"gpt-5","stream":true,"messages":[]}"#;
const BODY_ASKING: &str =
    r#"{"model":"gpt-5","stream":true,"messages":[],"stream_options":{"include_usage":true}}"#;

/// A stream as OpenAI sends it, asked for its usage and not.
const ASKED: &str = concat!(
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[{"delta":{"content":"Grüße 🦀"}}],"usage":null,"obfuscation":"k3"}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[],"usage":{"prompt_tokens":11,"#,
    r#""completion_tokens":31,"total_tokens":42,"completion_tokens_details":{"reasoning_tokens":7}}}"#,
    "\n\ndata: [DONE]\n\n",
);
const PLAIN: &str = concat!(
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[{"delta":{"content":"Grüße 🦀"}}],"obfuscation":"k3"}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-1","model":"gpt-5-2026","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    "\n\ndata: [DONE]\n\n",
);

/// The event that only tells the usage.
const EXTRA: &str = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n";

/// In front of `upstream`, asking for usage.
fn asking(upstream: &Upstream) -> Builder {
    Daemon::builder()
        .upstream(upstream)
        .upstream_settings("include_usage = true")
}

/// Answers as OpenAI does: by what the request asks for.
fn openai() -> Upstream {
    Upstream::tls(|conn| {
        conn.serve(|conn, request| {
            conn.start_events()?;
            conn.write_chunk(if is_asked(request) { ASKED } else { PLAIN })?;
            conn.write_last_chunk("")
        })
    })
}

fn is_asked(request: &Request) -> bool {
    let body: Value = serde_json::from_slice(&request.body.data()).unwrap_or_default();
    body["stream_options"]["include_usage"] == true
}

/// An upstream that runs `script` behind the head of each request.
fn streaming(
    script: impl Fn(&mut Conn) -> std::io::Result<()> + Send + Sync + 'static,
) -> Upstream {
    Upstream::tls(move |conn| {
        conn.serve(|conn, request| {
            assert!(is_asked(request));
            conn.start_events()?;
            script(conn)
        })
    })
}
