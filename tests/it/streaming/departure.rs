//! A client that leaves cancels the upstream's work.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, DEADLINE};

/// From the client's goodbye to the end of the upstream's connection.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A way to leave.
type Leave = fn(&mut Client);

fn close(client: &mut Client) {
    client.close();
}

fn reset(client: &mut Client) {
    client.reset().unwrap();
}

/// Runs a client that `leave`s, after the first chunk or before any byte.
#[track_caller]
fn leaves(after_first_chunk: bool, leave: Leave, connect: fn(&Daemon) -> Client) -> Value {
    let upstream = Upstream::tls(move |conn| {
        conn.read_request()?;
        if after_first_chunk {
            conn.start_events()?;
            conn.write_chunk("data: 1\n\n")?;
        }
        assert!(conn.peer_left(DEADLINE).is_some(), "nobody cancelled");
        Ok(())
    });
    let daemon = Daemon::before(&upstream);
    let mut client = connect(&daemon);
    client.ask_for_stream();
    upstream.wait_requests(1);
    if after_first_chunk {
        client.answer_head().unwrap();
        client.next_chunk().unwrap();
    }
    let left = Instant::now();
    leave(&mut client);
    wait::until("the upstream's connection is closed", || {
        upstream.open_connections() == 0
    });
    assert!(left.elapsed() < AT_ONCE, "after {:?}", left.elapsed());
    let event = daemon.wait_request_event();
    assert_eq!(event["event"], "request_failed");
    assert_eq!(event["client_aborted"], true);
    assert_eq!(event["error_code"], Value::Null);
    event
}

#[test]
fn a_client_that_leaves_before_the_first_byte_cancels_the_upstream() {
    for leave in [close as Leave, reset] {
        let event = leaves(false, leave, Daemon::client);
        assert_eq!(event["status"], Value::Null);
        assert_eq!(event["ttfb_s"], Value::Null);
        assert_eq!(event["attempts"], 1);
    }
    leaves(false, close, Daemon::unix_client);
}

#[test]
fn a_client_that_leaves_after_the_first_byte_cancels_the_upstream() {
    for leave in [close as Leave, reset] {
        let event = leaves(true, leave, Daemon::client);
        assert_eq!(event["status"], 200);
        assert_eq!(event["bytes_out"], 9);
    }
    leaves(true, close, Daemon::unix_client);
}
