//! upstreamd-events(7): names, types and labels of metrics, as a scrape has them.

use std::collections::BTreeSet;

use super::assert_same;
use super::page::{Page, words};
use crate::metrics::{builder, scrape};
use crate::support::upstream::Upstream;

/// Name, type and labels of each family.
fn of_a_scrape() -> Vec<(String, String, BTreeSet<String>)> {
    let upstream = Upstream::answering(r#"{"id":"1","object":"chat.completion","model":"m"}"#);
    let daemon = builder(&upstream).start();
    let answer = daemon
        .client()
        .post_json("/v1/chat/completions", r#"{"model":"m"}"#);
    assert_eq!(answer.status(), 200);
    daemon.wait_request_event();
    let mut families: Vec<(String, String, BTreeSet<String>)> = Vec::new();
    for line in scrape(&daemon) {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            families.push((name.to_owned(), kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{') {
            let (labels, _) = labels.rsplit_once('}').unwrap();
            let names = labels
                .split(',')
                .map(|label| label.split('=').next().unwrap());
            let family = &mut families.last_mut().unwrap().2;
            family.extend(names.filter(|name| *name != "le").map(str::to_owned));
        }
    }
    families
}

#[test]
fn every_metric_is_described_with_its_type_and_labels() {
    let items = Page::open("upstreamd-events.7").section("METRICS").items();
    let described = items.iter().map(|item| {
        let name = words(&item.head, "Cm").remove(0);
        let labels = words(&item.head, "Va").into_iter().collect();
        (name, words(&item.head, "Vt").remove(0), labels)
    });
    assert_same("metrics", described, of_a_scrape());
    assert!(items.iter().all(|item| item.body.lines().next().is_some()));
}
