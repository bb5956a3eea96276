//! The daemon as a whole: start-up order, signals, reload, drain.
//!
//! The main thread runs nothing of a request. It accepts, hears signals, and
//! tells the workers; so it always has time to do so.

mod drain;
mod handover;
mod last_words;
mod leaving;
mod reload;
mod signals;
mod sockets;
mod warnings;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error, info};
use tokio::runtime;
use tokio::sync::{Semaphore, watch};
use tokio::task::{LocalSet, spawn_local};

use self::handover::Handover;
use self::last_words::FlushAtEnd;
use self::leaving::{First, first};
use self::reload::Reload;
use self::signals::{Signal, Signals};
use self::warnings::Warnings;
use crate::cli::{ExitCode, Failed};
use crate::config::checked::Config;
use crate::config::{self, Environment, Occasion, Overrides};
use crate::inbound::{self, WorkerHandle};
use crate::proxy::Snapshot;
use crate::systemd::Notify;
use crate::telemetry::log::{Form, Logs};

/// Runs until a signal ends it.
///
/// # Errors
/// It could not start, and the journal has not been told. What happens later is
/// logged, and does not end it.
pub fn run(overrides: Overrides, environment: Environment) -> Result<ExitCode, Failed> {
    let (config, listeners) = match prepare(&overrides, &environment) {
        Ok(prepared) => prepared,
        Err(failed) => return last_words::start_failed_early(failed),
    };
    let logs = Logs::start(Form::resolve(config.log.format, colour()), config.log.level);
    log_panics(logs.logger());
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
    raise_descriptor_limit();
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
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| {
            Failed::new(
                ExitCode::Unavailable,
                format!("no event loop can be had: {error}"),
            )
        })?;
    let configured = listeners.configured.clone();
    let reload = Reload::new(overrides, environment, configured, Arc::new(snapshot));
    LocalSet::new().block_on(&runtime, serve(listeners, reload, logs, &log))
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
    mut reload: Reload,
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
    let snapshot = reload.current();
    let server = snapshot.config.server.clone();
    let workers: Arc<[WorkerHandle]> = (0..server.workers.get())
        .map(|number| WorkerHandle::start(number, Arc::clone(&snapshot), logs.logger()))
        .collect::<io::Result<_>>()
        .map_err(unavailable)?;

    let addresses: Vec<String> = listeners
        .all
        .iter()
        .map(|listener| listener.address.clone())
        .collect();
    let warnings = Warnings::about(&listeners.all);
    warnings.say(&snapshot.config, log);
    let (stop, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(server.max_connections.get()));
    let own = !listeners.from_systemd;
    for listener in listeners.all {
        let accepting = inbound::accept(
            listener,
            Arc::clone(&places),
            Arc::clone(&workers),
            log.clone(),
            stopped.clone(),
            own,
        );
        spawn_local(accepting.map_err(unavailable)?);
    }
    let upstream = snapshot.config.upstream();
    info!(log, "serving {} at {}", names(&snapshot), addresses.join(", ");
        "event" => "ready", "version" => env!("CARGO_PKG_VERSION"), "listeners" => addresses.join(" "),
        "upstream" => &*upstream.name, "base_url" => %upstream.base_url, "workers" => workers.len());
    notify.ready(&status(&snapshot, addresses.len(), &workers));

    let mut handover = Handover::default();
    let at_most = loop {
        match first(signals.next(), handover.done(&workers)).await {
            First::One(Signal::Reload) => {
                notify.reloading();
                let outcome = reload.run(logs, log, &workers);
                let line = match outcome {
                    Ok(()) => {
                        warnings.say(&reload.current().config, log);
                        status(&reload.current(), addresses.len(), &workers)
                    }
                    Err(first) => format!("still on the configuration before: {first}"),
                };
                notify.ready(&line);
            }
            First::One(Signal::HandOver) => {
                let at_most = reload.current().config.server.handover_timeout;
                handover.begin(&workers, &stop, at_most, &notify, log).await;
            }
            First::One(Signal::Stop) => break reload.current().config.server.drain_timeout,
            // What ran has ended, or has had its time.
            First::Other(()) => break Duration::ZERO,
        }
    };
    drain::run(&workers, &stop, at_most, &mut signals, &notify, log).await;
    Ok(ExitCode::Ok)
}

fn status(snapshot: &Snapshot, sockets: usize, workers: &[WorkerHandle]) -> String {
    let upstreams = snapshot.config.upstreams.iter();
    let lacking = upstreams.filter_map(|upstream| warnings::not_configured(upstream));
    // Those of the others would be as much as the line holds.
    let lacking = lacking.into_iter().next();
    if let (Some(lacking), [_]) = (&lacking, &snapshot.config.upstreams[..]) {
        return lacking.clone();
    }
    let running: usize = workers.iter().map(WorkerHandle::requests).sum();
    let plural = if sockets == 1 { "" } else { "s" };
    let several = match snapshot.config.upstreams.len() {
        1 => "",
        _ => "s",
    };
    let lacking = lacking.map_or(String::new(), |lacking| format!("; {lacking}"));
    format!(
        "serving upstream{several} {} on {sockets} socket{plural}, {running} requests running{lacking}",
        names(snapshot)
    )
}

/// The names of its upstreams.
fn names(snapshot: &Snapshot) -> String {
    let upstreams = snapshot.config.upstreams.iter();
    let names: Vec<&str> = upstreams.map(|upstream| upstream.name.as_str()).collect();
    names.join(", ")
}

/// Colour at a terminal where it is not unwanted (no-color.org).
fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A shell's limit of 1,024 descriptors is for interactive programs; the hard
/// limit is what the operator allows (systemd.exec(5), LimitNOFILE=).
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // The limit as it was is worse, but no reason not to start.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
}

/// A panic is a bug of ours. It ends one connection, and is logged with its
/// place; the message could quote content, so it stays out.
fn log_panics(log: Logger) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        error!(log, "a bug in upstreamd ended a connection; please report the place"; "event" => "bug", "place" => place);
    }));
}
