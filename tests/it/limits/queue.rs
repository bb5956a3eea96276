//! `max_running` and `queue_timeout` of an upstream.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{BODY, JSON, ask, assert_refused, held, retry_after, send};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

/// Answers each request when the gate lets it, and counts those that it has at
/// the same time.
fn counting(gate: &Gate) -> (Upstream, Arc<Mutex<(usize, usize)>>) {
    let counts: Arc<Mutex<(usize, usize)>> = Arc::default();
    let (gate, counted) = (gate.clone(), Arc::clone(&counts));
    let upstream = Upstream::tls(move |conn| {
        conn.serve(|conn, _| {
            {
                let mut counts = counted.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            gate.pass();
            counted.lock().unwrap().0 -= 1;
            conn.answer_json(200, "{}")
        })
    });
    (upstream, counts)
}

/// Sends a request of each of the clients `names`, one after the other has come in.
fn queued(daemon: &Daemon, names: &[&str]) -> Vec<Client> {
    let mut clients: Vec<_> = names.iter().map(|_| daemon.client()).collect();
    for (at, (client, name)) in clients.iter_mut().zip(names).enumerate() {
        let fields = format!("Authorization: Bearer sk-{name}\r\nX-Request-Id: {name}\r\n{JSON}");
        let path = "/v1/chat/completions";
        client.send("POST", path, &fields, BODY.as_bytes()).unwrap();
        daemon.wait_events("request_received", at + 1);
    }
    clients
}

#[test]
fn no_more_requests_run_at_an_upstream_than_may() {
    let gate = Gate::new();
    let (upstream, counts) = counting(&gate);
    let builder = held(&upstream, "").upstream_settings("max_running = 3");
    let daemon = builder.server_settings("workers = 2").start();
    let mut clients: Vec<_> = (0..12).map(|_| daemon.client()).collect();
    clients.iter_mut().for_each(|client| send(client, "sk-one"));
    wait::until("three run", || counts.lock().unwrap().0 == 3);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(counts.lock().unwrap().1, 3);
    assert_eq!(upstream.requests().len(), 12);
}

#[test]
fn who_waits_in_vain_is_told_so() {
    let gate = Gate::new();
    let (upstream, counts) = counting(&gate);
    let settings = "max_running = 1\nqueue_timeout = \"100ms\"";
    let daemon = held(&upstream, "").upstream_settings(settings).start();
    let mut client = daemon.client();
    send(&mut client, "sk-one");
    wait::until("it runs", || counts.lock().unwrap().0 == 1);
    let begun = Instant::now();
    let answer = ask(&daemon, "sk-two");
    let waited = begun.elapsed();
    let message = assert_refused(&answer, 503, "upstream_unavailable");
    assert!(
        message.contains("100ms") && message.contains("max_running"),
        "{message}"
    );
    assert!(waited >= Duration::from_millis(100), "{waited:?}");
    assert_eq!(retry_after(&answer), 1);
    let by = answer.head.field("proxy-status");
    assert_eq!(by, Some("upstreamd; error=connection_limit_reached"));
    let event = daemon.wait_event("request_failed");
    assert_eq!(event["error_code"], "upstream_unavailable");
    assert_eq!(event["upstream"], "test");
    assert_eq!(event["attempts"], 0);
    gate.open();
    assert_eq!(client.answer().status(), 200);
    assert_eq!(ask(&daemon, "sk-two").status(), 200);
}

#[test]
fn a_queue_of_no_time_is_none() {
    let gate = Gate::new();
    let (upstream, counts) = counting(&gate);
    let settings = "max_running = 1\nqueue_timeout = \"0s\"";
    let daemon = held(&upstream, "").upstream_settings(settings).start();
    let mut client = daemon.client();
    send(&mut client, "sk-one");
    wait::until("it runs", || counts.lock().unwrap().0 == 1);
    assert_refused(&ask(&daemon, "sk-one"), 503, "upstream_unavailable");
    gate.open();
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn clients_that_wait_come_in_turn() {
    let gate = Gate::new();
    let (upstream, counts) = counting(&gate);
    let settings = "max_running = 1\nqueue_timeout = \"1m\"";
    let builder = held(&upstream, "").upstream_settings(settings);
    // What one worker has logged it has also put into the queue before it reads on.
    let builder = builder.server_settings("workers = 1");
    let daemon = builder.more_config("\n[log]\nlevel = \"debug\"\n").start();
    // The first runs. One client has five in the queue when the other comes with two.
    let names = ["one", "one", "one", "one", "one", "one", "two", "two"];
    let mut clients = queued(&daemon, &names);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(counts.lock().unwrap().1, 1);
    let requests = upstream.requests();
    let served: Vec<_> = requests
        .iter()
        .map(|request| request.head.field("x-request-id").unwrap())
        .collect();
    assert_eq!(
        served,
        ["one", "one", "two", "one", "two", "one", "one", "one"]
    );
}

#[test]
fn an_error_keeps_its_place_until_its_end() {
    let (first, rest) = (Gate::new(), Gate::new());
    let counts: Arc<Mutex<(usize, usize)>> = Arc::default();
    let (gates, counted) = ((first.clone(), rest.clone()), Arc::clone(&counts));
    let upstream = Upstream::tls(move |conn| {
        conn.serve(|conn, request| {
            {
                let mut counts = counted.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            let is_first = request.head.field("x-request-id") == Some("one");
            if is_first {
                gates.0.pass();
            } else {
                conn.write("HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{")?;
                gates.1.pass();
            }
            counted.lock().unwrap().0 -= 1;
            match is_first {
                true => conn.answer_json(200, "{}"),
                false => conn.write("}"),
            }
        })
    });
    let settings = "max_running = 1\nqueue_timeout = \"1m\"";
    let builder = held(&upstream, "").upstream_settings(settings);
    let builder = builder.server_settings("workers = 1");
    let daemon = builder.more_config("\n[log]\nlevel = \"debug\"\n").start();
    let mut clients = queued(&daemon, &["one", "two", "two"]);
    first.open();
    assert_eq!(clients[0].answer().status(), 200);
    clients[1].answer_head().unwrap();
    // The last one would be there at once.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(*counts.lock().unwrap(), (1, 1));
    rest.open();
    assert_eq!(clients[2].answer().status(), 500);
    assert_eq!(counts.lock().unwrap().1, 1);
}

#[test]
fn who_leaves_the_queue_or_a_stream_takes_no_place_with_it() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let settings = "max_running = 1\nqueue_timeout = \"1m\"";
    let builder = held(&upstream, "").upstream_settings(settings);
    let daemon = builder.more_config("\n[log]\nlevel = \"debug\"\n").start();
    let mut streaming = daemon.client();
    send(&mut streaming, "sk-one");
    streaming.answer_head().unwrap();
    streaming.next_chunk().unwrap();
    let mut waiting = daemon.client();
    send(&mut waiting, "sk-one");
    let mut patient = daemon.client();
    send(&mut patient, "sk-two");
    daemon.wait_events("request_received", 3);
    waiting.reset().unwrap();
    let event = daemon.wait_event("request_failed");
    assert_eq!(event["upstream"], "test", "for which it waited");
    streaming.reset().unwrap();
    gate.open();
    assert!(patient.answer().body.is_complete());
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(ask(&daemon, "sk-one").status(), 200);
}

#[test]
fn a_websocket_has_a_place_as_long_as_it_is_open() {
    let upstream = Upstream::tls(|conn| {
        conn.serve(|conn, request| {
            if !request.head.has("upgrade") {
                return conn.answer_json(200, "{}");
            }
            conn.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")?;
            conn.read_to_end().map(drop)
        })
    });
    let settings = "max_running = 1\nqueue_timeout = \"0s\"";
    let daemon = held(&upstream, "").upstream_settings(settings).start();
    let mut client = daemon.client();
    let fields = "Authorization: Bearer sk-one\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    client.send("GET", "/v1/realtime", fields, b"").unwrap();
    assert_eq!(client.answer_head().unwrap().1.status(), 101);
    assert_refused(&ask(&daemon, "sk-one"), 503, "upstream_unavailable");
    client.close();
    wait::until("its place is free", || {
        ask(&daemon, "sk-one").status() == 200
    });
}
