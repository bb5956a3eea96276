//! What clients and upstreams are held to.

mod queue;
mod reload;
mod requests;
mod running;
mod store;
mod tokens;

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;

const JSON: &str = "Content-Type: application/json\r\n";
const BODY: &str = r#"{"model":"m","messages":[]}"#;

/// Before `upstream`, with a client `one` that is held to `limits`, and a client
/// `two` that is not; their keys are `sk-one` and `sk-two`.
fn held(upstream: &Upstream, limits: &str) -> Builder {
    let clients = clients(limits);
    let builder = Daemon::builder().upstream(upstream).more_config(&clients);
    builder
        .credential("one", "sk-one")
        .credential("two", "sk-two")
}

fn clients(limits: &str) -> String {
    format!("\n[client.one]\nkey = \"one\"\n{limits}\n[client.two]\nkey = \"two\"\n")
}

/// Sends a chat completion as the client with this key.
fn send(client: &mut Client, key: &str) {
    let fields = format!("Authorization: Bearer {key}\r\n{JSON}");
    let path = "/v1/chat/completions";
    client.send("POST", path, &fields, BODY.as_bytes()).unwrap();
}

/// A chat completion of the client with this key, on a new connection.
#[track_caller]
fn ask(daemon: &Daemon, key: &str) -> Answer {
    let mut client = daemon.client();
    send(&mut client, key);
    client.answer()
}

/// A refusal with this status and code; gives its message.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status(), status, "{}", answer.body.text());
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], code);
    error["message"].as_str().unwrap().to_owned()
}

/// The seconds of a `Retry-After`.
#[track_caller]
fn retry_after(answer: &Answer) -> u64 {
    let field = answer.head.field("retry-after").expect("it says when");
    field.parse().expect("it is in seconds")
}
