//! What upstreamd.8 promises of systemd is shown by a test, and the page names it:
//! a line `.\" PATH::NAME` in the paragraph of the promise.

use std::collections::BTreeSet;

use super::page::{Page, root};

/// Words by which a paragraph speaks of systemd.
const WORDS: [&str; 6] = [
    "systemd",
    "systemctl",
    "journalctl",
    ".service",
    ".socket",
    "service manager",
];

/// Sections that only name things, or show a command line of upstreamd's own.
const WITHOUT_PROMISES: [&str; 5] = ["NAME", "SYNOPSIS", "ENVIRONMENT", "FILES", "SEE ALSO"];

const COMMENT: &str = ".\\\" ";

/// A piece of text up to the next paragraph, item or section; what is shown on a
/// line of its own (`.Dl`) belongs to the text that introduces it.
#[derive(Default)]
struct Paragraph {
    section: String,
    text: String,
    tests: Vec<String>,
}

fn paragraphs() -> Vec<Paragraph> {
    let page = Page::open("upstreamd.8");
    let mut all = vec![Paragraph::default()];
    let mut section = String::new();
    let lines: Vec<&str> = page.lines().collect();
    for (number, &line) in lines.iter().enumerate() {
        let shown = lines
            .get(number + 1)
            .is_some_and(|next| next.starts_with(".Dl"));
        let name = line.split(' ').next().unwrap_or_default();
        if let Some(title) = line.strip_prefix(".Sh ") {
            title.clone_into(&mut section);
        }
        if [".Sh", ".Ss", ".Pp", ".It", ".El"].contains(&name) && !shown {
            let section = section.clone();
            all.push(Paragraph {
                section,
                ..Paragraph::default()
            });
        }
        let last = all.last_mut().expect("there is one");
        match line.strip_prefix(COMMENT) {
            Some(comment) if comment.starts_with("tests/") => last.tests.push(comment.to_owned()),
            Some(_) => {}
            None => last.text.push_str(&format!("{line}\n")),
        }
    }
    all
}

#[test]
fn every_promise_about_systemd_names_its_test() {
    let speaks_of_systemd = |paragraph: &&Paragraph| {
        let spoken = WORDS.iter().any(|word| paragraph.text.contains(word));
        spoken && !WITHOUT_PROMISES.contains(&paragraph.section.as_str())
    };
    let paragraphs = paragraphs();
    let untested: Vec<_> = paragraphs
        .iter()
        .filter(speaks_of_systemd)
        .filter(|paragraph| paragraph.tests.is_empty())
        .map(|paragraph| format!("[{}]\n{}", paragraph.section, paragraph.text))
        .collect();
    assert!(
        untested.is_empty(),
        "no test is named (.\\\" PATH::NAME) for:\n\n{}",
        untested.join("\n")
    );
    assert!(paragraphs.iter().filter(speaks_of_systemd).count() > 20);
}

#[test]
fn every_test_that_the_manual_names_is_there() {
    let named: BTreeSet<String> = paragraphs()
        .into_iter()
        .flat_map(|each| each.tests)
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for test in named {
        let (path, name) = test
            .split_once("::")
            .unwrap_or_else(|| panic!("no name: {test}"));
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        let definition = if path.ends_with(".py") { "def" } else { "fn" };
        assert!(
            text.contains(&format!("{definition} {name}(")),
            "there is no test {test}"
        );
    }
}
