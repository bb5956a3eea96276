//! The daemon as a whole: start-up order, signals, reload, drain.
//!
//! The main thread runs nothing of a request. It accepts, hears signals, answers
//! on the admin socket, and tells the workers; so it always has time to do so.

mod drain;
mod first;
mod process;
mod reload;
mod signals;
mod sockets;
mod status;
mod watchdog;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error, info, warn};
use tokio::runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use self::reload::{Reload, Sources};
use self::signals::Signals;
use self::status::Status;
use self::watchdog::{Acceptor, Watchdog};
use crate::admin;
use crate::cli::ExitCode;
use crate::config::{self, Environment, Overrides};
use crate::inbound::{self, Listener, WorkerHandle};
use crate::proxy::Snapshot;
use crate::systemd::{self, Notify};
use crate::telemetry::log::{Form, Logs};

/// How long the last records may take to be written at the end.
const FLUSH_TIME: Duration = Duration::from_secs(2);
/// Reloads that may be asked for while one runs; further ones wait to ask.
const MOST_RELOADS: usize = 16;

/// Why the daemon did not start, or had to end.
#[derive(Debug)]
pub struct Failed {
    /// What to exit with.
    pub exit: ExitCode,
    /// What to tell the operator.
    pub message: String,
}

impl Failed {
    pub(crate) fn new(exit: ExitCode, message: impl ToString) -> Self {
        Failed {
            exit,
            message: message.to_string(),
        }
    }
}

/// Runs until a signal ends it.
///
/// # Errors
/// It could not start. What happens later is logged, and does not end it.
pub fn run(overrides: Overrides, environment: Environment) -> Result<ExitCode, Failed> {
    // Before the first secret is read.
    process::forbid_dumps().map_err(|error| {
        let message = format!("cores cannot be forbidden: {error}");
        Failed::new(ExitCode::Unavailable, message)
    })?;
    let config = config::load(&overrides, &environment)
        .map_err(|errors| Failed::new(ExitCode::Configuration, errors))?;
    let listeners = sockets::open(&config.server)?;
    process::raise_descriptor_limit();
    let logs = Logs::start(
        Form::resolve(config.log.format, process::colour()),
        config.log.level,
    );
    let log = logs.logger();
    process::log_panics(logs.logger());
    let snapshot =
        Snapshot::new(config).map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    let runtime = runtime::Builder::new_current_thread()
        .thread_name("reload")
        .max_blocking_threads(1)
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| {
            Failed::new(
                ExitCode::Unavailable,
                format!("no event loop can be had: {error}"),
            )
        })?;
    let sources = Sources {
        overrides,
        environment,
    };
    let serving = serve(listeners, Arc::new(snapshot), sources, &logs, &log);
    let ended = LocalSet::new().block_on(&runtime, serving);
    // A reload that hangs in a file system is not waited for.
    runtime.shutdown_background();
    if let Err(failed) = &ended {
        error!(log, "{}", failed.message; "event" => "start_failed");
    }
    logs.flush(FLUSH_TIME);
    ended
}

/// Whether the daemon would start with this configuration: all of it is read,
/// secrets and certificates too, and nothing is listened on.
///
/// # Errors
/// What is wrong, and the exit code that a start would end with.
pub fn check(overrides: &Overrides, environment: &Environment) -> Result<String, Failed> {
    let config = config::load(overrides, environment)
        .map_err(|errors| Failed::new(ExitCode::Configuration, errors))?;
    let file = config.file.as_ref().map_or_else(
        || "the environment".to_owned(),
        |file| file.display().to_string(),
    );
    Snapshot::new(config).map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    Ok(format!("{file}: fine"))
}

async fn serve(
    listeners: sockets::Opened,
    snapshot: Arc<Snapshot>,
    sources: Sources,
    logs: &Logs,
    log: &Logger,
) -> Result<ExitCode, Failed> {
    let unavailable = |error: io::Error| {
        Failed::new(
            ExitCode::Unavailable,
            format!("the daemon cannot start: {error}"),
        )
    };
    let mut signals = Signals::listen().map_err(unavailable)?;
    let notify = Notify::new(log.clone());
    let server = snapshot.config.server.clone();
    let workers: Arc<[WorkerHandle]> = (0..server.workers.get())
        .map(|number| WorkerHandle::start(number, Arc::clone(&snapshot), logs.logger()))
        .collect::<io::Result<_>>()
        .map_err(unavailable)?;

    let addresses: Vec<String> = listeners
        .clients
        .iter()
        .map(|listener| listener.address.clone())
        .collect();
    warn_if_open(&listeners.clients, &snapshot, log);
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(server.max_connections.get()));
    let own = !listeners.from_systemd;
    let accept = |listener: Listener| {
        let name = listener.name.clone();
        let (places, workers) = (Arc::clone(&places), Arc::clone(&workers));
        let accepting =
            inbound::accept(listener, places, workers, log.clone(), stopped.clone(), own)?;
        let task = spawn_local(accepting);
        Ok(Acceptor { name, task })
    };
    let acceptors: Vec<_> = listeners
        .clients
        .into_iter()
        .map(accept)
        .collect::<io::Result<_>>()
        .map_err(unavailable)?;
    let (reloads, asked) = mpsc::channel(MOST_RELOADS);
    let access = admin::Access {
        draining: stopped.clone(),
        reloads,
    };
    // Until the very end: whoever drains for long can be asked how far it is.
    let mut _admin_paths = Vec::new();
    for sockets::Admin { socket, unlink } in listeners.admin {
        spawn_local(admin::serve(socket, access.clone()).map_err(unavailable)?);
        _admin_paths.push(unlink);
    }
    info!(log, "serving {} at {}", snapshot.config.upstream.name, addresses.join(", ");
        "event" => "ready", "version" => env!("CARGO_PKG_VERSION"), "listeners" => addresses.join(" "),
        "upstream" => &*snapshot.config.upstream.name, "base_url" => %snapshot.config.upstream.base_url, "workers" => workers.len());
    let status = Rc::new(Status::new(
        notify.clone(),
        Arc::clone(&workers),
        addresses.len(),
    ));
    status.ready();
    let current = Rc::clone(&status);
    spawn_local(async move { current.keep_current().await });
    if let Some(within) = systemd::watchdog() {
        let watchdog = Watchdog {
            workers: Arc::clone(&workers),
            acceptors,
            draining: stopped,
            notify,
            log: log.clone(),
        };
        spawn_local(watchdog.run(within));
    }

    let mut reload = Reload::new(sources, snapshot, logs, log.clone(), Arc::clone(&workers));
    reload.as_asked(&mut signals, asked, &status).await;
    let timeout = reload.current().server.drain_timeout;
    drain::run(&workers, stop, timeout, &mut signals, &status, log).await;
    Ok(ExitCode::Ok)
}

/// An operator who opens a port to the network without a client key gives the
/// upstream's key to everybody there. Said, and not refused: a container has
/// no other address.
fn warn_if_open(listeners: &[Listener], snapshot: &Snapshot, log: &Logger) {
    if !snapshot.config.clients.is_empty() {
        return;
    }
    for listener in listeners.iter().filter(|listener| listener.is_public()) {
        warn!(log, "everybody who reaches {} can use the upstream's key; set a client key ([client.NAME] key, or LITELLM_MASTER_KEY)", listener.address;
            "event" => "open_listener", "listener" => &*listener.name);
    }
}
