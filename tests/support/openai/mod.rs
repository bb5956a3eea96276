//! A realistic OpenAI upstream on the loopback interface: TLS, the endpoints
//! that the SDKs call, their fields, errors and event streams.
//!
//! Where [`super::upstream`] breaks the rules as a test says, this one keeps
//! them. The model's name `error-STATUS` asks for that error, `cut-EVENTS` for
//! a stream that breaks off; the number of output tokens asked for is the
//! number of deltas that come. `GET /__seen` tells what the last request looked
//! like on this side of upstreamd.

mod answer;
mod audio;
mod chat;
mod embeddings;
mod error;
mod files;
mod models;
mod multipart;
mod responses;
mod route;
mod seen;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use self::route::State;
use super::certs::{self, Authority, LOOPBACK_NAMES};
use super::daemon::UPSTREAM_KEY;

/// A running loopback upstream; stops when dropped.
pub struct Loopback {
    address: SocketAddr,
    authority: Authority,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Loopback {
    /// The key that it wants; anything else is answered with 401.
    pub const KEY: &str = UPSTREAM_KEY;

    /// Starts serving, with `pace` between the events of a stream.
    pub fn start(pace: Duration) -> Loopback {
        Loopback::serving(pace, |_| WebPkiClientVerifier::no_client_auth())
    }

    /// As [`start`](Self::start), for clients that show a certificate of its authority.
    pub fn mutual(pace: Duration) -> Loopback {
        Loopback::serving(pace, |authority| {
            let mut roots = RootCertStore::empty();
            roots
                .add(authority.root())
                .expect("a CA that was made here");
            WebPkiClientVerifier::builder_with_provider(roots.into(), certs::provider())
                .build()
                .expect("there is a root")
        })
    }

    fn serving(
        pace: Duration,
        clients: impl Fn(&Authority) -> Arc<dyn ClientCertVerifier>,
    ) -> Loopback {
        let authority = Authority::new();
        let tls = Arc::new(server_config(&authority, clients(&authority)));
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback interface has ports");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has a name");
        let (stop, stopped) = oneshot::channel();
        let serving = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made")
                .block_on(async {
                    let listener = TcpListener::from_std(listener)
                        .expect("a listening socket joins the runtime");
                    tokio::select! {
                        () = accept(listener, tls, pace) => {}
                        _ = stopped => {}
                    }
                });
        });
        Loopback {
            address,
            authority,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// `https://localhost:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certification authority of its certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The same as a PEM file.
    pub fn ca_file(&self) -> PathBuf {
        self.authority.ca_file()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rule is for the daemon's workers; this is one thread"
)]
async fn accept(listener: TcpListener, tls: Arc<ServerConfig>, pace: Duration) {
    let state = Arc::new(State::new(pace));
    let acceptor = TlsAcceptor::from(tls);
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&state)));
        }
    }
}

/// One connection, HTTP/1.1 or HTTP/2 as ALPN chose.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| route::respond(Arc::clone(&state), request));
    // A client that leaves in the middle is no concern of an upstream.
    let _ = if http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    };
}

fn server_config(authority: &Authority, clients: Arc<dyn ClientCertVerifier>) -> ServerConfig {
    let identity = authority.server(&LOOPBACK_NAMES);
    let mut config = ServerConfig::builder_with_provider(certs::provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_client_cert_verifier(clients)
        .with_single_cert(identity.chain, identity.key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
