//! `[limits]`: several hosts count together, in a real `redis-server`.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::{BODY, ask, assert_refused, held, retry_after, send};
use crate::support::certs::{Authority, LOOPBACK_NAMES};
use crate::support::daemon::{Builder, Daemon};
use crate::support::redis::Redis;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

const PASSWORD: &str = "a-password-that-no-log-may-show";
const ANSWER: &str = r#"{"object":"chat.completion","usage":{"total_tokens":70}}"#;

/// As `held`, with the store at `url` and `more` of `[limits]`.
fn shared(upstream: &Upstream, url: &str, limits: &str, more: &str) -> Builder {
    let table = format!("\n[limits]\nstore = \"{url}\"\n{more}\n");
    held(upstream, limits).more_config(&table)
}

#[test]
fn two_hosts_count_the_requests_of_a_client_together() {
    let (upstream, redis) = (Upstream::answering("{}"), Redis::start());
    let limits = "requests_per_minute = 6";
    // A long wait, for the sake of busy machines.
    let daemons = [redis.url(), redis.unix_url()]
        .map(|url| shared(&upstream, &url, limits, "timeout = \"5s\"").start());
    for number in 0..6 {
        let answer = ask(&daemons[number % 2], "sk-one");
        assert_eq!(answer.status(), 200);
        let left = answer.head.field("x-ratelimit-remaining-requests");
        assert_eq!(left, Some((5 - number).to_string().as_str()));
    }
    for daemon in &daemons {
        let answer = ask(daemon, "sk-one");
        let message = assert_refused(&answer, 429, "rate_limit_exceeded");
        assert!(message.contains("the 6 requests"), "{message}");
        assert!((5..=10).contains(&retry_after(&answer)));
        assert_eq!(ask(daemon, "sk-two").status(), 200);
        assert!(daemon.events_named("limits_store_away").is_empty());
    }
    // What is not needed any more goes by itself.
    let kept: i64 = redis
        .ask("TTL upstreamd:{one}:requests")
        .trim_matches([':', '\r', '\n'])
        .parse()
        .unwrap();
    assert!((50..=61).contains(&kept), "{kept}");
}

#[test]
fn two_hosts_count_the_tokens_of_a_client_together() {
    let (upstream, redis) = (Upstream::answering(ANSWER), Redis::start());
    let limits = "tokens_per_minute = 100";
    let daemons =
        [(); 2].map(|()| shared(&upstream, &redis.url(), limits, "timeout = \"5s\"").start());
    let left = || {
        let answer = ask(&daemons[1], "sk-two");
        assert_eq!(answer.status(), 200);
        redis.ask("EXISTS upstreamd:{one}:tokens")
    };
    assert_eq!(left(), ":0\r\n");
    assert_eq!(ask(&daemons[0], "sk-one").status(), 200);
    wait::until("the tokens are taken", || left() == ":1\r\n");
    let answer = ask(&daemons[1], "sk-one");
    assert_eq!(answer.status(), 200);
    let told = answer.head.field("x-ratelimit-remaining-tokens").unwrap();
    assert!((30..40).contains(&told.parse().unwrap()), "{told}");
    wait::until("the other host knows the debt", || {
        ask(&daemons[0], "sk-one").status() == 429
    });
}

#[test]
fn two_hosts_count_what_a_client_runs_together() {
    let (gate, redis) = (Gate::new(), Redis::start());
    let upstream = Upstream::two_events(&gate);
    let mut daemons = [(); 2].map(|()| {
        shared(
            &upstream,
            &redis.url(),
            "max_running = 2",
            "timeout = \"5s\"",
        )
        .start()
    });
    let mut clients = [daemons[0].client(), daemons[1].client()];
    for client in &mut clients {
        send(client, "sk-one");
        assert_eq!(client.answer_head().unwrap().1.status(), 200);
        client.next_chunk().unwrap();
    }
    for daemon in &daemons {
        let message = assert_refused(&ask(daemon, "sk-one"), 429, "rate_limit_exceeded");
        assert!(message.contains("the 2 requests"), "{message}");
    }
    clients[0].reset().unwrap();
    gate.open();
    wait::until("the place is free for the other host", || {
        ask(&daemons[1], "sk-one").status() == 200
    });
    // Nobody is believed for ever: not a host that died either.
    let kept: i64 = redis
        .ask("TTL upstreamd:{one}:running")
        .trim_matches([':', '\r', '\n'])
        .parse()
        .unwrap();
    assert!((-2..=30).contains(&kept), "{kept}");
    daemons[0].signal("KILL");
    daemons[0].wait_exit();
}

#[test]
fn a_host_that_died_is_believed_no_longer_than_it_said() {
    let (upstream, redis) = (Upstream::answering("{}"), Redis::start());
    let daemon = shared(
        &upstream,
        &redis.url(),
        "max_running = 1",
        "timeout = \"5s\"",
    )
    .start();
    // What such a host leaves behind, with another second to be believed.
    let time = redis.ask("TIME");
    let mut digits = time
        .lines()
        .filter(|line| line.chars().all(|c| c.is_ascii_digit()));
    let seconds: u64 = digits.next().unwrap().parse().unwrap();
    let until = (seconds + 2) * 1_000_000;
    redis.ask(&format!(
        "HSET upstreamd:{{one}}:running dead \"1 {until}\""
    ));
    assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
    wait::until("its word is over", || {
        ask(&daemon, "sk-one").status() == 200
    });
    assert_eq!(redis.ask("HEXISTS upstreamd:{one}:running dead"), ":0\r\n");
}

#[test]
fn open_goes_on_alone_and_says_so_once() {
    let (upstream, mut redis) = (Upstream::answering("{}"), Redis::start());
    let limits = "requests_per_minute = 3";
    let builder = shared(&upstream, &redis.url(), limits, "timeout = \"2s\"");
    // Each looks once a second whether it is back; the first that sees it says so.
    let daemon = builder.server_settings("workers = 1").start();
    for _ in 0..2 {
        assert_eq!(ask(&daemon, "sk-one").status(), 200);
    }
    redis.kill();
    // This host's own count goes on: it has let two through.
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
    assert_eq!(ask(&daemon, "sk-one").status(), 429);
    let event = daemon.wait_event("limits_store_away");
    assert_eq!(event["store"].as_str().unwrap(), redis.url());
    assert_eq!(event["when_away"], "open");
    assert_eq!(event["level"], "warning");
    assert!(
        event["msg"].as_str().unwrap().contains("counts by itself"),
        "{event}"
    );
    redis.restart();
    let event = daemon.wait_event("limits_store_back");
    assert_eq!(event["level"], "info");
    // It is empty, and the one that counts again.
    for _ in 0..3 {
        assert_eq!(ask(&daemon, "sk-one").status(), 200);
    }
    assert_eq!(ask(&daemon, "sk-one").status(), 429);
    assert_eq!(daemon.events_named("limits_store_away").len(), 1);
    assert_eq!(daemon.events_named("limits_store_back").len(), 1);
}

#[test]
fn closed_refuses_and_says_so() {
    let (upstream, mut redis) = (Upstream::answering("{}"), Redis::start());
    let more = "timeout = \"2s\"\nwhen_away = \"closed\"";
    let daemon = shared(&upstream, &redis.url(), "requests_per_minute = 60", more).start();
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
    redis.kill();
    let answer = ask(&daemon, "sk-one");
    assert_refused(&answer, 503, "limits_unavailable");
    assert_eq!(retry_after(&answer), 1);
    let by = answer.head.field("proxy-status");
    assert_eq!(by, Some("upstreamd; error=proxy_internal_error"));
    // Who has no limit needs no store.
    assert_eq!(ask(&daemon, "sk-two").status(), 200);
    let event = daemon.wait_event("limits_store_away");
    assert_eq!(event["when_away"], "closed");
    assert!(
        event["msg"].as_str().unwrap().contains("refused"),
        "{event}"
    );
    redis.restart();
    daemon.wait_event("limits_store_back");
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
}

#[test]
fn a_store_that_is_frozen_holds_one_request_no_longer_than_its_timeout_and_the_next_not_at_all() {
    let (upstream, redis) = (Upstream::answering("{}"), Redis::start());
    let more = "timeout = \"300ms\"\nwhen_away = \"closed\"";
    let limits = "requests_per_minute = 1000";
    let builder = shared(&upstream, &redis.url(), limits, more);
    let daemon = builder.server_settings("workers = 1").start();
    wait::until("the store is known", || {
        ask(&daemon, "sk-one").status() == 200
    });
    redis.freeze();
    let begun = Instant::now();
    assert_refused(&ask(&daemon, "sk-one"), 503, "limits_unavailable");
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
    daemon.wait_event("limits_store_away");
    let begun = Instant::now();
    for _ in 0..10 {
        assert_refused(&ask(&daemon, "sk-one"), 503, "limits_unavailable");
    }
    let waited = begun.elapsed();
    assert!(waited < Duration::from_millis(10 * 300), "{waited:?}");
    redis.thaw();
    daemon.wait_event("limits_store_back");
    wait::until("it counts again", || ask(&daemon, "sk-one").status() == 200);
}

#[test]
fn a_connection_that_the_store_has_closed_costs_no_request() {
    let (upstream, redis) = (Upstream::answering("{}"), Redis::start());
    let more = "timeout = \"5s\"\nwhen_away = \"closed\"";
    let daemon = shared(&upstream, &redis.url(), "requests_per_minute = 1000", more).start();
    for _ in 0..5 {
        assert_eq!(ask(&daemon, "sk-one").status(), 200);
        redis.ask("CLIENT KILL TYPE normal SKIPME yes");
    }
    // Nor do scripts that it has lost.
    redis.ask("SCRIPT FLUSH SYNC");
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
    assert!(daemon.events_named("limits_store_away").is_empty());
}

#[test]
fn a_reload_keeps_the_connection_and_what_runs() {
    let (gate, redis) = (Gate::new(), Redis::start());
    let upstream = Upstream::two_events(&gate);
    let builder = shared(
        &upstream,
        &redis.url(),
        "max_running = 1",
        "timeout = \"5s\"",
    );
    let daemon = builder.server_settings("workers = 1").start();
    let mut client = daemon.client();
    send(&mut client, "sk-one");
    client.answer_head().unwrap();
    client.next_chunk().unwrap();
    let connections = || redis.ask("CLIENT LIST").matches("addr=127.0.0.1").count();
    let before = connections();
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
    assert_eq!(connections(), before);
    gate.open();
    assert!(client.rest().is_complete());
    wait::until("its place is free", || {
        ask(&daemon, "sk-one").status() == 200
    });
}

#[test]
fn a_password_is_a_credential_and_shown_nowhere() {
    let upstream = Upstream::answering("{}");
    let redis = Redis::with(|_| vec!["--requirepass".into(), PASSWORD.into()]);
    let with = |password: &str| {
        let more = "key = \"redis\"\ntimeout = \"5s\"\nwhen_away = \"closed\"";
        let builder = shared(&upstream, &redis.url(), "requests_per_minute = 9", more);
        builder.credential("redis", password).start()
    };
    assert_eq!(ask(&with(PASSWORD), "sk-one").status(), 200);
    let daemon = with("a-wrong-password-that-no-log-may-show");
    assert_eq!(ask(&daemon, "sk-one").status(), 503);
    let event = daemon.wait_event("limits_store_away");
    assert!(
        event["error"]
            .as_str()
            .unwrap()
            .contains("authentication failed"),
        "{event}"
    );
    assert!(!daemon.stderr().contains("no-log-may-show"));
}

#[test]
fn a_store_is_reached_by_tls_if_its_certificate_is_known() {
    let upstream = Upstream::answering("{}");
    let authority = Authority::new();
    let identity = authority.server(&LOOPBACK_NAMES);
    let redis = Redis::with(|_| {
        let files = [
            ("--tls-port", "0".into()),
            (
                "--tls-cert-file",
                identity.certificate_file.clone().into_os_string(),
            ),
            ("--tls-key-file", identity.key_file.clone().into_os_string()),
            ("--tls-ca-cert-file", authority.ca_file().into_os_string()),
            ("--tls-auth-clients", "no".into()),
        ];
        let words = files.map(|(name, value)| [OsString::from(name), value]);
        words.into_iter().flatten().collect()
    });
    // Its port by TLS now, which no argument can say beside the plain one.
    redis.ask("CONFIG SET port 0");
    redis.ask(&format!("CONFIG SET tls-port {}", redis.port()));
    let url = format!("rediss://localhost:{}", redis.port());
    let more = "timeout = \"5s\"\nwhen_away = \"closed\"";
    let builder = || shared(&upstream, &url, "requests_per_minute = 9", more);
    let known = builder().env("SSL_CERT_FILE", authority.ca_file()).start();
    assert_eq!(ask(&known, "sk-one").status(), 200);
    let unknown = builder()
        .env("SSL_CERT_FILE", Authority::new().ca_file())
        .start();
    assert_eq!(ask(&unknown, "sk-one").status(), 503);
    let event = unknown.wait_event("limits_store_away");
    assert!(
        event["error"].as_str().unwrap().contains("certificate"),
        "{event}"
    );
}

#[test]
fn a_store_that_is_away_at_the_start_does_not_stop_it() {
    let (upstream, mut redis) = (Upstream::answering("{}"), Redis::start());
    redis.kill();
    let daemon = shared(&upstream, &redis.url(), "requests_per_minute = 60", "").start();
    // Looked for at once, by nobody's request.
    daemon.wait_event("limits_store_away");
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
    redis.restart();
    daemon.wait_event("limits_store_back");
    wait::until("it counts", || {
        assert_eq!(ask(&daemon, "sk-one").status(), 200, "{BODY}");
        redis.ask("EXISTS upstreamd:{one}:requests") == ":1\r\n"
    });
}

#[test]
fn the_same_client_of_many_requests_at_once_gets_what_it_may_and_no_more() {
    let (upstream, redis) = (Upstream::answering("{}"), Redis::start());
    let limits = "requests_per_minute = 20";
    let daemons: [Daemon; 2] =
        [(); 2].map(|()| shared(&upstream, &redis.unix_url(), limits, "timeout = \"5s\"").start());
    let mut clients: Vec<_> = (0..48).map(|at| daemons[at % 2].client()).collect();
    clients.iter_mut().for_each(|client| send(client, "sk-one"));
    let statuses = clients.iter_mut().map(|client| client.answer().status());
    let served = statuses.filter(|status| *status == 200).count();
    // One comes back every three seconds.
    assert!((20..=23).contains(&served), "{served}");
}
