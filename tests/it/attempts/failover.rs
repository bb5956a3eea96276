//! Several upstreams of one model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{
    BODY, OK, PATH, always, ask, assert_unavailable, attempts, configured, dead, key_of, scripted,
    table,
};
use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

const DOWN: &str = "<html>Service Unavailable</html>";
const LIMIT: &str = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
const ORDER: &str = "[model.gpt-5]\nupstream = [\"a\", \"b\"]\n";

fn builder(a: &str, b: &str, more: &str) -> Builder {
    let tables = [table("a", a, &["k1"]), table("b", b, &["k2"])];
    configured(&format!("{}{}{more}", tables[0], tables[1]))
}

/// In front of `a` and `b`, in this order of preference.
fn before(a: &str, b: &str) -> Daemon {
    builder(a, b, ORDER).start()
}

fn good() -> Upstream {
    scripted(|_, _, conn| conn.answer_json(200, OK))
}

/// Answers 503 as long as the switch says so.
fn switched() -> (Arc<AtomicBool>, Upstream) {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let upstream = scripted(move |_, _, conn| match is_down.load(Ordering::SeqCst) {
        true => conn.answer(503, "", DOWN),
        false => conn.answer_json(200, OK),
    });
    (down, upstream)
}

#[test]
fn where_the_next_upstream_cannot_have_the_body_the_last_answer_stands() {
    let a = always(503, "", DOWN);
    let models = "[[model.gpt-5.upstreams]]\nupstream = \"a\"\n\
                  [[model.gpt-5.upstreams]]\nupstream = \"b\"\nname = \"large\"\n";
    let b = good();
    let daemon = builder(&a.base_url(), &b.base_url(), models).start();
    let mut client = daemon.client();
    // For b it has to be edited, which only UTF-8 can be.
    let body = b"{\"model\":\"gpt-5\",\"x\":\"\xff\"}";
    let fields = "Content-Type: application/json\r\n";
    client.send("POST", PATH, fields, body).unwrap();
    let answer = client.answer();
    assert_eq!((answer.status(), answer.body.text()), (503, DOWN.into()));
    assert!(b.requests().is_empty());
}

#[test]
fn a_dead_upstream_among_live_ones_is_passed_over_and_then_left_out() {
    let b = good();
    let models = "[[model.gpt-5.upstreams]]\nupstream = \"a\"\n\
                  [[model.gpt-5.upstreams]]\nupstream = \"b\"\nname = \"large\"\n";
    let daemon = builder(&dead(), &b.base_url(), models).start();
    let mut client = daemon.client();
    for _ in 0..5 {
        let answer = ask(&mut client);
        assert_eq!((answer.status(), attempts(&answer)), (200, "2"));
    }
    let event = daemon.wait_event("upstream_ejected");
    assert_eq!(
        (&event["upstream"], &event["ejected_s"]),
        (&"a".into(), &1.into())
    );
    assert_eq!(event["level"], "warning");
    assert!(
        event["error"].as_str().unwrap().contains("efused"),
        "{event}"
    );
    let answer = ask(&mut client);
    assert_eq!((answer.status(), attempts(&answer)), (200, "1"));
    for request in b.wait_requests(6) {
        assert_eq!(request.body.text(), BODY.replace("gpt-5", "large"));
        assert_eq!(key_of(&request), "k2");
    }
    let events = daemon.wait_request_events(6);
    for event in &events {
        assert_eq!(
            (&event["upstream"], &event["key"]),
            (&"b".into(), &"k2".into())
        );
        assert_eq!(event["event"], "request_completed");
    }
    assert_eq!(
        (&events[0]["attempts"], &events[5]["attempts"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn an_upstream_that_comes_back_is_found_by_one_request_and_used_again() {
    let ((down, a), b) = (switched(), good());
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    for _ in 0..5 {
        assert_eq!(attempts(&ask(&mut client)), "2");
    }
    daemon.wait_event("upstream_ejected");
    // A probe fails and doubles the time.
    wait::until("a probe has failed", || {
        assert_eq!(ask(&mut client).status(), 200);
        daemon.events_named("upstream_ejected").len() == 2
    });
    assert_eq!(daemon.events_named("upstream_ejected")[1]["ejected_s"], 2);
    assert_eq!(a.requests().len(), 6);

    down.store(false, Ordering::SeqCst);
    wait::until("it is back", || {
        assert_eq!(ask(&mut client).status(), 200);
        !daemon.events_named("upstream_returned").is_empty()
    });
    let event = daemon.wait_event("upstream_returned");
    assert_eq!(
        (&event["upstream"], &event["level"]),
        (&"a".into(), &"info".into())
    );
    let count = (a.requests().len(), b.requests().len());
    for _ in 0..3 {
        assert_eq!(attempts(&ask(&mut client)), "1");
    }
    assert_eq!(
        (a.requests().len(), b.requests().len()),
        (count.0 + 3, count.1)
    );
}

#[test]
fn while_one_request_probes_the_others_stay_away() {
    let gate = Gate::new();
    let held = gate.clone();
    let a = scripted(move |number, _, conn| {
        if number > 5 {
            held.pass();
            return conn.answer_json(200, OK);
        }
        conn.answer(502, "", DOWN)
    });
    let b = good();
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    for _ in 0..5 {
        ask(&mut client);
    }
    let mut probe = daemon.client();
    wait::until("a probe is on its way", || {
        if a.requests().len() == 6 {
            return true;
        }
        // One at a time: whichever goes to `a` hangs there.
        probe = daemon.client();
        probe.ask_for_stream();
        let before = a.requests().len() + b.requests().len();
        let arrived = || a.requests().len() + b.requests().len() > before;
        wait::holds_within(Duration::from_millis(500), arrived);
        a.requests().len() == 6
    });
    for _ in 0..5 {
        assert_eq!(attempts(&ask(&mut client)), "1");
    }
    assert_eq!(a.requests().len(), 6, "no second probe");
    gate.open();
    assert_eq!(probe.answer().status(), 200);
    daemon.wait_event("upstream_returned");
}

#[test]
fn an_upstream_that_hangs_is_given_up_after_its_time() {
    let a = Upstream::plain(|conn| {
        conn.read_request()?;
        conn.peer_left(wait::DEADLINE);
        Ok(())
    });
    let b = good();
    let a_url = format!("{}\"\nresponse_timeout = \"200ms", a.base_url());
    // The quotes of the table go around both.
    let daemon = before(&a_url, &b.base_url());
    let answer = ask(&mut daemon.client());
    assert_eq!((answer.status(), attempts(&answer)), (200, "2"));
    assert_eq!(a.requests().len(), 1);
}

#[test]
fn weights_choose_among_those_that_work() {
    let ((_down, a), b) = (switched(), good());
    let models = "[model.gpt-5]\nupstreams = [{ upstream = \"a\", weight = 1000 }, { upstream = \"b\", weight = 1 }]\n";
    let daemon = builder(&a.base_url(), &b.base_url(), models).start();
    let mut client = daemon.client();
    for _ in 0..10 {
        assert_eq!(ask(&mut client).status(), 200);
    }
    assert_eq!(b.requests().len(), 10);
    assert!(
        (5..10).contains(&a.requests().len()),
        "{}",
        a.requests().len()
    );
}

#[test]
fn an_upstream_whose_only_key_is_at_its_limit_is_passed_over() {
    let (a, b) = (always(429, "Retry-After: 30\r\n", LIMIT), good());
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    let tried: Vec<String> = (0..3)
        .map(|_| attempts(&ask(&mut client)).to_owned())
        .collect();
    assert_eq!(tried, ["2", "1", "1"]);
    assert_eq!((a.requests().len(), b.requests().len()), (1, 3));
    // For a model that it alone has, its own answer is the client's.
    let mut client = daemon.client();
    let answer = client.post_json("/v1/responses", "{\"model\":\"other\"}");
    assert_eq!((answer.status(), answer.body.text()), (429, LIMIT.into()));
}

#[test]
fn an_upstream_whose_only_key_is_refused_is_passed_over() {
    let (a, b) = (always(401, "", LIMIT), good());
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    assert_eq!(attempts(&ask(&mut client)), "2");
    assert_eq!(attempts(&ask(&mut client)), "1");
    assert_eq!(daemon.wait_event("key_set_aside")["key"], "k1");
}

#[test]
fn an_answer_of_an_upstream_counts_for_more_than_a_failure_that_comes_later() {
    let a = always(429, "Retry-After: 30\r\nX-Own: yes\r\n", LIMIT);
    let daemon = before(&a.base_url(), &dead());
    let mut client = daemon.client();
    let answer = ask(&mut client);
    assert_eq!((answer.status(), answer.body.text()), (429, LIMIT.into()));
    assert_eq!(answer.head.field("x-own"), Some("yes"));
    assert_eq!(answer.head.field("retry-after"), Some("30"));
    assert_eq!(attempts(&answer), "2");
    let event = daemon.wait_request_event();
    assert_eq!(
        (&event["upstream"], &event["key"]),
        (&"a".into(), &"k1".into())
    );
    assert_eq!(
        (&event["status"], &event["attempts"]),
        (&429.into(), &2.into())
    );
    assert!(event["error_code"].is_null());
}

#[test]
fn when_no_upstream_can_be_asked_the_client_hears_when_to_come_back() {
    let a = always(429, "Retry-After: 50\r\n", LIMIT);
    let b = always(429, "Retry-After: 20\r\n", LIMIT);
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    let answer = ask(&mut client);
    assert_eq!((answer.status(), attempts(&answer)), (429, "2"));
    assert_eq!(answer.head.field("retry-after"), Some("20"), "the last one");
    let seconds = assert_unavailable(&ask(&mut client));
    assert!((15..=20).contains(&seconds), "{seconds}");
    assert_eq!((a.requests().len(), b.requests().len()), (1, 1));
}

#[test]
fn a_refused_key_is_said_where_others_come_back_sooner() {
    let a = always(401, "", LIMIT);
    let b = always(429, "Retry-After: 20\r\n", LIMIT);
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    assert_eq!(ask(&mut client).status(), 429);
    let answer = ask(&mut client);
    assert!(assert_unavailable(&answer) > 10);
    let message = answer.body.json()["error"]["message"].to_string();
    let why = r#"every key of \"a\" is refused there, every key of \"b\" is at its limit"#;
    assert!(message.contains(why), "{message}");
}

#[test]
fn when_every_upstream_fails_time_after_time_they_are_left_in_peace() {
    let (a, b) = (always(503, "", DOWN), dead());
    let daemon = before(&a.base_url(), &b);
    let mut client = daemon.client();
    for _ in 0..5 {
        let answer = ask(&mut client);
        assert_eq!((answer.status(), answer.body.text()), (503, DOWN.into()));
        assert!(!answer.head.has("proxy-status"), "the upstream's own");
    }
    let answer = ask(&mut client);
    assert_eq!(assert_unavailable(&answer), 1);
    let message = answer.body.json()["error"]["message"].to_string();
    assert!(
        message.contains(r#"\"a\" fails time after time, \"b\" fails"#),
        "{message}"
    );
    assert_eq!(a.requests().len(), 5);
    // Where there is no other, there is no breaker.
    let answer = client.post_json("/v1/responses", "{\"model\":\"other\"}");
    assert_eq!((answer.status(), answer.body.text()), (503, DOWN.into()));
}

#[test]
fn an_upstream_without_its_key_is_passed_over() {
    let b = good();
    let tables = [
        table("a", "http://localhost:1/v1", &["later"]),
        table("b", &b.base_url(), &["k2"]),
    ];
    let daemon = configured(&format!("{}{}{ORDER}", tables[0], tables[1])).start();
    let mut client = daemon.client();
    assert_eq!(attempts(&ask(&mut client)), "1");
    assert_eq!(b.requests().len(), 1);
    let answer = client.post_json("/v1/responses", "{\"model\":\"other\"}");
    assert_eq!(answer.body.json()["error"]["code"], "not_configured");
}

#[test]
fn with_retry_the_others_come_before_the_same_one_again() {
    let a = scripted(|number, _, conn| match number {
        1 => conn.answer(500, "", DOWN),
        _ => conn.answer_json(200, OK),
    });
    let b = always(500, "", DOWN);
    let retry = format!("{ORDER}[retry]\nbackoff = \"1ms\"\n");
    let daemon = builder(&a.base_url(), &b.base_url(), &retry).start();
    let answer = ask(&mut daemon.client());
    assert_eq!((answer.status(), attempts(&answer)), (200, "3"));
    assert_eq!((a.requests().len(), b.requests().len()), (2, 1));
    assert_eq!(daemon.wait_request_event()["upstream"], "a");
}

#[test]
fn a_reload_keeps_an_upstream_left_out() {
    let b = good();
    let a = always(503, "", DOWN);
    let daemon = before(&a.base_url(), &b.base_url());
    let mut client = daemon.client();
    for _ in 0..5 {
        ask(&mut client);
    }
    daemon.wait_event("upstream_ejected");
    let failed = |daemon: &Daemon| daemon.events_named("upstream_ejected").len();
    wait::until("two probes have failed, so that there is time", || {
        ask(&mut client);
        failed(&daemon) == 3
    });
    let before = a.requests().len();
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    // Four seconds.
    for _ in 0..5 {
        assert_eq!(attempts(&ask(&mut client)), "1");
    }
    assert_eq!(a.requests().len(), before);
}

#[test]
fn a_full_upstream_is_passed_over_at_once_and_waited_for_if_nothing_else_helps() {
    let gate = Gate::new();
    let held = gate.clone();
    let a = scripted(move |number, _, conn| {
        held.pass();
        match number {
            2 => conn.answer(429, "", "{}"),
            _ => conn.answer_json(200, OK),
        }
    });
    let b = scripted(|number, _, conn| match number {
        1 => conn.answer_json(200, OK),
        _ => conn.answer(503, "", "{}"),
    });
    let bounds = "max_running = 1\nqueue_timeout = \"1m\"\n";
    let tables = format!(
        "{}{bounds}{}[model.gpt-5]\nupstream = [\"a\", \"b\"]\n",
        table("a", &a.base_url(), &["k1", "k2"]),
        table("b", &b.base_url(), &["k1"]),
    );
    let daemon = configured(&tables).start();
    let post = |client: &mut Client| {
        let json = "Content-Type: application/json\r\n";
        client.send("POST", PATH, json, BODY.as_bytes()).unwrap();
    };
    let mut first = daemon.client();
    post(&mut first);
    a.wait_requests(1);
    let mut second = daemon.client();
    assert_eq!(ask(&mut second).status(), 200);
    assert_eq!(b.requests().len(), 1);
    // The other fails this time, so it waits for the first.
    post(&mut second);
    b.wait_requests(2);
    gate.open();
    assert_eq!(first.answer().status(), 200);
    // With one key, which is limited, and then with the other.
    assert_eq!(second.answer().status(), 200);
    assert_eq!(a.requests().len(), 3);
}
