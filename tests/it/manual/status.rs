//! upstreamd(8): every member of `GET /status`.

use serde_json::Value;

use super::assert_same;
use super::page::{Page, words};
use crate::overview::overview;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait;

/// The places of all members but those of sums, which the page explains once.
fn members(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| members(at, one, found)),
        Value::Object(all) if !all.keys().eq(["count", "sum"]) => {
            for (name, value) in all {
                let dot = if at.is_empty() { "" } else { "." };
                members(&format!("{at}{dot}{name}"), value, found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

#[test]
fn every_member_of_the_status_is_described() {
    let upstream = Upstream::answering(r#"{"id":"1","object":"chat.completion","model":"m"}"#);
    let admin = "admin = \"unix:@DIR@/admin.sock\"";
    let builder = Daemon::builder().upstream(&upstream);
    let daemon = builder.server_settings(admin).start();
    let answer = daemon
        .client()
        .post_json("/v1/chat/completions", r#"{"model":"m"}"#);
    assert_eq!(answer.status(), 200);
    daemon.wait_request_event();
    let mut found = Vec::new();
    members("", &overview(&daemon), &mut found);
    daemon.rewrite_config("typo = 1\n");
    daemon.signal("HUP");
    wait::until("the reload is over", || {
        !overview(&daemon)["configuration"]["last_reload"].is_null()
    });
    members("", &overview(&daemon), &mut found);

    let items = Page::open("upstreamd.8").section("STATUS").items();
    let described = items.iter().map(|item| words(&item.head, "Va").remove(0));
    assert_same("members of the status", described, found);
    assert!(items.iter().all(|item| item.body.lines().next().is_some()));
}
