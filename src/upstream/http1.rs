//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper's connection is a future of its own. It is not spawned: the task that
//! wants the answer polls it, so a chunk goes from the upstream's socket to the
//! client's in one wake-up of one task, and dropping the answer closes the
//! connection at once.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::dial::Dialled;
use super::failure::{Failure, FailureKind};
use super::gate::Gate;
use super::pool::{Again, Shelf};
use super::request::{Request, RequestBody};
use super::stream::Stream;

/// The largest head of an answer, and the most that is read ahead of a client
/// that does not read. Twice the 64 KiB that large upstreams send.
const MAX_BUFFER: usize = 128 * 1024;

/// A connection that carries one request at a time.
pub(super) struct Connection {
    sender: http1::SendRequest<RequestBody>,
    driver: http1::Connection<TokioIo<Stream>, RequestBody>,
    gate: Gate,
    /// The driver has ended; it must not be polled again.
    ended: bool,
    bytes_read: Rc<Cell<u64>>,
    pub(super) address: SocketAddr,
    pub(super) idle_since: Instant,
}

/// Why an exchange gave no answer.
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// Whether nothing of it was used there, as far as can be told: its connection ended
    /// without one byte of an answer, or the upstream says so.
    pub(super) is_unused: bool,
    /// The request, if none of it was put on the wire.
    pub(super) unsent: Option<Request>,
}

impl Refusal {
    /// The request to send once more: this one, or one made `again`.
    ///
    /// # Errors
    /// It may have been used, or there is none to make.
    pub(super) fn once_more(self, again: Again<'_>) -> Result<Request, Failure> {
        let again = || self.is_unused.then(again).flatten();
        self.unsent.or_else(again).ok_or(self.failure)
    }
}

impl Connection {
    pub(super) async fn open(dialled: Dialled) -> Result<Box<Self>, Failure> {
        let Dialled {
            stream, address, ..
        } = dialled;
        let bytes_read = stream.bytes_read();
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Failure::from_hyper(&error, address))?;
        Ok(Box::new(Connection {
            sender,
            driver,
            gate: Gate::new(),
            ended: false,
            bytes_read,
            address,
            idle_since: Instant::now(),
        }))
    }

    /// Whether a request may be sent: the upstream has neither closed nor said
    /// anything unasked.
    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx).is_pending() && self.sender.is_ready()
    }

    /// Sends a request, and gives the future that waits for the head of its answer.
    pub(super) fn exchange(
        mut self: Box<Self>,
        request: Request,
    ) -> impl Future<Output = Result<(Response<Incoming>, Box<Self>), Refusal>> {
        let before = self.bytes_read.get();
        // The request is queued by the call itself, so that the future, which only
        // waits, has no room for it.
        let answer = self.sender.try_send_request(request.into_http());
        async move {
            let mut answer = pin!(answer);
            let outcome = {
                let (driver, gate, ended) = (&mut self.driver, &self.gate, &mut self.ended);
                poll_fn(|cx| {
                    if !*ended {
                        *ended = Pin::new(&mut *driver)
                            .poll(&mut gate.context(cx))
                            .is_ready();
                    }
                    // Only the driver can make it ready, and that was polled just now.
                    answer
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                })
                .await
            };
            match outcome {
                Ok(response) => Ok((response, self)),
                Err(mut lost) => {
                    let unsent = lost.take_message().map(Request::from_http);
                    let failure = Failure::from_hyper(&lost.into_error(), self.address);
                    let is_silent = self.bytes_read.get() == before;
                    Err(Refusal {
                        is_unused: is_silent && failure.kind == FailureKind::Incomplete,
                        failure,
                        unsent,
                    })
                }
            }
        }
    }

    /// After `101 Switching Protocols`: the raw stream, and bytes already read from it.
    pub(super) async fn into_stream(mut self: Box<Self>) -> (Stream, Bytes) {
        poll_fn(|cx| self.drive(cx)).await;
        let parts = self.driver.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }

    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ended {
            let mut cx = self.gate.context(cx);
            self.ended = Pin::new(&mut self.driver).poll(&mut cx).is_ready();
        }
        if self.ended {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// The body of an answer; it drives its connection, and gives it back to the
/// pool when the answer has ended cleanly.
pub(super) struct Http1Body {
    incoming: Incoming,
    connection: Option<Box<Connection>>,
    shelf: Rc<Shelf>,
}

impl Http1Body {
    pub(super) fn new(incoming: Incoming, connection: Box<Connection>, shelf: Rc<Shelf>) -> Self {
        Http1Body {
            incoming,
            connection: Some(connection),
            shelf,
        }
    }

    /// The empty body of an answer whose connection was taken for a tunnel.
    pub(super) fn ended(incoming: Incoming, shelf: Rc<Shelf>) -> Self {
        Http1Body {
            incoming,
            connection: None,
            shelf,
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
        let mut polled = self.read();
        if polled.is_pending() {
            if let Some(connection) = &mut self.connection {
                let _ = connection.drive(cx);
            }
            polled = self.read();
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => {
                self.release();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let connection = self
                    .connection
                    .take()
                    .expect("the connection is kept until the body has ended");
                Poll::Ready(Some(Err(Failure::from_hyper(&error, connection.address))))
            }
        }
    }

    /// Takes what the connection has put ready. It needs no waker, and nobody has
    /// to be woken: both ends are polled here, one after the other.
    fn read(&mut self) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let incoming = Pin::new(&mut self.incoming);
        let poll = || incoming.poll_frame(&mut Context::from_waker(Waker::noop()));
        match &self.connection {
            Some(connection) => connection.gate.shut_while(poll),
            None => poll(),
        }
    }

    /// Gives the connection back, once it has seen the end of the answer itself.
    pub(super) fn release(&mut self) {
        // Whoever takes it next registers a waker of its own.
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(mut connection) = self.connection.take()
            && connection.is_ready(&mut cx)
        {
            self.shelf.put(connection);
        }
    }
}
