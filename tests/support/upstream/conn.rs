//! What a script holds: one connection of the upstream.

use std::io::{self, ErrorKind};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::super::link::Link;
use super::super::message::{Body, Chunk, Head};
use super::{Record, Request, held};

/// A connection to the upstream; all of [`Link`] works on it.
pub struct Conn {
    /// Counted from 1, in the order of accepting.
    pub number: usize,
    link: Link,
    record: Arc<Record>,
    /// Where in the record the request that is being read stands.
    current: Option<usize>,
}

impl Conn {
    pub(super) fn new(number: usize, link: Link, record: Arc<Record>) -> Conn {
        Conn {
            number,
            link,
            record,
            current: None,
        }
    }

    /// Reads a request, body included, and records it.
    pub fn read_request(&mut self) -> io::Result<Request> {
        let head = self.read_head()?;
        let body = self.read_body();
        Ok(Request {
            connection: self.number,
            head,
            body,
        })
    }

    /// Reads and records a request's head; its body waits.
    pub fn read_head(&mut self) -> io::Result<Head> {
        let head = self.link.read_request_head()?;
        let mut requests = held(&self.record.requests);
        self.current = Some(requests.len());
        requests.push(Request {
            connection: self.number,
            head: head.clone(),
            body: self.link.body().clone(),
        });
        Ok(head)
    }

    /// Reads and records one more piece of the request's body.
    pub fn read_chunk(&mut self) -> Option<Chunk> {
        let chunk = self.link.next_chunk();
        self.record_body();
        chunk
    }

    /// Reads and records what is left of the request's body.
    pub fn read_body(&mut self) -> Body {
        let body = self.link.rest();
        self.record_body();
        body
    }

    /// Reads what is left of the request's body, recording how it ended but
    /// none of it; gives its length. For bodies too large to keep.
    pub fn count_body(&mut self) -> u64 {
        let (length, _) = self.link.count_rest();
        self.record_body();
        length
    }

    /// Answers with `status` and a JSON text.
    pub fn answer_json(&mut self, status: u16, json: &str) -> io::Result<()> {
        self.answer(status, "Content-Type: application/json\r\n", json)
    }

    /// Answers with `status`, `fields` (`"name: value\r\n"` each) and `body`, in one write.
    pub fn answer(&mut self, status: u16, fields: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        self.write(format!(
            "HTTP/1.1 {status} Scripted\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Starts a chunked answer with status 200; [`Link::write_chunk`] goes on.
    pub fn start_chunked(&mut self, content_type: &str) -> io::Result<()> {
        self.write(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ))
    }

    /// Starts an SSE answer: chunked `text/event-stream`.
    pub fn start_events(&mut self) -> io::Result<()> {
        self.start_chunked("text/event-stream")
    }

    /// Keep-alive: reads requests and runs `answer` for each until the peer leaves.
    pub fn serve(
        &mut self,
        mut answer: impl FnMut(&mut Conn, &Request) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            match self.read_request() {
                Ok(request) => answer(self, &request)?,
                Err(error) if self.early().is_empty() && between_requests(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// What ALPN chose, if it did.
    pub fn alpn(&self) -> Option<String> {
        let name = self.wire.tls()?.alpn_protocol()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// The server name that the client asked for (SNI); none for addresses.
    pub fn server_name(&self) -> Option<&str> {
        match self.wire.tls()? {
            rustls::Connection::Server(session) => session.server_name(),
            rustls::Connection::Client(_) => None,
        }
    }

    /// Whether the client showed a certificate.
    pub fn has_client_certificate(&self) -> bool {
        self.wire
            .tls()
            .is_some_and(|tls| tls.peer_certificates().is_some())
    }

    fn record_body(&mut self) {
        if let Some(index) = self.current {
            held(&self.record.requests)[index].body = self.link.body().clone();
        }
    }
}

/// How idle keep-alive connections end; a TLS client may leave without goodbye.
fn between_requests(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
    )
}

impl Deref for Conn {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}
