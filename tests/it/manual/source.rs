//! What the source says of itself where no table does: names of records and of
//! environment variables, which are literals.

use std::fs;
use std::path::Path;

use super::page::root;

/// A record that the program can write.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) event: String,
    pub(super) level: String,
    pub(super) fields: Vec<String>,
}

/// The text of every source file but tests, and where it is.
pub(super) fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&root().join("src"), &mut files);
    assert!(files.len() > 50, "the source is somewhere else");
    files
}

/// Every record that is written with slog's macros.
pub(super) fn records() -> Vec<Record> {
    const EVENT: &str = "\"event\" =>";
    let mut records = Vec::new();
    for (path, text) in files() {
        for (at, _) in text.match_indices(EVENT) {
            let start = text[..at].rfind("!(").expect("a macro writes it");
            let name = text[..start].rsplit(|c: char| !c.is_alphanumeric()).next();
            let end = text[at..].find(");").map_or(text.len(), |end| at + end);
            let (pairs, _) = text[start..end].rsplit_once(" =>").expect("EVENT is one");
            let keys = pairs.split(" =>").filter_map(last_literal);
            let fields = keys.filter(|key| key != "event").collect();
            let event = literal(&text[at + EVENT.len()..]);
            records.push(Record {
                event: event.unwrap_or_else(|| panic!("{path}: an event without a name")),
                level: level(name.unwrap_or_default(), &text[at..]),
                fields,
            });
        }
    }
    records
}

/// The level of a record: that of its macro, or the one named behind it.
fn level(name: &str, rest: &str) -> String {
    let level = match name {
        "debug" | "info" | "error" => name.to_owned(),
        "warn" => "warning".to_owned(),
        _ => {
            let (_, level) = rest.split_once("Level::").expect("it names its level");
            let end = level.find(|c: char| !c.is_alphabetic()).unwrap_or(0);
            level[..end].to_lowercase()
        }
    };
    assert!(!level.is_empty());
    level
}

/// The literal that a text begins with.
fn literal(text: &str) -> Option<String> {
    let text = text.trim_start().strip_prefix('"')?;
    Some(text[..text.find('"')?].to_owned())
}

/// The literal that a text ends with.
fn last_literal(text: &str) -> Option<String> {
    let text = text.strip_suffix('"')?;
    Some(text[text.rfind('"')? + 1..].to_owned())
}

/// Literals that are written like the name of an environment variable, or begin so.
pub(super) fn variables() -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files() {
        // The names of values in the table of flags are written the same way.
        if path.contains("/src/cli") {
            continue;
        }
        for (at, _) in text.match_indices('"') {
            let rest = &text[at + 1..];
            let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let ends = rest[end..].starts_with(['"', '{']);
            if end >= 4 && ends && rest.starts_with(|c: char| c.is_ascii_uppercase()) {
                found.push(rest[..end].to_owned());
            }
        }
    }
    found
}

fn collect(directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_tests = path.file_stem().is_some_and(|name| name == "tests");
        if is_tests {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next();
            let code = code.unwrap_or_default().to_owned();
            files.push((path.display().to_string(), code));
        }
    }
}
