//! `GET /status`: how the daemon is, as JSON.

use std::time::{Duration, SystemTime};

use http::{Response, StatusCode};
use tokio::sync::mpsc;

use super::endpoints::{json, refuse};
use super::overview::{Configuration, Key, Listener, Overview, Reload, Upstream};
use super::told::{Ask, Told, seconds, told};
use crate::config::checked;
use crate::proxy::{AnswerBody, KeyState, UpstreamState};

pub(super) async fn status(asks: &mpsc::Sender<Ask>) -> Response<AnswerBody> {
    let Some(told) = told(asks).await else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "it is stopping");
    };
    match serde_json::to_string(&overview(&told)) {
        Ok(text) => json(StatusCode::OK, format!("{text}\n")),
        // Numbers and texts: a bug, were it to happen.
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn overview(told: &Told) -> Overview {
    let sums = told.metrics.summary(&told.running);
    let states = told.snapshot.upstream_states();
    let upstreams: Vec<_> = states
        .zip(&told.snapshot.config.upstreams)
        .map(|(state, upstream)| of_upstream(&state, upstream, told))
        .collect();
    let listeners = told.listeners.iter().map(|listening| Listener {
        name: listening.name.clone(),
        address: listening.address.clone(),
    });
    Overview {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        state: told.state.name().to_owned(),
        now: seconds(SystemTime::now()),
        since: seconds(told.started),
        configuration: of_configuration(told),
        listeners: listeners.collect(),
        workers: told.workers as u64,
        workers_silent: told.silent as u64,
        connections: told.connections as u64,
        requests_running: told.requests as u64,
        requests_queued: upstreams.iter().map(|upstream| upstream.queued).sum(),
        retries: sums.retries,
        received_bytes: sums.bytes_in,
        sent_bytes: sums.bytes_out,
        added_latency_s: sums.added,
        log_records_lost: told.dropped,
        upstreams,
        models: sums.models,
        clients: sums.clients,
    }
}

fn of_configuration(told: &Told) -> Configuration {
    let file = told.snapshot.config.file.as_ref();
    let last = told.reloads.last.as_ref();
    Configuration {
        file: file.map(|file| file.display().to_string()),
        since: seconds(told.reloads.since),
        generation: told.reloads.succeeded + 1,
        complete: told.is_configured,
        last_reload: last.map(|last| Reload {
            at: seconds(last.at),
            succeeded: last.errors.is_empty(),
            errors: last.errors.clone(),
        }),
    }
}

fn of_upstream(state: &UpstreamState<'_>, upstream: &checked::Upstream, told: &Told) -> Upstream {
    let found = state.keys.iter().map(of_key);
    let missing = upstream.missing_keys.iter().map(|name| Key {
        name: name.clone(),
        state: "missing".to_owned(),
        ..Key::default()
    });
    Upstream {
        name: state.name.to_owned(),
        base_url: upstream.base_url.to_string(),
        running: state.running.into(),
        queued: state.queued.into(),
        ejected_for_s: state.ejected_for.map(to_the_millisecond),
        connections_idle: told.idle.get(state.name).map_or(0, |idle| *idle as u64),
        keys: found.chain(missing).collect(),
    }
}

fn of_key(key: &KeyState<'_>) -> Key {
    // What an upstream refused is no better for having cooled down.
    let state = match key.cooling_for {
        _ if key.set_aside => "set_aside",
        Some(_) => "cooling",
        None => "ready",
    };
    Key {
        name: key.name.to_owned(),
        running: key.running.into(),
        state: state.to_owned(),
        cooling_for_s: key.cooling_for.map(to_the_millisecond),
    }
}

fn to_the_millisecond(time: Duration) -> f64 {
    time.as_millis() as f64 / 1e3
}
