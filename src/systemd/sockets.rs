//! Listening sockets that the service manager passes (sd_listen_fds(3)).

use std::fmt;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

/// Names under which a socket for clients may come: ours, the name systemd
/// gives where the unit sets none, and sd_listen_fds's own for a manager that
/// names nothing (systemd-socket-activate).
const CLIENT_SOCKETS: [&str; 3] = ["upstreamd", "upstreamd.socket", "unknown"];
/// The same for the socket that the daemon is administered by.
const ADMIN_SOCKETS: [&str; 2] = ["upstreamd-admin", "upstreamd-admin.socket"];

/// What a passed socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Clients with requests.
    Clients,
    /// The same, but only because the configuration speaks of its name.
    ConfiguredClients,
    /// Health, reloads.
    Admin,
}

/// What a socket called `name` is for; `configured` tells of a name whether the
/// configuration speaks of it.
fn purpose(name: &str, configured: impl Fn(&str) -> bool) -> Option<Purpose> {
    if CLIENT_SOCKETS.contains(&name) {
        Some(Purpose::Clients)
    } else if ADMIN_SOCKETS.contains(&name) {
        Some(Purpose::Admin)
    } else {
        configured(name).then_some(Purpose::ConfiguredClients)
    }
}

/// Why a passed descriptor cannot be used. The start ends: a socket that nobody
/// accepts on would let clients wait for ever.
#[derive(Debug)]
pub struct SocketError {
    /// Its `FileDescriptorName=`.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the socket \"{}\" passed by the service manager cannot be used: {}",
            self.name, self.reason
        )
    }
}

impl std::error::Error for SocketError {}

/// A listening socket, and its `FileDescriptorName=`.
#[derive(Debug)]
pub struct Passed {
    /// The name.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// The socket.
    pub socket: PassedSocket,
}

/// A listening socket of either family.
#[derive(Debug)]
pub enum PassedSocket {
    /// IPv4 or IPv6.
    Tcp(TcpListener),
    /// `AF_UNIX`.
    Unix(UnixListener),
}

/// All sockets that were passed to this process, close-on-exec; empty if none were.
/// `configured` tells of a name whether the configuration speaks of it.
///
/// # Errors
/// A descriptor with an unknown name, or that is no listening stream socket.
pub fn passed(configured: impl Fn(&str) -> bool) -> Result<Vec<Passed>, SocketError> {
    let broken = |reason: String| SocketError {
        name: "LISTEN_FDS".into(),
        reason,
    };
    // Variables that another process was given, and we inherited, say nothing;
    // asked for names, the crate would compare theirs with none of ours.
    if sd_notify::listen_fds().is_ok_and(|ours| ours.len() == 0) {
        return Ok(Vec::new());
    }
    // The names first: listenfd takes the variables away.
    let names: Vec<String> = sd_notify::listen_fds_with_names()
        .map_err(|error| broken(error.to_string()))?
        .map(|(_, name)| name)
        .collect();
    let mut descriptors = ListenFd::from_env();
    names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let purpose = purpose(&name, &configured);
            take(&mut descriptors, index, name, purpose)
        })
        .collect()
}

fn take(
    descriptors: &mut ListenFd,
    index: usize,
    name: String,
    purpose: Option<Purpose>,
) -> Result<Passed, SocketError> {
    let unusable = |reason: &str| SocketError {
        name: name.clone(),
        reason: reason.to_owned(),
    };
    let Some(purpose) = purpose else {
        return Err(unusable(
            "no socket of that name is known here; to let clients in by it, write [listener.NAME] with that name \
             into the configuration, or set FileDescriptorName=upstreamd in its .socket unit; \
             else take the unit out of Sockets=",
        ));
    };
    let not_listening = || {
        unusable(
            "it is no listening stream socket; use ListenStream= with Accept=no in its .socket unit",
        )
    };
    // What turns out to be no TCP socket is left in its place by listenfd.
    let socket = match descriptors.take_tcp_listener(index) {
        Ok(tcp) => PassedSocket::Tcp(tcp.ok_or_else(not_listening)?),
        Err(_) => match descriptors.take_unix_listener(index) {
            Ok(Some(unix)) => PassedSocket::Unix(unix),
            _ => return Err(not_listening()),
        },
    };
    let listening = match &socket {
        PassedSocket::Tcp(tcp) => socket_acceptconn(tcp),
        PassedSocket::Unix(unix) => socket_acceptconn(unix),
    };
    if !listening.unwrap_or(false) {
        return Err(not_listening());
    }
    // Its mode is all that guards it.
    if purpose == Purpose::Admin && matches!(socket, PassedSocket::Tcp(_)) {
        return Err(unusable("it has to be a Unix socket"));
    }
    Ok(Passed {
        name,
        purpose,
        socket,
    })
}
