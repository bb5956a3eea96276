//! An upstream that is not there.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::stream;
use crate::refusal::assert_refused;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;

#[test]
fn a_refused_connection_is_a_502_with_the_address() {
    let address = {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
        nobody.local_addr().unwrap()
    };
    let daemon = Daemon::builder()
        .upstream_at(&format!("http://{address}/v1"), None)
        .start();
    let answer = stream(&daemon);
    let verdict = (502, "upstream_unreachable", "connection_refused");
    let event = assert_refused(&daemon, &answer, verdict);
    let message = event["error_message"].as_str().unwrap();
    assert!(message.contains(&address.to_string()), "{message}");
    let proxy_status = answer.head.field("proxy-status").unwrap();
    let next_hop = format!("next-hop=\"{address}\"");
    assert!(proxy_status.contains(&next_hop), "{proxy_status}");
}

#[test]
fn a_name_that_does_not_exist_is_a_502() {
    let daemon = Daemon::builder()
        .upstream_at("http://upstream.invalid/v1", None)
        .start();
    let answer = stream(&daemon);
    let event = assert_refused(&daemon, &answer, (502, "upstream_unreachable", "dns_error"));
    let message = event["error_message"].as_str().unwrap();
    assert!(message.contains("upstream.invalid"), "{message}");
}

#[test]
fn a_peer_that_accepts_and_never_shakes_hands_is_a_504_within_connect_timeout() {
    let upstream = Upstream::silent();
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .upstream_settings("connect_timeout = \"200ms\"")
        .start();
    let answer = stream(&daemon);
    let verdict = (504, "upstream_timeout", "connection_timeout");
    let event = assert_refused(&daemon, &answer, verdict);
    let took = event["duration_s"].as_f64().unwrap();
    assert!((0.2..2.0).contains(&took), "{took}");
    let message = event["error_message"].as_str().unwrap();
    assert!(message.contains("TLS handshake"), "{message}");
}

/// Listens in front of `behind`, and takes its time over every connection.
fn slow_to_connect(behind: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            thread::sleep(delay);
            let (client, server) = (client.unwrap(), TcpStream::connect(behind).unwrap());
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    address
}

#[test]
fn the_time_to_connect_counts_for_no_other_timeout() {
    let upstream = Upstream::answering("{}");
    let slow = slow_to_connect(upstream.address(), Duration::from_millis(600));
    let daemon = Daemon::builder()
        .upstream_at(
            &format!("https://localhost:{}/v1", slow.port()),
            upstream.ca_file(),
        )
        .server_settings("body_timeout = \"300ms\"")
        .upstream_settings("response_timeout = \"300ms\"\npool_max_idle = 0")
        .start();
    let mut client = daemon.client();
    let read_whole = client.post_json("/v1/chat/completions", "{}");
    assert_eq!(read_whole.status(), 200, "{}", read_whole.body.text());
    client
        .send("POST", "/v1/files", "Expect: 100-continue\r\n", b"x")
        .unwrap();
    let passing = client.answer();
    assert_eq!(passing.status(), 200, "{}", passing.body.text());
}
