//! Sockets on which clients are accepted.

use std::fmt;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use super::socket::Accepted;
use crate::config::checked::ListenAddress;

/// Rights of a Unix socket that upstreamd makes: owner and group. systemd sets
/// those of its own (`SocketMode=`).
const UNIX_MODE: u32 = 0o660;

/// A listening socket with the name that events call it by.
#[derive(Debug)]
pub struct Listener {
    /// systemd's `FileDescriptorName=`, or the address.
    pub name: String,
    /// Where it listens, as `listen` writes it.
    pub address: String,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, Option<Unlink>),
}

/// Removes the path of a socket that upstreamd made.
#[derive(Debug)]
pub struct Unlink(PathBuf);

impl Drop for Unlink {
    fn drop(&mut self) {
        // Somebody may have removed it already, which is as good.
        let _ = fs::remove_file(&self.0);
    }
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: String,
    /// What the kernel said.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError { address, error } = self;
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or set server.listen (or --listen) to another address"
            }
            io::ErrorKind::PermissionDenied => {
                "not permitted; ports below 1024 and foreign directories need rights"
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address",
            _ => "set server.listen (or --listen) to an address that can be used",
        };
        write!(f, "cannot listen on {address}: {error} ({advice})")
    }
}

impl std::error::Error for BindError {}

/// Listens on `address`.
///
/// # Errors
/// The address with the kernel's reason. A Unix socket's path that is left over
/// from a process that is gone is taken over.
pub fn bind(address: &ListenAddress) -> Result<Listener, BindError> {
    let failed = |error| BindError {
        address: address.to_string(),
        error,
    };
    match address {
        ListenAddress::Tcp(tcp) => {
            let listener = TcpListener::bind(tcp).map_err(failed)?;
            Listener::tcp(listener, None).map_err(failed)
        }
        ListenAddress::Unix(path) => {
            let (listener, unlink) = bind_unix(path).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            let address = address.to_string();
            Ok(Listener {
                name: address.clone(),
                address,
                socket: Socket::Unix(listener, Some(unlink)),
            })
        }
    }
}

/// Listens at `path`, for owner and group, until what comes with the listener is
/// dropped.
///
/// # Errors
/// The kernel's. A path that is left over from a process that is gone is taken over.
pub fn bind_unix(path: &Path) -> io::Result<(UnixListener, Unlink)> {
    let left_over = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
        && UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    if left_over {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let unlink = Unlink(path.to_owned());
    fs::set_permissions(path, fs::Permissions::from_mode(UNIX_MODE))?;
    Ok((listener, unlink))
}

impl Listener {
    /// A TCP listener, called `name` or by its address.
    ///
    /// # Errors
    /// The kernel's, when the socket is none.
    pub fn tcp(listener: TcpListener, name: Option<String>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        Ok(Listener {
            name: name.unwrap_or_else(|| address.clone()),
            address,
            socket: Socket::Tcp(listener),
        })
    }

    /// A Unix listener that systemd made, called `name`.
    ///
    /// # Errors
    /// The kernel's, when the socket is none.
    pub fn unix(listener: UnixListener, name: String) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let path = listener
            .local_addr()?
            .as_pathname()
            .map(|path| path.display().to_string());
        let address = format!("unix:{}", path.as_deref().unwrap_or("(unnamed)"));
        Ok(Listener {
            name,
            address,
            socket: Socket::Unix(listener, None),
        })
    }

    /// Whether it is reachable from other machines and no Unix rights guard it.
    pub fn is_public(&self) -> bool {
        match &self.socket {
            Socket::Tcp(listener) => listener
                .local_addr()
                .is_ok_and(|address| !address.ip().is_loopback()),
            Socket::Unix(..) => false,
        }
    }

    /// Registers the socket with the runtime of the calling thread.
    pub(super) fn register(self) -> io::Result<Accepting> {
        Ok(match self.socket {
            Socket::Tcp(listener) => Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Socket::Unix(listener, unlink) => {
                Accepting::Unix(tokio::net::UnixListener::from_std(listener)?, unlink)
            }
        })
    }
}

/// A listener on a runtime.
pub(super) enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(
        tokio::net::UnixListener,
        #[expect(dead_code, reason = "removes the path when dropped")] Option<Unlink>,
    ),
}

impl Accepting {
    /// The next connection, taken off this runtime again: a worker will have it.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Accepting::Tcp(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(stream.into_std().map(Accepted::Tcp))
            }
            Accepting::Unix(listener, _) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(stream.into_std().map(Accepted::Unix))
            }
        }
    }
}
