//! Telling the service manager how we are (sd_notify(3)).

use std::env;
use std::fmt::Write;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use slog::{Logger, warn};

/// Talks to the service manager; silent where there is none.
#[derive(Debug)]
pub struct Notify {
    log: Logger,
}

impl Notify {
    /// With a logger for a manager that cannot be reached.
    pub fn new(log: Logger) -> Self {
        Notify { log }
    }

    /// Requests are being served.
    pub fn ready(&self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins. Ends with [`ready`](Self::ready), whatever came of it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(error) => {
                warn!(self.log, "the monotonic clock cannot be read"; "event" => "notify_failed", "error" => %error);
            }
        }
    }

    /// The drain begins; it may take `at_most`.
    pub fn stopping(&self, status: &str, at_most: Duration) {
        let micros = u32::try_from(at_most.as_micros()).unwrap_or(u32::MAX);
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status(status),
            NotifyState::ExtendTimeoutUsec(micros),
        ]);
    }

    /// What `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(status)]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if let Err(error) = notify(states) {
            warn!(self.log, "the service manager cannot be told"; "event" => "notify_failed", "error" => %error);
        }
    }
}

/// One datagram with all of `states`. The crate's own `notify` does not know
/// abstract sockets, which container managers use.
fn notify(states: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(socket) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&socket)?,
    };
    let mut message = String::new();
    for state in states {
        // A String takes everything.
        let _ = writeln!(message, "{state}");
    }
    let sender = UnixDatagram::unbound()?;
    sender.send_to_addr(message.as_bytes(), &address).map(drop)
}
