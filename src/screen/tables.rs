//! The tables of a frame: upstreams with their keys, models, clients.

use std::cmp::Reverse;

use super::rates::{Change, Rates};
use super::text::{left, right};
use super::words::{self, NONE, or_none};
use crate::admin::{Key, Overview, Upstream};

/// Columns behind the name, the one between each two included.
const BEHIND_NAME: usize = 55;
/// A name has that many at least, so that it says something in any window.
const LEAST_NAME: usize = 8;

/// One line of a table.
struct Row {
    name: String,
    place: String,
    change: Change,
    /// The last three columns.
    more: [String; 3],
}

/// A table, with what stands above its columns.
pub(super) struct Table {
    head: [&'static str; 8],
    rows: Vec<Row>,
}

/// Upstreams, each with its keys.
pub(super) fn upstreams(now: &Overview, rates: &Rates<'_>) -> Table {
    let mut known: Vec<_> = now.upstreams.iter().collect();
    // What needs somebody's eyes stays in a small window.
    known.sort_by_key(|upstream| !needs_eyes(upstream));
    let mut rows = Vec::new();
    for upstream in known {
        let name = Some(upstream.name.as_str());
        let mut change = rates.of_models(|of| of.upstream.as_deref() == name);
        change.running = upstream.running;
        rows.push(Row {
            name: upstream.name.clone(),
            place: state(upstream),
            more: [
                words::count(upstream.queued),
                words::count(upstream.connections_idle),
                or_none(change.tokens_out().map(words::rate)),
            ],
            change,
        });
        let mut keys: Vec<_> = upstream.keys.iter().collect();
        keys.sort_by_key(|key| key.state == "ready");
        rows.extend(keys.into_iter().map(|key| Row {
            name: format!("  key {}", key.name),
            place: state_of_key(key),
            change: Change::running(key.running),
            more: Default::default(),
        }));
    }
    Table {
        head: [
            "Upstream", "State", "Run", "Req/s", "Fail", "Queue", "Idle", "Tok/s",
        ],
        rows,
    }
}

fn needs_eyes(upstream: &Upstream) -> bool {
    upstream.ejected_for_s.is_some()
        || upstream.queued > 0
        || upstream.keys.iter().any(|key| key.state != "ready")
}

/// An upstream's state in a few words.
pub(super) fn state(upstream: &Upstream) -> String {
    match upstream.ejected_for_s {
        Some(seconds) => format!("ejected {}", words::span(seconds)),
        None if upstream.keys.is_empty() => "ready".to_owned(),
        None if upstream.keys.iter().any(|key| key.state == "ready") => "ready".to_owned(),
        None => "no key ready".to_owned(),
    }
}

/// A key's state in a few words.
pub(super) fn state_of_key(key: &Key) -> String {
    match (key.state.as_str(), key.cooling_for_s) {
        ("cooling", Some(seconds)) => format!("cooling {}", words::span(seconds)),
        (state, _) => state.replace('_', " "),
    }
}

/// What is asked for, and where it goes.
pub(super) fn models(now: &Overview, rates: &Rates<'_>) -> Table {
    let mut rows: Vec<_> = now
        .models
        .iter()
        .map(|of| {
            let is_it = |other: &_| std::ptr::eq(of, other);
            let change = rates.of_models(is_it);
            Row {
                name: of.model.clone().unwrap_or_else(|| NONE.to_owned()),
                place: of.upstream.clone().unwrap_or_else(|| NONE.to_owned()),
                more: [
                    or_none(change.first_byte().map(words::took)),
                    or_none(change.duration().map(words::took)),
                    or_none(change.tokens_out().map(words::rate)),
                ],
                change,
            }
        })
        .collect();
    busiest_first(&mut rows);
    Table {
        head: [
            "Model", "Upstream", "Run", "Req/s", "Fail", "First", "Total", "Tok/s",
        ],
        rows,
    }
}

/// Who asks.
pub(super) fn clients(now: &Overview, rates: &Rates<'_>) -> Table {
    let mut rows: Vec<_> = now
        .clients
        .iter()
        .map(|of| Row {
            name: of
                .name
                .clone()
                .unwrap_or_else(|| "(nobody known)".to_owned()),
            place: String::new(),
            change: rates.of_client(of),
            more: Default::default(),
        })
        .collect();
    busiest_first(&mut rows);
    Table {
        head: ["Client", "", "Run", "Req/s", "Fail", "", "", ""],
        rows,
    }
}

fn busiest_first(rows: &mut [Row]) {
    rows.sort_by_key(|row| {
        let rate = row.change.rate().unwrap_or_default();
        // To the thousandth: as the rows show it.
        let rate = (rate * 1e3) as u64;
        Reverse((
            row.change.running > 0,
            rate,
            row.change.running,
            row.change.requests,
        ))
    });
}

impl Table {
    /// Its rows, all of them.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Writes `rows` of its rows.
    pub(super) fn write(&self, lines: &mut Vec<String>, rows: usize, columns: usize) {
        let name = columns.saturating_sub(BEHIND_NAME).max(LEAST_NAME);
        lines.push(row(self.head, name));
        let hidden = self.rows.len() - rows;
        // The line that says so takes the place of one more.
        let shown = if hidden > 0 {
            rows.saturating_sub(1)
        } else {
            rows
        };
        for row in &self.rows[..shown] {
            lines.push(row.line(name));
        }
        if hidden > 0 && rows > 0 {
            lines.push(format!("  and {} more", self.rows.len() - shown));
        }
    }
}

impl Row {
    fn line(&self, name: usize) -> String {
        let running = words::count(self.change.running);
        let rate = self.change.rate().map(words::rate);
        let failed = self.change.failed().map(words::share);
        let [one, two, three] = self.more.each_ref().map(String::as_str);
        // A key has neither; requests are its upstream's.
        let or_blank = |text: Option<String>| match self.change.is_of_requests {
            true => or_none(text),
            false => String::new(),
        };
        let (rate, failed) = (or_blank(rate), or_blank(failed));
        row(
            [
                &self.name,
                &self.place,
                &running,
                &rate,
                &failed,
                one,
                two,
                three,
            ],
            name,
        )
    }
}

fn row(cells: [&str; 8], name_columns: usize) -> String {
    let [name, place, running, rate, failed, more @ ..] = cells;
    let mut line = format!(
        "{} {} {} {} {}",
        left(name, name_columns),
        left(place, 14),
        right(running, 5),
        right(rate, 6),
        right(failed, 5)
    );
    for cell in more {
        line.push(' ');
        line.push_str(&right(cell, 6));
    }
    line
}
