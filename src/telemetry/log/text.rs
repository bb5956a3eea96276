//! A record as one line for a person at a terminal:
//! `2026-11-24T08:00:00.123Z info  ready serving listeners=2`.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write as _};
use std::time::SystemTime;

use slog::{KV, Key, Level, OwnedKVList, Record, Serializer};

use super::level_name;
use super::pairs::Pairs;
use super::timestamp::Timestamp;
use crate::telemetry::event;

/// Fields of a request that its sentence has already told.
const TOLD: [&str; 5] = ["method", "path", "status", "duration_s", "error_message"];

const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Appends time, level, event, message, the fields that are not absent, and a newline.
pub(super) fn write(
    line: &mut Vec<u8>,
    now: SystemTime,
    record: &Record<'_>,
    values: &OwnedKVList,
    colour: bool,
) -> io::Result<()> {
    let fields = Fields::of(record, values)?;
    let time = Timestamp::new(now);
    let level = level_name(record.level());
    let paint = |paint: &'static str| if colour { paint } else { "" };
    let (hue, dim, plain) = (paint(hue(record.level())), paint(DIM), paint(PLAIN));

    write!(
        line,
        "{dim}{}Z{plain} {hue}{level:<5}{plain}",
        time.millis()
    )?;
    if let Some(event) = &fields.event {
        write!(line, " {}", Visible(event))?;
    }
    write!(line, " {}", Visible(&record.msg().to_string()))?;
    for (name, value) in &fields.others {
        write!(line, " {dim}{name}={plain}{}", Quoted(value))?;
    }
    line.push(b'\n');
    Ok(())
}

fn hue(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::Error => "\u{1b}[31m",
        Level::Warning => "\u{1b}[33m",
        Level::Info => "\u{1b}[32m",
        Level::Debug | Level::Trace => DIM,
    }
}

/// The fields of a record, in the order in which they were written down.
#[derive(Default)]
struct Fields {
    event: Option<String>,
    others: Vec<(Key, String)>,
}

impl Fields {
    fn of(record: &Record<'_>, values: &OwnedKVList) -> io::Result<Fields> {
        let mut fields = Fields::default();
        Pairs(record).serialize(record, &mut fields)?;
        if record.tag() == event::TAG {
            let is_new = |name: Key, value: &str| !TOLD.contains(&name) && value != "false";
            fields.others.retain(|(name, value)| is_new(name, value));
        }
        let own = fields.others.len();
        values.serialize(record, &mut fields)?;
        // The logger's own nest in the same way.
        fields.others[own..].reverse();
        Ok(fields)
    }
}

impl Serializer for Fields {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        if key == "event" {
            self.event = Some(value.to_string());
        } else {
            self.others.push((key, value.to_string()));
        }
        Ok(())
    }

    fn emit_none(&mut self, _: Key) -> slog::Result {
        Ok(())
    }

    fn emit_unit(&mut self, _: Key) -> slog::Result {
        Ok(())
    }
}

/// Text in which nothing can move the cursor, end the line or turn its direction.
struct Visible<'a>(&'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(is_unsafe) {
            let mut characters = part.chars();
            match characters.next_back() {
                Some(last) if is_unsafe(last) => {
                    write!(f, "{}{}", characters.as_str(), last.escape_default())?;
                }
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// A value, in quotes if its end could not be seen without.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs_quotes = |byte| byte == ' ' || byte == '"' || byte == '=' || is_unsafe(byte);
        if !self.0.is_empty() && !self.0.contains(needs_quotes) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for (at, part) in self.0.split('"').enumerate() {
            let quote = if at > 0 { "\\\"" } else { "" };
            write!(f, "{quote}{}", Visible(part))?;
        }
        f.write_char('"')
    }
}

/// Control characters, line separators, and the marks that turn a line's
/// direction (Unicode UAX 9), by which text could pose as another.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use slog::{b, o, record};

    use super::*;

    fn line(record: &Record<'_>, values: &OwnedKVList, colour: bool) -> String {
        let mut line = Vec::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_507_200_123);
        write(&mut line, now, record, values, colour).expect("a Vec takes all");
        String::from_utf8(line).expect("text is UTF-8")
    }

    #[test]
    fn a_record_of_the_daemons_life_reads_in_its_own_order() {
        let values = OwnedKVList::from(o!("worker" => 1, "of" => 2));
        let fields =
            b!("event" => "ready", "listeners" => 2, "upstream" => "a b", "none" => None::<u8>);
        let message = format_args!("serving now");
        let record = record!(Level::Info, "", &message, fields);
        assert_eq!(
            line(&record, &values, false),
            "2026-11-24T08:00:00.123Z info  ready serving now \
             listeners=2 upstream=\"a b\" worker=1 of=2\n"
        );
    }

    #[test]
    fn colour_comes_only_when_asked_for() {
        let fields = b!("x" => 1);
        let message = format_args!("no");
        let record = record!(Level::Error, "", &message, fields);
        let values = OwnedKVList::from(o!());
        assert!(!line(&record, &values, false).contains('\u{1b}'));
        assert!(line(&record, &values, true).contains("\u{1b}[31merror\u{1b}[0m no"));
    }

    #[test]
    fn values_are_quoted_when_their_end_could_not_be_seen() {
        for (value, shown) in [
            ("gpt-5", "gpt-5"),
            ("ü", "ü"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("a\nb\u{1b}", "\"a\\nb\\u{1b}\""),
            ("\u{202e}x", "\"\\u{202e}x\""),
        ] {
            assert_eq!(Quoted(value).to_string(), shown);
        }
    }
}
