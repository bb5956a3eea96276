//! A scripted upstream: the test says byte by byte what it answers.
//!
//! One thread a connection runs the test's script. Every request that a script
//! reads is recorded, cut ones too. A script that panics fails the test when
//! the upstream is dropped; one that ends with an error does not, as peers that
//! leave are what many tests are about ([`Upstream::script_errors`]).

mod accept;
mod build;
mod conn;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

pub use self::build::Builder;
pub use self::conn::Conn;
use super::certs::Authority;
use super::message::{Body, End, Head};
use super::wait::{self, DEADLINE, Gate};

/// The first event of [`Upstream::two_events`].
pub const FIRST: &str = "data: {\"first\":1}\n\n";
/// Its second and last.
pub const SECOND: &str = "data: {\"second\":2}\n\n";

/// A request as it reached the upstream.
#[derive(Debug, Clone)]
pub struct Request {
    /// The number of its connection, from 1.
    pub connection: usize,
    /// Request line and fields.
    pub head: Head,
    /// As far as the script has read it; see [`Body::end`].
    pub body: Body,
}

/// A listening upstream, closed when dropped.
pub struct Upstream {
    address: SocketAddr,
    scheme: &'static str,
    authority: Authority,
    record: Arc<Record>,
    listening: Option<JoinHandle<()>>,
}

/// What happened, shared with the connections' threads.
#[derive(Default)]
struct Record {
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Connections>,
    script_errors: Mutex<Vec<String>>,
    panics: Mutex<Vec<String>>,
    over: Arc<AtomicBool>,
}

#[derive(Default, Clone, Copy)]
struct Connections {
    accepted: usize,
    handshakes: usize,
    open: usize,
}

type Script = Arc<dyn Fn(&mut Conn) -> io::Result<()> + Send + Sync>;

impl Upstream {
    /// Speaks TLS with a valid certificate and `http/1.1`, then runs `script`.
    pub fn tls(script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static) -> Upstream {
        Upstream::with(Authority::new()).tls(script)
    }

    /// Runs `script` on plain connections.
    pub fn plain(script: impl Fn(&mut Conn) -> io::Result<()> + Send + Sync + 'static) -> Upstream {
        let authority = Authority::new();
        Upstream::listen("http", authority, None, Arc::new(script))
    }

    /// Answers every request, over TLS, with status 200 and `json`.
    pub fn answering(json: &'static str) -> Upstream {
        Upstream::tls(move |conn| conn.serve(|conn, _| conn.answer_json(200, json)))
    }

    /// Answers every request, over TLS, with a stream of two events: [`FIRST`] at
    /// once, [`SECOND`] when `gate` lets it through.
    pub fn two_events(gate: &Gate) -> Upstream {
        let gate = gate.clone();
        Upstream::tls(move |conn| {
            conn.serve(|conn, _| {
                conn.start_events()?;
                conn.write_chunk(FIRST)?;
                gate.pass();
                conn.write_chunk(SECOND)?;
                conn.write_last_chunk("")
            })
        })
    }

    /// Accepts connections, reads, and never shakes hands, though its URL says https.
    pub fn silent() -> Upstream {
        let script = |conn: &mut Conn| {
            conn.peer_left(DEADLINE * 6);
            Ok(())
        };
        Upstream::listen("https", Authority::new(), None, Arc::new(script))
    }

    /// To be built with the certificates of `authority`: a valid one at first.
    pub fn with(authority: Authority) -> Builder {
        Builder::new(authority)
    }

    /// `https://localhost:PORT/v1`, or `http://`.
    pub fn base_url(&self) -> String {
        format!("{}://localhost:{}/v1", self.scheme, self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certification authority of its certificate, if it speaks TLS.
    pub fn ca_file(&self) -> Option<PathBuf> {
        (self.scheme == "https").then(|| self.authority.ca_file())
    }

    /// Its certification authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The requests read so far, in the order of their heads.
    pub fn requests(&self) -> Vec<Request> {
        held(&self.record.requests).clone()
    }

    /// Waits until `count` requests were read, bodies included; gives them all.
    #[track_caller]
    pub fn wait_requests(&self, count: usize) -> Vec<Request> {
        wait::until_some(&format!("the upstream has read {count} requests"), || {
            let requests = self.requests();
            let read = requests
                .iter()
                .filter(|request| request.body.end != End::Pending);
            (read.count() >= count).then_some(requests)
        })
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        held(&self.record.connections).accepted
    }

    /// TLS handshakes completed so far.
    pub fn handshakes(&self) -> usize {
        held(&self.record.connections).handshakes
    }

    /// Connections whose script still runs.
    pub fn open_connections(&self) -> usize {
        held(&self.record.connections).open
    }

    /// What scripts and handshakes ended with, other than well.
    pub fn script_errors(&self) -> Vec<String> {
        held(&self.record.script_errors).clone()
    }

    /// Listens no more and ends every connection as soon as its script waits.
    pub fn stop(&mut self) {
        self.record.over.store(true, Ordering::Relaxed);
        if let Some(listening) = self.listening.take() {
            // Wakes up `accept`; it looks at `over` and ends.
            let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
            let _ = listening.join();
        }
        wait::holds_within(Duration::from_secs(2), || self.open_connections() == 0);
    }

    fn listen(
        scheme: &'static str,
        authority: Authority,
        tls: Option<Arc<ServerConfig>>,
        script: Script,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has ports");
        let address = listener.local_addr().expect("a bound socket has a name");
        let record = Arc::new(Record::default());
        let shared = Arc::clone(&record);
        Upstream {
            address,
            scheme,
            authority,
            record,
            listening: Some(thread::spawn(move || {
                accept::run(&listener, &shared, tls.as_ref(), &script);
            })),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
        let panics = held(&self.record.panics);
        if !panics.is_empty() && !thread::panicking() {
            panic!("a script of the upstream panicked: {}", panics.join("; "));
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nobody panics while holding the record")
}
