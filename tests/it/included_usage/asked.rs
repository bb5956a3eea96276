//! What comes of the request.

use super::{ASKED, BODY, BODY_ASKING, PLAIN, asking, openai};
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;

#[test]
fn the_question_is_put_into_the_body_and_every_other_byte_stays() {
    let upstream = openai();
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    for (count, (path, sent, expected)) in [
        ("/v1/chat/completions", BODY, BODY_ASKING),
        (
            "/completions",
            "{ \"prompt\":\"\\u00e4\",\n\t\"stream\" : true, \"n\":1.0e0 }\n",
            "{ \"prompt\":\"\\u00e4\",\n\t\"stream\" : true, \"n\":1.0e0,\"stream_options\":{\"include_usage\":true} }\n",
        ),
        (
            "/v1/chat/completions",
            "{\"stream_options\": {\"include_obfuscation\": false} ,\"stream\":true}",
            "{\"stream_options\": {\"include_obfuscation\": false,\"include_usage\":true} ,\"stream\":true}",
        ),
        (
            "/v1/chat/completions",
            "{\"stream_options\": null, \"stream\":true}",
            "{\"stream_options\": {\"include_usage\":true}, \"stream\":true}",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let fields = "Content-Type: application/json\r\nContent-Digest: sha-256=:AA==:\r\n\
                      Accept-Encoding: gzip, br\r\n";
        client.send("POST", path, fields, sent.as_bytes()).unwrap();
        assert_eq!(client.answer().body.text(), PLAIN);
        let seen = upstream.wait_requests(count + 1).remove(count);
        assert_eq!(seen.body.text(), expected);
        let length = expected.len().to_string();
        assert_eq!(seen.head.values("content-length"), [&*length]);
        // So that it can be read, and a part of it taken out.
        assert_eq!(seen.head.values("accept-encoding"), ["identity"]);
        assert!(!seen.head.has("content-digest"));
    }
}

#[test]
fn what_is_no_completion_as_a_stream_is_not_asked() {
    let upstream = openai();
    let daemon = asking(&upstream).start();
    let mut client = daemon.client();
    let requests = [
        ("/v1/chat/completions", r#"{"stream":false}"#),
        ("/v1/chat/completions", r#"{"stream":null}"#),
        ("/v1/chat/completions", "{}"),
        ("/v1/chat/completions", BODY_ASKING),
        (
            "/v1/chat/completions",
            r#"{"stream":true,"stream_options":{"include_usage":"yes"}}"#,
        ),
        (
            "/v1/chat/completions",
            r#"{"stream":true,"stream_options":[]}"#,
        ),
        ("/v1/responses", BODY),
        ("/v1/messages", BODY),
        ("/v1/chat/completions/x", BODY),
    ];
    for (count, (path, body)) in requests.into_iter().enumerate() {
        let fields = "Content-Type: application/json\r\nAccept-Encoding: gzip\r\n";
        client.send("POST", path, fields, body.as_bytes()).unwrap();
        let text = client.answer().body.text();
        assert_eq!(text, if body == BODY_ASKING { ASKED } else { PLAIN });
        let seen = upstream.wait_requests(count + 1).remove(count);
        assert_eq!(seen.body.text(), body, "{path}");
        assert_eq!(seen.head.values("accept-encoding"), ["gzip"]);
    }
}

#[test]
fn nobody_is_asked_who_is_not_configured_so() {
    let upstream = openai();
    let daemon = Daemon::before(&upstream);
    let answer = daemon.client().post_json("/v1/chat/completions", BODY);
    assert_eq!(answer.body.text(), PLAIN);
    assert_eq!(upstream.wait_requests(1)[0].body.text(), BODY);
    assert_eq!(daemon.wait_request_event()["missing_usage"], true);
}

#[test]
fn the_question_goes_with_a_models_own_edits_and_yields_to_what_they_say() {
    let upstream = openai();
    let models = "[model.house]\nname = \"far/large\"\nset = { reasoning_effort = \"low\" }\ndrop = [\"reasoning\"]\n\
                  [model.without]\ndrop = [\"stream_options\"]\n\
                  [model.own]\nset = { stream_options = { include_usage = true } }\n";
    let daemon = asking(&upstream).more_config(models).start();
    let mut client = daemon.client();
    for (count, (sent, expected, answer)) in [
        (
            r#"{"reasoning":{}, "model": "house" ,"stream":true}"#,
            r#"{"model": "far/large" ,"stream":true,"reasoning_effort":"low","stream_options":{"include_usage":true}}"#,
            PLAIN,
        ),
        (
            r#"{"model":"without","stream":true,"stream_options":{}}"#,
            r#"{"model":"without","stream":true}"#,
            PLAIN,
        ),
        (
            r#"{"model":"own","stream":true}"#,
            r#"{"model":"own","stream":true,"stream_options":{"include_usage":true}}"#,
            ASKED,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let got = client.post_json("/v1/chat/completions", sent);
        assert_eq!(got.body.text(), answer);
        assert_eq!(upstream.wait_requests(count + 1)[count].body.text(), expected);
    }
}

#[test]
fn of_several_upstreams_each_is_asked_as_it_is_configured() {
    for asks in ["a", "b"] {
        let down = Upstream::tls(|conn| conn.serve(|conn, _| conn.answer_json(503, "{}")));
        let up = openai();
        let upstream = |name: &str, at: &Upstream| {
            format!(
                "[upstream.{name}]\nbase_url = \"{}\"\nkeys = []\ninclude_usage = {}\n\
                 tls = {{ ca_file = \"{}\", platform_roots = false }}\n",
                at.base_url(),
                asks == name,
                at.ca_file().unwrap().display()
            )
        };
        let (a, b) = (upstream("a", &down), upstream("b", &up));
        let daemon = Daemon::builder()
            .config(&format!(
                "[server]\nlisten = [\"127.0.0.1:0\"]\ndefault_upstream = \"a\"\n{a}{b}\
                 [model.gpt-5]\nupstream = [\"a\", \"b\"]\n"
            ))
            .start();
        let answer = daemon.client().post_json("/v1/chat/completions", BODY);
        assert_eq!(answer.body.text(), PLAIN);
        let sent = |asked: bool| if asked { BODY_ASKING } else { BODY };
        assert_eq!(down.wait_requests(1)[0].body.text(), sent(asks == "a"));
        assert_eq!(up.wait_requests(1)[0].body.text(), sent(asks == "b"));
        assert_eq!(daemon.wait_request_event()["missing_usage"], asks == "a");
    }
}
