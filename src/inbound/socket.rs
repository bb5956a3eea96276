//! A client's socket, TCP or Unix.

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::config::checked::Peer;

/// A socket just accepted, not yet on any runtime.
#[derive(Debug)]
pub enum Accepted {
    /// From a TCP listener.
    Tcp(std::net::TcpStream),
    /// From a Unix listener.
    Unix(StdUnixStream),
}

/// A socket on a worker's runtime.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream, Peer),
}

impl Accepted {
    /// Registers the socket with the runtime of the calling thread, and tells
    /// where it comes from: an address, or `unix:UID/PID`, without the process
    /// if that can't be seen from here. The kernel is asked once a connection.
    pub(super) fn register(self) -> io::Result<(Socket, String)> {
        match self {
            Accepted::Tcp(stream) => {
                // A chunk must not wait for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                let remote = stream.peer_addr()?.to_string();
                Ok((Socket::Tcp(TcpStream::from_std(stream)?), remote))
            }
            Accepted::Unix(stream) => {
                let stream = UnixStream::from_std(stream)?;
                let credentials = stream.peer_cred()?;
                let (uid, gid) = (credentials.uid(), credentials.gid());
                let remote = match credentials.pid() {
                    // 0: a process of another PID namespace.
                    Some(pid) if pid != 0 => format!("unix:{uid}/{pid}"),
                    _ => format!("unix:{uid}"),
                };
                Ok((Socket::Unix(stream, Peer { uid, gid }), remote))
            }
        }
    }
}

impl Socket {
    /// Who is at the other end, if the kernel knows.
    pub(super) fn peer(&self) -> Option<Peer> {
        match self {
            Socket::Tcp(_) => None,
            Socket::Unix(_, peer) => Some(*peer),
        }
    }

    /// Makes the coming close a reset. A Unix socket has none: its peer sees
    /// the end, which is all there is.
    pub(super) fn reset_on_close(&self) {
        if let Socket::Tcp(stream) = self {
            // On a dead socket it fails, and then there is nothing to reset.
            let _ = stream.set_zero_linger();
        }
    }
}

macro_rules! on_either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream, _) => $call,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
