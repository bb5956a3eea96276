//! One client connection, from its first byte to its close.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use super::authenticate::Guest;
use super::client_io::ClientIo;
use super::respond::respond;
use super::socket::Socket;
use super::worker::Worker;
use super::{closing, tunnel};
use crate::config::checked;
use crate::proxy::{AnswerBody, Fault, FaultKind, Phase, Stage, Wire};

/// While draining, how old a connection that never sent a request may be: one
/// accepted just now has its first request on the way.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);
/// While another instance accepts, how long a connection may stay without a
/// request: a client that comes back meanwhile hears of the end in its answer,
/// instead of sending a request into a connection that is being closed. The SDKs
/// themselves give up an idle connection after 5 s (httpx) or 4 s (undici).
const HANDOVER_GRACE: Duration = Duration::from_secs(5);
/// After an abort, how long the last bytes may take to leave.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// How serving came to its end.
enum End {
    /// hyper is done: closed, or switched protocols.
    Done(Result<(), hyper::Error>),
    /// A head did not arrive in time.
    HeadTimeout,
    /// Nothing came between requests, or the drain wants the connection closed.
    Idle,
    /// The client took no byte of an answer for too long.
    WriteTimeout,
    /// The drain is over.
    Aborted,
}

/// Serves `socket` until it is closed.
pub(super) async fn serve(socket: Socket, wire: Rc<Wire>, worker: Rc<Worker>) {
    // The configuration alone: the engine would keep a pool that was replaced,
    // and with it connections that nobody sweeps any more.
    let snapshot = Arc::clone(&worker.engine().snapshot);
    let server = &snapshot.config.server;
    let service = Respond {
        wire: Rc::clone(&wire),
        worker,
        guest: Rc::new(Guest::new(socket.peer())),
    };
    let mut connection = http1::Builder::new()
        .max_header_size(server.max_header)
        .max_buf_size(server.max_header.max(64 * 1024))
        .serve_connection(
            TokioIo::new(ClientIo::new(socket, Rc::clone(&wire))),
            service,
        );
    let end = {
        let mut clock = pin!(Clock::new(&wire, server));
        let mut drained = false;
        poll_fn(|cx| {
            wire.served_by(cx.waker());
            if let Poll::Ready(end) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(End::Done(end));
            }
            if !drained && drains_now(&wire) {
                drained = true;
                Pin::new(&mut connection).graceful_shutdown();
                if let Poll::Ready(end) = connection.poll_without_shutdown(cx) {
                    return Poll::Ready(End::Done(end));
                }
            }
            clock.as_mut().poll_end(cx)
        })
        .await
    };
    let parts = connection.into_parts();
    let io = parts.io.into_inner();
    match end {
        End::Done(Ok(())) if let Some(tunnel) = wire.take_tunnel() => {
            tunnel::run(io.socket, parts.read_buf, tunnel, &wire).await;
        }
        End::Done(outcome) => match refusal(&io, outcome.err(), &parts.read_buf, server) {
            Some(fault) => closing::refuse(io, &fault, &wire).await,
            None => closing::close(io, &wire).await,
        },
        End::HeadTimeout => {
            let fault = Fault::new(
                FaultKind::ClientSlow,
                format!(
                    "The request's head did not arrive within {:?}. Send it at once.",
                    server.header_timeout
                ),
            );
            closing::refuse(io, &fault, &wire).await;
        }
        End::WriteTimeout => {
            io.socket.reset_on_close();
            wire.ended();
        }
        End::Aborted => {
            // Whoever does not read could not be told, and must not take what
            // it has for the whole.
            if wire.cut(&Fault::draining()) {
                io.socket.reset_on_close();
            }
            closing::close(io, &wire).await;
        }
        End::Idle => closing::close(io, &wire).await,
    }
}

/// [`respond`] as hyper wants it.
struct Respond {
    wire: Rc<Wire>,
    worker: Rc<Worker>,
    guest: Rc<Guest>,
}

impl Service<Request<Incoming>> for Respond {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    // Boxed so that a stream that runs for minutes does not hold the room that
    // finding its upstream took.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        // Its room first: `Box::pin` would build it on the stack, a few KB, and copy it.
        let room = Box::new_uninit();
        let (wire, guest) = (Rc::clone(&self.wire), Rc::clone(&self.guest));
        let answering = respond(request, wire, &self.worker, guest);
        let answering = Box::write(room, answering);
        Box::into_pin(answering)
    }
}

/// Whether hyper may be told to stop now. A connection that has just been
/// accepted, or has sent half a head, is first answered (with `Connection: close`).
fn drains_now(wire: &Wire) -> bool {
    match wire.phase() {
        Phase::Busy => wire.is_last(),
        Phase::Idle(since) if wire.is_draining() => {
            wire.has_served() || since.elapsed() >= FIRST_REQUEST_GRACE
        }
        Phase::Idle(_) | Phase::Head(_) => false,
    }
}

/// What to tell a client whose bytes were no request.
fn refusal(
    io: &ClientIo,
    error: Option<hyper::Error>,
    unread: &[u8],
    server: &checked::Server,
) -> Option<Fault> {
    let error = error?;
    let refused = io.refused();
    if !error.is_parse() && refused.is_none() {
        return None;
    }
    let most = server.max_header;
    Some(match refused {
        // hyper looks at a target's length only in a head that it has read whole.
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) if fills_line(unread, most) => {
            Fault::new(
                FaultKind::TargetTooLong,
                format!(
                    "The request's line has more than {most} bytes. Ask for a shorter path or query."
                ),
            )
        }
        Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => Fault::new(
            FaultKind::HeadTooLarge,
            format!(
                "The request's head has more than {most} bytes or 100 fields. Send fewer or shorter fields."
            ),
        ),
        Some(StatusCode::URI_TOO_LONG) => Fault::new(
            FaultKind::TargetTooLong,
            "The request's target is too long.",
        ),
        _ if error.is_parse_version_h2() => Fault::new(
            FaultKind::Malformed,
            "HTTP/2 without TLS is not spoken here. Use HTTP/1.1.",
        ),
        _ if unread.first() == Some(&0x16) => Fault::new(
            FaultKind::Malformed,
            "This looks like TLS, but this port speaks plain HTTP. Use http:// in base_url.",
        ),
        _ => Fault::new(
            FaultKind::Malformed,
            format!("This is no valid HTTP/1.1 request: {error}."),
        ),
    })
}

/// Whether the first line alone has `most` bytes or more.
fn fills_line(unread: &[u8], most: usize) -> bool {
    unread.len() >= most && !unread[..most].contains(&b'\n')
}

/// The timeouts of a connection while hyper runs it: one timer, moved only
/// when it rings or would ring too late.
struct Clock<'a> {
    wire: &'a Wire,
    server: &'a checked::Server,
    timer: Pin<Box<Sleep>>,
    abort_at: Option<Instant>,
}

impl<'a> Clock<'a> {
    fn new(wire: &'a Wire, server: &'a checked::Server) -> Self {
        Clock {
            wire,
            server,
            timer: Box::pin(sleep_until(Instant::now() + server.header_timeout)),
            abort_at: None,
        }
    }

    fn poll_end(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            // While a request runs and the client takes what there is, nothing
            // is timed here; the timer may ring once, for nothing.
            let Some((due, end)) = self.next() else {
                return Poll::Pending;
            };
            if due < self.timer.deadline() {
                self.timer.as_mut().reset(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if due <= Instant::now() {
                return Poll::Ready(end);
            }
            self.timer.as_mut().reset(due);
        }
    }

    /// What comes next, and when.
    fn next(&mut self) -> Option<(Instant, End)> {
        if self.wire.is_aborting() {
            let at = *self
                .abort_at
                .get_or_insert_with(|| Instant::now() + ABORT_GRACE);
            return Some((at, End::Aborted));
        }
        match self.wire.phase() {
            Phase::Idle(since) => {
                let until = match self.wire.stage() {
                    Stage::Serving => since + self.server.keepalive_timeout,
                    Stage::HandingOver(begun) => since.max(begun) + HANDOVER_GRACE,
                    Stage::Draining | Stage::Aborting => since + FIRST_REQUEST_GRACE,
                };
                Some((until, End::Idle))
            }
            Phase::Head(since) => Some((since + self.server.header_timeout, End::HeadTimeout)),
            Phase::Busy => {
                let since = self.wire.blocked_since()?;
                Some((since + self.server.write_timeout, End::WriteTimeout))
            }
        }
    }
}
