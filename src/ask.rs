//! The subcommands that ask a running daemon: `upstreamd reload`, `upstreamd
//! health`, and what `screen` shows.
//!
//! Their side of the admin socket (see [`admin`](crate::admin)) and of `/health`.
//! What they print and exit with is for scripts, containers and units, so each
//! has a time within which it ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime;

use crate::admin::Overview;
use crate::cli::{ExitCode, Failed};
use crate::config::checked::ListenAddress;
use crate::config::{self, Environment, Overrides};

/// Where upstreamd-admin.socket listens.
const ADMIN_SOCKET: &str = "/run/upstreamd/admin.sock";
/// A probe is over by then: a daemon that takes longer does not serve.
const HEALTH_TIME: Duration = Duration::from_secs(5);
/// A reload reads files, the platform's certificates among them; below the 30 s
/// that systemd gives it (`TimeoutStartSec=` of the unit).
const RELOAD_TIME: Duration = Duration::from_secs(25);
/// Workers have a second to report; then whoever waits wants to know that nobody
/// answers.
const STATUS_TIME: Duration = Duration::from_secs(5);
/// Of an answer; errors of a configuration have a line each, a thousand models in
/// a status have 400 bytes each.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What the daemon says of a reload: the body of the answer to `POST /reload`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reloaded {
    restart_needed: Vec<String>,
    errors: Vec<String>,
    error: Option<String>,
}

/// Has the daemon whose admin socket is at `admin` reload, and waits for the
/// outcome. Gives what there is to say of a reload that succeeded.
///
/// # Errors
/// The new configuration is wrong (78), with each error and its position; or
/// nobody reloads (69).
pub fn reload(admin: Option<PathBuf>) -> Result<String, Failed> {
    let admin = admin_socket(admin);
    let (status, body) = ask(&admin, &Method::POST, "/reload", RELOAD_TIME)?;
    let said: Reloaded = serde_json::from_str(&body).unwrap_or_default();
    match status {
        200 if said.restart_needed.is_empty() => Ok(String::new()),
        200 => Ok(format!(
            "reloaded; only a restart brings into use: {}",
            said.restart_needed.join(", ")
        )),
        _ if !said.errors.is_empty() => Err(Failed::new(
            ExitCode::Configuration,
            format!(
                "the new configuration is not used, the one before goes on\n{}",
                said.errors.join("\n")
            ),
        )),
        status => Err(Failed::new(
            ExitCode::Unavailable,
            format!(
                "{admin} did not reload: {}",
                said.error.unwrap_or_else(|| format!("status {status}"))
            ),
        )),
    }
}

/// How the daemon is whose admin socket is at `admin`.
///
/// # Errors
/// Nobody says (69).
pub fn overview(admin: &ListenAddress) -> Result<Overview, Failed> {
    let unavailable = |why: String| {
        let message = format!("{admin} does not say how it is: {why}");
        Failed::new(ExitCode::Unavailable, message)
    };
    match ask(admin, &Method::GET, "/status", STATUS_TIME)? {
        (200, body) => serde_json::from_str(&body).map_err(|error| unavailable(error.to_string())),
        (status, _) => Err(unavailable(format!("status {status}"))),
    }
}

/// Where a daemon is administered: at `path`, or where the unit has it.
#[must_use]
pub fn admin_socket(path: Option<PathBuf>) -> ListenAddress {
    ListenAddress::Unix(path.unwrap_or_else(|| ADMIN_SOCKET.into()))
}

/// Asks for `/health` at `at`, or at the first address that is configured.
///
/// # Errors
/// Nobody answers with 200 (69), or no address can be read from the
/// configuration (78).
pub fn health(
    overrides: &Overrides,
    environment: &Environment,
    at: Option<ListenAddress>,
) -> Result<String, Failed> {
    let configured = || {
        config::listen(overrides, environment)
            .map(|mut addresses| addresses.swap_remove(0))
            .map_err(|errors| Failed::new(ExitCode::Configuration, errors))
    };
    let at = reachable(at.map_or_else(configured, Ok)?);
    match ask(&at, &Method::GET, "/health", HEALTH_TIME)? {
        (200, _) => Ok(format!("{at}: fine")),
        (status, _) => Err(Failed::new(
            ExitCode::Unavailable,
            format!("{at} does not serve: it answered with {status}"),
        )),
    }
}

/// An address that means every interface is asked on this host's own.
pub(crate) fn reachable(address: ListenAddress) -> ListenAddress {
    match address {
        ListenAddress::Tcp(tcp) if tcp.ip().is_unspecified() => {
            let host = match tcp.ip() {
                IpAddr::V4(_) => IpAddr::from(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::from(Ipv6Addr::LOCALHOST),
            };
            ListenAddress::Tcp(SocketAddr::new(host, tcp.port()))
        }
        other => other,
    }
}

/// Status and body of the answer to one request on a connection of its own.
fn ask(
    at: &ListenAddress,
    method: &Method,
    path: &str,
    within: Duration,
) -> Result<(u16, String), Failed> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: upstreamd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    let exchange = async {
        match at {
            ListenAddress::Tcp(tcp) => exchange(TcpStream::connect(tcp).await?, &request).await,
            ListenAddress::Unix(path) => exchange(connect(path).await?, &request).await,
        }
    };
    let answer = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .and_then(|runtime| {
            runtime.block_on(async { tokio::time::timeout(within, exchange).await })?
        });
    answer.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::TimedOut => format!("no answer within {} s", within.as_secs()),
            io::ErrorKind::NotFound => "there is no such socket".to_owned(),
            _ => error.to_string(),
        };
        Failed::new(
            ExitCode::Unavailable,
            format!("{at} does not answer: {why}"),
        )
    })
}

/// Connects; while the socket's backlog is full, again and again.
async fn connect(path: &Path) -> io::Result<UnixStream> {
    const AGAIN: Duration = Duration::from_millis(20);
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(AGAIN).await;
            }
            outcome => return outcome,
        }
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> io::Result<(u16, String)> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = stream.take(MOST_BYTES).read_to_end(&mut answer).await;
    // Whoever resets the connection behind a whole answer has answered.
    match parsed(&String::from_utf8_lossy(&answer)) {
        Some(answer) => Ok(answer),
        None => read.and(Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its answer is no HTTP",
        ))),
    }
}

/// Status and body. Both servers announce a length and close, so that the rest
/// is the body.
fn parsed(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let (version, rest) = head.split_once(' ')?;
    let status = rest.get(..3)?.parse().ok()?;
    version
        .starts_with("HTTP/1.")
        .then(|| (status, body.to_owned()))
}
