//! One HTTP/1.1 connection, read message by message and written byte by byte.
//!
//! Both ends of a test are this: [`super::client::Client`] adds how to connect,
//! [`super::upstream::Conn`] what it was asked. A message is read as head, then
//! pieces of its body; what has come too early waits for the next message.

mod body;

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::message::{Body, Framing, Head};
use super::wait::DEADLINE;
use super::wire::{Departure, Wire};

/// A connection with a message being read.
pub struct Link {
    /// The bytes below.
    pub wire: Wire,
    /// How long each call may take.
    pub deadline: Duration,
    /// Read from the wire and not yet asked for.
    early: Vec<u8>,
    framing: Framing,
    body: Body,
    keep_body: bool,
}

impl Link {
    /// Nothing read, nothing written.
    pub fn new(wire: Wire) -> Link {
        Link {
            wire,
            deadline: DEADLINE,
            early: Vec::new(),
            framing: Framing::Empty,
            body: Body::default(),
            keep_body: true,
        }
    }

    /// Writes `bytes`: one write, over TLS one flushed record (each 16 KiB).
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let end = self.end();
        self.wire.write(bytes.as_ref(), end)
    }

    /// Writes `data` as one chunk.
    pub fn write_chunk(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let data = data.as_ref();
        let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\r\n");
        self.write(chunk)
    }

    /// Writes the last chunk, with `trailers` (`"name: value\r\n"` each) or none.
    pub fn write_last_chunk(&mut self, trailers: &str) -> io::Result<()> {
        self.write(format!("0\r\n{trailers}\r\n"))
    }

    /// Writes `piece` again and again until the peer has taken nothing for
    /// `quiet`; gives how many bytes were written and are not queued here.
    pub fn write_until_stuck(&mut self, piece: &[u8], quiet: Duration) -> io::Result<u64> {
        let mut written = 0;
        loop {
            match self.wire.write(piece, Instant::now() + quiet) {
                Ok(()) => written += piece.len() as u64,
                Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(written),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads a head with the framing of a request's body.
    pub fn read_request_head(&mut self) -> io::Result<Head> {
        let head = self.read_head()?;
        self.start_body(head.request_framing());
        Ok(head)
    }

    /// Reads a head with the framing of an answer's body (not one to HEAD).
    pub fn read_answer_head(&mut self) -> io::Result<Head> {
        let head = self.read_head()?;
        self.start_body(head.answer_framing());
        Ok(head)
    }

    /// Exactly `length` raw bytes, outside of any message.
    pub fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.early.len() < length {
            if self.fill()? == 0 {
                return Err(ended("in the middle of bytes that were waited for"));
            }
        }
        Ok(self.early.drain(..length).collect())
    }

    /// All raw bytes until the peer ends the connection cleanly.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.early))
    }

    /// How the peer left, if it did so within `timeout`; bytes that come
    /// meanwhile are kept.
    pub fn peer_left(&mut self, timeout: Duration) -> Option<Departure> {
        let end = Instant::now() + timeout;
        loop {
            match self.fill_until(end) {
                Ok(0) if self.wire.tls().is_some() => return Some(Departure::CloseNotify),
                Ok(0) => return Some(Departure::Fin),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    ErrorKind::UnexpectedEof => return Some(Departure::Fin),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        return Some(Departure::Reset);
                    }
                    _ => return None,
                },
            }
        }
    }

    /// Bytes that came and that no message has claimed yet.
    pub fn early(&self) -> &[u8] {
        &self.early
    }

    /// Sends TLS's goodbye, keeps the socket open: no FIN.
    pub fn close_notify(&mut self) -> io::Result<()> {
        let end = self.end();
        self.wire.close_notify(end)
    }

    /// FIN without close_notify; reading goes on.
    pub fn fin(&mut self) -> io::Result<()> {
        self.wire.fin()
    }

    /// RST.
    pub fn reset(&mut self) -> io::Result<()> {
        self.wire.reset()
    }

    /// close_notify where there is TLS, then the socket is closed.
    pub fn close(&mut self) {
        if self.wire.is_open() {
            let _ = self.wire.close_notify(Instant::now());
            self.wire.close();
        }
    }

    fn read_head(&mut self) -> io::Result<Head> {
        let length = loop {
            if let Some(length) = head_length(&self.early) {
                break length;
            }
            if self.fill()? == 0 {
                return Err(ended(if self.early.is_empty() {
                    "before a head"
                } else {
                    "within a head"
                }));
            }
        };
        let raw: Vec<u8> = self.early.drain(..length).collect();
        Ok(Head::parse(&raw))
    }

    fn fill(&mut self) -> io::Result<usize> {
        let end = self.end();
        self.fill_until(end)
    }

    fn fill_until(&mut self, end: Instant) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let read = self.wire.read(&mut buffer, end)?;
        self.early.extend_from_slice(&buffer[..read]);
        Ok(read)
    }

    fn end(&self) -> Instant {
        Instant::now() + self.deadline
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

fn ended(place: &str) -> io::Error {
    io::Error::new(
        ErrorKind::UnexpectedEof,
        format!("the connection ended {place}"),
    )
}
