//! Opening a connection: name, addresses, TCP, TLS.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::HttpsConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tower_service::Service;

use super::failure::chain;
use super::stream::Stream;
use super::{Failure, FailureKind, TlsError, happy_eyeballs, tls};
use crate::config::checked;

/// Opens connections to one upstream. Made once per configuration (it loads
/// the platform's roots) and shared by the workers.
#[derive(Debug)]
pub struct Dialer {
    upstream: Arc<checked::Upstream>,
    uri: Uri,
    /// Offers what the configuration says.
    tls: Option<Arc<ClientConfig>>,
    /// Offers HTTP/1.1 alone, for upgrades.
    tls_http1: Option<Arc<ClientConfig>>,
}

/// A connection just opened.
pub(super) struct Dialled {
    pub(super) stream: Stream,
    pub(super) address: SocketAddr,
    pub(super) http2: bool,
}

impl Dialer {
    /// Loads the roots and the client certificate.
    ///
    /// # Errors
    /// No roots at all, or a certificate that does not fit its key.
    pub fn new(upstream: Arc<checked::Upstream>) -> Result<Self, TlsError> {
        let url = &upstream.base_url;
        let uri = Uri::builder()
            .scheme(url.scheme.clone())
            .authority(url.authority.clone())
            .path_and_query("/")
            .build()
            .expect("a checked base URL has a scheme and an authority");
        let (mut tls, mut tls_http1) = (None, None);
        if url.scheme == Scheme::HTTPS {
            let settings = tls::settings(&upstream.tls)?;
            let both: [&[u8]; 2] = [b"h2", b"http/1.1"];
            tls_http1 = Some(tls::offering(&settings, &both[1..]));
            tls = if upstream.http2 {
                Some(tls::offering(&settings, &both))
            } else {
                tls_http1.clone()
            };
        }
        Ok(Dialer {
            upstream,
            uri,
            tls,
            tls_http1,
        })
    }

    /// The upstream this one dials.
    pub fn upstream(&self) -> &checked::Upstream {
        &self.upstream
    }

    /// Opens a connection within `connect_timeout`; `upgrade` asks for HTTP/1.1.
    pub(super) async fn dial(&self, upgrade: bool) -> Result<Dialled, Failure> {
        let tcp = Tcp {
            upstream: Arc::clone(&self.upstream),
            reached: Arc::default(),
        };
        let reached = Arc::clone(&tcp.reached);
        let settings = if upgrade { &self.tls_http1 } else { &self.tls };
        let connecting = async {
            match settings {
                Some(settings) => {
                    HttpsConnector::from((tcp, Arc::clone(settings)))
                        .call(self.uri.clone())
                        .await
                }
                None => {
                    let mut tcp = tcp;
                    Ok(tcp.call(self.uri.clone()).await?.into())
                }
            }
        };
        let outcome = timeout(self.upstream.connect_timeout, connecting).await;
        let address = *reached.lock().expect("nobody panics while holding it");
        let stream = match outcome {
            Ok(Ok(stream)) => Stream::new(stream),
            Ok(Err(error)) => return Err(failure(&*error, address)),
            Err(_elapsed) => return Err(too_late(&self.upstream, address)),
        };
        let address = address.expect("a connected stream has reached its address");
        let prior_knowledge = settings.is_none() && self.upstream.http2 && !upgrade;
        let http2 = prior_knowledge || stream.negotiated_http2();
        Ok(Dialled {
            stream,
            address,
            http2,
        })
    }
}

/// The TCP half, in the form that hyper-rustls wraps.
#[derive(Clone)]
struct Tcp {
    upstream: Arc<checked::Upstream>,
    /// The address that took the TCP connection, for messages. A lock because
    /// hyper-rustls wants its futures `Send`; taken twice a connection.
    reached: Arc<Mutex<Option<SocketAddr>>>,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Tcp { upstream, reached } = self.clone();
        Box::pin(async move {
            let url = &upstream.base_url;
            let addresses: Vec<_> = lookup_host((url.host.as_str(), url.port))
                .await
                .map_err(|error| {
                    Failure::new(
                        FailureKind::Dns,
                        None,
                        format!("{} cannot be resolved: {error}", url.host),
                    )
                })?
                .collect();
            let (stream, address) =
                happy_eyeballs::connect(addresses)
                    .await
                    .map_err(|(error, address)| {
                        let kind = match error.kind() {
                            io::ErrorKind::ConnectionRefused => FailureKind::Refused,
                            io::ErrorKind::TimedOut => FailureKind::ConnectTimeout,
                            _ => FailureKind::Unreachable,
                        };
                        Failure::new(
                            kind,
                            address,
                            format!("{} cannot be reached: {error}", url.host),
                        )
                    })?;
            // A chunk must not wait for the acknowledgement of the one before.
            // If it fails the connection is dead, which the next write says.
            let _ = stream.set_nodelay(true);
            *reached.lock().expect("nobody panics while holding it") = Some(address);
            Ok(TokioIo::new(stream))
        })
    }
}

fn failure(error: &(dyn Error + Send + Sync + 'static), address: Option<SocketAddr>) -> Failure {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.clone();
    }
    let tls = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .and_then(|inner| {
            inner
                .downcast_ref::<io::Error>()
                .map_or(Some(inner as &(dyn Error + 'static)), |inner| {
                    inner.get_ref().map(|inner| inner as &(dyn Error + 'static))
                })
        })
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let kind = match tls {
        Some(rustls::Error::InvalidCertificate(_)) => FailureKind::Certificate,
        Some(rustls::Error::AlertReceived(_)) => FailureKind::TlsAlert,
        _ => FailureKind::TlsProtocol,
    };
    Failure::new(
        kind,
        address,
        format!("TLS handshake failed: {}", chain(error)),
    )
}

fn too_late(upstream: &checked::Upstream, address: Option<SocketAddr>) -> Failure {
    let after = upstream.connect_timeout;
    match address {
        None => Failure::new(
            FailureKind::ConnectTimeout,
            None,
            format!(
                "no TCP connection to {} within {after:?}",
                upstream.base_url.host
            ),
        ),
        Some(_) => Failure::new(
            FailureKind::HandshakeTimeout,
            address,
            format!("no end of the TLS handshake within {after:?}"),
        ),
    }
}
