//! Accepting and running HTTP/2 connections, all on one thread.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;

use super::{Exchange, Record, Script, Settings, held};
use crate::support::certs::{self, Authority, LOOPBACK_NAMES};

/// TLS with a valid certificate and ALPN `h2`.
pub(super) fn acceptor(authority: &Authority) -> TlsAcceptor {
    let identity = authority.server(&LOOPBACK_NAMES);
    let mut config = ServerConfig::builder_with_provider(certs::provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Accepts until `stopped`; what runs then is dropped.
pub(super) fn run(
    listener: StdListener,
    acceptor: Option<TlsAcceptor>,
    settings: &Settings,
    script: &Script,
    record: &Arc<Mutex<Record>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let accepting = async {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            spawn_local(connection(
                stream,
                acceptor.clone(),
                settings.clone(),
                Arc::clone(script),
                Arc::clone(record),
            ));
        }
    };
    LocalSet::new().block_on(&runtime, async {
        tokio::select! {
            _ = stopped => {}
            ended = accepting => {
                let ended: io::Result<()> = ended;
                panic!("accepting ended: {ended:?}");
            }
        }
    });
}

async fn connection(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    settings: Settings,
    script: Script,
    record: Arc<Mutex<Record>>,
) {
    let number = {
        let mut record = held(&record);
        record.connections += 1;
        record.open += 1;
        record.connections
    };
    match acceptor {
        None => serve(stream, number, &settings, &script, &record).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, number, &settings, &script, &record).await;
            }
        }
    }
    held(&record).open -= 1;
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    settings: &Settings,
    script: &Script,
    record: &Arc<Mutex<Record>>,
) {
    let handshake = server::Builder::new()
        .max_concurrent_streams(settings.max_streams)
        .initial_window_size(settings.window)
        .initial_connection_window_size(settings.window)
        .handshake::<_, Bytes>(stream);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    let going_away = Arc::new(Notify::new());
    loop {
        let accepted = tokio::select! {
            () = going_away.notified() => {
                connection.graceful_shutdown();
                continue;
            }
            accepted = connection.accept() => accepted,
        };
        let Some(Ok((request, answer))) = accepted else {
            return;
        };
        let (head, body) = request.into_parts();
        let head = Arc::new(head);
        held(record).requests.push((number, Arc::clone(&head)));
        // An error means that the peer left, which is what many tests are about.
        let answering = script(Exchange {
            connection: number,
            head,
            body,
            answer,
            record: Arc::clone(record),
            going_away: Arc::clone(&going_away),
        });
        spawn_local(answering);
    }
}
