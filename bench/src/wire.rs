//! As much of HTTP/1.1 as both ends need: heads, and bodies by length or in
//! chunks. Whatever it does not know is an error, so that a proxy that answers
//! otherwise ends the run.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Room that a read gets at least; an answer of the benchmark fits.
const READ_ROOM: usize = 2048;

/// Longest head that is waited for.
const HEAD_LIMIT: usize = 16 * 1024;

/// One end of a connection, with the bytes that were read and not yet used.
pub(crate) struct Connection<S> {
    io: S,
    read: Vec<u8>,
    used: usize,
}

/// A request's or answer's head, up to its blank line.
pub(crate) struct Head(String);

/// How a body's end is told.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    /// By `Content-Length`.
    Length(usize),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            read: Vec::new(),
            used: 0,
        }
    }

    /// Sends bytes now.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.io.write_all(bytes).await?;
        self.io.flush().await
    }

    /// Reads a head. None: the peer closed before its first byte.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            let unread = self.unread();
            if let Some(end) = position(unread, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&unread[..end + 2]).into_owned();
                self.used += end + 4;
                return Ok(Some(Head(head)));
            }
            if unread.len() > HEAD_LIMIT {
                return Err(io::Error::other("a head without an end"));
            }
            let empty = unread.is_empty();
            match self.fill().await {
                Ok(()) => {}
                Err(error) if empty && error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads a body to its end and shows its bytes as they arrive.
    pub(crate) async fn body(
        &mut self,
        framing: Framing,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match framing {
            Framing::Length(length) => self.run_of(length, &mut each).await,
            Framing::Chunked => loop {
                let line = self.line().await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16)
                    .map_err(|_| io::Error::other(format!("a wrong chunk size: {line:?}")))?;
                if size == 0 {
                    while !self.line().await?.is_empty() {}
                    return Ok(());
                }
                self.run_of(size, &mut each).await?;
                if !self.line().await?.is_empty() {
                    return Err(io::Error::other("a chunk longer than its size"));
                }
            },
        }
    }

    async fn run_of(
        &mut self,
        mut length: usize,
        each: &mut impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        while length > 0 {
            let here = self.unread().len().min(length);
            if here == 0 {
                self.fill().await?;
                continue;
            }
            each(&self.unread()[..here])?;
            self.used += here;
            length -= here;
        }
        Ok(())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = position(self.unread(), b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread()[..end]).into_owned();
                self.used += end + 2;
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    fn unread(&self) -> &[u8] {
        &self.read[self.used..]
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.read.drain(..self.used);
        self.used = 0;
        self.read.reserve(READ_ROOM);
        match self.io.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Head {
    /// The value of a field, the first if there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.0.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The framing of the body that follows.
    pub(crate) fn framing(&self) -> io::Result<Framing> {
        if let Some(encoding) = self.field("transfer-encoding") {
            return if encoding.eq_ignore_ascii_case("chunked") {
                Ok(Framing::Chunked)
            } else {
                Err(io::Error::other(format!("transfer-encoding {encoding}")))
            };
        }
        self.field("content-length")
            .and_then(|length| length.parse().ok())
            .map(Framing::Length)
            .ok_or_else(|| io::Error::other(format!("no body's length in {:?}", self.0)))
    }

    /// Fails unless this is the head of a 200 on a connection that stays open.
    pub(crate) fn must_be_ok(&self) -> io::Result<()> {
        if !self.0.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("not a 200: {:?}", self.0)));
        }
        match self.field("connection") {
            Some(option) if option.eq_ignore_ascii_case("close") => {
                Err(io::Error::other("the proxy closes a keep-alive connection"))
            }
            _ => Ok(()),
        }
    }
}

fn position(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}
