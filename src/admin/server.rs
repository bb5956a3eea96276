//! The admin socket: its connections, few and short.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::endpoints;
use super::reload::Reload;
use super::told::Ask;

/// Connections at a time: a probe, a scraper, an administrator, and some more.
/// Further ones wait in the backlog.
const PLACES: usize = 16;
/// How long a head may take.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long a connection may last, so that none holds its place for ever. Longer
/// than a reload, which has 25 s for `upstreamd reload`.
const WHOLE_TIME: Duration = Duration::from_secs(30);
/// Bytes of a head: no client needs a hundredth of it; hyper's least.
const MOST_HEAD: usize = 8 * 1024;
/// Rest after an error of accept(2) that the next one would meet too. Listeners of
/// clients meet it as well, and say it.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What the admin socket can see of the daemon, and ask of it.
#[derive(Clone)]
pub struct Access {
    /// Whether the drain has begun.
    pub draining: watch::Receiver<bool>,
    /// Where to ask for a reload.
    pub reloads: mpsc::Sender<Reload>,
    /// Where to ask how the daemon is.
    pub asks: mpsc::Sender<Ask>,
}

impl Access {
    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// Watches `socket` from now on, and answers on it in the future that it returns,
/// which never ends. Runs on a [`LocalSet`](tokio::task::LocalSet).
///
/// # Errors
/// The socket cannot be watched.
pub fn serve(socket: StdUnixListener, access: Access) -> io::Result<impl Future<Output = ()>> {
    socket.set_nonblocking(true)?;
    let socket = UnixListener::from_std(socket)?;
    Ok(run(socket, access))
}

async fn run(socket: UnixListener, access: Access) {
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        match socket.accept().await {
            Ok((stream, _)) => {
                let access = access.clone();
                spawn_local(async move {
                    // Whoever takes longer has left, or is not worth the place.
                    let _ = timeout(WHOLE_TIME, connection(stream, access)).await;
                    drop(place);
                });
            }
            Err(_) => sleep(BACK_OFF).await,
        }
    }
}

/// One request, and its answer. A client that speaks no HTTP or leaves early is
/// nobody's concern.
async fn connection(stream: UnixStream, access: Access) {
    let respond =
        service_fn(async |request| Ok::<_, Infallible>(endpoints::answer(request, &access).await));
    let _ = http1::Builder::new()
        .keep_alive(false)
        .max_header_size(MOST_HEAD)
        .max_buf_size(MOST_HEAD)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), respond)
        .await;
}
