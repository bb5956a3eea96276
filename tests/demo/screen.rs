//! How the demo looks: 80 columns, colour only on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use crate::support::message::Head;

const WIDTH: usize = 80;
const INDENT: &str = "  ";

/// Fields of an event that are shown, in this order, where they are not null.
const FIELDS: [&str; 12] = [
    "status",
    "streaming",
    "model",
    "upstream",
    "key",
    "prompt_tokens",
    "completion_tokens",
    "bytes_in",
    "bytes_out",
    "ttfb_s",
    "duration_s",
    "request_id",
];

/// Standard output.
pub(crate) struct Screen {
    colour: bool,
}

/// Select Graphic Rendition parameters (ECMA-48, 8.3.117).
#[derive(Clone, Copy)]
enum Ink {
    Bold = 1,
    Faint = 2,
    Green = 32,
    Cyan = 36,
}

impl Screen {
    /// Colourful on a terminal that wants it (no-color.org).
    pub(crate) fn new() -> Screen {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        Screen {
            colour: wanted && able && std::io::stdout().is_terminal(),
        }
    }

    /// Begins a part.
    pub(crate) fn heading(&self, text: &str) {
        println!("\n{}", self.ink(Ink::Bold, text));
    }

    /// Names and values, one a line.
    pub(crate) fn pairs(&self, pairs: &[(&str, String)]) {
        for (name, value) in pairs {
            println!(
                "{INDENT}{} {value}",
                self.ink(Ink::Faint, &format!("{name:<12}"))
            );
        }
    }

    /// A request.
    pub(crate) fn asked(&self, path: &str, json: &str) {
        println!("{INDENT}{} {path}", self.ink(Ink::Cyan, "POST"));
        for line in json_lines(json) {
            println!("{INDENT}{}", self.ink(Ink::Faint, line));
        }
    }

    /// An answer's head and the time until it came.
    pub(crate) fn answered(&self, head: &Head, after: Duration) {
        let status = head.start_line.trim_start_matches("HTTP/1.1 ");
        let content_type = head.field("content-type").unwrap_or("");
        println!(
            "{INDENT}{}  {content_type}  {}",
            self.ink(Ink::Green, status),
            self.ink(Ink::Faint, &format!("after {}", milliseconds(after)))
        );
    }

    /// The model's words.
    pub(crate) fn said(&self, text: &str) {
        println!("{INDENT}{}", self.ink(Ink::Bold, text));
    }

    /// A chunk and when it came.
    pub(crate) fn chunk(&self, at: Duration, what: &str) {
        let at = self.ink(Ink::Faint, &format!("{:>12}", milliseconds(at)));
        println!("{INDENT}{at}  {what}");
        // Chunks are to be seen as they come, through a pipe as well.
        let _ = std::io::stdout().flush();
    }

    /// An event of upstreamd's, some of its fields.
    pub(crate) fn event(&self, event: &Value) {
        let name = event["event"].as_str().unwrap_or("event");
        println!("{INDENT}{} {name}", self.ink(Ink::Cyan, "event"));
        let fields = FIELDS.iter().filter(|field| !event[**field].is_null());
        let mut line = String::new();
        for field in fields {
            let word = format!("{field}={}", shown(field, &event[*field]));
            if INDENT.len() * 2 + line.len() + word.len() + 1 > WIDTH {
                println!("{INDENT}{INDENT}{}", self.ink(Ink::Faint, &line));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        println!("{INDENT}{INDENT}{}", self.ink(Ink::Faint, &line));
    }

    /// A row of a table.
    pub(crate) fn row(&self, cells: [&str; 3]) {
        println!("{INDENT}{}", columns(cells));
    }

    /// The row that matters.
    pub(crate) fn total(&self, cells: [&str; 3]) {
        println!("{INDENT}{}", self.ink(Ink::Green, &columns(cells)));
    }

    fn ink(&self, ink: Ink, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{}m{text}\x1b[0m", ink as u8),
            false => text.to_owned(),
        }
    }
}

/// Milliseconds with one place.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// A JSON text in lines that fit, broken behind commas.
fn json_lines(json: &str) -> Vec<&str> {
    let fit = WIDTH - INDENT.len();
    let mut lines = Vec::new();
    let mut left = json;
    while left.len() > fit {
        let comma = left[..fit].rfind(',').map_or(fit, |comma| comma + 1);
        let (line, rest) = left.split_at(comma);
        lines.push(line);
        left = rest;
    }
    lines.push(left);
    lines
}

fn columns([name, median, p99]: [&str; 3]) -> String {
    format!("{name:<34}{median:>12}{p99:>12}")
}

fn shown(field: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(seconds) if field.ends_with("_s") => {
            format!("{:.6}", seconds.as_f64().unwrap_or_default())
        }
        other => other.to_string(),
    }
}
