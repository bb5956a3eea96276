//! An incremental scanner for one JSON text after another, fed in any pieces.
//!
//! It knows just enough of JSON (RFC 8259) to tell the members of the top-level
//! object from everything that looks like them deeper down, in a message's text
//! or a tool's arguments. Depth is a number, not a stack, and strings are
//! skipped words at a time, so a text of any depth and length costs no memory and
//! nothing near the time it takes to send. Only the raw values of
//! `id`, `model` and `usage` are kept; [`super::usage`] reads them afterwards.
//!
//! What is no JSON ends the scan of that text, silently: what the upstream
//! sends passes to the client unjudged.

use super::skip::Skip;
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
    /// The name or value that is skipped.
    skip: Skip,
    /// Below the top-level object: in the object under this member of it.
    envelope: Option<Envelope>,
    /// The member whose value comes next, or is passing.
    name: Name,
    /// Whether the passing value is kept.
    keeping: bool,
    /// The part of a name or a kept value that earlier pieces brought.
    partial: Vec<u8>,
    id: Vec<u8>,
    model: Vec<u8>,
    usage: Vec<u8>,
    /// The usage in a `message`, which a later one goes on from.
    begun: Vec<u8>,
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
    /// In a value that is a string, an object or an array.
    Skipped,
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
    /// A member with an object inside that has the others.
    Envelope(Envelope),
    #[default]
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    /// In events of the Responses API.
    Response,
    /// In the first event of Anthropic's Messages API.
    Message,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        match name {
            b"id" => Name::Id,
            b"model" => Name::Model,
            b"usage" => Name::Usage,
            b"response" => Name::Envelope(Envelope::Response),
            b"message" => Name::Envelope(Envelope::Message),
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
        self.envelope = None;
        self.keeping = false;
        self.partial.clear();
    }

    /// What the texts said so far.
    pub(super) fn observed(&self) -> Observed {
        Observed {
            model: usage::text(&self.model),
            response_id: usage::text(&self.id),
            usage: usage::read(&self.begun, &self.usage),
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
                State::Skipped => match self.skip.end(bytes, at) {
                    Some(end) => {
                        self.end_value(&bytes[from..end]);
                        at = end;
                    }
                    None => break,
                },
                State::Name => match self.skip.end(bytes, at) {
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
            b'"' => {
                self.skip = Skip::text();
                self.state = State::Name;
            }
            b',' => {}
            b'}' if self.envelope.is_some() => self.envelope = None,
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
                self.skip = Skip::text();
                self.state = State::Skipped;
            }
            b'{' | b'[' => {
                if let (b'{', Name::Envelope(envelope), None) = (byte, self.name, self.envelope) {
                    self.envelope = Some(envelope);
                    self.state = State::Members;
                    return;
                }
                self.keeping = byte == b'{' && self.name == Name::Usage;
                self.skip = Skip::nest();
                self.state = State::Skipped;
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
            let partial = std::mem::take(&mut self.partial);
            // Copied, not swapped: each buffer soon has its size for good.
            let kept = self.kept();
            kept.clear();
            kept.extend_from_slice(&partial);
            self.partial = partial;
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
        self.kept().clear();
        self.partial.clear();
        self.keeping = false;
    }

    /// Where the value that passes is kept.
    fn kept(&mut self) -> &mut Vec<u8> {
        match (self.name, self.envelope) {
            (Name::Id, _) => &mut self.id,
            (Name::Model, _) => &mut self.model,
            (_, Some(Envelope::Message)) => &mut self.begun,
            _ => &mut self.usage,
        }
    }
}

#[cfg(test)]
mod tests;
