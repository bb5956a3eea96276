//! `requests_per_minute`, and the fields that tell of it.

use super::{ask, assert_refused, held, retry_after};
use crate::support::upstream::Upstream;

const FIELDS: [&str; 6] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

#[test]
fn a_client_makes_as_many_requests_a_minute_as_it_may() {
    let upstream = Upstream::answering("{}");
    let daemon = held(&upstream, "requests_per_minute = 3").start();
    for left in ["2", "1", "0"] {
        let answer = ask(&daemon, "sk-one");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.head.field(FIELDS[0]), Some("3"));
        assert_eq!(answer.head.field(FIELDS[1]), Some(left));
        let reset = answer.head.field(FIELDS[2]).unwrap();
        assert!(reset.ends_with('s'), "{reset}");
        assert!(!answer.head.has(FIELDS[3]) && !answer.head.has("retry-after"));
    }
    let answer = ask(&daemon, "sk-one");
    let message = assert_refused(&answer, 429, "rate_limit_exceeded");
    assert!(message.contains("the 3 requests"), "{message}");
    assert_eq!(answer.body.json()["error"]["type"], "rate_limit_error");
    let by = answer.head.field("proxy-status");
    assert_eq!(by, Some("upstreamd; error=http_request_denied"));
    // A third of a minute after the first.
    assert!((15..=20).contains(&retry_after(&answer)));
    let exact: u64 = answer
        .head
        .field("retry-after-ms")
        .unwrap()
        .parse()
        .unwrap();
    assert!((14_000..20_000).contains(&exact), "{exact}");
    assert_eq!(answer.head.field(FIELDS[0]), Some("3"));
    assert_eq!(answer.head.field(FIELDS[1]), Some("0"));
    assert!(answer.head.field(FIELDS[2]).unwrap().starts_with("5"));
    // Nobody else is held by it.
    assert_eq!(ask(&daemon, "sk-two").status(), 200);
    assert_eq!(upstream.requests().len(), 4);
    let event = daemon.wait_event("request_failed");
    assert_eq!(event["error_code"], "rate_limit_exceeded");
    assert_eq!(event["client"], "one");
    assert_eq!(event["attempts"], 0);
    assert_eq!(event["level"], "info");
}

#[test]
fn a_request_comes_back_after_its_share_of_the_minute() {
    let upstream = Upstream::answering("{}");
    let daemon = held(&upstream, "requests_per_minute = 600").start();
    let mut client = daemon.client();
    let mut served = 0;
    let refused = loop {
        super::send(&mut client, "sk-one");
        let answer = client.answer();
        match answer.status() {
            200 => served += 1,
            _ => break answer,
        }
        assert!(served < 5000, "it is never held");
    };
    assert!(served >= 600, "{served}");
    assert_eq!(retry_after(&refused), 1);
    let exact: u64 = refused
        .head
        .field("retry-after-ms")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=100).contains(&exact), "{exact}");
    crate::support::wait::until("one comes back", || ask(&daemon, "sk-one").status() == 200);
}

#[test]
fn the_fields_of_the_upstream_are_those_of_the_client_where_it_has_a_limit() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, _| {
            let mut fields = "Content-Type: application/json\r\n".to_owned();
            for name in FIELDS {
                fields.push_str(&format!("{name}: 77\r\n"));
            }
            conn.answer(200, &fields, "{}")
        })
    });
    let daemon = held(&upstream, "tokens_per_minute = 1000").start();
    let answer = ask(&daemon, "sk-two");
    for name in FIELDS {
        assert_eq!(answer.head.field(name), Some("77"));
    }
    let answer = ask(&daemon, "sk-one");
    let told = FIELDS.map(|name| answer.head.field(name));
    let own = [Some("1000"), Some("1000"), Some("0ms")];
    assert_eq!(told, [None, None, None, own[0], own[1], own[2]]);
}

#[test]
fn every_answer_tells_how_the_client_stands() {
    let upstream = Upstream::answering("{}");
    let builder = held(&upstream, "requests_per_minute = 10").more_config("\n[model.other]\n");
    let daemon = builder.server_settings("strict_models = true").start();
    let answer = ask(&daemon, "sk-one");
    assert_refused(&answer, 404, "model_not_found");
    assert_eq!(answer.head.field(FIELDS[1]), Some("9"));
    // Who is nobody has no limits, and no fields.
    let answer = ask(&daemon, "sk-wrong");
    assert_eq!(answer.status(), 401);
    assert!(!answer.head.has(FIELDS[0]));
}
