//! `[retry]`: the same upstream is asked again, after a while.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use super::{BODY, OK, PATH, always, ask, attempts, configured, dead, scripted, table};
use crate::support::daemon::Daemon;
use crate::support::message::End;
use crate::support::upstream::{FIRST, Upstream};

/// Well below every wait that a test must not see.
const SOON: Duration = Duration::from_secs(5);

const BUSY: &str = r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#;

fn before(base_url: &str, retry: &str) -> Daemon {
    let tables = format!("[retry]\n{retry}\n{}", table("a", base_url, &["k1"]));
    configured(&tables).start()
}

/// Answers the first request with `status` and `fields`, the others with 200.
fn at_first(status: u16, fields: &str) -> Upstream {
    let fields = fields.to_owned();
    scripted(move |number, _, conn| match number {
        1 => conn.answer(status, &fields, BUSY),
        _ => conn.answer_json(200, OK),
    })
}

#[test]
fn an_error_of_the_moment_is_not_the_clients_to_see() {
    for status in [408, 429, 500, 502, 503, 504, 529] {
        let upstream = at_first(status, "");
        let daemon = before(&upstream.base_url(), "backoff = \"20ms\"");
        let fields = "Content-Type: application/json\r\nIdempotency-Key: once\r\n";
        let mut client = daemon.client();
        client.send("POST", PATH, fields, BODY.as_bytes()).unwrap();
        let answer = client.answer();
        assert_eq!((answer.status(), answer.body.text()), (200, OK.into()));
        assert_eq!(attempts(&answer), "2");
        let requests = upstream.wait_requests(2);
        assert_eq!(requests[0].head.raw, requests[1].head.raw, "{status}");
        assert_eq!(requests[1].body.text(), BODY);
        assert_eq!(requests[1].head.field("idempotency-key"), Some("once"));
        let event = daemon.wait_request_event();
        assert_eq!(event["event"], "request_completed");
        assert_eq!(
            (&event["attempts"], &event["status"]),
            (&2.into(), &200.into())
        );
    }
}

#[test]
fn a_small_error_gives_its_connection_back_for_the_next_try() {
    let upstream = at_first(503, "");
    let daemon = before(&upstream.base_url(), "backoff = \"20ms\"");
    assert_eq!(attempts(&ask(&mut daemon.client())), "2");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn what_another_try_cannot_help_passes_at_once() {
    for status in [400, 401, 403, 404, 409, 422, 501] {
        let upstream = at_first(status, "Retry-After: 1\r\n");
        let daemon = before(&upstream.base_url(), "");
        let answer = ask(&mut daemon.client());
        assert_eq!((answer.status(), answer.body.text()), (status, BUSY.into()));
        assert_eq!(upstream.requests().len(), 1);
    }
    let upstream = at_first(409, "");
    let daemon = before(&upstream.base_url(), "statuses = [409]\nbackoff = \"0s\"");
    assert_eq!(ask(&mut daemon.client()).status(), 200);
}

#[test]
fn without_the_table_nothing_is_sent_again() {
    for status in [429, 500, 503, 529] {
        let upstream = at_first(status, "Retry-After: 0\r\n");
        let daemon = configured(&table("a", &upstream.base_url(), &["k1"])).start();
        let answer = ask(&mut daemon.client());
        assert_eq!((answer.status(), answer.body.text()), (status, BUSY.into()));
        assert!(!answer.head.has("x-upstreamd-attempts"));
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn the_last_answer_passes_byte_for_byte_when_nothing_helps() {
    let upstream = scripted(|number, _, conn| {
        conn.write(format!(
            "HTTP/1.1 500 Oh No\r\nContent-Type: text/x; number={number}\r\nRetry-After: 0\r\nX-Odd:  a  b \r\nTransfer-Encoding: chunked\r\n\r\n"
        ))?;
        conn.write_chunk(format!("number {number}\n\0\u{e4}"))?;
        conn.write_last_chunk("")
    });
    let daemon = before(&upstream.base_url(), "backoff = \"1ms\"");
    let answer = ask(&mut daemon.client());
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.body.text(), "number 3\n\0\u{e4}");
    assert!(answer.body.is_complete());
    assert_eq!(answer.head.field("content-type"), Some("text/x; number=3"));
    assert_eq!(answer.head.field("retry-after"), Some("0"));
    assert_eq!(answer.head.field("x-odd"), Some("a  b"));
    assert_eq!(attempts(&answer), "3");
    assert_eq!(upstream.requests().len(), 3);
    assert_eq!(daemon.wait_request_event()["attempts"], 3);
}

#[test]
fn a_large_error_passes_whole_after_the_last_try() {
    let large: &'static str = "x".repeat(300_000).leak();
    let upstream = always(500, "Content-Type: text/plain\r\n", large);
    let daemon = before(&upstream.base_url(), "backoff = \"1ms\"");
    let answer = ask(&mut daemon.client());
    assert_eq!((answer.status(), attempts(&answer)), (500, "3"));
    assert!(answer.body.is_complete() && answer.body.text() == large);
}

#[test]
fn retry_after_is_waited_for_in_seconds_and_as_a_date() {
    let date = SystemTime::now() + Duration::from_secs(3);
    let date = format!("Retry-After: {}\r\n", httpdate::fmt_http_date(date));
    for fields in ["Retry-After: 1\r\n", &date] {
        let upstream = at_first(429, fields);
        let daemon = before(&upstream.base_url(), "backoff = \"1ms\"");
        let began = Instant::now();
        assert_eq!(attempts(&ask(&mut daemon.client())), "2");
        assert!(began.elapsed() >= Duration::from_millis(900), "{fields}");
    }
}

#[test]
fn a_longer_retry_after_than_is_allowed_is_the_clients_to_see() {
    for (fields, retry) in [
        ("Retry-After: 21\r\n", ""),
        ("Retry-After: 2\r\n", "max_retry_after = \"1s\""),
    ] {
        let upstream = at_first(429, fields);
        let daemon = before(&upstream.base_url(), retry);
        let began = Instant::now();
        let answer = ask(&mut daemon.client());
        assert_eq!((answer.status(), answer.body.text()), (429, BUSY.into()));
        assert_eq!(
            format!(
                "Retry-After: {}\r\n",
                answer.head.field("retry-after").unwrap()
            ),
            fields
        );
        assert!(began.elapsed() < SOON);
        assert_eq!(upstream.requests().len(), 1);
    }
}

#[test]
fn an_upstream_that_is_not_there_is_tried_again_and_then_said() {
    let daemon = before(&dead(), "attempts = 4\nbackoff = \"1ms\"");
    let answer = ask(&mut daemon.client());
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.body.json()["error"]["code"], "upstream_unreachable");
    assert_eq!(attempts(&answer), "4");
    let event = daemon.wait_request_event();
    assert_eq!(
        (&event["attempts"], &event["error_code"]),
        (&4.into(), &"upstream_unreachable".into())
    );
}

#[test]
fn an_answer_that_is_cut_before_its_first_byte_is_asked_for_again() {
    let upstream = Upstream::plain(|conn| match conn.number {
        1 => {
            conn.read_request()?;
            conn.reset()
        }
        2 => {
            conn.read_request()?;
            conn.write("HTTP/1.1 200 OK\r\nContent-Le")
        }
        _ => conn.serve(|conn, _| conn.answer_json(200, OK)),
    });
    let daemon = before(&upstream.base_url(), "backoff = \"1ms\"");
    let answer = ask(&mut daemon.client());
    assert_eq!((answer.status(), attempts(&answer)), (200, "3"));
}

#[test]
fn an_answer_that_is_cut_after_its_first_byte_is_not() {
    let upstream = Upstream::plain(|conn| {
        conn.read_request()?;
        conn.start_events()?;
        conn.write_chunk(FIRST)?;
        conn.reset()
    });
    let daemon = before(&upstream.base_url(), "backoff = \"1ms\"");
    let mut client = daemon.client();
    client.ask_for_stream();
    let answer = client.answer();
    assert_eq!(answer.status(), 200);
    assert!(
        matches!(answer.body.end, End::Cut(_)),
        "{:?}",
        answer.body.end
    );
    assert!(answer.body.text().starts_with(FIRST));
    assert_eq!(upstream.requests().len(), 1);
    let event = daemon.wait_request_event();
    assert_eq!(
        (&event["truncated"], &event["attempts"]),
        (&true.into(), &1.into())
    );
}

#[test]
fn a_refusal_inside_of_a_stream_passes_untouched() {
    const REFUSAL: &str = "data: {\"error\":{\"message\":\"Rate limit reached\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let upstream = scripted(|_, _, conn| {
        conn.start_events()?;
        conn.write_chunk(REFUSAL)?;
        conn.write_last_chunk("")
    });
    let daemon = before(&upstream.base_url(), "backoff = \"1ms\"");
    let mut client = daemon.client();
    client.ask_for_stream();
    let answer = client.answer();
    assert_eq!((answer.status(), answer.body.text()), (200, REFUSAL.into()));
    assert!(answer.body.is_complete());
    assert_eq!((upstream.requests().len(), attempts(&answer)), (1, "1"));
}

#[test]
fn retries_are_a_share_of_requests() {
    let upstream = always(500, "", BUSY);
    let retry = "attempts = 2\nbackoff = \"0s\"\nbudget = 0";
    let daemon = before(&upstream.base_url(), retry);
    let mut client = daemon.client();
    let tried: Vec<String> = (0..14)
        .map(|_| attempts(&ask(&mut client)).to_owned())
        .collect();
    // Ten are free in ten seconds.
    assert_eq!(tried, [["2"; 10].as_slice(), ["1"; 4].as_slice()].concat());
    assert_eq!(upstream.requests().len(), 24);

    let generous = "attempts = 2\nbackoff = \"0s\"\nbudget = 1";
    let daemon = before(&upstream.base_url(), generous);
    let mut client = daemon.client();
    for _ in 0..20 {
        assert_eq!(attempts(&ask(&mut client)), "2");
    }
}

#[test]
fn a_client_that_leaves_while_it_waits_is_forgotten() {
    let upstream = at_first(429, "Retry-After: 15\r\n");
    let daemon = before(&upstream.base_url(), "");
    let mut client = daemon.client();
    client.ask_for_stream();
    upstream.wait_requests(1);
    client.close();
    let event = daemon.wait_request_event();
    assert_eq!(event["client_aborted"], true, "{event}");
    assert!(event["status"].is_null());
    assert!(event["duration_s"].as_f64().unwrap() < SOON.as_secs_f64());
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_drain_ends_the_wait_with_what_there_is() {
    let upstream = at_first(429, "Retry-After: 15\r\n");
    let mut daemon = before(&upstream.base_url(), "");
    let mut client = daemon.client();
    client.ask_for_stream();
    upstream.wait_requests(1);
    let began = Instant::now();
    daemon.signal("TERM");
    let answer = client.answer();
    assert_eq!((answer.status(), answer.body.text()), (429, BUSY.into()));
    assert_eq!(answer.head.field("retry-after"), Some("15"));
    assert_eq!(daemon.wait_exit(), Some(0));
    assert!(began.elapsed() < SOON);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn keys_at_their_limit_are_waited_for_when_there_is_no_other() {
    let first = OnceLock::new();
    let upstream = scripted(move |_, _, conn| {
        let first: &Instant = first.get_or_init(Instant::now);
        match first.elapsed() < Duration::from_millis(900) {
            true => conn.answer(429, "Retry-After: 1\r\n", BUSY),
            false => conn.answer_json(200, OK),
        }
    });
    let keys = table("a", &upstream.base_url(), &["k1", "k2"]);
    let daemon = configured(&format!("[retry]\n{keys}")).start();
    let mut clients = [daemon.client(), daemon.client()];
    let began = Instant::now();
    for client in &mut clients {
        client.ask_for_stream();
        upstream.wait_requests(2);
    }
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert!(began.elapsed() >= Duration::from_millis(900));
}
