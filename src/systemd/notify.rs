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

/// Bytes of a status; a service manager takes messages of 4,096 (PIPE_BUF) and
/// throws longer ones away, READY and all.
const LONGEST_STATUS: usize = 2_000;
/// How long a service manager that does not read may keep us: connections are
/// accepted by the same thread.
const SEND_TIME: Duration = Duration::from_secs(1);

/// Talks to the service manager; silent where there is none.
#[derive(Debug, Clone)]
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
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
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

    /// The drain begins; goes on with [`draining`](Self::draining).
    pub fn stopping(&self, status: &str, within: Duration) {
        self.send(&[
            NotifyState::Stopping,
            NotifyState::Status(&one_line(status)),
            extension(within),
        ]);
    }

    /// The drain goes on, and says so again `within` this time, or is over.
    pub fn draining(&self, within: Duration) {
        self.send(&[extension(within)]);
    }

    /// What `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.send(&[NotifyState::Status(&one_line(status))]);
    }

    /// A sign of life, for the watchdog.
    pub fn alive(&self) {
        self.send(&[NotifyState::Watchdog]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        // A signal can come while the manager's queue is full; what is not sent
        // again then would never be told.
        let told = loop {
            match notify(states) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                told => break told,
            }
        };
        if let Err(error) = told {
            warn!(self.log, "the service manager cannot be told"; "event" => "notify_failed", "error" => %error);
        }
    }
}

/// So that no line of it is taken for another assignment.
fn one_line(status: &str) -> String {
    let short = &status[..status.floor_char_boundary(LONGEST_STATUS)];
    short.replace(char::is_control, " ")
}

fn extension(within: Duration) -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(u32::try_from(within.as_micros()).unwrap_or(u32::MAX))
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
    sender.set_write_timeout(Some(SEND_TIME))?;
    sender.send_to_addr(message.as_bytes(), &address).map(drop)
}
