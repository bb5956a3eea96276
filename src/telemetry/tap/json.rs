//! An incremental scanner for one JSON text after another, fed in any pieces.
//!
//! It knows just enough of JSON (RFC 8259) to tell the members of the top-level
//! object from everything that looks like them deeper down, in a message's text
//! or a tool's arguments. Depth is a number, not a stack, and strings are
//! skipped by memchr, so a text of any depth and length costs no memory and
//! nothing near the time it takes to send. Only the raw values of
//! `id`, `model` and `usage` are kept; [`super::usage`] reads them afterwards.
//!
//! What is no JSON ends the scan of that text, silently: what the upstream
//! sends passes to the client unjudged.

use super::skip::{find_quote_or_backslash, find_structure};
use super::{Observed, usage};

/// Bytes of an id or a model's name, with quotes. The longest in use are near 100.
const NAME_BYTES: usize = 258;
/// Bytes of a raw `usage`. In use, with all details and pretty-printed: near 600.
const USAGE_BYTES: usize = 4096;
/// A member's name as long as this is none that is looked for.
const LONGEST_NAME: usize = 16;

/// Reads JSON texts; keeps the last value of each member it looks for.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    /// In a string, right after a backslash.
    escaped: bool,
    /// Below the top-level object: in the object under an [`Name::Envelope`].
    in_envelope: bool,
    /// Containers open within the value that is skipped.
    depth: u64,
    /// The member whose value comes next, or is passing.
    name: Name,
    /// Whether the passing value is kept.
    keeping: bool,
    /// The part of a name or a kept value that earlier pieces brought.
    partial: Vec<u8>,
    id: Vec<u8>,
    model: Vec<u8>,
    usage: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the text's first token.
    #[default]
    Start,
    /// In an object that is watched, outside its members.
    Members,
    /// In a member's name.
    Name,
    /// Between a name and its colon.
    Colon,
    /// Between the colon and the value.
    Value,
    /// In a value that is a string.
    Text,
    /// In a value that is an object or an array, outside its strings.
    Nest,
    /// In a string somewhere in such a value.
    NestText,
    /// In a number, `true`, `false` or `null`.
    Scalar,
    /// The rest of this text has nothing to tell.
    Done,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Name {
    Id,
    Model,
    Usage,
    /// A member with an object inside that has the others: `response` in the
    /// events of the Responses API. (Anthropic's `message` would be one too.)
    Envelope,
    #[default]
    Other,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        match name {
            b"id" => Name::Id,
            b"model" => Name::Model,
            b"usage" => Name::Usage,
            b"response" => Name::Envelope,
            _ => Name::Other,
        }
    }

    /// The most that is kept of the raw value.
    fn limit(self) -> usize {
        if self == Name::Usage {
            USAGE_BYTES
        } else {
            NAME_BYTES
        }
    }
}

impl Scanner {
    /// Whether the rest of this text can be left out.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// A new text begins; what was kept stays until it is replaced.
    pub(super) fn restart(&mut self) {
        self.state = State::Start;
        self.escaped = false;
        self.in_envelope = false;
        self.keeping = false;
        self.partial.clear();
    }

    /// What the texts said so far.
    pub(super) fn observed(&self) -> Observed {
        Observed {
            model: usage::text(&self.model),
            response_id: usage::text(&self.id),
            usage: usage::read(&self.usage),
        }
    }

    /// The next bytes of the text.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        // Where the value that is kept begins in these bytes.
        let mut from = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Done => return,
                State::Text => match self.skip_string(bytes, at) {
                    Some(end) => {
                        self.end_value(&bytes[from..end]);
                        at = end;
                    }
                    None => break,
                },
                State::Nest | State::NestText => match self.skip_nest(bytes, at) {
                    Some(end) => {
                        self.end_value(&bytes[from..end]);
                        at = end;
                    }
                    None => break,
                },
                State::Name => match self.skip_string(bytes, at) {
                    Some(end) => {
                        self.end_name(&bytes[at..end - 1]);
                        at = end;
                    }
                    None => {
                        let part = &bytes[at..];
                        self.partial
                            .extend_from_slice(&part[..part.len().min(LONGEST_NAME)]);
                        self.partial.truncate(LONGEST_NAME);
                        break;
                    }
                },
                // Ends at a token that belongs to the object around it.
                State::Scalar if matches!(byte, b',' | b'}' | b']') => self.state = State::Members,
                State::Scalar => at += 1,
                _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => at += 1,
                State::Start => {
                    self.state = if byte == b'{' {
                        State::Members
                    } else {
                        State::Done
                    };
                    at += 1;
                }
                State::Members => {
                    self.member(byte);
                    at += 1;
                }
                State::Colon => {
                    self.state = if byte == b':' {
                        State::Value
                    } else {
                        State::Done
                    };
                    at += 1;
                }
                State::Value => {
                    self.begin_value(byte);
                    from = at;
                    at += 1;
                }
            }
        }
        if self.keeping {
            self.keep(&bytes[from..]);
        }
    }

    /// A byte between two members.
    fn member(&mut self, byte: u8) {
        match byte {
            b'"' => self.state = State::Name,
            b',' => {}
            b'}' if self.in_envelope => self.in_envelope = false,
            _ => self.state = State::Done,
        }
    }

    /// A name has ended; `tail` is what these bytes had of it.
    fn end_name(&mut self, tail: &[u8]) {
        self.name = if self.partial.is_empty() {
            Name::of(tail)
        } else {
            let room = LONGEST_NAME - self.partial.len();
            self.partial
                .extend_from_slice(&tail[..tail.len().min(room)]);
            Name::of(&self.partial)
        };
        self.partial.clear();
        self.state = State::Colon;
    }

    /// The first byte of a value decides what it is, and whether it is kept.
    fn begin_value(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.keeping = matches!(self.name, Name::Id | Name::Model);
                self.state = State::Text;
            }
            b'{' if self.name == Name::Envelope && !self.in_envelope => {
                self.in_envelope = true;
                self.state = State::Members;
            }
            b'{' | b'[' => {
                self.keeping = byte == b'{' && self.name == Name::Usage;
                self.depth = 1;
                self.state = State::Nest;
            }
            b',' | b'}' | b']' | b':' => self.state = State::Done,
            _ => self.state = State::Scalar,
        }
    }

    /// A value has ended; `tail` is what these bytes had of it.
    fn end_value(&mut self, tail: &[u8]) {
        self.state = State::Members;
        if self.keeping {
            self.keep(tail);
        }
        if self.keeping {
            let kept = match self.name {
                Name::Id => &mut self.id,
                Name::Model => &mut self.model,
                _ => &mut self.usage,
            };
            // Copied, not swapped: each buffer soon has its size for good.
            kept.clear();
            kept.extend_from_slice(&self.partial);
            self.partial.clear();
            self.keeping = false;
        }
    }

    /// More of the value that is kept. One that is too long counts as absent,
    /// and so does what it replaces: an old value is no better than none.
    fn keep(&mut self, part: &[u8]) {
        if self.partial.len() + part.len() <= self.name.limit() {
            self.partial.extend_from_slice(part);
            return;
        }
        match self.name {
            Name::Id => self.id.clear(),
            Name::Model => self.model.clear(),
            _ => self.usage.clear(),
        }
        self.partial.clear();
        self.keeping = false;
    }

    /// From inside a string to behind its closing quote; None if that is not here.
    fn skip_string(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        if self.escaped {
            self.escaped = false;
            at += 1;
        }
        loop {
            let rest = bytes.get(at..)?;
            at += find_quote_or_backslash(rest)? + 1;
            if bytes[at - 1] == b'"' {
                return Some(at);
            }
            // Whatever is escaped, its first byte can't end the string.
            at += 1;
            self.escaped = at > bytes.len();
        }
    }

    /// From inside a container to behind its closing bracket; None if that is not here.
    fn skip_nest(&mut self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            if self.state == State::NestText {
                at = self.skip_string(bytes, at)?;
                self.state = State::Nest;
            }
            at += find_structure(&bytes[at..])? + 1;
            match bytes[at - 1] {
                b'"' => self.state = State::NestText,
                b'{' | b'[' => self.depth += 1,
                _ => self.depth -= 1,
            }
            if self.depth == 0 {
                return Some(at);
            }
        }
    }
}

#[cfg(test)]
mod tests;
