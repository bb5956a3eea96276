//! Takes connections from a listener and spreads them over the workers.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slog::{Logger, warn};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};

use super::listener::{Accepting, Listener};
use super::socket::Accepted;
use super::worker::{Order, WorkerHandle};

/// Rest after an error that the next accept would meet too (no descriptors, no
/// memory): long enough to be cheap, short against a client's patience.
const BACK_OFF: Duration = Duration::from_millis(100);
/// The same trouble is said at most so often.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Watches `listener` from now on, and accepts in the future that it returns,
/// until `stop` says so; no error ends that. Each connection holds one of
/// `places` until it is closed; without a free one, one connection waits here
/// and the others in the kernel's backlog. With `last_call`, what waits there at
/// the end is accepted too, since the socket is closed with us.
///
/// # Errors
/// The listener cannot be watched.
pub fn accept(
    listener: Listener,
    places: Arc<Semaphore>,
    workers: Arc<[WorkerHandle]>,
    log: Logger,
    stop: watch::Receiver<bool>,
    last_call: bool,
) -> io::Result<impl Future<Output = ()>> {
    let name: Arc<str> = Arc::from(listener.name.as_str());
    let listener = listener.register()?;
    Ok(run(listener, name, places, workers, log, stop, last_call))
}

async fn run(
    listener: Accepting,
    name: Arc<str>,
    places: Arc<Semaphore>,
    workers: Arc<[WorkerHandle]>,
    log: Logger,
    mut stop: watch::Receiver<bool>,
    last_call: bool,
) {
    let spread = |accepted, place| {
        WorkerHandle::choose(&workers).order(Order::Serve {
            accepted,
            listener: Arc::clone(&name),
            place,
        });
    };
    let mut said: Option<Instant> = None;
    let waiting: Cell<Option<Accepted>> = Cell::new(None);
    let mut next = pin!(async {
        loop {
            // A place is taken for a connection that is there: listeners that
            // wait for one would take them from each other.
            waiting.set(Some(accepted(&listener, &name, &mut said, &log).await));
            let place = Arc::clone(&places)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            let accepted = waiting.take().expect("nobody else takes it meanwhile");
            spread(accepted, Some(place));
        }
    });
    let mut stopped = pin!(stop.wait_for(|stopped| *stopped));
    poll_fn(|cx| {
        let Poll::Pending = next.as_mut().poll(cx);
        stopped.as_mut().poll(cx).map(drop)
    })
    .await;
    if let Some(accepted) = waiting.take() {
        // Nobody else can serve it any more.
        spread(accepted, None);
    }
    while last_call
        && let Ok(place) = Arc::clone(&places).try_acquire_owned()
        && let Poll::Ready(Ok(accepted)) =
            listener.poll_accept(&mut Context::from_waker(Waker::noop()))
    {
        spread(accepted, Some(place));
    }
}

async fn accepted(
    listener: &Accepting,
    name: &str,
    said: &mut Option<Instant>,
    log: &Logger,
) -> Accepted {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(accepted) => return accepted,
            Err(error) if is_one_connections(&error) => {}
            Err(error) => {
                if said.is_none_or(|at| at.elapsed() >= SAY_AGAIN) {
                    *said = Some(Instant::now());
                    warn!(log, "no connection can be accepted, trying again";
                        "event" => "accept_failed", "listener" => name, "error" => %error);
                }
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Errors of accept(2) that are about the connection, not about us: the next
/// one may be fine.
fn is_one_connections(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::Interrupted
            | Kind::ConnectionReset
            | Kind::PermissionDenied
    )
}
