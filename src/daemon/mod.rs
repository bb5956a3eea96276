//! The daemon as a whole: start-up order, signals, reload, drain.
//!
//! The main thread runs nothing of a request. It accepts, hears signals, answers
//! on the admin socket, and tells the workers; so it always has time to do so.

mod drain;
mod facts;
mod handover;
mod last_words;
mod leaving;
mod process;
mod reload;
mod reports;
mod signals;
mod sockets;
mod status;
mod warnings;
mod watchdog;

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, info};
use tokio::runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use self::facts::Facts;
use self::handover::Handover;
use self::last_words::FlushAtEnd;
use self::leaving::{First, first};
use self::reload::{Reload, Sources};
use self::signals::{Hangups, Signal, Signals};
use self::status::Status;
use self::warnings::Warnings;
use self::watchdog::{Acceptor, Watchdog};
use crate::admin;
use crate::cli::{ExitCode, Failed};
use crate::config::checked::Config;
use crate::config::{self, Environment, Occasion, Overrides};
use crate::inbound::{self, Listener, WorkerHandle};
use crate::proxy::Snapshot;
use crate::systemd::{self, Notify};
use crate::telemetry::log::{Form, Logs};

/// Reloads that may be asked for while one runs; further ones wait to ask.
const MOST_RELOADS: usize = 16;
/// Threads that read for reloads: one, and some that a dead disk may hold.
const MOST_READERS: usize = 4;

/// Questions how the daemon is that may wait for their answer; the admin socket
/// has no more connections.
const MOST_ASKS: usize = 16;

/// Runs until a signal ends it.
///
/// # Errors
/// It could not start, and the journal has not been told. What happens later is
/// logged, and does not end it.
pub fn run(overrides: Overrides, environment: Environment) -> Result<ExitCode, Failed> {
    // Before the first secret is read.
    let forbidden = process::forbid_dumps().map_err(|error| {
        let message = format!("cores cannot be forbidden: {error}");
        Failed::new(ExitCode::Unavailable, message)
    });
    let (config, listeners) = match forbidden.and_then(|()| prepare(&overrides, &environment)) {
        Ok(prepared) => prepared,
        Err(failed) => return last_words::start_failed_early(failed),
    };
    let form = Form::resolve(config.log.format, process::colour());
    let logs = Logs::start(form, config.log.level);
    process::log_panics(logs.logger());
    let _flush = FlushAtEnd(&logs);
    start(config, listeners, overrides, environment, &logs)
        .or_else(|failed| last_words::start_failed(failed, &logs))
}

/// What comes before the log.
fn prepare(
    overrides: &Overrides,
    environment: &Environment,
) -> Result<(Config, sockets::Opened), Failed> {
    // Without a key the port is open all the same, and says what is missing.
    let config = config::load(overrides, environment, Occasion::Start)
        .map_err(|errors| Failed::new(ExitCode::Configuration, errors))?;
    let listeners = sockets::open(&config)?;
    process::raise_descriptor_limit();
    Ok((config, listeners))
}

fn start(
    config: Config,
    listeners: sockets::Opened,
    overrides: Overrides,
    environment: Environment,
    logs: &Logs,
) -> Result<ExitCode, Failed> {
    let log = logs.logger();
    let snapshot =
        Snapshot::new(config).map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    let runtime = runtime::Builder::new_current_thread()
        .thread_name("reload")
        .max_blocking_threads(MOST_READERS)
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
        configured: listeners.configured.clone(),
    };
    let serving = serve(listeners, Arc::new(snapshot), sources, logs, &log);
    let ended = LocalSet::new().block_on(&runtime, serving);
    // A reload that hangs in a file system is not waited for.
    runtime.shutdown_background();
    ended
}

/// Whether the daemon would serve with this configuration: all of it is read,
/// secrets and certificates too, and nothing is listened on.
///
/// # Errors
/// What is wrong, and the exit code that a start would end with.
pub fn check(overrides: &Overrides, environment: &Environment) -> Result<String, Failed> {
    let config = config::load(overrides, environment, Occasion::Check)
        .map_err(|errors| Failed::new(ExitCode::Configuration, errors))?;
    let file = config.file.as_ref().map_or_else(
        || "the environment".to_owned(),
        |file| file.display().to_string(),
    );
    let unread = config.unread_keys.join(", ");
    Snapshot::new(config).map_err(|error| Failed::new(ExitCode::Configuration, error))?;
    Ok(match unread.as_str() {
        "" => format!("{file}: fine"),
        keys => format!("{file}: fine; encrypted, so that only systemd can look at it: {keys}"),
    })
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
    let hangups = Hangups::listen().map_err(unavailable)?;
    let notify = Notify::new(log.clone());
    let server = snapshot.config.server.clone();
    let workers: Arc<[WorkerHandle]> = (0..server.workers.get())
        .map(|number| WorkerHandle::start(number, Arc::clone(&snapshot), logs.logger()))
        .collect::<io::Result<_>>()
        .map_err(unavailable)?;

    let names_of = |listener: &Listener| admin::Listening {
        name: listener.name.clone(),
        address: listener.address.clone(),
    };
    let listening: Vec<_> = listeners.clients.iter().map(names_of).collect();
    let addresses: Vec<&str> = listening.iter().map(|one| one.address.as_str()).collect();
    let warnings = Warnings::about(&listeners.clients);
    warnings.say(&snapshot.config, log);
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
    let (drains, draining) = watch::channel(false);
    let (reloads, asked) = mpsc::channel(MOST_RELOADS);
    let (asks, asking) = mpsc::channel(MOST_ASKS);
    let status = Rc::new(Status::new(
        notify.clone(),
        Arc::clone(&workers),
        addresses.len(),
        &snapshot.config,
    ));
    let facts = Rc::new(Facts::new(
        Arc::clone(&workers),
        logs.drop_count(),
        listening.clone(),
        Rc::clone(&status),
        Arc::clone(&snapshot),
    ));
    let access = admin::Access {
        draining,
        reloads,
        asks,
    };
    let telling = Rc::clone(&facts);
    spawn_local(async move { telling.tell(asking).await });
    // Until the very end: whoever drains for long can be asked how it is.
    let mut _admin_paths = Vec::new();
    for sockets::Admin { socket, unlink } in listeners.admin {
        spawn_local(admin::serve(socket, access.clone()).map_err(unavailable)?);
        _admin_paths.push(unlink);
    }
    let upstream = snapshot.config.upstream();
    info!(log, "serving {} at {}", names(&snapshot), addresses.join(", ");
        "event" => "ready", "version" => env!("CARGO_PKG_VERSION"), "listeners" => addresses.join(" "),
        "upstream" => &*upstream.name, "base_url" => %upstream.base_url, "workers" => workers.len());
    status.ready();
    let current = Rc::clone(&status);
    spawn_local(async move { current.keep_current().await });
    if let Some(within) = systemd::watchdog() {
        let watchdog = Watchdog {
            workers: Arc::clone(&workers),
            acceptors,
            stopped,
            notify,
            log: log.clone(),
        };
        spawn_local(watchdog.run(within));
    }

    let reload = Reload {
        sources: Arc::new(sources),
        current: RefCell::new(snapshot),
        warnings,
        logs,
        log: log.clone(),
        workers: Arc::clone(&workers),
        facts,
    };
    let at_most = {
        let mut reloading = pin!(reload.as_asked(hangups, asked, &status));
        let mut handover = Handover::default();
        loop {
            let ends = first(signals.next(), handover.done(&workers));
            match first(ends, reloading.as_mut()).await {
                First::One(First::One(Signal::HandOver)) => {
                    let at_most = reload.current().config.server.handover_timeout;
                    handover.begin(&workers, &stop, at_most, &status, log).await;
                }
                First::One(First::One(Signal::Stop)) => {
                    break reload.current().config.server.drain_timeout;
                }
                // What ran has ended, or has had its time.
                First::One(First::Other(())) => break Duration::ZERO,
                // It never ends.
                First::Other(()) => {}
            }
        }
    };
    // Nobody reloads any more, and who asks is told so.
    drains.send_replace(true);
    drain::run(&workers, &stop, at_most, &mut signals, &status, log).await;
    Ok(ExitCode::Ok)
}

/// The names of its upstreams.
fn names(snapshot: &Snapshot) -> String {
    let upstreams = snapshot.config.upstreams.iter();
    let names: Vec<&str> = upstreams.map(|upstream| upstream.name.as_str()).collect();
    names.join(", ")
}
