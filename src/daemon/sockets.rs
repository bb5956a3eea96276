//! Opening the sockets: systemd's, or our own.

use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::cli::{ExitCode, Failed};
use crate::config::checked::{Config, ListenAddress};
use crate::config::in_header;
use crate::inbound::{Listener, Unlink, bind, bind_unix};
use crate::systemd::{self, Passed, PassedSocket, Purpose};

/// The sockets to accept on.
#[derive(Default)]
pub(super) struct Opened {
    /// Those of clients.
    pub(super) clients: Vec<Listener>,
    /// Those that the daemon is administered by.
    pub(super) admin: Vec<Admin>,
    /// They outlive this process, and what waits in them is the next one's.
    pub(super) from_systemd: bool,
    /// Names of those that are only accepted on because the configuration
    /// speaks of them.
    pub(super) configured: Vec<String>,
}

/// An admin socket.
pub(super) struct Admin {
    pub(super) socket: UnixListener,
    /// Removes the path of one that we made.
    pub(super) unlink: Option<Unlink>,
}

/// Takes the sockets that systemd passed; listens as `[server]` says where it
/// passed none.
pub(super) fn open(config: &Config) -> Result<Opened, Failed> {
    let passed = systemd::passed(|name| config.listeners.named.contains_key(name))
        .map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    if !passed.is_empty() {
        return take_over(passed);
    }
    let server = &config.server;
    let clients = server.listen.iter().map(bind).collect::<Result<_, _>>();
    let admin = server.admin.iter().map(|path| own_admin(path));
    Ok(Opened {
        clients: clients.map_err(|error| Failed::new(ExitCode::Unavailable, error))?,
        admin: admin.collect::<Result<_, _>>()?,
        ..Opened::default()
    })
}

/// What is wrong with `config` for a daemon that has the sockets `configured`:
/// it does not speak of one any more, so that the next start would refuse it.
pub(super) fn forgotten(configured: &[String], config: &Config) -> Option<String> {
    let mut names = configured.iter();
    let forgotten = names.find(|name| !config.listeners.named.contains_key(*name))?;
    let table = in_header(forgotten);
    Some(format!(
        "there is no [listener.{table}] any more, and the socket \"{forgotten}\" is still open; \
         keep the table, or stop its .socket unit and restart"
    ))
}

fn take_over(passed: Vec<Passed>) -> Result<Opened, Failed> {
    let mut opened = Opened {
        from_systemd: true,
        ..Opened::default()
    };
    for passed in passed {
        if passed.purpose == Purpose::ConfiguredClients {
            opened.configured.push(passed.name.clone());
        }
        match (passed.purpose, passed.socket) {
            (Purpose::Admin, PassedSocket::Unix(socket)) => opened.admin.push(Admin {
                socket,
                unlink: None,
            }),
            // The admin socket is a Unix socket always.
            (_, socket) => opened.clients.push(for_clients(passed.name, socket)?),
        }
    }
    if opened.clients.is_empty() {
        return Err(Failed::new(
            ExitCode::Configuration,
            "the service manager passed no socket for clients; is upstreamd.socket in Sockets= of the unit?",
        ));
    }
    Ok(opened)
}

fn for_clients(name: String, socket: PassedSocket) -> Result<Listener, Failed> {
    let said = name.clone();
    let listener = match socket {
        PassedSocket::Tcp(tcp) => Listener::tcp(tcp, Some(name)),
        PassedSocket::Unix(unix) => Listener::unix(unix, name),
    };
    listener.map_err(|error| {
        Failed::new(
            ExitCode::Unavailable,
            format!("the socket \"{said}\" cannot be used: {error}"),
        )
    })
}

fn own_admin(path: &Path) -> Result<Admin, Failed> {
    let (socket, unlink) = bind_unix(path).map_err(|error| {
        let address = ListenAddress::Unix(path.to_owned());
        Failed::new(
            ExitCode::Unavailable,
            format!("cannot listen on {address}: {error} (set server.admin to another path)"),
        )
    })?;
    Ok(Admin {
        socket,
        unlink: Some(unlink),
    })
}
