//! The bytes of one connection, TLS or not: what both ends of a test read and write.
//!
//! Blocking, but with a deadline on each call: sockets wake up every
//! [`WAKE_UP`] to look at the clock and at whether the test is over.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, Connection, ServerConnection};

const WAKE_UP: Duration = Duration::from_millis(20);

/// A connected socket, and the TLS session over it if there is one.
pub struct Wire {
    /// None once closed or reset.
    socket: Option<Socket>,
    tls: Option<Box<Connection>>,
    /// Plain bytes that the socket has not taken yet.
    outgoing: Vec<u8>,
    over: Arc<AtomicBool>,
}

/// How a peer went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// TLS said goodbye; the FIN may or may not have come.
    CloseNotify,
    /// FIN without a close_notify; over plain sockets the ordinary end.
    Fin,
    /// RST.
    Reset,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Wire {
    /// Over TCP, with TCP_NODELAY: each write leaves at once.
    pub fn tcp(stream: TcpStream) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(WAKE_UP))?;
        stream.set_write_timeout(Some(WAKE_UP))?;
        Ok(Wire::over(Socket::Tcp(stream)))
    }

    /// Over a Unix stream socket.
    pub fn unix(stream: UnixStream) -> io::Result<Wire> {
        stream.set_read_timeout(Some(WAKE_UP))?;
        stream.set_write_timeout(Some(WAKE_UP))?;
        Ok(Wire::over(Socket::Unix(stream)))
    }

    /// Ends every blocking call with an error once `over` is set.
    pub fn until(mut self, over: Arc<AtomicBool>) -> Wire {
        self.over = over;
        self
    }

    /// Shakes hands as the server.
    pub fn accept_tls(&mut self, session: ServerConnection, end: Instant) -> io::Result<()> {
        self.handshake(Connection::Server(session), end)
    }

    /// Shakes hands as the client.
    pub fn connect_tls(&mut self, session: ClientConnection, end: Instant) -> io::Result<()> {
        self.handshake(Connection::Client(session), end)
    }

    /// The TLS session: ALPN, server name, certificates.
    pub fn tls(&self) -> Option<&Connection> {
        self.tls.as_deref()
    }

    /// What has come, at least one byte; 0 at a clean end.
    ///
    /// A TLS connection that ends without close_notify is an error of the kind
    /// `UnexpectedEof`; a reset one of the kind `ConnectionReset`.
    pub fn read(&mut self, buffer: &mut [u8], end: Instant) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else {
                return self.patient(end, |socket| socket.read(buffer));
            };
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.read_records(end)?,
                answer => return answer,
            }
        }
    }

    /// Hands all of `bytes` to the kernel: over TLS as one record each 16 KiB.
    ///
    /// On `TimedOut`, the rest stays queued and goes before the next write.
    pub fn write(&mut self, bytes: &[u8], end: Instant) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.outgoing.extend_from_slice(bytes),
        }
        self.flush(end)
    }

    /// Sends TLS's goodbye and keeps the socket open.
    pub fn close_notify(&mut self, end: Instant) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.flush(end)
    }

    /// Closes our direction with a FIN, without a close_notify.
    pub fn fin(&mut self) -> io::Result<()> {
        self.socket()?.shutdown(Shutdown::Write)
    }

    /// Closes at once with a RST (SO_LINGER 0); a Unix socket is just closed.
    pub fn reset(&mut self) -> io::Result<()> {
        if let Some(Socket::Tcp(stream)) = &self.socket {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
        }
        self.socket = None;
        Ok(())
    }

    /// Closes the socket, whatever was said before.
    pub fn close(&mut self) {
        self.socket = None;
    }

    /// Whether the socket is still ours.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Closes our direction, and reads and forgets what comes until the peer closes too.
    pub fn drain(&mut self, end: Instant) {
        if self.fin().is_ok() {
            while matches!(
                self.patient(end, |socket| socket.read(&mut [0; 4096])),
                Ok(1..)
            ) {}
        }
    }

    fn handshake(&mut self, mut session: Connection, end: Instant) -> io::Result<()> {
        // A test may queue as much as it likes; the kernel is the limit.
        session.set_buffer_limit(None);
        self.tls = Some(Box::new(session));
        loop {
            self.flush(end)?;
            match &self.tls {
                Some(tls) if tls.is_handshaking() => self.read_records(end)?,
                _ => return Ok(()),
            }
        }
    }

    fn read_records(&mut self, end: Instant) -> io::Result<()> {
        let mut tls = self.tls.take().expect("called for TLS connections only");
        let read = self.patient(end, |socket| tls.read_tls(socket));
        let processed = tls.process_new_packets();
        self.tls = Some(tls);
        if let Err(error) = processed {
            // The alert that says why is queued; the peer may be gone already.
            let _ = self.flush(end);
            return Err(io::Error::new(ErrorKind::InvalidData, error));
        }
        if read? == 0 && self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn flush(&mut self, end: Instant) -> io::Result<()> {
        if let Some(mut tls) = self.tls.take() {
            let mut flushed = Ok(0);
            while tls.wants_write() && flushed.is_ok() {
                flushed = self.patient(end, |socket| tls.write_tls(socket));
            }
            self.tls = Some(tls);
            return flushed.map(drop);
        }
        while !self.outgoing.is_empty() {
            let outgoing = std::mem::take(&mut self.outgoing);
            let taken = self.patient(end, |socket| socket.write(&outgoing));
            self.outgoing = outgoing;
            self.outgoing.drain(..taken?);
        }
        Ok(())
    }

    /// Repeats `call` while the socket only woke up.
    fn patient<T>(
        &mut self,
        end: Instant,
        mut call: impl FnMut(&mut Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match call(self.socket()?) {
                Err(error) if woke_up(&error) => {}
                answer => return answer,
            }
            if self.over.load(Ordering::Relaxed) {
                return Err(io::Error::other("the test is over"));
            }
            if Instant::now() >= end {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }

    fn socket(&mut self) -> io::Result<&mut Socket> {
        self.socket.as_mut().ok_or(ErrorKind::NotConnected.into())
    }

    fn over(socket: Socket) -> Wire {
        Wire {
            socket: Some(socket),
            tls: None,
            outgoing: Vec::new(),
            over: Arc::default(),
        }
    }
}

impl Socket {
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.shutdown(how),
            Socket::Unix(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn woke_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
