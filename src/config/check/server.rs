//! `[server]` and `[log]`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::config::checked::{ListenAddress, Log, LogFormat, LogLevel, Server};
use crate::config::limits::{self, Limit};
use crate::config::listen::AdminAddress;
use crate::config::place::At;
use crate::config::problem::{Problem, Problems};
use crate::config::value::Text;
use crate::config::written;

use super::within;

/// `[server]`
pub(super) fn check(written: &written::Server, problems: &mut Problems) -> Server {
    let listen = listen(written.listen.as_ref(), problems);
    let admin = admin(written.admin.as_ref(), &listen, problems);
    let mut duration = |written: &Option<_>, limit, key: &str| {
        within(written.as_ref(), limit, &format!("server.{key}"), problems)
    };
    Server {
        listen,
        admin,
        strict_models: written.strict_models.as_ref().is_some_and(|at| at.value),
        drain_timeout: duration(
            &written.drain_timeout,
            &limits::DRAIN_TIMEOUT,
            "drain_timeout",
        ),
        handover_timeout: duration(
            &written.handover_timeout,
            &limits::HANDOVER_TIMEOUT,
            "handover_timeout",
        ),
        header_timeout: duration(
            &written.header_timeout,
            &limits::HEADER_TIMEOUT,
            "header_timeout",
        ),
        body_timeout: duration(&written.body_timeout, &limits::BODY_TIMEOUT, "body_timeout"),
        keepalive_timeout: duration(
            &written.keepalive_timeout,
            &limits::KEEPALIVE_TIMEOUT,
            "keepalive_timeout",
        ),
        write_timeout: duration(
            &written.write_timeout,
            &limits::WRITE_TIMEOUT,
            "write_timeout",
        ),
        workers: count(
            written.workers.as_ref(),
            &workers(),
            "server.workers",
            problems,
        ),
        max_connections: count(
            written.max_connections.as_ref(),
            &limits::MAX_CONNECTIONS,
            "server.max_connections",
            problems,
        ),
        max_body: within(
            written.max_body.as_ref(),
            &limits::MAX_BODY,
            "server.max_body",
            problems,
        )
        .0,
        max_header: within(
            written.max_header.as_ref(),
            &limits::MAX_HEADER,
            "server.max_header",
            problems,
        )
        .0,
    }
}

/// `[log]`
pub(super) fn log(written: &written::Log) -> Log {
    Log {
        format: written
            .format
            .as_ref()
            .map_or(LogFormat::Auto, |at| at.value),
        level: written.level.as_ref().map_or(LogLevel::Info, |at| at.value),
    }
}

/// `server.listen`; with a problem, as far as it could be read.
pub(in crate::config) fn listen(
    written: Option<&At<Vec<At<ListenAddress>>>>,
    problems: &mut Problems,
) -> Vec<ListenAddress> {
    let Some(written) = written else {
        let address = ListenAddress::from_text(limits::LISTEN);
        return vec![address.expect("the default is an address")];
    };
    let mut addresses = Vec::new();
    for At { value, place } in &written.value {
        if addresses.contains(value) {
            problems.add(Problem::new(
                "server.listen",
                place,
                format!("\"{value}\" is there twice"),
            ));
        }
        addresses.push(value.clone());
    }
    if addresses.is_empty() && !problems.has("server.listen") {
        let problem = Problem::found(
            "server.listen",
            &written.place,
            "no address",
            "one at least",
        );
        problems.add(problem.help("sockets of systemd take its place by themselves; leave it out"));
    }
    addresses
}

fn admin(
    written: Option<&At<AdminAddress>>,
    listen: &[ListenAddress],
    problems: &mut Problems,
) -> Option<PathBuf> {
    let At { value, place } = written?;
    let path = value.0.clone();
    if listen.contains(&ListenAddress::Unix(path.clone())) {
        let message = "server.listen has the same path";
        problems.add(Problem::new("server.admin", place, message));
    }
    Some(path)
}

fn workers() -> Limit<usize> {
    let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Limit {
        default: cpus.min(limits::MOST_WORKERS),
        least: 1,
        most: limits::MOST_WORKERS,
    }
}

fn count(
    written: Option<&At<usize>>,
    limit: &Limit<usize>,
    key: &str,
    problems: &mut Problems,
) -> NonZeroUsize {
    // 0 is out of bounds and was complained about.
    NonZeroUsize::new(within(written, limit, key, problems)).unwrap_or(NonZeroUsize::MIN)
}
