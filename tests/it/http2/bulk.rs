//! Large bodies: full speed where they flow, bounded memory where they don't.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{before, events};
use crate::support::http2::{Http2Upstream, Settings};
use crate::support::wait;

const MIB: u64 = 1 << 20;
/// What the client reads in the end, in MiB; slowly, in a debug build.
const DOWNLOAD: u64 = 100;

#[test]
fn an_upload_of_100_mib_is_fast_and_takes_little_memory() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        let length = exchange.count_body().await?;
        let mut stream = exchange.start(200, http::HeaderMap::new())?;
        stream.send_data(Bytes::from(length.to_string()), true)
    });
    let daemon = before(&upstream, "");
    let mut client = daemon.client();
    let process = daemon.process();
    let rss = process.rss();
    let total = 100 * MIB;
    let began = Instant::now();
    let head = format!("POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: {total}\r\n\r\n");
    client.write(head).unwrap();
    let piece = vec![b'x'; MIB as usize];
    for _ in 0..100 {
        client.write(&piece).unwrap();
    }
    let answer = client.answer();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(answer.body.text(), total.to_string());
    let grown = process.peak_rss().saturating_sub(rss);
    println!("{:.0} MiB/s, {} KiB more", 100.0 / took, grown / 1024);
    assert!(grown < 16 * MIB, "{grown}");
    // A window that is too small costs a round trip each 64 KiB; this is far
    // below what a loaded machine of two cores does in a debug build.
    assert!(took < 10.0, "{took} s");
    assert_eq!(daemon.wait_request_event()["bytes_in"], total);
}

#[test]
fn a_download_that_is_not_read_stops_the_upstream() {
    let upstream = Http2Upstream::start(Settings::default(), |mut exchange| async move {
        let mut stream = exchange.start(200, events())?;
        let piece = Bytes::from(vec![b'x'; MIB as usize]);
        for _ in 0..DOWNLOAD {
            exchange.send(&mut stream, piece.clone()).await?;
        }
        stream.send_data(Bytes::new(), true)
    });
    let daemon = before(&upstream, "");
    let process = daemon.process();
    let rss = process.rss();
    let mut client = daemon.client();
    client.start_stream();
    let mut sent = 0;
    wait::until("the upstream is stuck", || {
        let before = std::mem::replace(&mut sent, upstream.record().sent);
        // What is measured is that nothing happens: that takes time.
        thread::sleep(Duration::from_millis(200));
        sent > 0 && before == sent && upstream.record().sent == sent
    });
    assert!(sent < 20 * MIB, "{sent}");
    // Beside it, others are served.
    let mut other = daemon.client();
    other.start_stream();
    assert!(other.next_chunk().is_some());
    let grown = process.peak_rss().saturating_sub(rss);
    println!(
        "{} KiB in flight, {} KiB more of ours",
        sent / 1024,
        grown / 1024
    );
    assert!(grown < 16 * MIB, "{grown}");
    let (length, end) = client.count_rest();
    assert_eq!(length, DOWNLOAD * MIB);
    assert_eq!(end, crate::support::message::End::Complete);
}
