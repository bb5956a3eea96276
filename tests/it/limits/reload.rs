//! A reload forgets nothing that was taken.

use super::{ask, assert_refused, clients, held, send};
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

fn config(upstream: &str, limits: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream.test]\nbase_url = \"@UPSTREAM@\"\n\
         keys = [\"test\"]\n{upstream}\n[upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n{}",
        clients(limits)
    )
}

#[track_caller]
fn reload(daemon: &Daemon, config: &str) {
    let before = daemon.events_named("reloaded").len();
    daemon.rewrite_config(config);
    daemon.signal("HUP");
    daemon.wait_events("reloaded", before + 1);
}

#[test]
fn what_a_client_has_taken_stays_taken() {
    let upstream =
        Upstream::answering(r#"{"object":"chat.completion","usage":{"total_tokens":1000}}"#);
    let daemon = held(
        &upstream,
        "requests_per_minute = 2\ntokens_per_minute = 5000",
    )
    .start();
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
    reload(
        &daemon,
        &config("", "requests_per_minute = 2\ntokens_per_minute = 5000"),
    );
    let answer = ask(&daemon, "sk-one");
    let left = |name| answer.head.field(&format!("x-ratelimit-remaining-{name}"));
    assert_eq!(left("requests"), Some("0"));
    // But for what came back meanwhile.
    let tokens: u64 = left("tokens").unwrap().parse().unwrap();
    assert!((4000..4500).contains(&tokens), "{tokens}");
    assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
    // A third of a minute's worth is left of a limit that is twice as high, for
    // both had been taken of a minute.
    reload(&daemon, &config("", "tokens_per_minute = 2500"));
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
    reload(&daemon, &config("", ""));
    let answer = ask(&daemon, "sk-one");
    assert_eq!(answer.status(), 200);
    assert!(!answer.head.has("x-ratelimit-limit-tokens"));
}

#[test]
fn what_runs_keeps_its_place_and_ends_in_it() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let builder = held(&upstream, "max_running = 1");
    let daemon = builder
        .upstream_settings("max_running = 2\nqueue_timeout = \"0s\"")
        .start();
    let mut client = daemon.client();
    send(&mut client, "sk-one");
    client.answer_head().unwrap();
    client.next_chunk().unwrap();
    reload(
        &daemon,
        &config("max_running = 1\nqueue_timeout = \"0s\"", "max_running = 1"),
    );
    assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
    assert_refused(&ask(&daemon, "sk-two"), 503, "upstream_unavailable");
    gate.open();
    assert!(client.rest().is_complete());
    wait::until("its places are free", || {
        ask(&daemon, "sk-one").status() == 200
    });
}

#[test]
fn more_places_are_for_those_who_wait_already() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let settings = "max_running = 1\nqueue_timeout = \"1m\"";
    let daemon = held(&upstream, "").upstream_settings(settings).start();
    let mut clients: Vec<_> = (0..2).map(|_| daemon.client()).collect();
    for client in &mut clients {
        send(client, "sk-one");
    }
    upstream.wait_requests(1);
    reload(
        &daemon,
        &config("max_running = 2\nqueue_timeout = \"1m\"", ""),
    );
    for client in &mut clients {
        assert_eq!(client.answer_head().unwrap().1.status(), 200);
    }
    gate.open();
}
