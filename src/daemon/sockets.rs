//! Opening the sockets: systemd's, or our own.

use crate::cli::{ExitCode, Failed};
use crate::config::checked::ListenAddress;
use crate::inbound::{Listener, bind};
use crate::systemd::{self, Passed, PassedSocket};

/// The sockets to accept on.
pub(super) struct Opened {
    pub(super) all: Vec<Listener>,
    /// They outlive this process, and what waits in them is the next one's.
    pub(super) from_systemd: bool,
}

/// Takes the sockets that systemd passed; listens on `listen` where it passed none.
pub(super) fn open(listen: &[ListenAddress]) -> Result<Opened, Failed> {
    let passed = systemd::passed().map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    if !passed.is_empty() {
        let all = passed
            .into_iter()
            .map(take_over)
            .collect::<Result<_, _>>()?;
        return Ok(Opened {
            all,
            from_systemd: true,
        });
    }
    let all = listen
        .iter()
        .map(bind)
        .collect::<Result<_, _>>()
        .map_err(|error| Failed::new(ExitCode::Unavailable, error))?;
    Ok(Opened {
        all,
        from_systemd: false,
    })
}

fn take_over(Passed { name, socket }: Passed) -> Result<Listener, Failed> {
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
