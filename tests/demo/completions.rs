//! One chat completion whole, and one as it comes.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PACE;
use crate::screen::{Screen, milliseconds};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::message::Chunk;
use crate::support::openai::Loopback;
use crate::support::wait;

/// Where completions are asked for: upstreamd's door, or the upstream's own.
pub(crate) enum Door<'a> {
    /// Plain HTTP, no key.
    Daemon(&'a Daemon),
    /// TLS, with the key.
    Upstream(&'a Loopback),
}

const PATH: &str = "/v1/chat/completions";
const WHOLE: &str = r#"{"model":"gpt-5","messages":[{"role":"user","content":"Who adds what?"}]}"#;
const STREAMED: &str = r#"{"model":"gpt-5","messages":[{"role":"user","content":"Who adds what?"}],"stream":true,"stream_options":{"include_usage":true}}"#;

impl<'a> Door<'a> {
    pub(crate) fn daemon(daemon: &'a Daemon) -> Door<'a> {
        Door::Daemon(daemon)
    }

    pub(crate) fn upstream(upstream: &'a Loopback) -> Door<'a> {
        Door::Upstream(upstream)
    }

    /// A new connection, ready for requests.
    pub(crate) fn connect(&self) -> Result<Client, String> {
        match self {
            Door::Daemon(daemon) => Ok(daemon.client()),
            Door::Upstream(upstream) => {
                let root = upstream.authority().root();
                Client::tls(upstream.address(), "localhost", root)
                    .map_err(|error| format!("no TLS with the loopback upstream: {error}"))
            }
        }
    }

    /// Sends a chat completion's request.
    pub(crate) fn ask(&self, client: &mut Client, json: &str) -> Result<(), String> {
        let mut fields = "Content-Type: application/json\r\n".to_owned();
        if let Door::Upstream(_) = self {
            fields.push_str(&format!("Authorization: Bearer {}\r\n", Loopback::KEY));
        }
        client
            .send("POST", PATH, &fields, json.as_bytes())
            .map_err(|error| format!("the request could not be sent: {error}"))
    }
}

/// Asks, and shows the answer and its event.
pub(crate) fn whole(screen: &Screen, door: &Door, daemon: Option<&Daemon>) -> Result<(), String> {
    screen.heading("One chat completion");
    screen.asked(PATH, WHOLE);
    let mut client = door.connect()?;
    let asked = Instant::now();
    door.ask(&mut client, WHOLE)?;
    let answer = client.answer();
    screen.answered(&answer.head, asked.elapsed());
    expect_ok(answer.status(), &answer.body.text())?;
    let said = &answer.body.json()["choices"][0]["message"]["content"];
    screen.said(said.as_str().ok_or("the answer has no content")?);
    show_event(screen, daemon, false);
    Ok(())
}

/// Asks for a stream, and shows each chunk with the time at which it came.
pub(crate) fn streamed(
    screen: &Screen,
    door: &Door,
    daemon: Option<&Daemon>,
) -> Result<(), String> {
    screen.heading("One chat completion, streamed: each chunk as it comes");
    screen.asked(PATH, STREAMED);
    let mut client = door.connect()?;
    let asked = Instant::now();
    door.ask(&mut client, STREAMED)?;
    let (_, head) = client
        .answer_head()
        .map_err(|error| format!("no answer came: {error}"))?;
    screen.answered(&head, asked.elapsed());
    let mut arrivals = Vec::new();
    while let Some(chunk) = client.next_chunk() {
        arrivals.push(chunk.at);
        screen.chunk(chunk.at - asked, &what_came(&chunk));
    }
    let body = client.rest();
    expect_ok(head.status(), &body.text())?;
    if !body.is_complete() {
        return Err(format!("the stream did not end well: {:?}", body.end));
    }
    expect_as_it_came(&arrivals)?;
    show_event(screen, daemon, true);
    Ok(())
}

/// A proxy that holds chunks back brings the first with the last.
fn expect_as_it_came(arrivals: &[Instant]) -> Result<(), String> {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return Err("the stream brought no chunk".to_owned());
    };
    let spread = *last - *first;
    // The upstream sends twelve chunks in eleven paces; half of that leaves
    // room for a busy machine and none for a buffer.
    let least = PACE * 11 / 2;
    if spread < least {
        return Err(format!(
            "the first chunk came only {} before the last, so it was held back \
             until the upstream had sent nearly all",
            milliseconds(spread)
        ));
    }
    Ok(())
}

fn expect_ok(status: u16, body: &str) -> Result<(), String> {
    match status {
        200 => Ok(()),
        _ => Err(format!("the answer was to be 200 and is {status}: {body}")),
    }
}

/// The word, or the kind, of the events in a chunk.
fn what_came(chunk: &Chunk) -> String {
    let text = String::from_utf8_lossy(&chunk.data).into_owned();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let described = events.map(|data| {
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            return data.to_owned();
        };
        let choice = &event["choices"][0];
        let word = choice["delta"]["content"].as_str().unwrap_or("");
        if !word.is_empty() {
            format!("{word:?}")
        } else if let Some(role) = choice["delta"]["role"].as_str() {
            format!("role {role}")
        } else if let Some(reason) = choice["finish_reason"].as_str() {
            format!("finish_reason {reason}")
        } else {
            format!("usage: {} tokens", event["usage"]["total_tokens"])
        }
    });
    described.collect::<Vec<_>>().join("  ")
}

/// The event that upstreamd wrote of the request, which may come a moment later.
fn show_event(screen: &Screen, daemon: Option<&Daemon>, streaming: bool) {
    let Some(daemon) = daemon else { return };
    let mut found = None;
    wait::holds_within(Duration::from_secs(5), || {
        let events = daemon.events_named("request_completed");
        found = events
            .into_iter()
            .find(|event| event["streaming"] == streaming);
        found.is_some()
    });
    match found {
        Some(event) => screen.event(&event),
        None => panic!(
            "upstreamd wrote no event of the request; it wrote:\n{}",
            daemon.stderr()
        ),
    }
}
