//! Opening the sockets: systemd's, or our own.

use crate::cli::{ExitCode, Failed};
use crate::config::checked::Config;
use crate::config::in_header;
use crate::inbound::{Listener, bind};
use crate::systemd::{self, Passed, PassedSocket, Purpose};

/// The sockets to accept on.
pub(super) struct Opened {
    pub(super) all: Vec<Listener>,
    /// They outlive this process, and what waits in them is the next one's.
    pub(super) from_systemd: bool,
    /// Names of those that are only accepted on because the configuration
    /// speaks of them.
    pub(super) configured: Vec<String>,
}

/// Takes the sockets that systemd passed; listens on `server.listen` where it
/// passed none.
pub(super) fn open(config: &Config) -> Result<Opened, Failed> {
    let passed = systemd::passed(|name| config.listeners.named.contains_key(name))
        .map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    if !passed.is_empty() {
        let configured = passed
            .iter()
            .filter(|one| one.purpose == Purpose::ConfiguredClients);
        let configured = configured.map(|one| one.name.clone()).collect();
        let all = passed
            .into_iter()
            .map(take_over)
            .collect::<Result<_, _>>()?;
        return Ok(Opened {
            all,
            from_systemd: true,
            configured,
        });
    }
    let all = config
        .server
        .listen
        .iter()
        .map(bind)
        .collect::<Result<_, _>>()
        .map_err(|error| Failed::new(ExitCode::Unavailable, error))?;
    Ok(Opened {
        all,
        from_systemd: false,
        configured: Vec::new(),
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

fn take_over(Passed { name, socket, .. }: Passed) -> Result<Listener, Failed> {
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
