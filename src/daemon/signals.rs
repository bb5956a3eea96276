//! Signals, as something to wait for.

use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::low_level::pipe;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::UnixStream;

/// What a signal asks for, beside a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGUSR1.
    HandOver,
    /// SIGTERM or SIGINT.
    Stop,
}

/// The signals of this process that end it. Each writes a byte into a socket
/// pair, so none is lost and nothing runs in a signal handler.
pub(super) struct Signals {
    hand_over: UnixStream,
    stop: UnixStream,
}

/// SIGHUP, in the same way: a reload.
pub(super) struct Hangups(UnixStream);

/// Signals taken at once.
const MOST: usize = 64;

impl Signals {
    /// Takes over SIGUSR1, SIGTERM and SIGINT.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals {
            hand_over: on(&[SIGUSR1])?,
            stop: on(&[SIGTERM, SIGINT])?,
        })
    }

    /// The next signal; an end comes before a hand-over. Several of one kind that
    /// came meanwhile are one, but for an end.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            if poll_take(&mut self.stop, 1, cx).is_ready() {
                return Poll::Ready(Signal::Stop);
            }
            poll_take(&mut self.hand_over, MOST, cx).map(|()| Signal::HandOver)
        })
        .await
    }

    /// The next signal to stop.
    pub(super) async fn stop(&mut self) {
        poll_fn(|cx| poll_take(&mut self.stop, 1, cx)).await;
    }
}

impl Hangups {
    /// Takes over SIGHUP.
    pub(super) fn listen() -> io::Result<Self> {
        on(&[SIGHUP]).map(Hangups)
    }

    /// The next one; several that came meanwhile are one.
    pub(super) async fn next(&mut self) {
        poll_fn(|cx| poll_take(&mut self.0, MOST, cx)).await;
    }
}

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
