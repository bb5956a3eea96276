//! upstreamd-events(7): names, levels and fields of records.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use upstreamd::config::checked::LogLevel;
use upstreamd::telemetry::bounded::Bounded;
use upstreamd::telemetry::event::{Fault, RequestEvent};
use upstreamd::telemetry::log::{Form, Logs};
use upstreamd::telemetry::tap::Usage;

use super::page::{Item, Page, words};
use super::{assert_same, source};

/// Every entry for an event.
fn entries() -> Vec<Item> {
    let page = Page::open("upstreamd-events.7");
    let sections = ["EVENTS OF REQUESTS", "EVENTS OF THE DAEMON"];
    let mut items: Vec<_> = sections
        .iter()
        .flat_map(|title| page.section(title).items())
        .collect();
    items.retain(|item| item.head.starts_with("Cm "));
    items
}

/// Requests, as JSON records.
pub(super) fn logged(events: &[RequestEvent]) -> Vec<Value> {
    let page = Lines::default();
    let logs = Logs::to(Form::Json, LogLevel::Debug, page.clone());
    let logger = logs.logger();
    events.iter().for_each(|event| event.log(&logger));
    assert!(logs.flush(Duration::from_secs(10)));
    let lines = page.0.lock().unwrap();
    let lines = std::str::from_utf8(&lines).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every event that a request can have, with its level.
pub(super) fn of_requests() -> Vec<(String, String)> {
    let mut ways = vec![RequestEvent {
        is_probe: true,
        ..RequestEvent::default()
    }];
    for fault in [
        None,
        Some(Fault::Client),
        Some(Fault::Upstream),
        Some(Fault::Us),
    ] {
        for (truncated, client_aborted) in [(false, false), (true, false), (false, true)] {
            ways.push(RequestEvent {
                fault,
                truncated,
                client_aborted,
                ..RequestEvent::default()
            });
        }
    }
    let events = logged(&ways).into_iter().map(|event| {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("event"), text("level"))
    });
    events.collect()
}

#[test]
fn every_event_is_described_with_its_levels() {
    let described = entries().into_iter().flat_map(|item| {
        let mut words = words(&item.head, "Cm").into_iter();
        let name = words.next().unwrap();
        words.map(move |level| (name.clone(), level))
    });
    let of_the_daemon = source::records().into_iter();
    let of_the_daemon = of_the_daemon.map(|record| (record.event, record.level));
    assert_same(
        "events",
        described,
        of_requests().into_iter().chain(of_the_daemon),
    );
}

#[test]
fn every_record_has_its_event() {
    let mut written = 0;
    for (_, text) in source::files() {
        for name in ["debug!(", "info!(", "warn!(", "error!("] {
            let calls = text.match_indices(name).map(|(at, _)| &text[at..]);
            // Those of requests have a tag, by which they are known.
            written += calls.filter(|call| !call[..30].contains("#TAG")).count();
        }
    }
    let named = source::records();
    let said_by_the_writer = named.iter().filter(|record| record.event == "log_dropped");
    assert_eq!(written, named.len() - said_by_the_writer.count());
}

#[test]
fn the_fields_of_the_daemons_events_are_described() {
    let described = entries().into_iter().flat_map(|item| {
        let name = words(&item.head, "Cm").remove(0);
        let fields = item.body.after("Fields:");
        let fields = fields.map(|after| after.words("Va")).unwrap_or_default();
        fields.into_iter().map(move |field| (name.clone(), field))
    });
    let written = source::records().into_iter().flat_map(|record| {
        let name = record.event;
        let fields = record.fields.into_iter();
        fields.map(move |field| (name.clone(), field))
    });
    assert_same("fields of the daemon's events", described, written);
}

#[test]
fn every_field_of_a_request_is_described_with_its_type_and_whether_it_can_be_null() {
    let page = Page::open("upstreamd-events.7");
    let items = page
        .section("EVENTS OF REQUESTS")
        .subsection("Fields")
        .items();
    let described = items.iter().map(|item| {
        let name = words(&item.head, "Va").remove(0);
        (name, words(&item.head, "Vt").join(" "))
    });
    let events = logged(&[RequestEvent::default(), full()]);
    let (empty, full) = (&events[0], &events[1]);
    let fields = full.as_object().unwrap().iter();
    let fields =
        fields.filter(|(name, _)| !["ts", "level", "msg", "event"].contains(&name.as_str()));
    let written = fields.map(|(name, value)| {
        let kind = match value {
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() => "integer",
            Value::Number(_) => "number",
            other => panic!("{name}: {other}"),
        };
        let null = if empty[name].is_null() {
            " or null"
        } else {
            ""
        };
        (name.clone(), format!("{kind}{null}"))
    });
    assert_same("fields of a request", described, written);

    let heads = page.subsection("Formats").items();
    let heads = heads.iter().flat_map(|item| words(&item.head, "Va"));
    let always = ["ts", "level", "msg"].map(String::from);
    assert_same("fields of every record", heads, always.clone());
    assert!(always.iter().all(|name| full[name].is_string()));
}

/// A request of which everything is known.
pub(super) fn full() -> RequestEvent {
    let text = || Some(Bounded::from("x"));
    let time = Duration::from_micros(1_500_001);
    RequestEvent {
        request_id: text(),
        client_request_id: text(),
        upstream_request_id: text(),
        trace_id: text(),
        client: text(),
        listener: text(),
        remote: text(),
        method: text(),
        path: text(),
        status: Some(200),
        streaming: Some(true),
        model: text(),
        upstream_model: text(),
        upstream: text(),
        key: text(),
        attempts: 1,
        duration: time,
        ttfb: Some(time),
        upstream_connect: Some(time),
        added: Some(time),
        retries: 1,
        bytes_in: 1,
        bytes_out: 1,
        usage: Some(Usage {
            prompt_tokens: Some(1),
            completion_tokens: Some(1),
            reasoning_tokens: Some(1),
            cached_tokens: Some(1),
            total_tokens: Some(1),
        }),
        missing_usage: Some(false),
        response_id: text(),
        error_code: Some("x"),
        error_message: Some(Bounded::from("x")),
        truncated: true,
        client_aborted: true,
        is_probe: false,
        fault: None,
    }
}
