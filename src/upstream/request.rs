//! What is sent to the upstream, and how far it has got.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

/// A request, ready to be sent: its head already carries the upstream's own fields.
pub struct Request {
    /// Method, origin-form target, fields.
    pub head: Parts,
    /// The body.
    pub body: RequestBody,
    /// Is told the head of each 1xx answer, if anybody wants to know.
    pub interim: Option<Arc<dyn OnInterim>>,
}

/// Who is told of 1xx answers.
pub trait OnInterim: Send + Sync + 'static {
    /// One came.
    fn interim(&self, status: StatusCode, fields: &HeaderMap);
}

impl Request {
    pub(super) fn into_http(self) -> http::Request<RequestBody> {
        let mut request = http::Request::from_parts(self.head, self.body);
        if let Some(interim) = self.interim {
            hyper::ext::on_informational(&mut request, move |head| {
                interim.interim(head.status(), head.headers());
            });
        }
        request
    }

    /// What [`Request::into_http`] made, given back by hyper.
    pub(super) fn from_http(request: http::Request<RequestBody>) -> Request {
        let (head, body) = request.into_parts();
        Request {
            head,
            body,
            // Among the extensions of the head, where hyper wants it.
            interim: None,
        }
    }
}

/// The body of a request on its way from the client to the upstream.
pub struct RequestBody {
    source: Source,
    upload: Rc<Upload>,
}

enum Source {
    /// Read whole before, or empty: can be sent again.
    Whole(Option<Bytes>),
    /// Passing through as it comes.
    Passing(Box<Passing>),
}

struct Passing {
    incoming: Incoming,
    /// How long the client may be silent.
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether `timer` is set for the silence that is going on.
    timing: bool,
    /// Takes out of the trailers what is not the upstream's business.
    trim: fn(&mut HeaderMap),
}

/// How far an upload is; the wait for an answer starts when it is done.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) state: Cell<UploadState>,
    /// When it got there, if it was not so from the first.
    pub(super) since: Cell<Option<Instant>>,
    pub(super) bytes: Cell<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UploadState {
    /// The client has to send more; its own timeout runs.
    AwaitingClient,
    /// The upstream has to take more.
    Sending,
    /// Everything was handed over.
    Done,
}

/// Why the client's body did not arrive whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFault {
    /// The client closed, or reset, in the middle.
    ClientGone,
    /// The client sent nothing for `body_timeout`.
    ClientSlow,
    /// The client's framing was wrong (a bad chunk size, say).
    Malformed,
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyFault::ClientGone => "the client left in the middle of its body",
            BodyFault::ClientSlow => "the client stopped sending its body",
            BodyFault::Malformed => "the client's body is badly framed",
        })
    }
}

impl std::error::Error for BodyFault {}

impl BodyFault {
    /// Reads an error of hyper's server side, met while a body was read.
    pub fn from_hyper(error: &hyper::Error) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(inner) = source {
            if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                return match io.kind() {
                    std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                        BodyFault::Malformed
                    }
                    _ => BodyFault::ClientGone,
                };
            }
            source = inner.source();
        }
        BodyFault::ClientGone
    }
}

impl RequestBody {
    /// No body.
    pub fn empty() -> Self {
        RequestBody::of(Source::Whole(None))
    }

    /// A body that was read before; it can be sent again.
    pub fn whole(bytes: Bytes) -> Self {
        RequestBody::of(Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// A body that passes through unread; `timeout` bounds the client's silence,
    /// and `trim` is called on its trailers.
    pub fn passing(incoming: Incoming, timeout: Duration, trim: fn(&mut HeaderMap)) -> Self {
        let timer = Box::pin(sleep_until(Instant::now() + timeout));
        RequestBody::of(Source::Passing(Box::new(Passing {
            incoming,
            timeout,
            timer,
            // Nothing is read, and no 100 sent, before the upstream is connected.
            timing: false,
            trim,
        })))
    }

    fn of(source: Source) -> Self {
        let (state, bytes) = match &source {
            Source::Whole(whole) => (
                UploadState::Done,
                whole.as_ref().map_or(0, |bytes| bytes.len() as u64),
            ),
            Source::Passing(_) => (UploadState::AwaitingClient, 0),
        };
        let upload = Upload {
            state: Cell::new(state),
            since: Cell::new(None),
            bytes: Cell::new(bytes),
        };
        RequestBody {
            source,
            upload: Rc::new(upload),
        }
    }

    /// Counts the bytes that were handed over, for the event.
    pub fn counter(&self) -> BytesIn {
        BytesIn(Rc::clone(&self.upload))
    }

    pub(super) fn upload(&self) -> Rc<Upload> {
        Rc::clone(&self.upload)
    }

    /// The same body once more, if it was read before.
    pub fn copy(&self) -> Option<RequestBody> {
        match &self.source {
            Source::Whole(bytes) => Some(RequestBody {
                source: Source::Whole(bytes.clone()),
                upload: Rc::clone(&self.upload),
            }),
            Source::Passing(_) => None,
        }
    }
}

/// The bytes of a request's body so far.
pub struct BytesIn(Rc<Upload>);

impl BytesIn {
    /// Bytes so far.
    pub fn total(&self) -> u64 {
        self.0.bytes.get()
    }

    /// Whether these are all.
    pub fn is_whole(&self) -> bool {
        self.0.state.get() == UploadState::Done
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        let passing = match &mut this.source {
            Source::Whole(bytes) => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            Source::Passing(passing) => passing,
        };
        match Pin::new(&mut passing.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                passing.timing = false;
                if let Some(trailers) = frame.trailers_mut() {
                    (passing.trim)(trailers);
                }
                if let Some(data) = frame.data_ref() {
                    this.upload
                        .bytes
                        .set(this.upload.bytes.get() + data.len() as u64);
                }
                // Nothing follows trailers, and hyper does not ask for it.
                let state = if frame.is_trailers() || passing.incoming.is_end_stream() {
                    UploadState::Done
                } else {
                    UploadState::Sending
                };
                this.upload.reached(state);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyFault::from_hyper(&error)))),
            Poll::Ready(None) => {
                this.upload.reached(UploadState::Done);
                Poll::Ready(None)
            }
            Poll::Pending => {
                this.upload.state.set(UploadState::AwaitingClient);
                if !passing.timing {
                    passing.timing = true;
                    passing
                        .timer
                        .as_mut()
                        .reset(Instant::now() + passing.timeout);
                }
                ready!(passing.timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(BodyFault::ClientSlow)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Passing(passing) => passing.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Passing(passing) => passing.incoming.size_hint(),
        }
    }
}

impl Upload {
    fn reached(&self, state: UploadState) {
        self.state.set(state);
        self.since.set(Some(Instant::now()));
    }
}
