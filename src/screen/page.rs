//! The page of `upstreamd status`: what a person asks first, since the start.

use std::fmt::Write;

use super::frame::troubles;
use super::tables::{state, state_of_key};
use super::text::{ascii, left, line, right};
use super::words::{self, NONE, counted};
use crate::admin::{Overview, Upstream};
use crate::telemetry::metrics::{OfClient, OfModel};

/// Columns of the words at the left.
const LABEL: usize = 14;
/// Columns of a name in a table: a longer one has its line all the same.
const NAME: usize = 24;

/// All of it.
pub(super) fn page(now: &Overview) -> String {
    let mut page = format!(
        "upstreamd {}, pid {}: {}\n",
        line(&now.version),
        now.pid,
        line(&now.state.replace('_', " "))
    );
    for why in troubles(now) {
        say(&mut page, format_args!("! {}", line(&why)));
    }
    page.push('\n');
    of_the_daemon(&mut page, now);
    of_requests(&mut page, now);
    page.push_str("\nUpstreams\n");
    for upstream in &now.upstreams {
        of_upstream(&mut page, upstream);
    }
    if !now.models.is_empty() {
        of_models(&mut page, &now.models);
    }
    if !now.clients.is_empty() {
        of_clients(&mut page, &now.clients);
    }
    page
}

fn of_the_daemon(page: &mut String, now: &Overview) {
    let up = words::span(now.now - now.since);
    entry(
        page,
        "up",
        &format!("{up}, since {}", words::date(now.since)),
    );
    let configuration = &now.configuration;
    let file = configuration.file.as_deref();
    entry(
        page,
        "configuration",
        &format!(
            "{}, in use since {}",
            file.unwrap_or("the environment"),
            words::date(configuration.since)
        ),
    );
    match &configuration.last_reload {
        None => entry(page, "last reload", "none since the start"),
        Some(last) if last.succeeded => {
            entry(
                page,
                "last reload",
                &format!("succeeded at {}", words::date(last.at)),
            );
        }
        Some(last) => {
            entry(
                page,
                "last reload",
                &format!("failed at {}", words::date(last.at)),
            );
            last.errors.iter().for_each(|error| entry(page, "", error));
        }
    }
    let mut label = "listening";
    for listener in &now.listeners {
        let name = match listener.name == listener.address {
            true => String::new(),
            false => format!(" ({})", listener.name),
        };
        entry(page, label, &format!("{}{name}", listener.address));
        label = "";
    }
    let lost = words::count(now.log_records_lost);
    entry(page, "log", &format!("{lost} records lost"));
}

fn of_requests(page: &mut String, now: &Overview) {
    let ended: u64 = now.models.iter().map(|of| of.requests).sum();
    let failed: u64 = now.models.iter().map(|of| of.failed).sum();
    entry(
        page,
        "requests",
        &format!(
            "{} running, {} of them queued; {} ended, {} failed; {} sent again",
            words::count(now.requests_running),
            words::count(now.requests_queued),
            words::count(ended),
            words::count(failed),
            words::count(now.retries),
        ),
    );
    if let Some(mean) = now.added_latency_s.mean() {
        entry(
            page,
            "added",
            &format!("{} before the first byte, on average", words::took(mean)),
        );
    }
    let workers = counted(now.workers, "worker");
    let connections = counted(now.connections, "connection");
    entry(page, "clients", &format!("{connections}, on {workers}"));
}

fn of_upstream(page: &mut String, upstream: &Upstream) {
    say(
        page,
        format_args!(
            "  {} {}: {}, {} running, {} queued, {} idle",
            line(&upstream.name),
            line(&upstream.base_url),
            state(upstream),
            words::count(upstream.running),
            words::count(upstream.queued),
            counted(upstream.connections_idle, "connection"),
        ),
    );
    for key in &upstream.keys {
        say(
            page,
            format_args!(
                "    key {}: {}, {} running",
                line(&key.name),
                line(&state_of_key(key)),
                words::count(key.running)
            ),
        );
    }
}

fn of_models(page: &mut String, models: &[OfModel]) {
    page.push('\n');
    row(
        page,
        ["Model", "Upstream"],
        ["Run", "Ended", "Failed", "First", "Total", "In", "Out"],
    );
    for of in models {
        row(
            page,
            [&of.model, &of.upstream].map(|name| name.as_deref().unwrap_or(NONE)),
            [
                &words::count(of.running),
                &words::count(of.requests),
                &words::count(of.failed),
                &of.first_byte_s.mean().map_or(NONE.to_owned(), words::took),
                &of.duration_s.mean().map_or(NONE.to_owned(), words::took),
                &words::count(of.tokens.input),
                &words::count(of.tokens.output),
            ],
        );
    }
}

fn of_clients(page: &mut String, clients: &[OfClient]) {
    page.push('\n');
    row(
        page,
        ["Client", ""],
        ["Run", "Ended", "Failed", "", "", "", ""],
    );
    for of in clients {
        row(
            page,
            [of.name.as_deref().unwrap_or("(nobody known)"), ""],
            [
                &words::count(of.running),
                &words::count(of.requests),
                &words::count(of.failed),
                "",
                "",
                "",
                "",
            ],
        );
    }
}

fn row(page: &mut String, [name, place]: [&str; 2], numbers: [&str; 7]) {
    let name = match name.len() > NAME {
        true => ascii(name),
        false => left(name, NAME),
    };
    let mut text = format!("{name} {}", left(place, 14));
    for number in numbers {
        text.push_str(&right(number, 7));
    }
    say(page, format_args!("{}", text.trim_end()));
}

fn entry(page: &mut String, label: &str, what: &str) {
    say(page, format_args!("  {label:<LABEL$} {}", line(what)));
}

fn say(page: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_client_sent_obeys_the_terminal() {
        let now = Overview {
            models: vec![OfModel {
                model: Some("\u{1b}]0;owned\u{7}\u{9b}2J".repeat(4)),
                ..OfModel::default()
            }],
            ..Overview::default()
        };
        let page = page(&now);
        let control = page.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "{page}");
        assert!(page.contains("?]0;owned??2J"), "{page}");
    }
}
