//! A connection that has switched protocols: bytes both ways, unread.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::time::{Instant, sleep_until};

use super::socket::Socket;
use crate::proxy::{Fault, Tunnel, Wire};

/// Runs the tunnel until one side is done and the other has got everything,
/// nothing moved either way for `idle_timeout`, or the drain is over.
pub(super) async fn run(client: Socket, early_from_client: Bytes, tunnel: Tunnel, wire: &Wire) {
    let Tunnel {
        stream: mut upstream,
        early,
        idle_timeout,
        lease: _lease,
    } = tunnel;
    let from_client = Rc::new(Cell::new(early_from_client.len() as u64));
    let mut client = Counted {
        socket: client,
        read: Rc::clone(&from_client),
        moved: Rc::new(Cell::new(Instant::now())),
        written: early.len() as u64,
    };
    let moved = Rc::clone(&client.moved);
    let passing = async {
        client.socket.write_all(&early).await?;
        upstream.write_all(&early_from_client).await?;
        upstream.flush().await?;
        copy_bidirectional(&mut client, &mut upstream)
            .await
            .map(drop)
    };
    {
        let mut passing = pin!(passing);
        let mut timer = pin!(sleep_until(Instant::now() + idle_timeout));
        poll_fn(|cx| {
            if wire.is_aborting() || passing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            while timer.as_mut().poll(cx).is_ready() {
                let due = moved.get() + idle_timeout;
                if due <= Instant::now() {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await;
    }
    wire.note(|record| record.tunnelled(from_client.get(), client.written));
    if wire.is_aborting() {
        wire.cut(&Fault::draining());
    }
    wire.ended();
}

/// The client's side, counted and timed: every byte of a tunnel passes it.
struct Counted {
    socket: Socket,
    read: Rc<Cell<u64>>,
    moved: Rc<Cell<Instant>>,
    written: u64,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        self.read
            .set(self.read.get() + (buf.filled().len() - before) as u64);
        self.moved.set(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, buf))?;
        self.written += written as u64;
        self.moved.set(Instant::now());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
