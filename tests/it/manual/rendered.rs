//! The pages as man(1) shows them.

use std::process::Command;

use super::page::{Page, paths};

#[test]
fn mandoc_finds_nothing_wrong_with_the_pages() {
    let pages = paths();
    assert_eq!(pages.len(), 3, "{pages:?}");
    for page in pages {
        let linted = Command::new("mandoc")
            .args(["-T", "lint"])
            .arg(&page)
            .output()
            .unwrap_or_else(|error| {
                panic!("the manual is not linted: mandoc can't be run ({error}); tests/install installs it")
            });
        let found = String::from_utf8(linted.stdout).unwrap();
        // Which other manuals are there is a thing of the machine.
        let mut found = found
            .lines()
            .filter(|line| !line.contains("manual not found"));
        assert_eq!(found.next(), None, "{}", page.display());
    }
}

#[test]
fn the_jq_programs_of_the_examples_run() {
    let event = serde_json::json!({
        "level": "warning", "request_id": "ID", "error_code": "x", "ttfb_s": 0.1,
        "path": "/v1/x", "model": "m", "client": "c", "total_tokens": 3,
    });
    let page = Page::open("upstreamd-events.7").section("EXAMPLES");
    let commands = page.lines().filter_map(|line| line.split_once("| jq "));
    let commands: Vec<_> = commands.map(|(_, program)| program).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    if Command::new("jq").arg("--version").output().is_err() {
        println!("jq is not installed: the examples of upstreamd-events.7 were not run");
        return;
    }
    for program in commands {
        let script = format!("printf 'no JSON\\n%s\\n' '{event}' | jq {program}");
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{program}: {ran:?}");
        assert!(!ran.stdout.is_empty(), "{program} found nothing");
    }
}
