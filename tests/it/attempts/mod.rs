//! A request that the first key, upstream or try does not serve: where it goes
//! next, what the client gets, and what is known afterwards.

mod failover;
mod keys;
mod places;
mod retry;

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::{Conn, Request, Upstream};

const PATH: &str = "/v1/chat/completions";
const OK: &str = r#"{"id":"1","object":"chat.completion","model":"gpt-5"}"#;
const BODY: &str = r#"{"model":"gpt-5","messages":[]}"#;

/// An upstream without TLS that answers its requests, counted from 1 over all
/// connections, by `answer`.
fn scripted(
    answer: impl Fn(usize, &Request, &mut Conn) -> io::Result<()> + Send + Sync + 'static,
) -> Upstream {
    let count = AtomicUsize::new(0);
    Upstream::plain(move |conn| {
        conn.serve(|conn, request| {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            answer(number, request, conn)
        })
    })
}

/// An upstream that answers all with `status` and `fields`.
fn always(status: u16, fields: &'static str, body: &'static str) -> Upstream {
    scripted(move |_, _, conn| conn.answer(status, fields, body))
}

/// Where nobody listens.
fn dead() -> String {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/v1", socket.local_addr().unwrap())
}

/// `[upstream.NAME]` with `keys`, each a credential of [`started`].
fn table(name: &str, base_url: &str, keys: &[&str]) -> String {
    format!("[upstream.{name}]\nbase_url = \"{base_url}\"\nkeys = {keys:?}\n")
}

/// One worker, so that its budget is that of all.
fn configured(tables: &str) -> Builder {
    let builder = Daemon::builder().config(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\ndefault_upstream = \"a\"\n{tables}"
    ));
    ["k1", "k2", "k3", "k4"]
        .iter()
        .fold(builder, |builder, key| {
            builder.credential(key, &format!("sk-{key}"))
        })
}

fn ask(client: &mut Client) -> Answer {
    client.post_json(PATH, BODY)
}

/// The keys that `requests` came with.
fn keys_of(requests: &[Request]) -> Vec<&str> {
    let keys = requests.iter().map(|request| {
        let field = request.head.field("authorization").unwrap_or_default();
        field.trim_start_matches("Bearer sk-")
    });
    keys.collect()
}

fn key_of(request: &Request) -> String {
    keys_of(std::slice::from_ref(request))[0].to_owned()
}

/// How often a request was begun, as the client hears of it; 1 without a word.
fn attempts(answer: &Answer) -> &str {
    answer.head.field("x-upstreamd-attempts").unwrap_or("1")
}

#[track_caller]
fn assert_unavailable(answer: &Answer) -> u64 {
    assert_eq!(answer.status(), 503, "{}", answer.body.text());
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], "upstream_unavailable", "{error}");
    assert_eq!(error["type"], "upstream_error");
    assert_eq!(
        answer.head.field("proxy-status"),
        Some("upstreamd; error=destination_unavailable")
    );
    let seconds = answer.head.field("retry-after").expect("it says when");
    seconds.parse().expect("in seconds")
}
