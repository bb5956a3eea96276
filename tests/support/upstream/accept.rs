//! Accepting, shaking hands, and running the script: a thread a connection.

use std::any::Any;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection};

use super::{Conn, Record, Script, held};
use crate::support::link::Link;
use crate::support::wait::DEADLINE;
use crate::support::wire::Wire;

/// Accepts until the upstream is over.
pub(super) fn run(
    listener: &TcpListener,
    record: &Arc<Record>,
    tls: Option<&Arc<ServerConfig>>,
    script: &Script,
) {
    for stream in listener.incoming() {
        if record.over.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = {
            let mut connections = held(&record.connections);
            connections.accepted += 1;
            connections.open += 1;
            connections.accepted
        };
        let (record, tls, script) = (Arc::clone(record), tls.cloned(), Arc::clone(script));
        thread::spawn(move || {
            let run = || converse(stream, number, &record, tls, &script);
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => held(&record.script_errors).push(error.to_string()),
                Err(panic) => held(&record.panics).push(said(panic.as_ref())),
            }
            held(&record.connections).open -= 1;
        });
    }
}

fn converse(
    stream: TcpStream,
    number: usize,
    record: &Arc<Record>,
    tls: Option<Arc<ServerConfig>>,
    script: &Script,
) -> io::Result<()> {
    let mut wire = Wire::tcp(stream)?.until(Arc::clone(&record.over));
    if let Some(config) = tls {
        let session = ServerConnection::new(config).map_err(io::Error::other)?;
        if let Err(error) = wire.accept_tls(session, Instant::now() + DEADLINE) {
            // Closed with unread bytes, the socket would reset and could take
            // the alert away that says why.
            wire.drain(Instant::now() + DEADLINE);
            return Err(error);
        }
        held(&record.connections).handshakes += 1;
    }
    let mut conn = Conn::new(number, Link::new(wire), Arc::clone(record));
    let result = script(&mut conn);
    conn.close();
    result
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
        .to_owned()
}
