//! Streams and connections: limits, resets, cancels, GOAWAY.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use tokio::sync::Semaphore;

use super::{before, events};
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::http2::{Http2Upstream, Settings};
use crate::support::message::End;
use crate::support::upstream::Upstream;
use crate::support::wait;

#[test]
fn more_connections_are_opened_when_the_stream_limit_is_reached() {
    const REQUESTS: usize = 7;
    let passes = Arc::new(Semaphore::new(0));
    let script = Arc::clone(&passes);
    let settings = Settings {
        max_streams: 2,
        ..Settings::default()
    };
    let upstream = Http2Upstream::start(settings, move |mut exchange| {
        let passes = Arc::clone(&script);
        async move {
            passes.acquire().await.unwrap().forget();
            exchange.answer("application/json", "{}")
        }
    });
    let daemon = before(&upstream, "");
    let mut clients: Vec<Client> = (0..REQUESTS).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.send("GET", "/v1/models", "", b"").unwrap();
    }
    // No answer was given: none of them waits for another's.
    wait::until("all requests are at the upstream", || {
        upstream.record().requests.len() == REQUESTS
    });
    let record = upstream.record();
    assert_eq!(record.connections, 4);
    let mut loads = BTreeMap::new();
    for (connection, _) in &record.requests {
        *loads.entry(connection).or_insert(0) += 1;
    }
    assert!(loads.values().all(|load| *load <= 2), "{loads:?}");
    passes.add_permits(REQUESTS);
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    // What was opened serves the next ones.
    passes.add_permits(1);
    assert_eq!(clients[0].get("/v1/models").status(), 200);
    assert_eq!(upstream.record().connections, 4);
}

#[test]
fn a_reset_in_the_middle_of_an_answer_is_never_a_clean_end() {
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
        let upstream = Http2Upstream::start(Settings::default(), move |mut exchange| async move {
            let mut stream = exchange.start(200, events())?;
            exchange
                .send(&mut stream, Bytes::from_static(b"data: 1\n\n"))
                .await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream.send_reset(reason);
            Ok(())
        });
        let daemon = before(&upstream, "");
        let mut client = daemon.client();
        client.start_stream();
        let body = client.rest();
        assert!(
            matches!(body.end, End::Cut(_)),
            "{reason:?}: {:?}",
            body.end
        );
        let event = daemon.wait_request_event();
        assert_eq!(event["event"], "streaming_error");
        assert_eq!(event["error_code"], "upstream_protocol_error");
        let told = body.text();
        assert!(told.contains("upstream_protocol_error"), "{told}");
    }
}

#[test]
fn an_early_answer_is_whole_though_it_stops_the_upload() {
    // h2 resets with NO_ERROR what it has answered before all of it came.
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        exchange.answer("application/json", r#"{"error":{"message":"too large"}}"#)
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    client
        .write("POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc")
        .unwrap();
    let answer = client.answer();
    assert_eq!(answer.body.json()["error"]["message"], "too large");
    assert!(answer.body.is_complete());
    client.close();
    let event = daemon.wait_request_event();
    assert_eq!(event["truncated"], false, "{event}");
}

#[test]
fn a_reset_before_an_answer_is_a_502() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        exchange.reset(Reason::INTERNAL_ERROR);
        Ok(())
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    client.ask_for_stream();
    let answer = client.answer();
    assert_eq!(answer.status(), 502);
    assert_eq!(
        answer.body.json()["error"]["code"],
        "upstream_protocol_error"
    );
    assert_eq!(upstream.record().requests.len(), 1);
}

#[test]
fn a_refused_stream_is_sent_again() {
    // REFUSED_STREAM says that nothing was done (RFC 9113, 8.7).
    let upstream = Http2Upstream::start(Settings::default(), {
        let first = Arc::new(Semaphore::new(1));
        move |mut exchange| {
            let first = Arc::clone(&first);
            async move {
                if let Ok(pass) = first.try_acquire() {
                    pass.forget();
                    exchange.reset(Reason::REFUSED_STREAM);
                    return Ok(());
                }
                exchange.answer("application/json", "{}")
            }
        }
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    let answer = client.post_json("/v1/chat/completions", "{}");
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.record().requests.len(), 2);
    assert_eq!(daemon.wait_request_event()["attempts"], 2);
}

#[test]
fn a_client_that_leaves_cancels_its_stream_and_no_other() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        if exchange.head.uri.path() == "/v1/silent" {
            return exchange.wait_reset_before_answer().await;
        }
        let mut stream = exchange.start(200, events())?;
        exchange
            .send(&mut stream, Bytes::from_static(b"data: 1\n\n"))
            .await?;
        exchange.wait_reset(&mut stream).await
    });
    let daemon = before(&upstream, "");
    let mut stays = daemon.client();
    stays.start_stream();
    assert!(stays.next_chunk().is_some());

    for (number, path) in ["/v1/silent", "/v1/stream"].iter().enumerate() {
        let mut leaves = daemon.client();
        leaves.send("GET", path, "", b"").unwrap();
        if number == 1 {
            leaves.answer_head().unwrap();
            leaves.next_chunk().unwrap();
        }
        wait::until("it is at the upstream", || {
            upstream.record().requests.len() == number + 2
        });
        let left = Instant::now();
        leaves.close();
        wait::until("the stream is cancelled", || {
            upstream.record().resets.len() == number + 1
        });
        assert!(
            left.elapsed() < Duration::from_secs(1),
            "{:?}",
            left.elapsed()
        );
    }
    let record = upstream.record();
    assert_eq!(record.resets, [Reason::CANCEL, Reason::CANCEL]);
    assert_eq!((record.connections, record.open), (1, 1));
    let events = daemon.wait_request_events(2);
    assert!(events.iter().all(|event| event["client_aborted"] == true));
}

#[test]
fn after_goaway_the_next_request_goes_to_a_new_connection() {
    let passes = Arc::new(Semaphore::new(0));
    let script = Arc::clone(&passes);
    let upstream = Http2Upstream::start(Settings::default(), move |mut exchange| {
        let passes = Arc::clone(&script);
        async move {
            if exchange.head.uri.path() != "/v1/last" {
                return exchange.answer("application/json", "{}");
            }
            let mut stream = exchange.start(200, events())?;
            exchange
                .send(&mut stream, Bytes::from_static(b"data: 1\n\n"))
                .await?;
            exchange.go_away();
            passes.acquire().await.unwrap().forget();
            stream.send_data(Bytes::from_static(b"data: 2\n\n"), true)
        }
    });
    let daemon = before(&upstream, "");
    let mut last = daemon.client();
    last.send("GET", "/v1/last", "", b"").unwrap();
    last.answer_head().unwrap();
    last.next_chunk().unwrap();
    // Once GOAWAY is there, which the daemon alone knows, requests go elsewhere.
    let mut client = daemon.client();
    wait::until("a second connection is used", || {
        assert_eq!(client.get("/v1/models").status(), 200);
        upstream.record().connections == 2
    });
    // The stream that ran on the old one ends well.
    passes.add_permits(1);
    let body = last.rest();
    assert!(body.is_complete());
    assert_eq!(body.text(), "data: 1\n\ndata: 2\n\n");
    wait::until("the old connection is closed", || {
        upstream.record().open == 1
    });
}

#[test]
fn requests_behind_a_connection_that_does_not_open_fail_with_it() {
    let upstream = Upstream::silent();
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("workers = 1")
        .upstream_settings("http2 = true\nconnect_timeout = \"500ms\"")
        .start();
    let mut clients: Vec<Client> = (0..5).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.send("GET", "/v1/models", "", b"").unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.answer().status(), 504);
    }
    for event in daemon.wait_request_events(5) {
        // One after the other it would be 2.5 s.
        let took = event["duration_s"].as_f64().unwrap();
        assert!(took < 1.5, "{took}");
        assert_eq!(event["attempts"], 1);
    }
}

#[test]
fn a_connection_without_streams_is_closed_after_pool_idle_timeout() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        exchange.answer("application/json", "{}")
    });
    let daemon = before(&upstream, "pool_idle_timeout = \"50ms\"");
    let mut client = daemon.client();
    for connection in 1..=2 {
        assert_eq!(client.get("/v1/models").status(), 200);
        assert_eq!(upstream.record().connections, connection);
        wait::until("the idle connection is closed", || {
            upstream.record().open == 0
        });
    }
}
