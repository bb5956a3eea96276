//! A client that does not read stops the upstream, not our memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime;
use tokio::task::JoinSet;

use crate::support::daemon::Daemon;
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait::{self, DEADLINE, Gate};

const MIB: u64 = 1 << 20;

/// Streams until the peer takes no more for a while; counts into `written`.
fn flood(conn: &mut Conn, written: &AtomicU64) -> io::Result<()> {
    let event = format!("data: {}\n\n", "x".repeat(16 * 1024 - 8));
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    loop {
        // Patient: only the peer's leaving, or the test's end, ends it.
        conn.write(&chunk)?;
        written.fetch_add(event.len() as u64, Ordering::Relaxed);
    }
}

/// Waits until `written` has stood still for a while.
pub(crate) fn stuck(written: &AtomicU64) -> u64 {
    let mut last = 0;
    wait::until("the upstream is stuck", || {
        let before = std::mem::replace(&mut last, written.load(Ordering::Relaxed));
        // What is measured is that nothing happens: that takes time.
        std::thread::sleep(Duration::from_millis(300));
        last > 0 && before == last && written.load(Ordering::Relaxed) == last
    });
    last
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream() {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::tls(move |conn| {
        conn.deadline = DEADLINE * 6;
        conn.read_request()?;
        conn.start_events()?;
        flood(conn, &count)
    });
    let daemon = Daemon::before(&upstream);
    let before = daemon.process().rss();
    let mut client = daemon.client();
    client.start_stream();
    let held = stuck(&written);
    // Two kernels' socket buffers: 6 MiB to receive and 4 MiB to send each, at most.
    assert!(held < 24 * MIB, "{held} bytes");
    let grown = daemon.process().rss().saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes");
    // It goes on as soon as the client reads, and nothing is lost.
    let mut read = 0;
    while read < held + 8 * MIB {
        let chunk = client.next_chunk().expect("the stream goes on");
        read += chunk.data.len() as u64;
    }
}

#[test]
fn an_upstream_that_does_not_read_stops_the_client() {
    let gate = Gate::new();
    let script = gate.clone();
    let upstream = Upstream::tls(move |conn| {
        conn.read_head()?;
        script.pass();
        let length = conn.count_body();
        conn.answer_json(200, &length.to_string())
    });
    let daemon = Daemon::before(&upstream);
    let before = daemon.process().rss();
    let mut client = daemon.client();
    let total = 64 * MIB;
    client
        .write(format!(
            "POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n"
        ))
        .unwrap();
    let piece = vec![0; 64 * 1024];
    let held = client
        .write_until_stuck(&piece, Duration::from_millis(300))
        .unwrap();
    assert!(held < 24 * MIB, "{held} bytes");
    let grown = daemon.process().rss().saturating_sub(before);
    assert!(grown < 8 * MIB, "{grown} bytes");
    gate.open();
    // The piece that got stuck is queued and goes first.
    let mut sent = held + piece.len() as u64;
    while sent < total {
        client.write(&piece).unwrap();
        sent += piece.len() as u64;
    }
    client.write("").unwrap();
    assert_eq!(client.answer().body.text(), total.to_string());
}

#[test]
fn a_client_that_takes_no_byte_for_write_timeout_is_reset() {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let upstream = Upstream::tls(move |conn| {
        conn.deadline = DEADLINE * 6;
        conn.read_request()?;
        conn.start_events()?;
        flood(conn, &count)
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        .server_settings("write_timeout = \"300ms\"")
        .start();
    let mut client = daemon.client();
    client.start_stream();
    wait::until("the upstream's connection is closed", || {
        upstream.open_connections() == 0
    });
    let body = client.rest();
    assert!(!body.is_complete());
    let event = daemon.wait_request_event();
    assert_eq!(event["client_aborted"], true);
    assert_eq!(event["status"], 200);
}

/// Each side of the crowd.
const HALF: usize = 500;
/// For each stream that is not read: what waits for the client (64 KiB), what
/// was read ahead (128 KiB), and as much again for buffers that they are parts of.
const MOST: u64 = HALF as u64 * 512 * 1024;
/// What each reader gets.
const EVENTS: usize = 20;

#[test]
fn a_thousand_streams_of_which_half_do_not_read_take_bounded_memory() {
    let gate = Gate::new();
    let written = Arc::new(AtomicU64::new(0));
    let (pass, count) = (gate.clone(), Arc::clone(&written));
    let upstream = Upstream::tls(move |conn| {
        conn.deadline = DEADLINE * 6;
        let request = conn.read_request()?;
        conn.start_events()?;
        if request.head.target() == "/v1/flood" {
            return flood(conn, &count);
        }
        for _ in 0..EVENTS {
            conn.write_chunk("data: tick\n\n")?;
        }
        pass.pass();
        conn.write_last_chunk("")
    });
    let daemon = Daemon::builder()
        .upstream(&upstream)
        // A thousand handshakes at once, with an upstream that is a test.
        .upstream_settings("connect_timeout = \"1m\"")
        .start();
    let before = daemon.process().rss();
    let address = daemon.address();
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let mut idlers = Vec::new();
            for _ in 0..HALF {
                idlers.push(asking(address, "/v1/flood").await);
            }
            let mut readers = JoinSet::new();
            for _ in 0..HALF {
                let stream = asking(address, "/v1/ticks").await;
                readers.spawn(read_to_the_end(stream));
            }
            let all = tokio::task::spawn_blocking({
                let (written, gate) = (Arc::clone(&written), gate.clone());
                let process = daemon.process();
                move || {
                    let held = stuck(&written);
                    let grown = process.rss().saturating_sub(before);
                    gate.open();
                    (held, grown)
                }
            });
            let (held, grown) = all.await.unwrap();
            println!(
                "{} MiB in flight, {} MiB more of ours",
                held / MIB,
                grown / MIB
            );
            assert!(grown < MOST, "{} MiB", grown / MIB);
            while let Some(text) = readers.join_next().await {
                let text = text.unwrap();
                assert_eq!(text.matches("data: tick\n\n").count(), EVENTS);
                assert!(text.ends_with("0\r\n\r\n"), "{text}");
            }
            drop(idlers);
        });
    wait::until("all streams have ended", || {
        upstream.open_connections() < HALF
    });
    wait::until("each has its event", || {
        daemon.request_events().len() == 2 * HALF
    });
    let aborted = |event: &&serde_json::Value| event["client_aborted"] == true;
    assert_eq!(daemon.request_events().iter().filter(aborted).count(), HALF);
}

async fn asking(address: std::net::SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // So that the kernel does not hold for the client what we would have to.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_to_the_end(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
