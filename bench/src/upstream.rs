//! The upstream: the same JSON answer to every request, or a stream of SSE
//! events at the pace that the request asks for.

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::TlsAcceptor;

use crate::messages::{
    INTERVAL_FIELD, STREAM_END, STREAM_HEAD, UPSTREAM_AUTHORIZATION, json_answer, push_event,
};
use crate::recorded::say;
use crate::tls;
use crate::wire::Connection;

/// Connections that may wait to be accepted: 8,000 streams open at once.
const BACKLOG: u32 = 8192;

/// Serves until standard input closes, so that it never outlives `bench/run`.
pub(crate) async fn serve(directory: &Path) -> io::Result<()> {
    let acceptor = tls::acceptor(directory)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    let streams = Arc::new(Streams::default());
    say(
        "listening",
        &[("port", listener.local_addr()?.port().into())],
    )?;

    let (closed, stdin_closes) = tokio::sync::oneshot::channel::<()>();
    let ordered = Arc::clone(&streams);
    std::thread::spawn(move || {
        ordered.obey(io::stdin().lock());
        drop(closed);
    });
    tokio::select! {
        never = accept(listener, acceptor, streams) => never,
        _ = stdin_closes => Ok(()),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the daemon's workers; this is one thread"
)]
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    streams: Arc<Streams>,
) -> io::Result<()> {
    let answer: Arc<[u8]> = json_answer().into();
    loop {
        let (tcp, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("bench-load upstream: accept: {error}");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (acceptor, streams, answer) = (acceptor.clone(), streams.clone(), answer.clone());
        tokio::spawn(async move {
            // A proxy that leaves is its own affair; what matters reaches the client.
            let _ = connection(tcp, acceptor, streams, answer).await;
        });
    }
}

async fn connection(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    streams: Arc<Streams>,
    answer: Arc<[u8]>,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut connection = Connection::new(acceptor.accept(tcp).await?);
    while let Some(head) = connection.head().await? {
        connection.body(head.framing()?, |_| Ok(())).await?;
        if head.field("authorization") != Some(UPSTREAM_AUTHORIZATION) {
            let refused = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
            connection.send(refused).await?;
            continue;
        }
        match head.field(INTERVAL_FIELD).and_then(|us| us.parse().ok()) {
            None => connection.send(&answer).await?,
            Some(us) => {
                streams
                    .run(&mut connection, Duration::from_micros(us))
                    .await?;
            }
        }
    }
    Ok(())
}

/// The streams that run, and the order for all of them to end.
#[derive(Default)]
struct Streams {
    opened: AtomicU64,
    sent: AtomicU64,
    finished: AtomicU64,
}

impl Streams {
    /// `finish` ends the running streams at their next event; `sent` tells how
    /// many events went out since it was asked last.
    fn obey(&self, orders: impl BufRead) {
        for order in orders.lines().map_while(Result::ok) {
            match order.as_str() {
                "finish" => _ = self.finished.fetch_add(1, Ordering::Relaxed),
                "sent" => {
                    let sent = self.sent.swap(0, Ordering::Relaxed);
                    if say("sent", &[("events", sent)]).is_err() {
                        return;
                    }
                }
                other => eprintln!("bench-load upstream: unknown order {other:?}"),
            }
        }
    }

    async fn run<S>(&self, connection: &mut Connection<S>, interval: Duration) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let finished = self.finished.load(Ordering::Relaxed);
        let mut out = STREAM_HEAD.as_bytes().to_vec();
        let mut next = Instant::now() + self.phase(interval);
        loop {
            push_event(&mut out);
            self.sent.fetch_add(1, Ordering::Relaxed);
            connection.send(&out).await?;
            sleep_until(next).await;
            next += interval;
            out.clear();
            if self.finished.load(Ordering::Relaxed) != finished {
                out.extend_from_slice(
                    format!("{:x}\r\n{STREAM_END}\r\n0\r\n\r\n", STREAM_END.len()).as_bytes(),
                );
                return connection.send(&out).await;
            }
        }
    }

    /// Where in the interval this stream's events fall: steps of the golden
    /// ratio spread any number of streams evenly, however fast they open.
    fn phase(&self, interval: Duration) -> Duration {
        let opened = self.opened.fetch_add(1, Ordering::Relaxed) as f64;
        interval.mul_f64((opened * 0.618_033_988_749_895).fract())
    }
}
