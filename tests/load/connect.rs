//! A new connection, and how long the kernel took to make it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

/// An HTTP connection to `to`, and the time of its connect(2).
///
/// On the loopback interface the handshake is over when the call returns, unless
/// the listener's queue is full: then the SYN is sent again after a second. What
/// was over at once counts as no time, however late this process was scheduled
/// again afterwards.
pub(crate) async fn connect(to: SocketAddr) -> io::Result<(SendRequest<String>, Duration)> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let begun = Instant::now();
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
            return Err(error);
        }
        _ => {}
    }
    let at_once = socket.peer_addr().is_ok();
    let stream = TcpStream::from_std(socket.into())?;
    let mut took = Duration::ZERO;
    if !at_once {
        stream.writable().await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        took = begun.elapsed();
    }
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // What becomes of it, the requests on it hear.
    spawn_local(connection);
    Ok((sender, took))
}
