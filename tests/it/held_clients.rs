//! Clients that are held to models and endpoints.

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;

const JSON: &str = "Content-Type: application/json\r\n";

fn held(upstream: &Upstream, to: &str) -> Builder {
    let client = format!("\n[client.one]\nkey = \"one\"\n{to}\n[client.free]\nkey = \"free\"\n");
    let builder = Daemon::builder().upstream(upstream).more_config(&client);
    builder
        .credential("one", "sk-one")
        .credential("free", "sk-free")
}

fn ask(
    client: &mut Client,
    key: &str,
    method: &str,
    path: &str,
    fields: &str,
    body: &str,
) -> Answer {
    let fields = format!("Authorization: Bearer {key}\r\n{fields}");
    client.send(method, path, &fields, body.as_bytes()).unwrap();
    client.answer()
}

#[track_caller]
fn assert_refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status(), 403, "{}", answer.body.text());
    let error = &answer.body.json()["error"];
    assert_eq!(error["code"], code);
    assert_eq!(error["type"], "permission_error");
    assert!(
        error["message"].as_str().unwrap().contains("[client.one]"),
        "{error}"
    );
}

#[test]
fn a_client_gets_the_models_that_it_is_held_to() {
    let upstream = Upstream::answering("{}");
    let daemon = held(&upstream, "models = [\"gpt-5*\", \"o3\"]").start();
    let mut client = daemon.client();
    let mut post = |key, model| {
        let body = format!("{{\"model\":\"{model}\"}}");
        ask(
            &mut client,
            key,
            "POST",
            "/v1/chat/completions",
            JSON,
            &body,
        )
    };
    for model in ["gpt-5", "gpt-5-mini", "o3"] {
        assert_eq!(post("sk-one", model).status(), 200, "{model}");
    }
    for model in ["gpt-4", "o3-mini", "", "GPT-5"] {
        assert_refused(&post("sk-one", model), "model_not_allowed");
    }
    assert_eq!(post("sk-free", "gpt-4").status(), 200);
    assert_eq!(upstream.requests().len(), 4);
    let event = daemon.wait_event("request_failed");
    assert_eq!(event["client"], "one");
    assert_eq!(event["model"], "gpt-4");
    assert_eq!(event["level"], "info");
}

#[test]
fn a_model_that_cannot_be_seen_is_no_way_around() {
    let upstream = Upstream::answering("{}");
    let daemon = held(&upstream, "models = [\"gpt-5\"]").start();
    let body = "{\"model\":\"gpt-4\"}";
    for (path, fields, body) in [
        ("/v1/chat/completions", "Content-Type: text/plain\r\n", body),
        ("/v1/chat/completions", "", body),
        (
            "/v1/chat/completions",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            body,
        ),
        ("/v1/chat/completions", JSON, "{}"),
        ("/v1/chat/completions/", JSON, body),
        ("/v1//chat/completions", JSON, body),
        ("/v1/chat%2Fcompletions", JSON, body),
        ("/v1/Chat/completions", JSON, body),
        ("/v1/v1/chat/completions", JSON, body),
        ("/v1/batches", JSON, body),
        (
            "/v1/audio/transcriptions",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            body,
        ),
    ] {
        let answer = ask(&mut daemon.client(), "sk-one", "POST", path, fields, body);
        assert_refused(&answer, "model_not_allowed");
    }
    let websocket = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let answer = ask(
        &mut daemon.client(),
        "sk-one",
        "GET",
        "/v1/realtime?model=gpt-4",
        websocket,
        "",
    );
    assert_refused(&answer, "model_not_allowed");
    assert!(upstream.requests().is_empty());
    // What only reads passes.
    let answer = ask(
        &mut daemon.client(),
        "sk-one",
        "GET",
        "/v1/responses/resp_1",
        "",
        "",
    );
    assert_eq!(answer.status(), 200);
}

#[test]
fn an_endpoint_that_is_named_passes_without_a_model_unless_its_body_names_one() {
    let upstream = Upstream::answering("{}");
    let to = "models = [\"gpt-5\"]\nendpoints = [\"/audio/*\", \"/chat/completions\"]";
    let daemon = held(&upstream, to).start();
    let form = "Content-Type: multipart/form-data; boundary=x\r\n";
    let mut client = daemon.client();
    let mut post = |path, fields, body| ask(&mut client, "sk-one", "POST", path, fields, body);
    assert_eq!(post("/v1/audio/transcriptions", form, "x").status(), 200);
    assert_eq!(
        post("/v1/chat/completions", JSON, "{\"model\":\"gpt-5\"}").status(),
        200
    );
    assert_refused(
        &post("/v1/chat/completions", "", "{\"model\":\"gpt-4\"}"),
        "model_not_allowed",
    );
}

#[test]
fn a_client_gets_the_endpoints_that_it_is_held_to() {
    let upstream = Upstream::answering("{}");
    let daemon = held(
        &upstream,
        "endpoints = [\"/chat/completions\", \"/models*\"]",
    )
    .start();
    let body = "{\"model\":\"m\"}";
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let answer = ask(&mut daemon.client(), "sk-one", "POST", path, JSON, body);
        assert_eq!(answer.status(), 200, "{path}");
    }
    for path in ["/v1/models", "/models/gpt-5?x=1"] {
        let answer = ask(&mut daemon.client(), "sk-one", "GET", path, "", "");
        assert_eq!(answer.status(), 200, "{path}");
    }
    let passed = upstream.requests().len();
    for path in [
        "/v1/embeddings",
        "/v1/chat/completions/",
        "/v1/CHAT/completions",
        "/",
        "/v1/files",
    ] {
        let answer = ask(&mut daemon.client(), "sk-one", "POST", path, JSON, body);
        assert_refused(&answer, "endpoint_not_allowed");
    }
    assert_eq!(upstream.requests().len(), passed);
    let answer = ask(
        &mut daemon.client(),
        "sk-free",
        "POST",
        "/v1/embeddings",
        JSON,
        body,
    );
    assert_eq!(answer.status(), 200);
}
