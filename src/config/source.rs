//! The text of the configuration file: positions in it, and lines of it that
//! can be shown to anybody.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::hiding;

/// What stands in the place of a hidden value.
const MASK: &str = "\"***\"";

/// A configuration file that was read.
pub(super) struct Source {
    path: PathBuf,
    text: String,
    hidden: Vec<Range<usize>>,
}

/// One line of the file, secrets masked, with what the caret points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snippet {
    /// The line's number, from 1.
    pub(super) line: usize,
    /// The column of what is pointed at in the file, in characters, from 1.
    pub(super) column: usize,
    /// The line as shown.
    pub(super) text: String,
    /// Characters of `text` before the caret.
    pub(super) before: usize,
    /// Characters of `text` over the caret, 1 at least.
    pub(super) width: usize,
}

impl Source {
    /// The text of the file at `path`, every value hidden until
    /// [`Source::parsed`] says which may be shown.
    pub(super) fn new(path: PathBuf, text: String) -> Source {
        let hidden = values_by_line(&text);
        Source { path, text, hidden }
    }

    /// The file's path, as the operator named it.
    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// With the file understood, only those of its values stay hidden that may
    /// be secrets.
    pub(super) fn parsed(&mut self, table: &DeTable<'_>) {
        let hider = Hider {
            text: &self.text,
            table: "",
            hidden: Vec::new(),
        };
        self.hidden = hider.whole(table);
    }

    /// The line in which `span` begins.
    pub(super) fn snippet(&self, span: &Range<usize>) -> Snippet {
        let start = self.text.floor_char_boundary(span.start);
        let from = self.text[..start]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let to = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |n| start + n);
        let line = self.text[from..to].trim_end_matches('\r');
        let masked = self.masked(from, line);
        let before = masked.column(start - from);
        let after = masked.column(span.end.max(start).min(to) - from);
        Snippet {
            line: self.text[..from].matches('\n').count() + 1,
            column: self.text[from..start].chars().count() + 1,
            before,
            width: after.saturating_sub(before).max(1),
            text: masked.text,
        }
    }

    fn masked(&self, offset: usize, line: &str) -> Masked {
        let lookalikes: Vec<_> = hiding::words(line)
            .filter(|word| hiding::looks_like_a_key(&line[word.clone()]))
            .map(|word| word.start + offset..word.end + offset)
            .collect();
        let hidden = |at: usize| {
            let mut ranges = self.hidden.iter().chain(&lookalikes);
            ranges.any(|range| range.contains(&at))
        };
        let mut masked = Masked {
            text: String::new(),
            columns: Vec::new(),
        };
        let (mut column, mut masking) = (0, false);
        for (at, character) in line.char_indices() {
            let hide = hidden(offset + at);
            if hide && !masking {
                masked.columns.push((at, column));
                masked.text.push_str(MASK);
                column += MASK.len();
            } else if !hide {
                masked.columns.push((at, column));
                // One column each, so that the caret stands where it should.
                masked.text.push(if character.is_control() {
                    ' '
                } else {
                    character
                });
                column += 1;
            }
            masking = hide;
        }
        masked.columns.push((line.len(), column));
        masked
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, text hidden)", self.path.display())
    }
}

/// A line as shown, and the column at which each byte of the original is.
struct Masked {
    text: String,
    columns: Vec<(usize, usize)>,
}

impl Masked {
    fn column(&self, at: usize) -> usize {
        let next = self.columns.partition_point(|(byte, _)| *byte < at);
        match self.columns.get(next) {
            // Inside of a mask: the caret goes to its first column.
            Some((byte, _)) if *byte > at && next > 0 => self.columns[next - 1].1,
            Some((_, column)) => *column,
            None => self.columns.last().map_or(0, |(_, column)| *column),
        }
    }
}

/// The values of a file that can't be parsed, line by line: what is right of
/// `=`, or a whole line that has none and is no header or comment.
fn values_by_line(text: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let words = content.trim_start();
        let begin = match content.split_once('=') {
            Some((key, value)) => {
                let word = key
                    .rsplit('.')
                    .next()
                    .unwrap_or(key)
                    .trim()
                    .trim_matches('"');
                // A second `=` is a second key, and who knows which.
                let hide = value.contains('=') || hiding::hides("", word, value.trim());
                let blank = value.len() - value.trim_start().len();
                hide.then_some(key.len() + 1 + blank)
            }
            None if words.starts_with('#') || is_header(words) => None,
            None => Some(content.len() - words.len()),
        };
        if let Some(begin) = begin.filter(|begin| *begin < content.len()) {
            hidden.push(offset + begin..offset + content.len());
        }
        offset += line.len();
    }
    hidden
}

/// Whether a line looks like `[table]`, and not like `["secret"]`.
fn is_header(line: &str) -> bool {
    line.strip_prefix('[')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// Finds the values of a parsed file that are hidden.
struct Hider<'s> {
    text: &'s str,
    /// The table of the file that is being looked at.
    table: &'s str,
    hidden: Vec<Range<usize>>,
}

impl<'s> Hider<'s> {
    fn whole(mut self, file: &'s DeTable<'_>) -> Vec<Range<usize>> {
        for (key, value) in file {
            self.table = key.get_ref();
            self.value(key.get_ref(), value, false);
        }
        self.hidden
    }

    fn value(&mut self, key: &str, value: &Spanned<DeValue<'_>>, all: bool) {
        match value.get_ref() {
            DeValue::Table(table) => {
                let all = all || key == "fields";
                table
                    .iter()
                    .for_each(|(key, value)| self.value(key.get_ref(), value, all));
            }
            DeValue::Array(array) => array.iter().for_each(|value| self.value(key, value, all)),
            _ if all || hiding::hides(self.table, key, &self.text[value.span()]) => {
                self.hidden.push(value.span());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Source {
        let mut source = Source::new("f".into(), text.to_owned());
        source.parsed(DeTable::parse(text).unwrap().get_ref());
        source
    }

    #[test]
    fn the_caret_stands_under_its_word_even_behind_a_mask() {
        let text = "a = 1\nx = [\"secret\", é]\n";
        let mut source = Source::new("f".into(), text.to_owned());
        source.hidden.clear();
        source.hidden.push(11..19);
        let snippet = source.snippet(&(21..23));
        assert_eq!((snippet.line, snippet.column), (2, 16));
        assert_eq!(snippet.text, "x = [\"***\", é]");
        assert_eq!((snippet.before, snippet.width), (12, 1));
    }

    #[test]
    fn secrets_in_values_and_comments_are_masked() {
        let source = parsed("api_key = \"hunter2\" # was sk-abcdefgh1\n");
        let snippet = source.snippet(&(0..7));
        assert_eq!(snippet.text, "api_key = \"***\" # was \"***\"");
        assert_eq!((snippet.before, snippet.width), (0, 7));
    }

    #[test]
    fn values_of_a_file_that_cannot_be_parsed_are_masked() {
        let shown = |text: &str| {
            let source = Source::new("f".into(), format!("{text}\n"));
            source.snippet(&(0..1)).text
        };
        assert_eq!(shown("keys = [\"hunter2"), "keys = \"***\"");
        assert_eq!(shown("  [\"hunter2\"]"), "  \"***\"");
        assert_eq!(shown("level = 1, key = \"hunter2\""), "level = \"***\"");
        assert_eq!(shown("level = \"x"), "level = \"x");
        assert_eq!(shown("[upstream.a"), "[upstream.a");
    }

    #[test]
    fn a_position_at_the_end_of_the_file_is_a_position() {
        let source = parsed("a = 1\n");
        let snippet = source.snippet(&(6..6));
        assert_eq!((snippet.line, snippet.column, snippet.width), (2, 1, 1));
    }
}
