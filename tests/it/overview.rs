//! `GET /status` on the admin socket: what monitoring scripts and people ask.

use serde_json::{Value, json};

use crate::metrics::scrape;
use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"m","usage":{"prompt_tokens":7,"completion_tokens":11,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":3}}}"#;

fn builder(upstream: &Upstream) -> Builder {
    let admin = "admin = \"unix:@DIR@/admin.sock\"\nworkers = 2";
    Daemon::builder().upstream(upstream).server_settings(admin)
}

/// What the daemon says of itself.
#[track_caller]
pub(crate) fn overview(daemon: &Daemon) -> Value {
    let answer = Client::unix(&daemon.directory().join("admin.sock")).get("/status");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.head.field("content-type"), Some("application/json"));
    answer.body.json()
}

#[track_caller]
fn chat(client: &mut Client, model: &str) -> u16 {
    let body = json!({ "model": model }).to_string();
    client.post_json("/v1/chat/completions", &body).status()
}

#[test]
fn status_has_what_the_daemon_is_and_runs_on() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    let now = overview(&daemon);
    assert_eq!(now["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(now["pid"], daemon.pid());
    assert_eq!(now["state"], "serving");
    assert_eq!(now["workers"], 2);
    assert_eq!(now["log_records_lost"], 0);
    let age = now["now"].as_f64().unwrap() - now["since"].as_f64().unwrap();
    assert!((0.0..600.0).contains(&age), "{age}");
    let listeners = now["listeners"].as_array().unwrap();
    let listeners: Vec<_> = listeners
        .iter()
        .map(|listener| listener["address"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listeners, daemon.listeners());
    let configuration = &now["configuration"];
    let file = daemon.directory().join("upstreamd.toml");
    assert_eq!(configuration["file"], file.to_str().unwrap());
    assert_eq!(configuration["generation"], 1);
    assert_eq!(configuration["complete"], true);
    assert_eq!(configuration["last_reload"], Value::Null);
    assert_eq!(now["upstreams"][0]["base_url"], upstream.base_url());

    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    wait::until("the reload is there", || {
        let configuration = &overview(&daemon)["configuration"];
        configuration["last_reload"]["succeeded"] == true && configuration["generation"] == 2
    });
    daemon.rewrite_config("typo = 1\n");
    daemon.signal("HUP");
    daemon.wait_event("reload_failed");
    wait::until("the failed one is there", || {
        let configuration = &overview(&daemon)["configuration"];
        let last = &configuration["last_reload"];
        let error = last["errors"][0].as_str().unwrap_or_default();
        last["succeeded"] == false
            && error.contains("upstreamd.toml:1:1")
            && configuration["generation"] == 2
    });
}

#[test]
fn requests_are_told_by_model_upstream_and_client() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream)
        .more_config("\n[client.litellm]\nkey = \"litellm\"\n")
        .credential("litellm", "sk-litellm")
        .start();
    // Held open at the same time, so that both workers have some.
    let mut clients: Vec<_> = (0..4).map(|_| daemon.client()).collect();
    for client in &mut clients {
        let body = "{\"model\":\"m\"}";
        client
            .send(
                "POST",
                "/v1/chat/completions",
                "content-type: application/json\r\nauthorization: Bearer sk-litellm\r\n",
                body.as_bytes(),
            )
            .unwrap();
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(chat(&mut daemon.client(), "m"), 401);
    daemon.wait_request_events(5);
    let now = overview(&daemon);
    let of = &now["models"][0];
    assert_eq!(of["model"], "m");
    assert_eq!(of["upstream"], "test");
    assert_eq!([&of["running"], &of["requests"], &of["failed"]], [0, 4, 0]);
    assert_eq!(
        of["tokens"],
        json!({"input": 28, "output": 44, "cached": 20, "reasoning": 12})
    );
    for sum in ["duration_s", "first_byte_s"] {
        assert_eq!(of[sum]["count"], 4, "{sum}");
        let mean = of[sum]["sum"].as_f64().unwrap() / 4.0;
        assert!(mean > 0.0 && mean < 10.0, "{mean}");
    }
    assert_eq!(now["added_latency_s"]["count"], 4);
    let refused = &now["models"][1];
    assert_eq!([&refused["model"], &refused["upstream"]], [&Value::Null; 2]);
    assert_eq!([&refused["requests"], &refused["failed"]], [1, 1]);
    assert_eq!(
        now["clients"],
        json!([
            {"name": null, "running": 0, "requests": 1, "failed": 1},
            {"name": "litellm", "running": 0, "requests": 4, "failed": 0},
        ])
    );
    assert_eq!(now["received_bytes"], 4 * 13);
    assert!(now["sent_bytes"].as_u64().unwrap() > 4 * ANSWER.len() as u64);
    let idle = now["upstreams"][0]["connections_idle"].as_u64().unwrap();
    assert!((1..=4).contains(&idle), "{idle}");
    assert_eq!(
        now["upstreams"][0]["keys"],
        json!([{"name": "test", "running": 0, "state": "ready", "cooling_for_s": null}])
    );
}

#[test]
fn what_runs_is_told_by_model_upstream_and_key_while_it_runs() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let daemon = builder(&upstream)
        .more_config("\n[model.mine]\nupstream = \"test\"\n")
        .start();
    let mut running: Vec<_> = ["mine", "mine", "made-up"]
        .iter()
        .map(|model| {
            let mut client = daemon.client();
            let body = json!({"model": model, "stream": true}).to_string();
            let head = "content-type: application/json\r\n";
            client
                .send("POST", "/v1/chat/completions", head, body.as_bytes())
                .unwrap();
            client
        })
        .collect();
    wait::until("all are at the upstream", || upstream.requests().len() == 3);
    let now = overview(&daemon);
    assert_eq!(now["requests_running"], 3);
    let models: Vec<_> = now["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| (of["model"].clone(), of["running"].clone()))
        .collect();
    // A name that no answer has proved good is no name yet.
    assert_eq!(
        models,
        [(json!("mine"), json!(2)), (json!("other"), json!(1))]
    );
    assert_eq!(now["clients"][0]["running"], 3);
    let upstream = &now["upstreams"][0];
    assert_eq!(
        [&upstream["running"], &upstream["keys"][0]["running"]],
        [3, 3]
    );
    gate.open();
    for client in &mut running {
        assert_eq!(client.answer().status(), 200);
    }
    wait::until("nothing runs", || {
        let now = overview(&daemon);
        now["requests_running"] == 0 && now["upstreams"][0]["running"] == 0
    });
}

#[test]
fn a_daemon_that_leaves_says_how() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = builder(&upstream).start();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("USR1");
    daemon.wait_event("handing_over");
    wait::until("it hands over", || {
        overview(&daemon)["state"] == "handing_over"
    });
    daemon.signal("TERM");
    daemon.wait_event("draining");
    wait::until("it drains", || overview(&daemon)["state"] == "draining");
    assert_eq!(overview(&daemon)["requests_running"], 1);
    gate.open();
    assert!(client.rest().is_complete());
    assert_eq!(daemon.wait_exit(), Some(0));
}

#[test]
fn a_key_that_is_found_nowhere_is_missing() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream)
        .server_settings("default_upstream = \"test\"")
        .more_config(
            "\n[upstream.other]\nbase_url = \"http://127.0.0.1:9\"\nkeys = [\"nowhere\"]\n",
        )
        .start();
    let now = overview(&daemon);
    assert_eq!(now["configuration"]["complete"], false);
    assert_eq!(now["upstreams"][0]["keys"][0]["state"], "missing");
}

#[test]
fn keys_that_cool_down_or_are_refused_are_told_and_seen() {
    let upstream = Upstream::plain(|conn| {
        conn.serve(|conn, request| match request.head.field("authorization") {
            Some("Bearer sk-limited") => conn.answer(429, "Retry-After: 50\r\n", "{\"error\":{}}"),
            Some("Bearer sk-refused") => conn.answer_json(401, "{\"error\":{}}"),
            _ => conn.answer_json(200, ANSWER),
        })
    });
    let daemon = Daemon::builder()
        .config(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"unix:@DIR@/admin.sock\"\n\
             [upstream.far]\nbase_url = \"{}\"\nkeys = [\"limited\", \"refused\", \"good\"]\n",
            upstream.base_url()
        ))
        .credential("limited", "sk-limited")
        .credential("refused", "sk-refused")
        .credential("good", "sk-good")
        .start();
    for _ in 0..6 {
        assert_eq!(chat(&mut daemon.client(), "m"), 200);
    }
    let keys = overview(&daemon)["upstreams"][0]["keys"].clone();
    let states: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            (
                key["name"].as_str().unwrap(),
                key["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            ("limited", "cooling"),
            ("refused", "set_aside"),
            ("good", "ready")
        ]
    );
    let cooling = keys[0]["cooling_for_s"].as_f64().unwrap();
    assert!((40.0..=50.0).contains(&cooling), "{cooling}");

    let lines = scrape(&daemon);
    for series in [
        "upstreamd_key_cooling{upstream=\"far\",key=\"limited\"} 1",
        "upstreamd_key_set_aside{upstream=\"far\",key=\"refused\"} 1",
        "upstreamd_key_cooling{upstream=\"far\",key=\"good\"} 0",
        "upstreamd_key_set_aside{upstream=\"far\",key=\"good\"} 0",
    ] {
        assert!(lines.iter().any(|line| line == series), "no {series}");
    }
    let top = Daemon::builder()
        .arg("top")
        .arg("--once")
        .arg("--interval")
        .arg("100ms")
        .arg("--admin")
        .arg(daemon.directory().join("admin.sock"));
    let mut top = top.spawn();
    assert_eq!(top.wait_exit(), Some(0));
    let seen = top.stdout();
    for said in ["  key limited", " cooling ", "  key refused", " set aside "] {
        assert!(seen.contains(said), "no {said:?} in\n{seen}");
    }
}

#[test]
fn an_upstream_that_is_ejected_is_told_and_seen() {
    let live = Upstream::plain(|conn| conn.serve(|conn, _| conn.answer_json(200, ANSWER)));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = closed.local_addr().unwrap();
    drop(closed);
    let daemon = Daemon::builder()
        .config(&format!(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nadmin = \"unix:@DIR@/admin.sock\"\ndefault_upstream = \"live\"\n\
             [upstream.dead]\nbase_url = \"http://{dead}/v1\"\nkeys = []\n\
             [upstream.live]\nbase_url = \"{}\"\nkeys = []\n\
             [model.m]\nupstream = [\"dead\", \"live\"]\n",
            live.base_url()
        ))
        .start();
    let mut client = daemon.client();
    let now = wait::until_some("it is ejected", || {
        assert_eq!(chat(&mut client, "m"), 200);
        let now = overview(&daemon);
        now["upstreams"][0]["ejected_for_s"]
            .is_number()
            .then_some(now)
    });
    assert_eq!(now["upstreams"][0]["name"], "dead");
    assert!(now["upstreams"][0]["ejected_for_s"].as_f64().unwrap() <= 60.0);
    assert_eq!(now["upstreams"][1]["ejected_for_s"], Value::Null);
    // It comes back for a moment, each time that its time is over.
    wait::until("the metric says so", || {
        chat(&mut client, "m");
        let ejected = "upstreamd_upstream_ejected{upstream=\"dead\"} 1";
        scrape(&daemon).iter().any(|line| line == ejected)
    });
}
