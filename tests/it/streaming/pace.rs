//! When bytes leave, and in how many writes.

use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

/// An upstream that writes `pieces` behind an answer's head, each when `gate` lets it.
fn gated(gate: &Gate, head: &'static str, pieces: Vec<String>) -> Upstream {
    let gate = gate.clone();
    Upstream::tls(move |conn| {
        conn.serve(|conn, _| {
            gate.pass();
            conn.write(head)?;
            for piece in &pieces {
                gate.pass();
                conn.write(piece)?;
            }
            Ok(())
        })
    })
}

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// That the daemon has called write(2) and writev(2) `count` times since `before`.
#[track_caller]
fn assert_writes(daemon: &Daemon, before: u64, count: u64) {
    // A call is counted when it returns, a moment after the client has the bytes.
    wait::until("as many writes as expected", || {
        daemon.process().writes() - before >= count
    });
    assert_eq!(daemon.process().writes() - before, count);
}

#[test]
fn the_head_and_each_chunk_leave_as_soon_as_they_are_in() {
    let gate = Gate::new();
    let mut pieces: Vec<String> = (0..5).map(|n| chunk(&format!("data: {n}\n\n"))).collect();
    pieces.push("0\r\n\r\n".to_owned());
    let upstream = gated(&gate, CHUNKED, pieces);
    let daemon = Daemon::before(&upstream);
    for mut client in [daemon.client(), daemon.unix_client()] {
        client.ask_for_stream();
        gate.let_one_through();
        let (_, head) = client.answer_head().unwrap();
        assert_eq!(head.status(), 200);
        for n in 0..5 {
            assert!(client.early().is_empty());
            gate.let_one_through();
            let chunk = client.next_chunk().unwrap();
            assert_eq!(chunk.data, format!("data: {n}\n\n").as_bytes());
        }
        gate.let_one_through();
        assert!(client.rest().is_complete());
    }
}

#[test]
fn an_answer_with_a_length_streams_too() {
    let gate = Gate::new();
    let pieces = ["abc", "de", "f"].map(str::to_owned).to_vec();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 6\r\n\r\n";
    let upstream = gated(&gate, head, pieces.clone());
    let daemon = Daemon::before(&upstream);
    let mut client = daemon.client();
    client.ask_for_stream();
    gate.let_one_through();
    let (_, head) = client.answer_head().unwrap();
    assert_eq!(head.field("content-length"), Some("6"));
    for piece in pieces {
        gate.let_one_through();
        assert_eq!(client.next_chunk().unwrap().data, piece.as_bytes());
    }
    assert!(client.rest().is_complete());
}

#[test]
fn a_chunk_leaves_as_one_chunk_in_one_write() {
    const CHUNKS: u64 = 50;
    let gate = Gate::new();
    let pieces = (0..CHUNKS).map(|n| chunk(&"x".repeat(100 * n as usize + 1)));
    let upstream = gated(&gate, CHUNKED, pieces.collect());
    let daemon = Daemon::before(&upstream);
    if !daemon.process().can_be_looked_into() {
        return;
    }
    let mut client = daemon.client();
    client.ask_for_stream();
    gate.let_one_through();
    client.answer_head().unwrap();
    let before = daemon.process().writes();
    for n in 0..CHUNKS as usize {
        gate.let_one_through();
        assert_eq!(client.next_chunk().unwrap().data.len(), 100 * n + 1);
        assert!(client.early().is_empty());
    }
    assert_writes(&daemon, before, CHUNKS);
}

#[test]
fn chunks_that_came_together_leave_together() {
    for together in [2, 15, 16, 17, 40, 400] {
        let gate = Gate::new();
        let upstream = gated(&gate, CHUNKED, vec![chunk("data: x\n\n").repeat(together)]);
        let daemon = Daemon::before(&upstream);
        if !daemon.process().can_be_looked_into() {
            return;
        }
        let mut client = daemon.client();
        client.ask_for_stream();
        gate.let_one_through();
        client.answer_head().unwrap();
        let before = daemon.process().writes();
        gate.let_one_through();
        let sent = b"data: x\n\n".repeat(together);
        let mut got = Vec::new();
        while got.len() < sent.len() {
            got.extend(client.next_chunk().unwrap().data);
        }
        assert!(got == sent, "{together} chunks");
        assert_writes(&daemon, before, 1);
    }
}
