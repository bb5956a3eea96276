//! A client of the daemon: raw bytes out, answers with everything known about them in.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::certs;
use super::link::Link;
use super::message::{Body, Framing, Head};
use super::wait::DEADLINE;
use super::wire::Wire;

/// One connection; all of [`Link`] works on it.
pub struct Client(Link);

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 1xx heads that came before.
    pub interim: Vec<Head>,
    /// Status and fields.
    pub head: Head,
    /// The body, complete or not: look at [`Body::end`].
    pub body: Body,
}

impl Client {
    /// Connects over TCP.
    pub fn tcp(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)
            .unwrap_or_else(|error| panic!("can't connect to {address}: {error}"));
        Client(Link::new(
            Wire::tcp(stream).expect("a connected socket takes timeouts"),
        ))
    }

    /// Connects to a Unix socket.
    pub fn unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path)
            .unwrap_or_else(|error| panic!("can't connect to {}: {error}", path.display()));
        Client(Link::new(
            Wire::unix(stream).expect("a connected socket takes timeouts"),
        ))
    }

    /// Connects over TCP and TLS, past the daemon: what a test compares with.
    pub fn tls(address: SocketAddr, name: &str, root: CertificateDer<'static>) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(root).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(certs::provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut client = Client::tcp(address);
        client
            .wire
            .connect_tls(session, Instant::now() + DEADLINE)?;
        Ok(client)
    }

    /// Sends a request with `fields` (`"name: value\r\n"` each) and `body`;
    /// `Host` and, for a body, `Content-Length` are added.
    pub fn send(&mut self, method: &str, path: &str, fields: &str, body: &[u8]) -> io::Result<()> {
        let length = match body {
            [] => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: upstreamd\r\n{length}{fields}\r\n");
        self.write([head.as_bytes(), body].concat())
    }

    /// Asks for a streamed chat completion, and reads nothing yet.
    #[track_caller]
    pub fn ask_for_stream(&mut self) {
        let fields = "Content-Type: application/json\r\n";
        let body = br#"{"model":"gpt-5","stream":true,"messages":[]}"#;
        self.send("POST", "/v1/chat/completions", fields, body)
            .expect("the request is taken");
    }

    /// Asks for a streamed chat completion, and reads the answer's head.
    #[track_caller]
    pub fn start_stream(&mut self) -> Head {
        self.ask_for_stream();
        let (_, head) = self.answer_head().expect("an answer begins");
        head
    }

    /// Reads an answer's head, past 1xx ones (101 is none of these); the body follows.
    pub fn answer_head(&mut self) -> io::Result<(Vec<Head>, Head)> {
        let mut interim = Vec::new();
        loop {
            let head = self.read_answer_head()?;
            match head.status() {
                101 | 200.. => return Ok((interim, head)),
                _ => interim.push(head),
            }
        }
    }

    /// Reads a whole answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let (interim, head) = self.answer_head().expect("an answer comes");
        let body = self.rest();
        Answer {
            interim,
            head,
            body,
        }
    }

    /// Reads the answer to a HEAD request: no body follows whatever its fields say.
    #[track_caller]
    pub fn answer_to_head(&mut self) -> Answer {
        let (interim, head) = self.answer_head().expect("an answer comes");
        self.start_body(Framing::Empty);
        Answer {
            interim,
            head,
            body: self.rest(),
        }
    }

    /// GET, and the whole answer.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
            .expect("the request is taken");
        self.answer()
    }

    /// Asks for a stream and reads its head and first piece; the rest follows.
    #[track_caller]
    pub fn start_stream_at(&mut self, path: &str) -> Head {
        self.send("GET", path, "", b"")
            .expect("the request is taken");
        let (_, head) = self.answer_head().expect("an answer comes");
        self.next_chunk().expect("the stream begins");
        head
    }

    /// POST of a JSON text, and the whole answer.
    #[track_caller]
    pub fn post_json(&mut self, path: &str, json: &str) -> Answer {
        let fields = "Content-Type: application/json\r\n";
        self.send("POST", path, fields, json.as_bytes())
            .expect("the request is taken");
        self.answer()
    }
}

impl Answer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status()
    }
}

impl Deref for Client {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.0
    }
}
