//! `GET /models`: what can be asked for, whoever has it.

use serde_json::Value;

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;
use crate::support::wait::Gate;

fn listing(models: &'static str) -> Upstream {
    Upstream::plain(move |conn| conn.serve(|conn, _| conn.answer_json(200, models)))
}

const OF_A: &str = r#"{"object":"list","data":[{"id":"gpt-5","object":"model","created":1,"owned_by":"a"},{"id":"only-a","created":2.0,"x":[1, 2]}]}"#;
const OF_B: &str = r#"{"object":"list","data":[{"id":"qwen-3","object":"model","created":3},{"id":"vendor/big","object":"model","created":4,"context":128000},{"id":"only-b"}]}"#;

const MODELS: &str = "\
[model.gpt-5]
[model.big]
upstream = \"b\"
name = \"vendor/big\"
[model.gone]
upstream = \"b\"
[model.\"qwen*\"]
upstream = \"b\"
";

fn before(a: &Upstream, b: &Upstream, server: &str, more: &str) -> Builder {
    Daemon::builder().config(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ndefault_upstream = \"a\"\n{server}\n\
         [upstream.a]\nbase_url = \"{}\"\nkeys = [\"test\"]\n\
         [upstream.b]\nbase_url = \"{}\"\nkeys = []\n{more}",
        a.base_url(),
        b.base_url(),
    ))
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status(), 200, "{}", answer.body.text());
    let list = answer.body.json();
    assert_eq!(list["object"], "list");
    let entries = list["data"].as_array().unwrap();
    let id = |entry: &Value| entry["id"].as_str().unwrap().to_owned();
    entries.iter().map(id).collect()
}

#[test]
fn configured_names_come_with_what_each_upstream_lists_and_would_answer() {
    let (a, b) = (listing(OF_A), listing(OF_B));
    let daemon = before(&a, &b, "", MODELS).start();
    let mut client = daemon.client();
    for path in ["/v1/models", "/models"] {
        let answer = client.get(path);
        assert_eq!(ids(&answer), ["big", "gone", "gpt-5", "only-a", "qwen-3"]);
        assert_eq!(answer.head.field("content-type"), Some("application/json"));
        assert!(answer.head.field("x-request-id").is_some());
        let text = answer.body.text();
        for entry in [
            // Under its name here, with all that is known of it.
            r#"{"id":"big","object":"model","created":4,"context":128000}"#,
            r#"{"created":0,"id":"gone","object":"model","owned_by":"b"}"#,
            // Byte for byte.
            r#"{"id":"only-a","created":2.0,"x":[1, 2]}"#,
        ] {
            assert!(text.contains(entry), "{entry}\n{text}");
        }
    }
    let seen = a.wait_requests(2).remove(0);
    assert_eq!(seen.head.start_line, "GET /v1/models HTTP/1.1");
    assert!(seen.head.field("authorization").is_some());
    let event = daemon.wait_request_events(2).remove(0);
    assert_eq!(event["event"], "request_completed");
    assert_eq!(event["attempts"], 2);
    assert_eq!(event["status"], 200);
}

#[test]
fn with_strict_models_only_what_may_be_asked_for_is_listed() {
    let (a, b) = (listing(OF_A), listing(OF_B));
    let daemon = before(&a, &b, "strict_models = true", MODELS).start();
    let listed = ids(&daemon.client().get("/v1/models"));
    assert_eq!(listed, ["big", "gone", "gpt-5", "qwen-3"]);
}

#[test]
fn without_models_the_default_upstreams_list_passes_as_it_is() {
    let (a, b) = (listing(OF_A), listing(OF_B));
    let daemon = before(&a, &b, "", "").start();
    assert_eq!(daemon.client().get("/v1/models").body.text(), OF_A);
    assert!(b.requests().is_empty());
}

#[test]
fn an_upstream_whose_list_cannot_be_had_is_left_out() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let silent = Upstream::plain(move |conn| {
        conn.serve(|_, _| {
            waiting.pass();
            Ok(())
        })
    });
    let refusing = Upstream::plain(|conn| conn.serve(|conn, _| conn.answer_json(404, OF_A)));
    let daemon = before(&silent, &refusing, "", MODELS).start();
    let listed = ids(&daemon.client().get("/v1/models"));
    assert_eq!(listed, ["big", "gone", "gpt-5"]);
    let mut left_out = daemon.wait_events("models_left_out", 2);
    left_out.sort_by_key(|event| event["upstream"].to_string());
    assert_eq!(left_out[0]["upstream"], "a");
    assert_eq!(left_out[1]["upstream"], "b");
    let why = left_out[1]["error"].as_str().unwrap();
    assert!(why.contains("404"), "{why}");
    gate.open();
}

#[test]
fn one_model_is_told_by_whoever_has_it() {
    let (a, b) = (listing(OF_A), listing(OF_B));
    let daemon = before(&a, &b, "", MODELS).start();
    let mut client = daemon.client();
    let big = client.get("/v1/models/big");
    assert_eq!(
        big.body.text(),
        r#"{"id":"big","object":"model","created":4,"context":128000}"#
    );
    assert!(a.requests().is_empty());
    // What is only a pattern here, or nothing, is the upstream's to say.
    for (path, upstream, count) in [
        ("/v1/models/qwen-3", &b, 2),
        ("/models/only%2Da?x=1", &a, 1),
    ] {
        assert_eq!(client.get(path).status(), 200);
        let seen = upstream.wait_requests(count).pop().unwrap();
        let asked = path.trim_start_matches("/v1");
        assert_eq!(seen.head.start_line, format!("GET /v1{asked} HTTP/1.1"));
    }
}

#[test]
fn where_no_list_can_be_had_and_no_name_is_configured_the_failure_is_told() {
    let refusing = Upstream::plain(|conn| conn.serve(|conn, _| conn.answer_json(500, "{}")));
    let daemon = before(&refusing, &refusing, "", "[model.\"*\"]\n").start();
    let answer = daemon.client().get("/v1/models");
    assert_eq!(answer.status(), 502);
    assert_eq!(
        answer.body.json()["error"]["code"],
        "upstream_protocol_error"
    );
}

#[test]
fn a_client_that_is_held_to_models_sees_only_those() {
    let (a, b) = (listing(OF_A), listing(OF_B));
    let clients = "[client.one]\nkey = \"one\"\nmodels = [\"gpt-5\", \"only-*\"]\n";
    for (models, expected) in [(MODELS, ["gpt-5", "only-a"]), ("", ["gpt-5", "only-a"])] {
        let builder = before(&a, &b, "", &format!("{models}{clients}"));
        let daemon = builder.credential("one", "sk-one").start();
        let mut client = daemon.client();
        let mut get = |path: &str| {
            let key = "Authorization: Bearer sk-one\r\n";
            client.send("GET", path, key, b"").unwrap();
            client.answer()
        };
        assert_eq!(ids(&get("/v1/models")), expected);
        assert_eq!(get("/v1/models/gpt-5").status(), 200);
        assert_eq!(get("/v1/models/qwen-3").status(), 403);
    }
}

/// Answers `method` when the gate lets it, and others at once, with its models.
fn busy(method: &'static str, gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Upstream::plain(move |conn| {
        conn.serve(|conn, request| {
            if request.head.start_line.starts_with(method) {
                gate.pass();
            }
            conn.answer_json(200, OF_B)
        })
    })
}

/// Before a `b` at which one request may run, with the one that does.
fn full(a: &Upstream, b: &Upstream, queue_timeout: &str) -> (Daemon, Client) {
    let bounds = format!("max_running = 1\nqueue_timeout = \"{queue_timeout}\"\n");
    let daemon = before(a, b, "", &format!("{bounds}{MODELS}")).start();
    let mut client = daemon.client();
    send(&mut client);
    b.wait_requests(1);
    (daemon, client)
}

fn send(client: &mut Client) {
    let (path, json) = ("/v1/chat/completions", "Content-Type: application/json\r\n");
    client
        .send("POST", path, json, br#"{"model":"big"}"#)
        .unwrap();
}

#[test]
fn a_list_waits_for_a_place_at_its_upstream_and_gives_it_back() {
    let gate = Gate::new();
    let (a, b) = (listing(OF_A), busy("POST", &gate));
    let (daemon, mut running) = full(&a, &b, "1m");
    let mut client = daemon.client();
    client.send("GET", "/v1/models", "", b"").unwrap();
    a.wait_requests(1);
    gate.open();
    let listed = ids(&client.answer());
    assert_eq!(listed, ["big", "gone", "gpt-5", "only-a", "qwen-3"]);
    assert_eq!(running.answer().status(), 200);
    send(&mut client);
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn an_upstream_that_is_full_is_left_out_of_the_list() {
    for (queue_timeout, waited) in [("0s", "0ns"), ("1m", "3s")] {
        let gate = Gate::new();
        let (a, b) = (listing(OF_A), busy("POST", &gate));
        let (daemon, mut running) = full(&a, &b, queue_timeout);
        let mut client = daemon.client();
        let listed = ids(&client.get("/v1/models"));
        assert_eq!(listed, ["big", "gone", "gpt-5", "only-a"]);
        let event = daemon.wait_event("models_left_out");
        assert_eq!(event["upstream"], "b");
        let why = event["error"].as_str().unwrap();
        assert!(why.contains("max_running") && why.contains(waited), "{why}");
        assert_eq!(b.requests().len(), 1);
        assert_eq!(daemon.wait_request_event()["attempts"], 1);
        gate.open();
        assert_eq!(running.answer().status(), 200);
        assert!(ids(&client.get("/v1/models")).contains(&"qwen-3".to_owned()));
    }
}

/// Before one upstream, at which one request may run and none waits.
fn narrow(upstream: &Upstream) -> Daemon {
    let builder = Daemon::builder().upstream(upstream);
    let builder = builder.upstream_settings("max_running = 1\nqueue_timeout = \"0s\"");
    builder.more_config("\n[model.\"*\"]\n").start()
}

#[track_caller]
fn assert_full(answer: &Answer) {
    assert_eq!(answer.status(), 503, "{}", answer.body.text());
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], "upstream_unavailable");
    assert!(answer.head.has("retry-after"));
}

#[test]
fn where_the_only_list_is_that_of_a_full_upstream_the_client_is_told() {
    let gate = Gate::new();
    let upstream = busy("POST", &gate);
    let daemon = narrow(&upstream);
    let mut running = daemon.client();
    send(&mut running);
    upstream.wait_requests(1);
    assert_full(&daemon.client().get("/v1/models"));
    gate.open();
    assert_eq!(running.answer().status(), 200);
}

#[test]
fn an_upstream_that_is_asked_for_its_list_has_no_place_for_more_meanwhile() {
    let gate = Gate::new();
    let upstream = busy("GET", &gate);
    let daemon = narrow(&upstream);
    let mut asking = daemon.client();
    asking.send("GET", "/v1/models", "", b"").unwrap();
    upstream.wait_requests(1);
    let mut client = daemon.client();
    send(&mut client);
    assert_full(&client.answer());
    gate.open();
    assert!(!ids(&asking.answer()).is_empty());
}
