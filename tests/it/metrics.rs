//! `GET /metrics`: what a scraper gets, and that no client can make it grow.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"m","usage":{"prompt_tokens":7,"completion_tokens":11,"total_tokens":18}}"#;

pub(crate) fn builder(upstream: &Upstream) -> Builder {
    let admin = "admin = \"unix:@DIR@/admin.sock\"\nworkers = 2";
    Daemon::builder().upstream(upstream).server_settings(admin)
}

/// The lines of a scrape.
#[track_caller]
pub(crate) fn scrape(daemon: &Daemon) -> Vec<String> {
    let answer = Client::unix(&daemon.directory().join("admin.sock")).get("/metrics");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.head.field("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let text = answer.body.text();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// The value of the series `name`, labels included.
#[track_caller]
fn value(lines: &[String], name: &str) -> f64 {
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let line = line.unwrap_or_else(|| panic!("{name} is not in\n{}", lines.join("\n")));
    line.parse().unwrap()
}

#[test]
fn requests_of_all_workers_are_counted() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    // Held open at the same time, so that both workers have some.
    let mut clients: Vec<_> = (0..4).map(|_| daemon.client()).collect();
    for client in &mut clients {
        let answer = client.post_json("/v1/chat/completions", r#"{"model":"m"}"#);
        assert_eq!(answer.status(), 200);
    }
    daemon.wait_request_events(4);
    let lines = scrape(&daemon);
    let route = "gen_ai_request_model=\"m\",upstream=\"test\"";
    for (series, expected) in [
        (
            "upstreamd_requests_total{client=\"\",model=\"m\",upstream=\"test\",status=\"200\",error=\"\"}".to_owned(),
            4.0,
        ),
        (format!("gen_ai_server_request_duration_seconds_count{{{route}}}"), 4.0),
        (format!("gen_ai_server_time_to_first_token_seconds_count{{{route}}}"), 4.0),
        (format!("upstreamd_tokens_total{{kind=\"input\",{route}}}"), 28.0),
        (format!("upstreamd_tokens_total{{kind=\"output\",{route}}}"), 44.0),
        ("upstreamd_received_bytes_total".to_owned(), 4.0 * 13.0),
        ("upstreamd_sent_bytes_total".to_owned(), 4.0 * ANSWER.len() as f64),
        ("upstreamd_connections_open".to_owned(), 4.0),
        ("upstreamd_requests_running".to_owned(), 0.0),
        ("upstreamd_workers".to_owned(), 2.0),
        ("upstreamd_workers_silent".to_owned(), 0.0),
        ("upstreamd_configured".to_owned(), 1.0),
        ("upstreamd_log_records_dropped_total".to_owned(), 0.0),
    ] {
        assert_eq!(value(&lines, &series), expected, "{series}");
    }
    // Those that the requests came by wait for more.
    let idle = value(&lines, "upstreamd_upstream_connections_idle");
    assert!((1.0..=4.0).contains(&idle), "{idle}");
    let started = value(&lines, "process_start_time_seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs_f64() - started;
    assert!((0.0..600.0).contains(&age), "{age}");
    let version = format!(
        "upstreamd_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(value(&lines, &version), 1.0);
}

#[test]
fn what_runs_is_seen_while_it_runs() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let daemon = builder(&upstream).start();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    assert_eq!(value(&scrape(&daemon), "upstreamd_requests_running"), 1.0);
    gate.open();
    assert!(client.rest().is_complete());
    wait::until("nothing runs", || {
        value(&scrape(&daemon), "upstreamd_requests_running") == 0.0
    });
}

#[test]
fn outcomes_of_reloads_are_counted() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let told = || {
        let lines = scrape(&daemon);
        [
            "upstreamd_reloads_total{outcome=\"success\"}",
            "upstreamd_reloads_total{outcome=\"failure\"}",
            "upstreamd_config_last_reload_successful",
            "upstreamd_config_generation",
        ]
        .map(|name| value(&lines, name))
    };
    let since = || {
        value(
            &scrape(&daemon),
            "upstreamd_config_last_success_timestamp_seconds",
        )
    };
    let reload = || {
        let mut client = Client::unix(&daemon.directory().join("admin.sock"));
        client.send("POST", "/reload", "", b"").unwrap();
        client.answer().status()
    };
    assert_eq!(told(), [0.0, 0.0, 1.0, 1.0]);
    let first = since();
    assert_eq!(reload(), 200);
    assert_eq!(told(), [1.0, 0.0, 1.0, 2.0]);
    let second = since();
    assert!(second > first);
    daemon.rewrite_config("typo = 1\n");
    assert_eq!(reload(), 500);
    assert_eq!(told(), [1.0, 1.0, 0.0, 2.0]);
    assert_eq!(since().to_bits(), second.to_bits());
}

#[test]
fn a_missing_key_is_seen() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::builder()
        .config(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"unix:@DIR@/admin.sock\"\n\
             [upstream.test]\nbase_url = \"{}\"\nkeys = [\"nowhere\"]\n",
            upstream.base_url()
        ))
        .start();
    assert_eq!(value(&scrape(&daemon), "upstreamd_configured"), 0.0);
    assert_eq!(daemon.client().get("/v1/models").status(), 503);
    let lines = scrape(&daemon);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("upstreamd_requests_total{")
                && line.contains("error=\"not_configured\"")),
        "{lines:?}"
    );
}

#[test]
fn models_that_clients_invent_make_no_series() {
    let upstream = Upstream::plain(|conn| {
        conn.serve(|conn, request| {
            // As one that knows all that begins with `good`.
            let good = request.body.text().contains("good");
            conn.answer_json(if good { 200 } else { 404 }, "{}")
        })
    });
    let daemon = builder(&upstream).start();
    let mut client = daemon.client();
    let mut ask = |model: &str| {
        let answer = client.post_json(
            "/v1/chat/completions",
            &format!("{{\"model\":\"{model}\"}}"),
        );
        answer.status()
    };
    for number in 0..300 {
        assert_eq!(ask(&format!("invented-{number}")), 404);
    }
    for number in 0..200 {
        assert_eq!(ask(&format!("good-{number}")), 200);
    }
    daemon.wait_request_events(500);
    let lines = scrape(&daemon);
    assert!(!lines.iter().any(|line| line.contains("invented")));
    let models: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.split_once("model=\"")?.1.split('"').next())
        .collect();
    assert_eq!(models.len(), 65, "{models:?}");
    let other = "upstreamd_requests_total{client=\"\",model=\"other\",upstream=\"test\"";
    assert_eq!(
        value(&lines, &format!("{other},status=\"404\",error=\"\"}}")),
        300.0
    );
    assert_eq!(
        value(&lines, &format!("{other},status=\"200\",error=\"\"}}")),
        136.0
    );
}

#[test]
fn models_of_the_configuration_keep_their_series() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream)
        .more_config("\n[model.mine]\nupstream = \"test\"\n")
        .start();
    let mut client = daemon.client();
    let mut ask = |model: &str| {
        let body = format!("{{\"model\":\"{model}\"}}");
        client.post_json("/v1/chat/completions", &body).status()
    };
    for number in 0..100 {
        assert_eq!(ask(&format!("crowd-{number}")), 200);
    }
    assert_eq!(ask("mine"), 200);
    daemon.wait_request_events(101);
    let series = "upstreamd_requests_total{client=\"\",model=\"mine\",upstream=\"test\",status=\"200\",error=\"\"}";
    assert_eq!(value(&scrape(&daemon), series), 1.0);
}

#[test]
fn added_latency_leaves_out_whoever_is_waited_for() {
    const PAUSE: Duration = Duration::from_millis(300);
    let upstream = Upstream::plain(|conn| {
        conn.serve(|conn, _| {
            // The upstream takes its time.
            std::thread::sleep(PAUSE);
            conn.answer_json(200, ANSWER)
        })
    });
    let daemon = builder(&upstream).start();
    let mut client = daemon.client();
    let body = r#"{"model":"m"}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write(head).unwrap();
    // And so does the client.
    std::thread::sleep(PAUSE);
    client.write(body).unwrap();
    assert_eq!(client.answer().status(), 200);
    let event = daemon.wait_request_event();
    // The daemon's clock starts a little after the client's.
    assert!(event["ttfb_s"].as_f64().unwrap() > 0.55, "{event}");
    let lines = scrape(&daemon);
    let name = "upstreamd_added_latency_seconds";
    assert_eq!(value(&lines, &format!("{name}_count")), 1.0);
    let added = value(&lines, &format!("{name}_sum"));
    assert!(added > 0.0 && added < 0.25, "{added}");
}

#[test]
fn upstreams_and_keys_have_their_gauges() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let lines = scrape(&daemon);
    for series in [
        "upstreamd_upstream_requests_running{upstream=\"test\"}",
        "upstreamd_upstream_requests_queued{upstream=\"test\"}",
        "upstreamd_upstream_ejected{upstream=\"test\"}",
        "upstreamd_key_cooling{upstream=\"test\",key=\"test\"}",
        "upstreamd_key_set_aside{upstream=\"test\",key=\"test\"}",
    ] {
        assert_eq!(value(&lines, series), 0.0, "{series}");
    }
}
