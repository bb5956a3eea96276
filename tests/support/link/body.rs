//! Reading a message's body piece by piece, by its framing.

use std::io::{self, ErrorKind};
use std::time::Instant;

use super::super::message::{Body, Chunk, End, Framing, field, latin1};
use super::{Link, ended};

/// A piece of a body and the extension of its chunk.
type Piece = (Vec<u8>, String);

impl Link {
    /// Says how the body that follows is framed.
    pub fn start_body(&mut self, framing: Framing) {
        self.framing = framing;
        self.body = Body::default();
        self.keep_body = true;
        if matches!(framing, Framing::Empty | Framing::Length(0)) {
            self.body.end = End::Complete;
        }
    }

    /// The next piece of the body; None at its end, which [`Link::body`] explains.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        if self.body.end != End::Pending {
            return None;
        }
        let piece = match self.framing {
            Framing::Empty => Ok(None),
            Framing::Length(left) => self.next_of_length(left),
            Framing::Chunked => self.next_of_chunked(),
            Framing::UntilClose => self.next_until_close(),
        };
        let (data, extension) = match piece {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                self.body.end = End::Complete;
                return None;
            }
            Err(error) => {
                self.body.end = ending(&error);
                return None;
            }
        };
        if self.framing != Framing::Chunked {
            self.keep(&data);
        }
        let chunk = Chunk {
            data,
            at: Instant::now(),
            extension,
        };
        if self.keep_body {
            self.body.chunks.push(chunk.clone());
        }
        if self.framing == Framing::Length(0) {
            self.body.end = End::Complete;
        }
        Some(chunk)
    }

    /// The body as far as it was read.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// Reads the body to its end; gives all of it, pieces read before included.
    pub fn rest(&mut self) -> Body {
        while self.next_chunk().is_some() {}
        self.body.clone()
    }

    /// Reads the body to its end without keeping it; gives its length so far.
    pub fn count_rest(&mut self) -> (u64, End) {
        self.keep_body = false;
        let mut length = 0;
        while let Some(chunk) = self.next_chunk() {
            length += chunk.data.len() as u64;
        }
        (length, self.body.end.clone())
    }

    fn next_of_length(&mut self, left: u64) -> io::Result<Option<Piece>> {
        if self.early.is_empty() && self.fill()? == 0 {
            return Err(ended(&format!("{left} bytes too early")));
        }
        let taken = self
            .early
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        self.framing = Framing::Length(left - taken as u64);
        Ok(Some((self.early.drain(..taken).collect(), String::new())))
    }

    fn next_until_close(&mut self) -> io::Result<Option<Piece>> {
        // What came with the head is there already.
        if self.early.is_empty() && self.fill()? == 0 {
            return Ok(None);
        }
        Ok(Some((std::mem::take(&mut self.early), String::new())))
    }

    fn next_of_chunked(&mut self) -> io::Result<Option<Piece>> {
        let line = self.read_line()?;
        let size_end = line
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(line.len());
        let (size, extension) = line.split_at(size_end);
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| malformed(&format!("no chunk size: {line:?}")))?;
        if size == 0 {
            loop {
                let line = self.read_line()?;
                if line.is_empty() {
                    return Ok(None);
                }
                self.body.trailers.extend(field(&line));
            }
        }
        let data = self.read_exactly(size)?;
        self.keep(&data);
        match self.read_line()?.as_str() {
            "" => Ok(Some((data, extension.to_owned()))),
            more => Err(malformed(&format!("chunk longer than its size: {more:?}"))),
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        let end = loop {
            if let Some(end) = self.early.windows(2).position(|two| two == b"\r\n") {
                break end;
            }
            if self.fill()? == 0 {
                return Err(ended("within chunked framing"));
            }
        };
        let line: Vec<u8> = self.early.drain(..end + 2).collect();
        self.keep(&line);
        Ok(latin1(&line[..end]))
    }

    fn keep(&mut self, raw: &[u8]) {
        if self.keep_body {
            self.body.raw.extend_from_slice(raw);
        }
    }
}

fn ending(error: &io::Error) -> End {
    match error.kind() {
        ErrorKind::TimedOut => End::TimedOut,
        ErrorKind::InvalidData => End::Malformed(error.to_string()),
        _ => End::Cut(error.to_string()),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
