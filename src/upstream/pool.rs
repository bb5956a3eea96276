//! One worker's connections to the upstream.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, response};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::deadline::within;
use super::dial::{Dialer, Dialled};
use super::http1::{self, Http1Body};
use super::http2::{self, Http2Body};
use super::request::Request;
use super::stream::Stream;
use super::{AnswerBody, Failure, FailureKind};

/// Keeps idle connections, opens new ones, and carries requests over them.
pub struct Pool {
    dialer: Arc<Dialer>,
    shelf: Rc<Shelf>,
    shared: RefCell<Vec<Rc<http2::Connection>>>,
    /// HTTP/2 connections are opened one at a time: whoever waited finds the
    /// streams of the one just opened, or why there are none.
    opening: Semaphore,
    /// When an HTTP/2 connection could not be opened, and why.
    last_failure: RefCell<Option<(Instant, Failure)>>,
}

/// The head of an answer and what belongs to it.
pub struct Answer {
    /// Status and fields.
    pub head: response::Parts,
    /// The body, still arriving.
    pub body: AnswerBody,
}

/// What one request took, for its event. Filled in as it goes, so it is there
/// when the request fails too.
#[derive(Debug, Default)]
pub struct Effort {
    /// How often a request was begun.
    pub attempts: u32,
    /// Time to open a connection, if one was opened.
    pub connect: Option<Duration>,
    /// Where the request went.
    pub address: Option<SocketAddr>,
}

impl Pool {
    /// An empty pool over `dialer`.
    pub fn new(dialer: Arc<Dialer>) -> Self {
        let shelf = Rc::new(Shelf {
            idle: RefCell::default(),
            most: dialer.upstream().pool_max_idle,
        });
        Pool {
            dialer,
            shelf,
            shared: RefCell::default(),
            opening: Semaphore::new(1),
            last_failure: RefCell::default(),
        }
    }

    /// Sends `request` and waits for the head of its answer.
    ///
    /// A request that meets a connection which the upstream had closed is sent
    /// once more, on a new connection, if not one byte of an answer came and
    /// the request still exists: it was not begun, or there is one `again`.
    ///
    /// # Errors
    /// See [`Failure`]; dropping the future cancels the request.
    pub async fn send(
        &self,
        request: Request,
        again: Again<'_>,
        effort: &mut Effort,
    ) -> Result<Answer, Failure> {
        let Some(connection) = self.shelf.take() else {
            return self.send_anew(request, again, effort).await;
        };
        let address = connection.address;
        effort.begin(address);
        let upload = request.body.upload();
        let exchange = pin!(connection.exchange(request));
        let refusal = match within(self.dialer.upstream(), &upload, exchange).await {
            Ok(Ok((response, connection))) => return self.answer(response, connection),
            Ok(Err(refusal)) => refusal,
            Err(kind) => return Err(self.silence(kind, address)),
        };
        let once_more = refusal.once_more(again)?;
        self.send_anew(once_more, again, effort).await
    }

    /// Sends `request` on a connection that is not kept idle. Boxed, as all that is
    /// rare: a future is as large as its largest way, and one of these is made for
    /// every request.
    fn send_anew(
        &self,
        request: Request,
        again: Again<'_>,
        effort: &mut Effort,
    ) -> Pin<Box<impl Future<Output = Result<Answer, Failure>>>> {
        Box::pin(async move {
            if self.dialer.upstream().http2 {
                return self.send_shared(request, again, effort).await;
            }
            let connection = self.open(effort).await?;
            self.send_on(connection, request, effort).await
        })
    }

    async fn open(&self, effort: &mut Effort) -> Result<Box<http1::Connection>, Failure> {
        http1::Connection::open(self.dial(false, effort).await?).await
    }

    /// Sends a request to switch protocols, on a connection of its own. Where
    /// the upstream agrees (101), the stream comes with the answer's head.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn upgrade(
        &self,
        request: Request,
        effort: &mut Effort,
    ) -> Result<(Answer, Option<(Stream, Bytes)>), Failure> {
        let dialled = self.dial(true, effort).await?;
        let connection = http1::Connection::open(dialled).await?;
        effort.begin(connection.address);
        let upload = request.body.upload();
        let address = connection.address;
        let exchange = pin!(connection.exchange(request));
        let (response, connection) = within(self.dialer.upstream(), &upload, exchange)
            .await
            .map_err(|kind| self.silence(kind, address))?
            .map_err(|refusal| refusal.failure)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok((self.answer(response, connection)?, None));
        }
        let (head, incoming) = response.into_parts();
        let stream = connection.into_stream().await;
        let body = AnswerBody::http1(Http1Body::ended(incoming, Rc::clone(&self.shelf)));
        Ok((Answer { head, body }, Some(stream)))
    }

    /// Closes what was idle for too long, and what the upstream has closed.
    pub fn sweep(&self) {
        let kept = self.dialer.upstream().pool_idle_timeout;
        self.shelf.sweep(kept);
        self.shared.borrow_mut().retain(|connection| {
            !connection.is_closed() && connection.idle_for().is_none_or(|idle| idle < kept)
        });
    }

    /// Whether a request that is sent now may be asked for once more: it goes on a
    /// connection that was used before.
    pub fn may_ask_again(&self) -> bool {
        self.dialer.upstream().http2 || self.idle() > 0
    }

    /// HTTP/1.1 connections that wait for a request.
    pub fn idle(&self) -> usize {
        self.shelf.idle.borrow().len()
    }

    async fn send_on(
        &self,
        connection: Box<http1::Connection>,
        request: Request,
        effort: &mut Effort,
    ) -> Result<Answer, Failure> {
        let address = connection.address;
        effort.begin(address);
        let upload = request.body.upload();
        let exchange = pin!(connection.exchange(request));
        match within(self.dialer.upstream(), &upload, exchange).await {
            Ok(Ok((response, connection))) => self.answer(response, connection),
            Ok(Err(refusal)) => Err(refusal.failure),
            Err(kind) => Err(self.silence(kind, address)),
        }
    }

    fn answer(
        &self,
        response: Response<Incoming>,
        connection: Box<http1::Connection>,
    ) -> Result<Answer, Failure> {
        let (head, incoming) = response.into_parts();
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::new(
                FailureKind::Protocol,
                Some(connection.address),
                "it switched protocols (101) though nobody asked it to",
            ));
        }
        let body = Http1Body::new(incoming, connection, Rc::clone(&self.shelf));
        let body = AnswerBody::http1(body);
        Ok(Answer { head, body })
    }

    /// Sends over HTTP/2, or over HTTP/1.1 where the upstream chose that.
    async fn send_shared(
        &self,
        mut request: Request,
        again: Again<'_>,
        effort: &mut Effort,
    ) -> Result<Answer, Failure> {
        // A connection that is going away gives a request back unused; twice is
        // bad luck, more is an upstream that takes none.
        let mut chances = 3;
        loop {
            let (connection, seat) = match self.seat(effort).await? {
                Place::Http1(connection) => {
                    return self.send_on(connection, request, effort).await;
                }
                Place::Http2(connection, seat) => (connection, seat),
            };
            let address = connection.address();
            effort.begin(address);
            let upload = request.body.upload();
            let exchange =
                pin!(connection.exchange(seat, request, &self.dialer.upstream().base_url));
            match within(self.dialer.upstream(), &upload, exchange).await {
                Ok(Ok((response, seat))) => {
                    let (head, incoming) = response.into_parts();
                    let body = AnswerBody::http2(Http2Body::new(incoming, address, seat));
                    return Ok(Answer { head, body });
                }
                Ok(Err(refusal)) if chances > 1 => {
                    chances -= 1;
                    request = refusal.once_more(again)?;
                }
                Ok(Err(refusal)) => return Err(refusal.failure),
                Err(kind) => return Err(self.silence(kind, address)),
            }
        }
    }

    async fn seat(&self, effort: &mut Effort) -> Result<Place, Failure> {
        if let Some(place) = self.free_seat() {
            return Ok(place);
        }
        let asked = Instant::now();
        let _turn = self
            .opening
            .acquire()
            .await
            .expect("the semaphore is never closed");
        if let Some(place) = self.free_seat() {
            return Ok(place);
        }
        if let Some((at, failure)) = &*self.last_failure.borrow()
            && *at > asked
        {
            // As true for this request: else the last of many would wait for as
            // many times `connect_timeout`.
            effort.attempts += 1;
            return Err(failure.clone());
        }
        let opened = self.open_shared(effort).await;
        if let Err(failure) = &opened {
            *self.last_failure.borrow_mut() = Some((Instant::now(), failure.clone()));
        }
        opened
    }

    async fn open_shared(&self, effort: &mut Effort) -> Result<Place, Failure> {
        let dialled = self.dial(false, effort).await?;
        if !dialled.http2 {
            return Ok(Place::Http1(http1::Connection::open(dialled).await?));
        }
        let connection =
            http2::Connection::open(dialled, self.dialer.upstream().connect_timeout).await?;
        let seat = connection
            .seat()
            .expect("a new connection has room for a stream");
        self.shared.borrow_mut().push(Rc::clone(&connection));
        Ok(Place::Http2(connection, seat))
    }

    fn free_seat(&self) -> Option<Place> {
        let shared = self.shared.borrow();
        shared
            .iter()
            .find_map(|connection| Some(Place::Http2(Rc::clone(connection), connection.seat()?)))
    }

    async fn dial(&self, upgrade: bool, effort: &mut Effort) -> Result<Dialled, Failure> {
        let begun = Instant::now();
        let dialled = self.dialer.dial(upgrade).await;
        effort.connect = Some(begun.elapsed());
        if let Err(failure) = &dialled {
            effort.attempts += 1;
            effort.address = failure.address;
        }
        dialled
    }

    fn silence(&self, kind: FailureKind, address: SocketAddr) -> Failure {
        let upstream = self.dialer.upstream();
        let detail = match kind {
            FailureKind::WriteTimeout => format!(
                "took no byte of the request for {:?}",
                upstream.idle_timeout
            ),
            _ => format!("no answer within {:?}", upstream.response_timeout),
        };
        Failure::new(kind, Some(address), detail)
    }
}

/// Makes a request once more, for who keeps what it is made of.
pub type Again<'a> = &'a dyn Fn() -> Option<Request>;

enum Place {
    Http1(Box<http1::Connection>),
    Http2(Rc<http2::Connection>, http2::Seat),
}

impl Effort {
    fn begin(&mut self, address: SocketAddr) {
        self.attempts += 1;
        self.address = Some(address);
    }
}

/// Idle HTTP/1.1 connections, the one used last on top.
pub(super) struct Shelf {
    #[expect(
        clippy::vec_box,
        reason = "they come boxed and go boxed; a shelf that is full of room for whole ones would take more"
    )]
    idle: RefCell<Vec<Box<http1::Connection>>>,
    most: usize,
}

impl Shelf {
    pub(super) fn put(&self, mut connection: Box<http1::Connection>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < self.most {
            connection.idle_since = Instant::now();
            idle.push(connection);
        }
    }

    /// The one that was used last and can be used again.
    fn take(&self) -> Option<Box<http1::Connection>> {
        // Whoever takes it registers a waker of its own.
        let mut cx = Context::from_waker(Waker::noop());
        let mut idle = self.idle.borrow_mut();
        while let Some(mut connection) = idle.pop() {
            if connection.is_ready(&mut cx) {
                return Some(connection);
            }
        }
        None
    }

    fn sweep(&self, kept: Duration) {
        let mut cx = Context::from_waker(Waker::noop());
        self.idle.borrow_mut().retain_mut(|connection| {
            connection.idle_since.elapsed() < kept && connection.is_ready(&mut cx)
        });
    }
}
