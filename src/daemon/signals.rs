//! Signals, as something to wait for.

use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::Poll;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    HandOver,
    /// SIGTERM or SIGINT.
    Stop,
}

/// The signals of this process. Each writes a byte into a socket pair, so none
/// is lost and nothing runs in a signal handler.
pub(super) struct Signals {
    reload: UnixStream,
    hand_over: UnixStream,
    stop: UnixStream,
}

impl Signals {
    /// Takes over SIGHUP, SIGUSR1, SIGTERM and SIGINT.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals {
            reload: on(&[SIGHUP])?,
            hand_over: on(&[SIGUSR1])?,
            stop: on(&[SIGTERM, SIGINT])?,
        })
    }

    /// The next signal; an end comes before a hand-over, and that before a reload.
    /// Several of one kind that came meanwhile are one, but for an end.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            for (stream, signal, most) in [
                (&mut self.stop, Signal::Stop, 1),
                (&mut self.hand_over, Signal::HandOver, 64),
                (&mut self.reload, Signal::Reload, 64),
            ] {
                let mut bytes = [0; 64];
                let mut buf = ReadBuf::new(&mut bytes[..most]);
                if let Poll::Ready(Ok(())) = Pin::new(stream).poll_read(cx, &mut buf) {
                    return Poll::Ready(signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn on(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = StdUnixStream::pair()?;
    for signal in signals {
        pipe::register(*signal, write.try_clone()?)?;
    }
    read.set_nonblocking(true)?;
    UnixStream::from_std(read)
}
