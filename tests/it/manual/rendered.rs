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
fn no_section_stands_in_a_page_twice() {
    for path in paths() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut titles: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(".Sh "))
            .collect();
        titles.sort_unstable();
        let twice: Vec<_> = titles
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .collect();
        assert!(twice.is_empty(), "{}: {twice:?}", path.display());
    }
}

#[test]
fn the_jq_programs_of_the_examples_run() {
    let event = serde_json::json!({
        "level": "warning", "request_id": "ID", "error_code": "x", "ttfb_s": 0.1,
        "path": "/v1/x", "model": "m", "client": "c", "total_tokens": 3,
    });
    // As `journalctl -o json` has it: the names in capitals, every value a string.
    let of_the_journal = event.as_object().unwrap().iter().map(|(name, value)| {
        let value = value.as_str().map_or(value.to_string(), String::from);
        (format!("UPSTREAMD_{}", name.to_uppercase()), value.into())
    });
    let of_the_journal: serde_json::Map<_, _> = of_the_journal.collect();
    let of_the_journal = serde_json::Value::from(of_the_journal);
    let page = Page::open("upstreamd-events.7").section("EXAMPLES");
    let commands = page.lines().filter_map(|line| line.split_once("| jq "));
    let commands: Vec<_> = commands.collect();
    assert!(commands.len() >= 4, "{commands:?}");
    if Command::new("jq").arg("--version").output().is_err() {
        println!("jq is not installed: the examples of upstreamd-events.7 were not run");
        return;
    }
    for (source, program) in commands {
        let input = match source.starts_with("journalctl ") {
            true => of_the_journal.to_string(),
            false => format!("no JSON\n{event}"),
        };
        let script = format!("printf '%s\\n' '{input}' | jq {program}");
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{program}: {ran:?}");
        assert!(!ran.stdout.is_empty(), "{program} found nothing");
    }
}
