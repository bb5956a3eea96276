//! Signals, as something to wait for.

use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// The signals of this process. Each writes a byte into a socket pair, so none
/// is lost and nothing runs in a signal handler.
pub(super) struct Signals {
    reload: UnixStream,
    stop: UnixStream,
}

impl Signals {
    /// Takes over SIGHUP, SIGTERM and SIGINT.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals {
            reload: on(&[SIGHUP])?,
            stop: on(&[SIGTERM, SIGINT])?,
        })
    }

    /// The next signal; an end comes before a reload. Several reloads that came
    /// meanwhile are one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            if poll_take(&mut self.stop, 1, cx).is_ready() {
                return Poll::Ready(Signal::Stop);
            }
            poll_take(&mut self.reload, MOST, cx).map(|()| Signal::Reload)
        })
        .await
    }

    /// The next signal to stop; reloads wait.
    pub(super) async fn stop(&mut self) {
        poll_fn(|cx| poll_take(&mut self.stop, 1, cx)).await;
    }
}

/// Signals taken at once.
const MOST: usize = 64;

/// Takes one signal or more, up to `most`.
fn poll_take(stream: &mut UnixStream, most: usize, cx: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [0; MOST];
    let mut buf = ReadBuf::new(&mut bytes[..most]);
    match Pin::new(stream).poll_read(cx, &mut buf) {
        Poll::Ready(Ok(())) => Poll::Ready(()),
        // The writing end is ours and stays open: nothing else can go wrong.
        _ => Poll::Pending,
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
