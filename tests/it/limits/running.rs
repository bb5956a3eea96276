//! `max_running` of a client.

use super::{ask, assert_refused, held, retry_after, send};
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

#[test]
fn a_client_runs_as_many_requests_as_it_may() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let daemon = held(&upstream, "max_running = 2").start();
    let mut running: Vec<_> = (0..2).map(|_| daemon.client()).collect();
    for client in &mut running {
        send(client, "sk-one");
        let (_, head) = client.answer_head().unwrap();
        assert_eq!(head.status(), 200);
        client.next_chunk().unwrap();
    }
    let answer = ask(&daemon, "sk-one");
    let message = assert_refused(&answer, 429, "rate_limit_exceeded");
    assert!(message.contains("the 2 requests"), "{message}");
    assert_eq!(retry_after(&answer), 1);
    gate.open();
    assert_eq!(ask(&daemon, "sk-two").status(), 200);
    for client in &mut running {
        assert!(client.rest().is_complete());
    }
    // Both are over when their events are there.
    daemon.wait_events("request_completed", 3);
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
}

#[test]
fn a_client_that_leaves_in_the_middle_gives_its_place_back() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let daemon = held(&upstream, "max_running = 1").start();
    let mut client = daemon.client();
    send(&mut client, "sk-one");
    client.answer_head().unwrap();
    client.next_chunk().unwrap();
    assert_eq!(ask(&daemon, "sk-one").status(), 429);
    client.reset().unwrap();
    gate.open();
    wait::until("its place is free", || {
        ask(&daemon, "sk-one").status() == 200
    });
}

#[test]
fn a_request_that_fails_gives_its_place_back() {
    let upstream = Upstream::tls(|conn| {
        conn.read_request()?;
        conn.reset()
    });
    let limits = "max_running = 1\nrequests_per_minute = 3";
    let daemon = held(&upstream, limits).start();
    for count in 1..=3 {
        assert_eq!(ask(&daemon, "sk-one").status(), 502);
        daemon.wait_events("request_failed", count);
    }
    // It is the other limit that it is over now, which leaves no place taken either.
    for _ in 0..3 {
        let message = assert_refused(&ask(&daemon, "sk-one"), 429, "rate_limit_exceeded");
        assert!(message.contains("in a minute"), "{message}");
    }
}
