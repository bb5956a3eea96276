//! A page of the manual, as far as mdoc(7) says what is what.

use std::path::{Path, PathBuf};

/// Macros that begin another kind of word.
const MACROS: [&str; 14] = [
    "Ar", "Bq", "Cm", "Dv", "Ev", "Fl", "Ic", "Li", "No", "Ns", "Op", "Pq", "Va", "Vt",
];

/// A page, or a part of one.
#[derive(Clone)]
pub(super) struct Page(String);

/// An entry of a list: what it is about, and what it says.
pub(super) struct Item {
    pub(super) head: String,
    pub(super) body: Page,
}

/// Where the repository begins.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page.
pub(super) fn paths() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("man")).expect("there is a manual");
    entries.map(|entry| entry.unwrap().path()).collect()
}

impl Page {
    pub(super) fn open(name: &str) -> Page {
        let text = std::fs::read_to_string(root().join("man").join(name)).unwrap();
        let text = text.replace("\\-", "-").replace("\\&", "");
        Page(text.replace("\\(dq", "\""))
    }

    /// What stands below `.Sh title`.
    #[track_caller]
    pub(super) fn section(&self, title: &str) -> Page {
        self.below(&format!(".Sh {title}"), &[".Sh "])
    }

    /// What stands below `.Ss title`.
    #[track_caller]
    pub(super) fn subsection(&self, title: &str) -> Page {
        self.below(&format!(".Ss {title}"), &[".Sh ", ".Ss "])
    }

    /// The titles of all subsections.
    pub(super) fn subsections(&self) -> Vec<&str> {
        let lines = self.0.lines();
        lines.filter_map(|line| line.strip_prefix(".Ss ")).collect()
    }

    /// The entries of its lists, none of which may stand within another.
    pub(super) fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut open = false;
        for line in self.0.lines() {
            if let Some(head) = line.strip_prefix(".It ") {
                let (head, body) = (head.to_owned(), Page(String::new()));
                items.push(Item { head, body });
                open = true;
            } else if line == ".El" {
                open = false;
            } else if let Some(item) = items.last_mut().filter(|_| open) {
                item.body.0.push_str(line);
                item.body.0.push('\n');
            }
        }
        items
    }

    /// The words that `name` marks, over all lines.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let lines = self.0.lines();
        lines
            .filter_map(|line| line.strip_prefix('.'))
            .flat_map(|line| words(line, name))
            .collect()
    }

    /// What follows the line `line`.
    pub(super) fn after(&self, line: &str) -> Option<Page> {
        let (_, rest) = self.0.split_once(&format!("{line}\n"))?;
        Some(Page(rest.to_owned()))
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    #[track_caller]
    fn below(&self, title: &str, ends: &[&str]) -> Page {
        let lines = self.0.lines();
        let mut below = lines.skip_while(|line| *line != title);
        assert!(below.next().is_some(), "the page has no {title:?}");
        let below = below.take_while(|line| !ends.iter().any(|end| line.starts_with(end)));
        Page(below.map(|line| format!("{line}\n")).collect())
    }
}

/// The words of a macro line that `name` marks, punctuation left out.
pub(super) fn words(line: &str, name: &str) -> Vec<String> {
    let mut marked = false;
    let mut found = Vec::new();
    for word in line.split_whitespace() {
        if MACROS.contains(&word) {
            marked = word == name;
        } else if marked && !matches!(word, "," | "." | ";" | "[" | "]" | "|" | ":" | "...") {
            found.push(word.to_owned());
        }
    }
    found
}
