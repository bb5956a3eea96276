//! Several keys of one upstream.

use std::time::{Duration, SystemTime};

use super::{
    BODY, OK, PATH, always, ask, assert_unavailable, attempts, configured, key_of, keys_of,
    scripted, table,
};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{FIRST, SECOND, Upstream};
use crate::support::wait::{self, Gate};

const LIMIT: &str =
    r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
const REFUSAL: &str =
    r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;

fn before(upstream: &Upstream, keys: &[&str]) -> Daemon {
    configured(&table("a", &upstream.base_url(), keys)).start()
}

/// Answers key `k1` with `status` and `fields`, all others with 200.
fn but_for_k1(status: u16, fields: &'static str, body: &'static str) -> Upstream {
    scripted(move |_, request, conn| match &*key_of(request) {
        "k1" => conn.answer(status, fields, body),
        _ => conn.answer_json(200, OK),
    })
}

/// Asks until a request came with `k1`.
fn ask_until_k1(client: &mut Client, upstream: &Upstream) -> String {
    for _ in 0..8 {
        let before = upstream.requests().len();
        let answer = ask(client);
        assert_eq!(answer.status(), 200);
        if keys_of(&upstream.requests()[before..]).contains(&"k1") {
            return attempts(&answer).to_owned();
        }
    }
    panic!("nothing came with k1");
}

#[test]
fn sixteen_clients_spread_over_four_keys() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = scripted(move |_, _, conn| {
        held.pass();
        conn.answer_json(200, OK)
    });
    let daemon = before(&upstream, &["k1", "k2", "k3", "k4"]);
    let mut clients: Vec<Client> = (0..16).map(|_| daemon.client()).collect();
    for (count, client) in clients.iter_mut().enumerate() {
        let fields = "Content-Type: application/json\r\n";
        client.send("POST", PATH, fields, BODY.as_bytes()).unwrap();
        upstream.wait_requests(count + 1);
    }
    let requests = upstream.requests();
    let keys = keys_of(&requests);
    for key in ["k1", "k2", "k3", "k4"] {
        let count = keys.iter().filter(|other| **other == key).count();
        assert_eq!(count, 4, "{keys:?}");
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn a_key_that_is_done_gets_the_next_request() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = scripted(move |number, _, conn| {
        conn.start_events()?;
        conn.write_chunk(FIRST)?;
        if number <= 2 {
            held.pass();
        }
        conn.write_chunk(SECOND)?;
        conn.write_last_chunk("")
    });
    let daemon = before(&upstream, &["k1", "k2", "k3"]);
    // Two streams run, so that one key is free as long as they do.
    let mut streams = [daemon.client(), daemon.client()];
    for stream in &mut streams {
        stream.start_stream();
        stream.next_chunk().unwrap();
    }
    let requests = upstream.requests();
    let busy = keys_of(&requests);
    assert_ne!(busy[0], busy[1]);
    let mut client = daemon.client();
    for _ in 0..5 {
        client.ask_for_stream();
        assert!(client.answer().body.is_complete());
    }
    let requests = upstream.requests();
    for key in &keys_of(&requests)[2..] {
        assert!(!busy.contains(key), "{key} while {busy:?} run");
    }
    gate.open();
}

#[test]
fn sixteen_clients_share_one_key() {
    let gate = Gate::new();
    let upstream = {
        let gate = gate.clone();
        scripted(move |_, _, conn| {
            conn.start_events()?;
            conn.write_chunk(FIRST)?;
            gate.pass();
            conn.write_chunk(SECOND)?;
            conn.write_last_chunk("")
        })
    };
    let daemon = before(&upstream, &["k1"]);
    let mut clients: Vec<Client> = (0..16).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.start_stream();
    }
    assert_eq!(keys_of(&upstream.wait_requests(16)), ["k1"; 16]);
    gate.open();
    for client in &mut clients {
        let body = client.rest();
        assert!(body.is_complete(), "{:?}", body.end);
        assert_eq!(body.text(), [FIRST, SECOND].concat());
    }
    for event in daemon.wait_request_events(16) {
        assert_eq!(
            (&event["key"], &event["attempts"]),
            (&"k1".into(), &1.into())
        );
    }
}

#[test]
fn a_key_at_its_limit_cools_down_and_the_others_carry_on() {
    let upstream = but_for_k1(429, "Retry-After: 30\r\n", LIMIT);
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    assert_eq!(ask_until_k1(&mut client, &upstream), "2");
    let asked = upstream.requests();
    let [.., limited, sent_on] = &asked[..] else {
        panic!("it was sent on: {asked:?}")
    };
    assert_eq!(
        (key_of(limited), key_of(sent_on)),
        ("k1".into(), "k2".into())
    );
    assert_eq!(limited.body.text(), sent_on.body.text());
    for _ in 0..4 {
        assert_eq!(attempts(&ask(&mut client)), "1");
    }
    let requests = upstream.requests();
    assert_eq!(keys_of(&requests[asked.len()..]), ["k2"; 4]);
    let events = daemon.wait_request_events(requests.len() - 1);
    let twice: Vec<_> = events
        .iter()
        .filter(|event| event["attempts"] == 2)
        .collect();
    assert_eq!(twice.len(), 1);
    assert_eq!(twice[0]["key"], "k2");
    assert_eq!(twice[0]["status"], 200);
}

#[test]
fn a_key_that_has_cooled_down_is_used_again() {
    let upstream = scripted(|number, request, conn| match &*key_of(request) {
        "k1" if number <= 2 => conn.answer(429, "Retry-After-Ms: 300\r\n", LIMIT),
        _ => conn.answer_json(200, OK),
    });
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    assert_eq!(ask_until_k1(&mut client, &upstream), "2");
    wait::until("k1 is used again", || {
        let before = upstream.requests().len();
        assert_eq!(ask(&mut client).status(), 200);
        keys_of(&upstream.requests()[before..]) == ["k1"]
    });
}

#[test]
fn what_one_worker_learns_of_a_key_all_know() {
    let upstream = but_for_k1(429, "Retry-After: 30\r\n", LIMIT);
    let tables = table("a", &upstream.base_url(), &["k1", "k2"]);
    let config = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 4\n{tables}");
    let daemon = configured("").config(&config).start();
    // Each goes to the worker with the fewest connections.
    let mut clients: Vec<Client> = (0..4).map(|_| daemon.client()).collect();
    for number in 0..16 {
        assert_eq!(ask(&mut clients[number % 4]).status(), 200);
    }
    let requests = upstream.requests();
    let with_k1 = keys_of(&requests).into_iter().filter(|key| *key == "k1");
    assert_eq!(with_k1.count(), 1);
}

#[test]
fn a_limit_until_a_date_is_kept() {
    let until = SystemTime::now() + Duration::from_secs(60);
    let fields = format!("Retry-After: {}\r\n", httpdate::fmt_http_date(until));
    let upstream = scripted(move |_, request, conn| match &*key_of(request) {
        "k1" => conn.answer(429, &fields, LIMIT),
        _ => conn.answer_json(200, OK),
    });
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    assert_eq!(ask_until_k1(&mut client, &upstream), "2");
    let before = upstream.requests().len();
    for _ in 0..4 {
        ask(&mut client);
    }
    assert_eq!(keys_of(&upstream.requests()[before..]), ["k2"; 4]);
}

#[test]
fn when_every_key_is_at_its_limit_the_upstreams_own_answer_passes_and_then_503() {
    let upstream = scripted(|number, _, conn| {
        let fields = format!("Retry-After: {}\r\nX-Number: {number}\r\n", 50 + number);
        conn.answer(429, &fields, LIMIT)
    });
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    let answer = ask(&mut client);
    assert_eq!((answer.status(), answer.body.text()), (429, LIMIT.into()));
    assert_eq!(answer.head.field("retry-after"), Some("52"));
    assert_eq!(answer.head.field("x-number"), Some("2"), "the last one");
    assert_eq!(attempts(&answer), "2");
    assert!(!answer.head.has("proxy-status"));

    let answer = ask(&mut client);
    let seconds = assert_unavailable(&answer);
    assert!(
        (45..=51).contains(&seconds),
        "until the first is back: {seconds}"
    );
    let error = answer.body.json()["error"]["message"].to_string();
    assert!(
        error.contains(r#"every key of \"a\" is at its limit"#),
        "{error}"
    );
    assert_eq!(upstream.requests().len(), 2);

    let events = daemon.wait_request_events(2);
    assert_eq!(events[0]["event"], "request_completed");
    assert_eq!(events[0]["status"], 429);
    assert_eq!(events[1]["event"], "request_failed");
    assert_eq!(events[1]["error_code"], "upstream_unavailable");
    assert_eq!(events[1]["attempts"], 0);
}

#[test]
fn a_refused_key_is_set_aside_by_name_and_the_others_carry_on() {
    for status in [401, 403] {
        let upstream = but_for_k1(status, "", REFUSAL);
        let daemon = before(&upstream, &["k1", "k2"]);
        let mut client = daemon.client();
        assert_eq!(ask_until_k1(&mut client, &upstream), "2");
        let event = daemon.wait_event("key_set_aside");
        assert_eq!(event["level"], "warning");
        assert_eq!(
            (&event["upstream"], &event["key"]),
            (&"a".into(), &"k1".into())
        );
        assert_eq!(event["status"], status);
        assert!(!daemon.stderr().contains("sk-k1"));

        let before = upstream.requests().len();
        for _ in 0..4 {
            assert_eq!(attempts(&ask(&mut client)), "1");
        }
        assert_eq!(keys_of(&upstream.requests()[before..]), ["k2"; 4]);
        // The one that was sent on, and perhaps one before it.
        daemon.wait_event_where("the last request's event", |event| {
            event["event"] == "request_completed" && event["attempts"] == 1
        });
        assert_eq!(daemon.events_named("key_set_aside").len(), 1);
    }
}

#[test]
fn a_reload_tries_a_refused_key_again_and_lets_others_cool_down() {
    let upstream = scripted(|_, request, conn| match &*key_of(request) {
        "k1" => conn.answer(401, "", REFUSAL),
        "k2" => conn.answer(429, "Retry-After: 60\r\n", LIMIT),
        _ => conn.answer_json(200, OK),
    });
    let daemon = before(&upstream, &["k1", "k2", "k3"]);
    let mut client = daemon.client();
    let all_but_k3 = |upstream: &Upstream| {
        let requests = upstream.requests();
        let keys = keys_of(&requests);
        keys.contains(&"k1") && keys.contains(&"k2")
    };
    wait::until("both have had their trouble", || {
        assert_eq!(ask(&mut client).status(), 200);
        all_but_k3(&upstream)
    });
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    let before = upstream.requests().len();
    for _ in 0..6 {
        assert_eq!(ask(&mut client).status(), 200);
    }
    let requests = upstream.requests();
    let keys = keys_of(&requests[before..]);
    let count = |key| keys.iter().filter(|other| **other == key).count();
    assert_eq!(
        (count("k1"), count("k2"), count("k3")),
        (1, 0, 6),
        "{keys:?}"
    );
    assert_eq!(daemon.wait_events("key_set_aside", 2).len(), 2);
}

#[test]
fn when_every_key_is_refused_the_upstream_says_so_itself() {
    let upstream = always(401, "", REFUSAL);
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    for expected in ["2", "1", "1"] {
        let answer = ask(&mut client);
        assert_eq!((answer.status(), answer.body.text()), (401, REFUSAL.into()));
        assert_eq!(attempts(&answer), expected);
    }
    daemon.wait_request_events(3);
    assert_eq!(daemon.events_named("key_set_aside").len(), 2);
}

#[test]
fn a_refusal_of_the_request_itself_costs_no_key() {
    let upstream = always(403, "", REFUSAL);
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    for _ in 0..2 {
        let answer = ask(&mut client);
        assert_eq!((answer.status(), attempts(&answer)), (403, "2"));
    }
    daemon.wait_request_events(2);
    assert!(daemon.events_named("key_set_aside").is_empty());
}

#[test]
fn a_key_that_is_taken_again_after_all_is_back() {
    let upstream = scripted(|number, _, conn| match number {
        1 | 2 => conn.answer(401, "", REFUSAL),
        _ => conn.answer_json(200, OK),
    });
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    assert_eq!(ask(&mut client).status(), 401);
    for _ in 0..3 {
        assert_eq!(ask(&mut client).status(), 200);
    }
    let requests = upstream.requests();
    let keys = keys_of(&requests[2..]);
    assert_eq!(keys, [keys[0]; 3], "the one that was taken");
}

#[test]
fn the_only_key_is_never_held_back() {
    for (status, body) in [(429, LIMIT), (401, REFUSAL), (403, REFUSAL)] {
        let upstream = always(status, "Retry-After: 60\r\n", body);
        let daemon = before(&upstream, &["k1"]);
        let mut client = daemon.client();
        for count in 1..=3 {
            let answer = ask(&mut client);
            assert_eq!((answer.status(), answer.body.text()), (status, body.into()));
            assert!(!answer.head.has("x-upstreamd-attempts"));
            assert_eq!(upstream.requests().len(), count);
        }
        daemon.wait_request_events(3);
        assert_eq!(daemon.events_named("key_set_aside").len(), 0);
    }
}

#[test]
fn a_body_that_streamed_through_is_sent_once() {
    let upstream = always(429, "Retry-After: 30\r\n", LIMIT);
    let daemon = before(&upstream, &["k1", "k2"]);
    let mut client = daemon.client();
    let fields = "Content-Type: multipart/form-data; boundary=x\r\n";
    for (count, status) in [(1, 429), (2, 429), (2, 503)] {
        client.send("POST", "/v1/files", fields, b"--x--").unwrap();
        let answer = client.answer();
        assert_eq!(answer.status(), status);
        assert!(!answer.head.has("x-upstreamd-attempts"));
        assert_eq!(upstream.requests().len(), count);
    }
}
