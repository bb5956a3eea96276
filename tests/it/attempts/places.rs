//! Several keys of an upstream at which only so many requests may run.

use std::sync::{Arc, Mutex};

use super::{
    BODY, OK, PATH, assert_unavailable, attempts, configured, key_of, keys_of, scripted, table,
};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::{Request, Upstream};
use crate::support::wait::Gate;

const LIMIT: &str = r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#;
const BOUNDS: &str = "max_running = 1\nqueue_timeout = \"1m\"\n";

/// An upstream whose first request waits for the gate. All are answered as
/// `status` says of the key of the first, and of one of another request; gives
/// also the most that it had at the same time.
fn gated(
    gate: &Gate,
    status: impl Fn(&str, &str) -> u16 + Send + Sync + 'static,
) -> (Upstream, Arc<Mutex<usize>>) {
    let most: Arc<Mutex<usize>> = Arc::default();
    let (gate, counted) = (gate.clone(), Arc::clone(&most));
    let (first, running) = (Mutex::new(None), Mutex::new(0));
    let upstream = Upstream::plain(move |conn| {
        conn.serve(|conn, request| {
            let key = key_of(request);
            {
                let mut running = running.lock().unwrap();
                *running += 1;
                let mut most = counted.lock().unwrap();
                *most = running.max(*most);
            }
            let of_first = first.lock().unwrap().get_or_insert(key.clone()).clone();
            gate.pass();
            *running.lock().unwrap() -= 1;
            match status(&of_first, &key) {
                200 => conn.answer_json(200, OK),
                status => conn.answer(status, "Retry-After: 30\r\n", LIMIT),
            }
        })
    });
    (upstream, most)
}

/// One request at a time.
fn before(upstream: &Upstream, keys: &[&str], more: &str) -> Daemon {
    let table = table("a", &upstream.base_url(), keys);
    let tables = format!("{table}{BOUNDS}[log]\nlevel = \"debug\"\n{more}");
    configured(&tables).start()
}

/// Sends `count` requests, one after the other has come in: the first runs, and
/// the others wait.
fn queued(daemon: &Daemon, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| daemon.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let fields = format!("X-Request-Id: {number}\r\nContent-Type: application/json\r\n");
        client.send("POST", PATH, &fields, BODY.as_bytes()).unwrap();
        // The one worker that logged it has also put it into the queue before it reads on.
        daemon.wait_events("request_received", number + 1);
    }
    clients
}

/// Whose requests they are, by the order in which they were sent.
fn order(requests: &[Request]) -> String {
    let ids = requests
        .iter()
        .map(|request| request.head.field("x-request-id"));
    ids.map(Option::unwrap).collect()
}

#[test]
fn a_key_that_goes_while_a_request_waits_is_not_used_for_it() {
    for status in [401, 429] {
        let gate = Gate::new();
        // The key that is free while the others wait: the next one's.
        let (upstream, _) = gated(&gate, move |first, key| match key == first {
            true => 200,
            false => status,
        });
        let daemon = before(&upstream, &["k1", "k2"], "");
        let mut clients = queued(&daemon, 4);
        gate.open();
        for (client, expected) in clients.iter_mut().zip(["1", "2", "1", "1"]) {
            let answer = client.answer();
            assert_eq!((answer.status(), attempts(&answer)), (200, expected));
        }
        let requests = upstream.requests();
        let keys = keys_of(&requests);
        let (good, bad) = (keys[0], keys[1]);
        assert_eq!(keys, [good, bad, good, good, good], "{status}");
    }
}

#[test]
fn a_request_keeps_its_place_for_the_next_key() {
    let gate = Gate::new();
    let (upstream, most) = gated(&gate, |first, key| match key == first {
        true => 429,
        false => 200,
    });
    let daemon = before(&upstream, &["k1", "k2"], "");
    let mut clients = queued(&daemon, 4);
    gate.open();
    for (client, expected) in clients.iter_mut().zip(["2", "1", "1", "1"]) {
        let answer = client.answer();
        assert_eq!((answer.status(), attempts(&answer)), (200, expected));
    }
    assert_eq!(order(&upstream.requests()), "00123");
    assert_eq!(*most.lock().unwrap(), 1);
}

#[test]
fn who_waited_while_every_key_went_is_told_when_the_first_is_back() {
    let gate = Gate::new();
    let (upstream, _) = gated(&gate, |_, _| 429);
    let daemon = before(&upstream, &["k1", "k2"], "");
    let mut clients = queued(&daemon, 3);
    gate.open();
    let first = clients[0].answer();
    assert_eq!((first.status(), attempts(&first)), (429, "2"));
    for client in &mut clients[1..] {
        let seconds = assert_unavailable(&client.answer());
        assert!((25..=30).contains(&seconds), "{seconds}");
    }
    assert_eq!(order(&upstream.requests()), "00");
}

#[test]
fn who_waited_while_every_key_was_refused_is_told_so_by_the_upstream() {
    let gate = Gate::new();
    let (upstream, most) = gated(&gate, |_, _| 401);
    let daemon = before(&upstream, &["k1", "k2"], "");
    let mut clients = queued(&daemon, 3);
    gate.open();
    for (client, expected) in clients.iter_mut().zip(["2", "1", "1"]) {
        let answer = client.answer();
        assert_eq!((answer.status(), attempts(&answer)), (401, expected));
    }
    assert_eq!(order(&upstream.requests()), "0012");
    assert_eq!(*most.lock().unwrap(), 1);
}

#[test]
fn who_waits_at_the_next_upstream_has_no_place_at_the_one_before() {
    let a = scripted(|number, _, conn| match number {
        1 => conn.answer(503, "", "{}"),
        _ => conn.answer_json(200, OK),
    });
    let gate = Gate::new();
    let (b, _) = gated(&gate, |_, _| 200);
    let tables = format!(
        "{}{BOUNDS}{}{BOUNDS}[model.gpt-5]\nupstream = [\"a\", \"b\"]\n[model.busy]\nupstream = \"b\"\n",
        table("a", &a.base_url(), &["k1", "k2"]),
        table("b", &b.base_url(), &["k3", "k4"]),
    );
    let daemon = configured(&tables).start();
    let post = |model: &str| {
        let (mut client, body) = (daemon.client(), format!("{{\"model\":\"{model}\"}}"));
        let json = "Content-Type: application/json\r\n";
        client.send("POST", PATH, json, body.as_bytes()).unwrap();
        client
    };
    let mut busy = post("busy");
    b.wait_requests(1);
    let mut waiting = post("gpt-5");
    a.wait_requests(1);
    assert_eq!(post("other").answer().status(), 200);
    assert_eq!(b.requests().len(), 1);
    gate.open();
    assert_eq!(busy.answer().status(), 200);
    assert_eq!(waiting.answer().status(), 200);
}

#[test]
fn who_waits_for_another_try_has_no_place_meanwhile() {
    let upstream = scripted(|number, _, conn| match number {
        1 => conn.answer(503, "Retry-After: 1\r\n", "{}"),
        _ => conn.answer_json(200, OK),
    });
    let daemon = before(&upstream, &["k1"], "[retry]\n");
    let mut clients = queued(&daemon, 2);
    for (client, expected) in clients.iter_mut().zip(["2", "1"]) {
        let answer = client.answer();
        assert_eq!((answer.status(), attempts(&answer)), (200, expected));
    }
    assert_eq!(order(&upstream.requests()), "010");
}
