//! upstreamd-events(7), the table of MESSAGE_IDs, and the catalog: one and the same.

use std::collections::BTreeSet;

use upstreamd::telemetry::message_id::MESSAGE_IDS;

use super::events::{full, logged, of_requests};
use super::page::{Page, root, words};
use super::{assert_same, source};

/// An entry of the catalog.
struct Explanation {
    id: String,
    /// `Subject:`, `Defined-By:` and so on, in their order.
    heads: Vec<(String, String)>,
    text: String,
}

fn catalog() -> Vec<Explanation> {
    let path = root().join("systemd/upstreamd.catalog");
    let catalog = std::fs::read_to_string(path).unwrap();
    let lines = catalog.lines().filter(|line| !line.starts_with('#'));
    let catalog: Vec<_> = lines.collect();
    let entries = catalog.split(|line| line.starts_with("-- ")).skip(1);
    let ids = catalog.iter().filter_map(|line| line.strip_prefix("-- "));
    ids.zip(entries)
        .map(|(id, lines)| {
            let (heads, text) = lines.split_at(lines.iter().position(|l| l.is_empty()).unwrap());
            let head = |line: &&str| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_owned(), value.to_owned())
            };
            Explanation {
                id: id.to_owned(),
                heads: heads.iter().map(head).collect(),
                text: text.join("\n"),
            }
        })
        .collect()
}

#[test]
fn every_event_has_an_id_of_its_own() {
    let written = source::records().into_iter().map(|record| record.event);
    let written = written.chain(of_requests().into_iter().map(|(event, _)| event));
    let table = MESSAGE_IDS.map(|(event, _)| event.to_owned());
    assert_same("events with a MESSAGE_ID", table, written);

    let ids: BTreeSet<_> = MESSAGE_IDS.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), MESSAGE_IDS.len());
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(
        ids.iter()
            .all(|id| id.len() == 32 && id.chars().all(is_digit))
    );
}

#[test]
fn every_id_is_described() {
    let items = Page::open("upstreamd-events.7")
        .section("MESSAGE IDS")
        .items();
    let described = items.iter().map(|item| {
        let id = item.body.words("Li").remove(0);
        (words(&item.head, "Cm").remove(0), id)
    });
    let table = MESSAGE_IDS.map(|(event, id)| (event.to_owned(), id.to_owned()));
    assert_same("MESSAGE_IDs", described, table);
}

#[test]
fn the_catalog_explains_every_event() {
    let table = MESSAGE_IDS.map(|(_, id)| id.to_owned());
    let explained = catalog().into_iter().map(|entry| entry.id);
    assert_same("explained MESSAGE_IDs", explained, table);
    for Explanation { id, heads, text } in catalog() {
        let names: Vec<_> = heads.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["Subject", "Defined-By", "Support", "Documentation"],
            "{id}"
        );
        assert_eq!(heads[1].1, "upstreamd", "{id}");
        assert!(text.trim().len() > 60, "{id}: {text}");
        // A command can't be broken.
        let is_short = |line: &str| line.len() <= 76 || line.starts_with("    ");
        assert!(text.lines().all(is_short), "{id}: {text}");
    }
}

#[test]
fn the_catalog_quotes_only_fields_that_every_such_record_has() {
    for Explanation { id, heads, text } in catalog() {
        let (event, _) = MESSAGE_IDS.iter().find(|(_, known)| *known == id).unwrap();
        let whole = format!("{}\n{text}", heads[0].1);
        let parts: Vec<_> = whole.split('@').collect();
        assert_eq!(parts.len() % 2, 1, "{id}: a stray @");
        let quoted: BTreeSet<_> = parts.into_iter().skip(1).step_by(2).collect();
        let fields = always(event);
        for field in quoted {
            assert!(fields.contains(field), "{event} may be without {field}");
        }
    }
}

/// The journal's fields that are never absent from an event.
fn always(event: &str) -> BTreeSet<String> {
    let field = |name: &str| format!("UPSTREAMD_{}", name.to_uppercase());
    let records = source::records().into_iter();
    let mut records = records.filter(|record| record.event == event);
    let Some(first) = records.next() else {
        return of_a_request(event).iter().map(|name| field(name)).collect();
    };
    let mut fields: BTreeSet<_> = first.fields.iter().map(|name| field(name)).collect();
    for other in records {
        fields.retain(|kept| other.fields.iter().any(|name| field(name) == *kept));
    }
    fields
}

/// Those of a request: whatever the default event has; and what is known of a
/// request that was answered.
fn of_a_request(event: &str) -> Vec<String> {
    let is_there = |value: &serde_json::Value| !value.is_null();
    let record = logged(&[Default::default()]).remove(0);
    let fields = record.as_object().unwrap().iter();
    let fields = fields.filter(|(_, value)| is_there(value));
    let mut fields: Vec<_> = fields.map(|(name, _)| name.clone()).collect();
    if event == "request_completed" {
        let full = logged(&[full()]).remove(0);
        fields.extend(["status", "request_id"].map(String::from));
        assert!(fields.iter().all(|name| is_there(&full[name.as_str()])));
    }
    fields
}
