//! `GET /metrics`: what the workers have counted, and what the daemon knows of itself.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use tokio::sync::mpsc;

use super::endpoints::{json, refuse};
use super::told::{Ask, Told, seconds, told};
use crate::proxy::{AnswerBody, KeyState, UpstreamState};
use crate::telemetry::metrics::{CONTENT_TYPE, Exposition, Kind};

pub(super) async fn metrics(asks: &mpsc::Sender<Ask>) -> Response<AnswerBody> {
    let Some(told) = told(asks).await else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "it is stopping");
    };
    let mut text = Exposition::default();
    told.metrics.write(&mut text);
    of_workers(&mut text, &told);
    of_upstreams(&mut text, &told);
    of_the_daemon(&mut text, &told);
    let mut answer = json(StatusCode::OK, text.finish());
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    answer
}

fn of_workers(text: &mut Exposition, told: &Told) {
    let gauges = [
        (
            "upstreamd_requests_running",
            "Requests that run now.",
            told.requests,
        ),
        (
            "upstreamd_connections_open",
            "Connections of clients that are open now.",
            told.connections,
        ),
        (
            "upstreamd_upstream_connections_idle",
            "HTTP/1.1 connections to upstreams that wait for a request.",
            told.idle.values().sum(),
        ),
        ("upstreamd_workers", "Threads that serve.", told.workers),
        (
            "upstreamd_workers_silent",
            "Workers that did not report in time; their last report counts.",
            told.silent,
        ),
    ];
    for (name, help, value) in gauges {
        gauge(text, name, help, value);
    }
}

/// Name, help and value of a family whose samples are told of `T`s.
type Family<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// What each upstream and each of its keys is like now. As many series as the
/// operator wrote names.
fn of_upstreams(text: &mut Exposition, told: &Told) {
    let states: Vec<_> = told.snapshot.upstream_states().collect();
    let of_upstream: [Family<UpstreamState<'_>, u32>; 3] = [
        (
            "upstreamd_upstream_requests_running",
            "Requests that an upstream has now.",
            |state| state.running,
        ),
        (
            "upstreamd_upstream_requests_queued",
            "Requests that wait for a place at an upstream now.",
            |state| state.queued,
        ),
        (
            "upstreamd_upstream_ejected",
            "1: the upstream failed again and again, and gets no request for a time.",
            |state| u32::from(state.ejected_for.is_some()),
        ),
    ];
    for (name, help, value) in of_upstream {
        text.family(name, Kind::Gauge, help);
        for state in &states {
            text.sample(name, &[("upstream", state.name)], value(state));
        }
    }
    let of_key: [Family<KeyState<'_>, bool>; 2] = [
        (
            "upstreamd_key_cooling",
            "1: the key met a rate limit, and rests until it may be used again.",
            |key| key.cooling_for.is_some(),
        ),
        (
            "upstreamd_key_set_aside",
            "1: the upstream refused the key.",
            |key| key.set_aside,
        ),
    ];
    for (name, help, value) in of_key {
        text.family(name, Kind::Gauge, help);
        for state in &states {
            for key in &state.keys {
                let labels = [("upstream", state.name), ("key", key.name)];
                text.sample(name, &labels, u8::from(value(key)));
            }
        }
    }
}

fn of_the_daemon(text: &mut Exposition, told: &Told) {
    let reloads = &told.reloads;
    text.family(
        "upstreamd_reloads",
        Kind::Counter,
        "Reloads, by what came of them.",
    );
    for (outcome, count) in [("success", reloads.succeeded), ("failure", reloads.failed)] {
        text.sample("upstreamd_reloads_total", &[("outcome", outcome)], count);
    }
    gauge(
        text,
        "upstreamd_config_last_reload_successful",
        "1: the last reload, if any, succeeded.",
        u8::from(reloads.last_succeeded()),
    );
    gauge(
        text,
        "upstreamd_config_last_success_timestamp_seconds",
        "When the configuration in use was taken up.",
        seconds(reloads.since),
    );
    gauge(
        text,
        "upstreamd_config_generation",
        "Configurations that were taken up, the first one included.",
        reloads.succeeded + 1,
    );
    gauge(
        text,
        "upstreamd_configured",
        "0: a key is missing, so that requests are answered with not_configured.",
        u8::from(told.is_configured),
    );
    text.family(
        "upstreamd_log_records_dropped",
        Kind::Counter,
        "Log records that were lost.",
    );
    text.sample("upstreamd_log_records_dropped_total", &[], told.dropped);
    gauge(
        text,
        "process_start_time_seconds",
        "When the daemon started.",
        seconds(told.started),
    );
    text.family("upstreamd_build", Kind::Info, "What runs.");
    let version = env!("CARGO_PKG_VERSION");
    text.sample("upstreamd_build_info", &[("version", version)], 1);
}

fn gauge(text: &mut Exposition, name: &str, help: &str, value: impl std::fmt::Display) {
    text.family(name, Kind::Gauge, help);
    text.sample(name, &[], value);
}
