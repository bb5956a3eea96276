//! HTTP/2 connections: many requests on each, and as many connections as the
//! peer's stream limit asks for.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, Uri};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};

use super::dial::Dialled;
use super::failure::{Failure, FailureKind};
use super::http1::Refusal;
use super::request::{Request, RequestBody};
use super::stream::Stream;
use crate::config::checked::BaseUrl;

/// What one stream may send us before we have read it. Large enough for full
/// speed at 100 ms and 80 Mbit/s, and the bound of what a client that does not
/// read can make us hold.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Answer heads, as sent; RFC 9113 counts 32 bytes more for each field.
const MAX_HEADER_LIST: u32 = 256 * 1024;
/// How long a connection with running streams may be silent before it is asked
/// for a sign of life, and how long that may take: without, a connection that
/// died without a word (a NAT that forgot it) would be given to one request
/// after the other.
const PING_AFTER: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// What may wait in memory for the peer's window, per stream.
const MAX_SEND_BUFFER: usize = 256 * 1024;

/// A connection that many requests share.
pub(super) struct Connection {
    sender: http2::SendRequest<RequestBody>,
    driver: Rc<Driver>,
    load: Rc<Load>,
    address: SocketAddr,
}

/// Streams that run on one connection.
struct Load {
    running: Cell<usize>,
    /// When the last one ended.
    idle_since: Cell<Instant>,
}

/// One stream's place on its connection.
pub(super) struct Seat(Rc<Load>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.idle_since.set(Instant::now());
    }
}

impl Connection {
    pub(super) async fn open(
        dialled: Dialled,
        settings_timeout: Duration,
    ) -> Result<Rc<Self>, Failure> {
        let Dialled {
            stream, address, ..
        } = dialled;
        let progress = Rc::<Progress>::default();
        let (sender, driver) = http2::Builder::new(Local(Rc::clone(&progress)))
            .timer(TokioTimer::new())
            // No stream before the peer has said how many it takes: queued
            // behind a limit, a request would wait for strangers' answers.
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buf_size(MAX_SEND_BUFFER)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::from_hyper(&error, address))?;
        let driver = Driver::spawn(driver, progress);
        match timeout(settings_timeout, driver.settled()).await {
            Ok(()) if driver.stream_limit() > 0 => Ok(Rc::new(Connection {
                sender,
                driver,
                load: Rc::new(Load {
                    running: Cell::new(0),
                    idle_since: Cell::new(Instant::now()),
                }),
                address,
            })),
            Ok(()) => Err(Failure::new(
                FailureKind::Protocol,
                Some(address),
                "the HTTP/2 connection ended before it began",
            )),
            Err(_elapsed) => Err(Failure::new(
                FailureKind::HandshakeTimeout,
                Some(address),
                "no HTTP/2 SETTINGS that allow a stream came",
            )),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// For how long it has had no stream; none while one runs.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        (self.load.running.get() == 0).then(|| self.load.idle_since.get().elapsed())
    }

    /// Takes a place for one more stream, if the peer's limit leaves one.
    pub(super) fn seat(&self) -> Option<Seat> {
        let running = &self.load.running;
        if self.is_closed() || running.get() >= self.driver.stream_limit() {
            return None;
        }
        running.set(running.get() + 1);
        Some(Seat(Rc::clone(&self.load)))
    }

    pub(super) async fn exchange(
        &self,
        seat: Seat,
        mut request: Request,
        url: &BaseUrl,
    ) -> Result<(Response<Incoming>, Seat), Refusal> {
        address_to(url, &mut request);
        let mut sender = self.sender.clone();
        match sender.try_send_request(request.into_http()).await {
            Ok(response) => Ok((response, seat)),
            Err(mut lost) => {
                let unsent = lost.take_message().map(Request::from_http);
                let lost = lost.into_error();
                Err(Refusal {
                    failure: Failure::from_hyper(&lost, self.address),
                    // Other streams share the bytes, so nothing can be told from them.
                    is_unused: was_not_processed(&lost),
                    unsent,
                })
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Whether the peer says that it has not begun to process a request: it refused
/// the stream, or went away before it (RFC 9113, section 8.7).
fn was_not_processed(error: &hyper::Error) -> bool {
    let Some(error) = error
        .source()
        .and_then(|source| source.downcast_ref::<h2::Error>())
    else {
        return false;
    };
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
        Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        _ => false,
    }
}

/// HTTP/2 names scheme and authority in the target itself and has no `Host`.
fn address_to(url: &BaseUrl, request: &mut Request) {
    let mut parts = std::mem::take(&mut request.head.uri).into_parts();
    parts.scheme = Some(url.scheme.clone());
    parts.authority = Some(url.authority.clone());
    request.head.uri =
        Uri::from_parts(parts).expect("an origin-form target with scheme and authority is a URI");
    request.head.headers.remove(http::header::HOST);
    request.head.version = http::Version::HTTP_2;
}

type HyperConnection = http2::Connection<TokioIo<Stream>, RequestBody, Local>;

/// hyper's connection, driven by a task of its own and asked by others for the
/// peer's stream limit.
struct Driver {
    /// None once it has ended; how it did reaches every stream by its own error.
    connection: RefCell<Option<HyperConnection>>,
    progress: Rc<Progress>,
}

impl Driver {
    fn spawn(connection: HyperConnection, progress: Rc<Progress>) -> Rc<Self> {
        let driver = Rc::new(Driver {
            connection: RefCell::new(Some(connection)),
            progress,
        });
        let driven = Rc::clone(&driver);
        spawn_local(poll_fn(move |cx| driven.poll(cx)));
        driver
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut connection = self.connection.borrow_mut();
        if let Some(running) = connection.as_mut() {
            ready!(Pin::new(running).poll(cx)).ok();
        }
        *connection = None;
        self.progress.made();
        Poll::Ready(())
    }

    /// The first SETTINGS came, or the connection ended before.
    async fn settled(&self) {
        poll_fn(|cx| {
            if self.stream_limit() > 0 || self.connection.borrow().is_none() {
                return Poll::Ready(());
            }
            self.progress.awaited(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// How many streams the peer allows; 0 once the connection has ended.
    fn stream_limit(&self) -> usize {
        let connection = self.connection.borrow();
        connection
            .as_ref()
            .map_or(0, HyperConnection::current_max_send_streams)
    }
}

/// Tells that a connection's tasks have run. hyper reads frames in a task that
/// it hands to its executor, and wakes nobody for SETTINGS.
#[derive(Default)]
struct Progress(RefCell<Option<Waker>>);

impl Progress {
    fn awaited(&self, waker: &Waker) {
        *self.0.borrow_mut() = Some(waker.clone());
    }

    fn made(&self) {
        if let Some(waker) = self.0.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// hyper's own tasks of a connection stay on its worker.
#[derive(Clone)]
struct Local(Rc<Progress>);

impl<F> hyper::rt::Executor<F> for Local
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        let progress = Rc::clone(&self.0);
        spawn_local(async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let done = future.as_mut().poll(cx);
                progress.made();
                done
            })
            .await;
        });
    }
}

/// The body of an answer, and the place that its stream takes.
pub(super) struct Http2Body {
    incoming: Incoming,
    address: SocketAddr,
    _seat: Seat,
}

impl Http2Body {
    pub(super) fn new(incoming: Incoming, address: SocketAddr, seat: Seat) -> Self {
        Http2Body {
            incoming,
            address,
            _seat: seat,
        }
    }

    pub(super) fn size_hint(&self) -> http_body::SizeHint {
        self.incoming.size_hint()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => Poll::Ready(Some(Err(Failure::from_hyper(&error, self.address)))),
            None if self.has_ended() => Poll::Ready(None),
            None => Poll::Ready(Some(Err(Failure::new(
                FailureKind::Incomplete,
                Some(self.address),
                "the HTTP/2 stream was reset in the middle of the answer",
            )))),
        }
    }

    /// Whether the end that hyper reports is the answer's. It also reports one
    /// for a reset without an error, which an upstream may send behind a whole
    /// answer to tell us to stop the upload (RFC 9113, section 8.1).
    fn has_ended(&self) -> bool {
        self.incoming.is_end_stream() || self.incoming.size_hint().exact() == Some(0)
    }
}
