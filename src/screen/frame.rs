//! One frame of `upstreamd top`: lines that fit a window, and nothing else.

use super::rates::Rates;
use super::tables::{clients, models, upstreams};
use super::text::{ascii, cut, left};
use super::words::{self, or_none};
use crate::admin::Overview;

/// A window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What is to be seen.
pub(super) struct View<'a> {
    pub(super) now: &'a Overview,
    /// The look before, to compare with.
    pub(super) before: Option<&'a Overview>,
    /// Why there is no newer one.
    pub(super) trouble: Option<&'a str>,
    /// What the person can do.
    pub(super) hint: &'a str,
}

/// The lines of it, none longer than `size` has columns, and no more than it has
/// rows. The tables share the rows evenly; where one is cut it says so.
pub(super) fn frame(view: &View<'_>, size: Size) -> Vec<String> {
    let rates = Rates::new(view.before, view.now);
    let mut lines = head(view, &rates, size.columns);
    let tables = [
        upstreams(view.now, &rates),
        models(view.now, &rates),
        clients(view.now, &rates),
    ];
    // An empty line and the head of each.
    let around = 2 * tables.len();
    let room = size.rows.saturating_sub(lines.len() + around);
    let rows = shared(room, tables.each_ref().map(|table| table.len()));
    for (table, rows) in tables.iter().zip(rows) {
        lines.push(String::new());
        table.write(&mut lines, rows, size.columns);
    }
    for line in &mut lines {
        *line = cut(line, size.columns).trim_end().to_owned();
    }
    lines.truncate(size.rows);
    lines
}

/// `room` for as many lists as there are `lengths`, evenly.
fn shared<const N: usize>(mut room: usize, lengths: [usize; N]) -> [usize; N] {
    let mut shares = [0; N];
    while room > 0 && shares != lengths {
        for (share, length) in shares.iter_mut().zip(lengths) {
            if *share < length && room > 0 {
                *share += 1;
                room -= 1;
            }
        }
    }
    shares
}

fn head(view: &View<'_>, rates: &Rates<'_>, columns: usize) -> Vec<String> {
    let now = view.now;
    let all = rates.of_models(|_| true);
    let state = now.state.replace('_', " ");
    let first = format!(
        "upstreamd {}, pid {}, {state}, up {}",
        now.version,
        now.pid,
        words::span(now.now - now.since)
    );
    let hint = format!(" {}{}", view.hint, words::clock(now.now));
    let room = columns.saturating_sub(hint.len());
    let added = rates.added().map(words::took);
    let mut lines = vec![
        format!("{}{hint}", left(&first, room)),
        format!(
            "requests  {} running, {} queued, {}/s, {} failed, {} added",
            words::count(now.requests_running),
            words::count(now.requests_queued),
            or_none(all.rate().map(words::rate)),
            or_none(all.failed().map(words::share)),
            or_none(added),
        ),
        format!(
            "tokens    {}/s in, {}/s out; connections {} in, {} idle out",
            or_none(all.tokens_in().map(words::rate)),
            or_none(all.tokens_out().map(words::rate)),
            words::count(now.connections),
            words::count(now.upstreams.iter().map(|up| up.connections_idle).sum()),
        ),
    ];
    lines.extend(view.trouble.map(|why| format!("! {}", ascii(why))));
    lines.extend(troubles(now).into_iter().map(|why| format!("! {why}")));
    lines
}

/// What the operator should look at.
pub(super) fn troubles(now: &Overview) -> Vec<String> {
    let mut troubles = Vec::new();
    let last = now.configuration.last_reload.as_ref();
    if let Some(failed) = last.filter(|last| !last.succeeded) {
        let first = failed.errors.first().map_or("", String::as_str);
        troubles.push(format!(
            "the last reload failed, the configuration before is in use: {first}"
        ));
    }
    if now.workers_silent > 0 {
        troubles.push(format!(
            "{} of {} do not answer",
            now.workers_silent,
            words::counted(now.workers, "worker")
        ));
    }
    if !now.configuration.complete {
        troubles.push("the key of an upstream is missing".to_owned());
    }
    if now.log_records_lost > 0 {
        let lost = words::counted(now.log_records_lost, "log record");
        troubles.push(format!("{lost} lost"));
    }
    troubles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::admin::{Key, Upstream};
    use crate::telemetry::metrics::{OfClient, OfModel};

    fn crowded(models: usize, keys: usize, name: &str) -> Overview {
        let model = |number| OfModel {
            model: Some(format!("{name}{number}")),
            upstream: Some("far".to_owned()),
            running: number as u64,
            requests: 1 << 40,
            ..OfModel::default()
        };
        let key = |number| Key {
            name: format!("key-{number}"),
            state: if number + 1 == keys {
                "cooling"
            } else {
                "ready"
            }
            .to_owned(),
            cooling_for_s: (number + 1 == keys).then_some(12.4),
            ..Key::default()
        };
        Overview {
            version: "0.1.0".to_owned(),
            state: "handing_over".to_owned(),
            now: 1_795_507_200.0,
            since: 1_795_400_000.0,
            upstreams: vec![Upstream {
                name: "far".to_owned(),
                keys: (0..keys).map(key).collect(),
                ..Upstream::default()
            }],
            models: (0..models).map(model).collect(),
            clients: vec![OfClient::default(); 30],
            ..Overview::default()
        }
    }

    fn seen(now: &Overview, columns: usize, rows: usize) -> Vec<String> {
        let view = View {
            now,
            before: None,
            trouble: Some("nobody\u{1b}[2J answers"),
            hint: "q ends it  ",
        };
        frame(&view, Size { columns, rows })
    }

    #[test]
    fn a_small_window_has_the_busiest_models_and_the_keys_that_need_eyes() {
        let lines = seen(&crowded(40, 20, "model-"), 80, 24);
        let text = lines.join("\n");
        assert_eq!(lines.len(), 24, "{text}");
        assert!(lines[0].starts_with("upstreamd 0.1.0, pid 0, handing over, up 1d 5h"));
        assert!(lines[0].ends_with("q ends it  08:00:00 UTC"), "{text}");
        assert!(text.contains("! nobody?[2J answers"), "{text}");
        for said in ["model-39 ", "  key key-19", "cooling 13s", "  and "] {
            assert!(text.contains(said), "no {said} in\n{text}");
        }
        assert!(!text.contains("model-1 "), "{text}");
    }

    #[test]
    fn a_large_window_has_everything_and_long_names_more_room() {
        let lines = seen(&crowded(40, 20, &"x".repeat(70)), 200, 200);
        let text = lines.join("\n");
        assert!(!text.contains("more"), "{text}");
        assert!(text.contains(&format!("{}39 ", "x".repeat(70))), "{text}");
    }

    proptest! {
        #[test]
        fn no_frame_is_larger_than_its_window(
            models in 0..50_usize,
            keys in 0..20_usize,
            name in any::<String>(),
            columns in 0..200_usize,
            rows in 0..80_usize,
        ) {
            let lines = seen(&crowded(models, keys, &name), columns, rows);
            prop_assert!(lines.len() <= rows);
            for line in lines {
                prop_assert!(line.len() <= columns && !line.contains(char::is_control), "{:?}", line);
            }
        }
    }
}
