//! The client's socket under hyper, watched.
//!
//! hyper answers a request that it cannot parse by itself, without a body, and
//! tells nobody when an answer's last byte has left. Both are seen here: a
//! write while no request runs is hyper's own answer, which is swallowed and
//! made properly later; a flush that reaches the socket means that hyper's
//! buffers are empty.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::socket::Socket;
use crate::proxy::{Phase, Wire};

pub(super) struct ClientIo {
    pub(super) socket: Socket,
    wire: Rc<Wire>,
    /// Interim heads being written, and how far.
    interim: Vec<u8>,
    interim_at: usize,
    /// The status of hyper's own answer, which was not sent.
    refused: Option<StatusCode>,
    pub(super) saw_end: bool,
}

impl ClientIo {
    pub(super) fn new(socket: Socket, wire: Rc<Wire>) -> Self {
        ClientIo {
            socket,
            wire,
            interim: Vec::new(),
            interim_at: 0,
            refused: None,
            saw_end: false,
        }
    }

    /// The status that hyper answered a bad head with.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        self.refused
    }

    /// Takes hyper's own answer, if that is what is being written.
    fn swallow(&mut self, bytes: &[u8]) -> bool {
        if self.wire.phase() == Phase::Busy {
            return false;
        }
        if self.refused.is_none() {
            // "HTTP/1.1 431 ..."
            let status = bytes
                .get(9..12)
                .and_then(|digits| StatusCode::from_bytes(digits).ok());
            self.refused = Some(status.unwrap_or(StatusCode::BAD_REQUEST));
        }
        true
    }

    /// Writes interim heads before anything else.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.interim_at == self.interim.len() {
                match self.wire.interim.take() {
                    Some(heads) => (self.interim, self.interim_at) = (heads, 0),
                    None => return Poll::Ready(Ok(())),
                }
            }
            let rest = &self.interim[self.interim_at..];
            let outcome = Pin::new(&mut self.socket).poll_write(cx, rest);
            self.wrote(&outcome);
            self.interim_at += ready!(outcome)?;
        }
    }

    fn wrote(&self, outcome: &Poll<io::Result<usize>>) {
        match outcome {
            Poll::Pending => self.wire.blocked(Instant::now()),
            Poll::Ready(_) => self.wire.unblocked(),
        }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.wire.received();
        } else if buf.remaining() > 0 {
            self.saw_end = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.swallow(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(self.poll_interim(cx))?;
        let outcome = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.wrote(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.swallow(bufs.first().map_or(&[], |first| first)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        ready!(self.poll_interim(cx))?;
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_interim(cx))?;
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.wire.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
