//! Models: which upstream gets a request, under which name, and what of its
//! body is changed on the way.

use serde_json::Value;

use crate::support::client::Answer;
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;
use crate::support::wait;

/// An upstream without TLS whose answers say which it is.
fn upstream(answer: &'static str) -> Upstream {
    Upstream::plain(move |conn| conn.serve(|conn, _| conn.answer_json(200, answer)))
}

/// In front of two upstreams, `a` and `b`; `a` is the default.
fn before(a: &Upstream, b: &Upstream, server: &str, more: &str) -> Builder {
    Daemon::builder().config(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\ndefault_upstream = \"a\"\n{server}\n\
         [upstream.a]\nbase_url = \"{}\"\nkeys = [\"a\"]\n\
         [upstream.b]\nbase_url = \"http://localhost:{}/other/v2\"\nkeys = [\"b\"]\nuser_agent = \"for-b/1\"\n{more}",
        a.base_url(),
        b.address().port(),
    ))
    .credential("a", "sk-a")
    .credential("b", "sk-b")
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status(), status, "{}", answer.body.text());
    let error = answer.body.json()["error"].clone();
    assert_eq!(error["code"], code);
    error
}

const A: &str = r#"{"id":"1","object":"chat.completion","model":"from-a"}"#;
const B: &str = r#"{"id":"2","object":"chat.completion","model":"from-b"}"#;

#[test]
fn a_model_reaches_its_upstream_as_that_one_wants_it() {
    let (a, b) = (upstream(A), upstream(B));
    let models = "[model.house]\nupstream = \"b\"\nname = \"vendor/large \\\"x\\\"\"\n[model.\"gpt-*\"]\nupstream = \"b\"\n";
    let daemon = before(&a, &b, "", models).start();
    let mut client = daemon.client();

    let answer = client.post_json(
        "/v1/chat/completions?q=1",
        r#"{ "n":1.0, "model" : "house" }"#,
    );
    assert_eq!(answer.body.text(), B);
    let seen = b.wait_requests(1).remove(0);
    assert_eq!(
        seen.head.start_line,
        "POST /other/v2/chat/completions?q=1 HTTP/1.1"
    );
    assert_eq!(seen.head.field("authorization"), Some("Bearer sk-b"));
    assert_eq!(seen.head.field("user-agent"), Some("for-b/1"));
    let port = b.address().port();
    assert_eq!(seen.head.field("host"), Some(&*format!("localhost:{port}")));
    let sent = r#"{ "n":1.0, "model" : "vendor/large \"x\"" }"#;
    assert_eq!(seen.body.text(), sent);
    assert_eq!(
        seen.head.field("content-length"),
        Some(&*sent.len().to_string())
    );

    let body = r#"{"model":"gpt-4o"}"#;
    assert_eq!(client.post_json("/v1/responses", body).body.text(), B);
    assert_eq!(b.wait_requests(2)[1].body.text(), body);
    let body = r#"{"model":"other"}"#;
    assert_eq!(client.post_json("/v1/responses", body).body.text(), A);
    let seen = a.wait_requests(1).remove(0);
    assert_eq!(seen.head.field("authorization"), Some("Bearer sk-a"));
    assert_eq!(seen.body.text(), body);

    let events = daemon.wait_request_events(3);
    let said = |name: &str| {
        events
            .iter()
            .map(|event| event[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(said("model"), ["house", "gpt-4o", "other"]);
    assert_eq!(said("upstream"), ["b", "b", "a"]);
    assert_eq!(said("key"), ["b", "b", "a"]);
    assert_eq!(said("upstream_model"), ["from-b", "from-b", "from-a"]);
    assert_eq!(events[0]["bytes_in"], 30);
}

#[test]
fn parameters_are_set_and_dropped_and_every_other_byte_stays() {
    let (a, b) = (upstream(A), upstream(B));
    let models = "[model.deep]\nupstream = \"b\"\nset = { reasoning_effort = \"medium\" }\ndrop = [\"reasoning\"]\n";
    let daemon = before(&a, &b, "", models).start();
    let mut client = daemon.client();
    for (count, (endpoint, sent, expected)) in [
        (
            "/chat/completions",
            "{\n \"z\": 1e3, \"reasoning\": {\"effort\":\"high\"}, \"model\":\"deep\",\"a\":0.10,\"\\u0062\":\"\\u00e4ä\" }\n",
            "{\n \"z\": 1e3, \"model\":\"deep\",\"a\":0.10,\"\\u0062\":\"\\u00e4ä\",\"reasoning_effort\":\"medium\" }\n",
        ),
        (
            "/v1/responses",
            "{\"reasoning_effort\":\"high\",\"model\":\"deep\",\"input\":{\"reasoning\":1}}",
            "{\"reasoning_effort\":\"medium\",\"model\":\"deep\",\"input\":{\"reasoning\":1}}",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(client.post_json(endpoint, sent).status(), 200);
        let seen = b.wait_requests(count + 1);
        assert_eq!(seen[count].body.text(), expected);
    }
    // Of another model it is the client's own.
    let body = "{\"reasoning\":1,\"model\":\"other\"}";
    client.post_json("/chat/completions", body);
    assert_eq!(a.wait_requests(1)[0].body.text(), body);
}

#[test]
fn tokens_are_counted_by_the_models_upstream_and_are_no_usage() {
    let counted = "{\"input_tokens\":7}";
    let (a, b) = (upstream(A), upstream(counted));
    let models = "[model.house]\nupstream = \"b\"\nname = \"large\"\n";
    let daemon = before(&a, &b, "", models).start();
    let mut client = daemon.client();
    for path in ["/v1/messages/count_tokens", "/v1/responses/input_tokens"] {
        let answer = client.post_json(path, "{\"model\":\"house\"}");
        assert_eq!(answer.body.text(), counted, "{path}");
    }
    for seen in b.wait_requests(2) {
        assert_eq!(seen.body.text(), "{\"model\":\"large\"}");
    }
    for event in daemon.wait_request_events(2) {
        assert!(event["missing_usage"].is_null() && event["total_tokens"].is_null());
    }
}

#[test]
fn what_shows_no_model_goes_to_the_default() {
    let (a, b) = (upstream(A), upstream(B));
    let daemon = before(
        &a,
        &b,
        "strict_models = true",
        "[model.\"*\"]\nupstream = \"b\"\n",
    )
    .start();
    let mut client = daemon.client();
    for (method, path, fields, body) in [
        ("GET", "/v1/files", "", ""),
        (
            "POST",
            "/v1/files",
            "Content-Type: application/json\r\n",
            "{\"model\":\"x\"}",
        ),
        (
            "POST",
            "/v1/chat/completions",
            "Content-Type: text/plain\r\n",
            "{\"model\":\"x\"}",
        ),
        (
            "POST",
            "/v1/chat/completions",
            "Content-Type: application/json\r\n",
            "{}",
        ),
    ] {
        client.send(method, path, fields, body.as_bytes()).unwrap();
        assert_eq!(client.answer().body.text(), A, "{method} {path}");
    }
    assert!(b.requests().is_empty());
}

#[test]
fn a_body_that_is_to_be_edited_has_to_be_utf_8() {
    let (a, b) = (upstream(A), upstream(B));
    let daemon = before(&a, &b, "", "[model.m]\nname = \"x\"\n").start();
    let mut client = daemon.client();
    let fields = "Content-Type: application/json\r\n";
    let body = b"{\"model\":\"m\",\"user\":\"\xff\"}";
    client
        .send("POST", "/v1/chat/completions", fields, body)
        .unwrap();
    assert_refused(&client.answer(), 400, "invalid_json");
    assert!(a.requests().is_empty());
}

#[test]
fn a_digest_of_the_body_goes_with_a_body_that_is_changed() {
    let (a, b) = (upstream(A), upstream(B));
    let daemon = before(&a, &b, "", "[model.m]\nname = \"x\"\n").start();
    let mut client = daemon.client();
    let fields = "Content-Type: application/json\r\nContent-Digest: sha-256=:AA==:\r\n";
    for (count, (model, passes)) in [("m", false), ("n", true)].into_iter().enumerate() {
        let body = format!("{{\"model\":\"{model}\"}}");
        client
            .send("POST", "/v1/responses", fields, body.as_bytes())
            .unwrap();
        assert_eq!(client.answer().status(), 200);
        let seen = a.wait_requests(count + 1).remove(count);
        assert_eq!(seen.head.has("content-digest"), passes, "{model}");
    }
}

#[test]
fn weights_spread_requests_and_an_order_does_not() {
    let (a, b) = (upstream(A), upstream(B));
    let models = "[model.spread]\nupstreams = [{ upstream = \"a\", weight = 1 }, { upstream = \"b\" }]\n\
                  [model.first]\nupstream = [\"b\", \"a\"]\n";
    let daemon = before(&a, &b, "", models).start();
    let mut client = daemon.client();
    for _ in 0..8 {
        client.post_json("/v1/responses", "{\"model\":\"first\"}");
    }
    assert_eq!((a.requests().len(), b.requests().len()), (0, 8));
    let both = wait::holds_within(wait::DEADLINE, || {
        client.post_json("/v1/responses", "{\"model\":\"spread\"}");
        !a.requests().is_empty() && b.requests().len() > 8
    });
    assert!(both);
}

#[test]
fn strict_models_refuses_what_is_not_configured() {
    let (a, b) = (upstream(A), upstream(B));
    let daemon = before(&a, &b, "strict_models = true", "[model.\"gpt-5*\"]\n").start();
    let mut client = daemon.client();
    let answer = client.post_json("/v1/chat/completions", "{\"model\":\"gpt-4\"}");
    let error = assert_refused(&answer, 404, "model_not_found");
    assert_eq!(error["type"], "invalid_request_error");
    assert!(
        error["message"].as_str().unwrap().contains("\"gpt-4\""),
        "{error}"
    );
    assert!(a.requests().is_empty());
    let answer = client.post_json("/v1/chat/completions", "{\"model\":\"gpt-5.1\"}");
    assert_eq!(answer.body.text(), A);
    let event = daemon.wait_event("request_failed");
    assert_eq!(event["model"], "gpt-4");
    assert!(event["upstream"].is_null());
}

#[test]
fn a_reload_takes_other_models_and_upstreams() {
    let (a, b) = (upstream(A), upstream(B));
    let daemon = before(&a, &b, "", "").start();
    let mut client = daemon.client();
    let ask = |client: &mut crate::support::client::Client| {
        client
            .post_json("/v1/responses", "{\"model\":\"m\"}")
            .body
            .text()
    };
    assert_eq!(ask(&mut client), A);
    daemon.rewrite_config(&format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream.b]\nbase_url = \"{}\"\nkeys = [\"b\"]\n[model.m]\nname = \"n\"\n",
        b.base_url()
    ));
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    assert_eq!(ask(&mut client), B);
    assert_eq!(b.wait_requests(1)[0].body.text(), "{\"model\":\"n\"}");
}

#[test]
fn an_upstream_without_its_key_leaves_the_others_be() {
    let (a, b) = (upstream(A), upstream(B));
    let daemon = before(&a, &b, "", "[upstream.c]\nbase_url = \"http://localhost:1\"\nkeys = [\"later\"]\n[model.c]\nupstream = \"c\"\n").start();
    let mut client = daemon.client();
    assert_eq!(
        client
            .post_json("/v1/responses", "{\"model\":\"m\"}")
            .status(),
        200
    );
    let answer = client.post_json("/v1/responses", "{\"model\":\"c\"}");
    let error = assert_refused(&answer, 503, "not_configured");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("upstreamd key set later"),
        "{error}"
    );
}
