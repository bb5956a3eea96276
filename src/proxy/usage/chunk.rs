//! One event's JSON, read as it comes: whether it is the one that only tells the
//! usage, and where a `"usage": null` stands in it.
//!
//! Knows just enough of JSON (RFC 8259) to tell the members of the top-level
//! object from what is in their values; those are skipped, however long.

use super::held::{Held, Piece};
use crate::telemetry::tap::skip::Skip;

const USAGE: &[u8] = b"usage";
const CHOICES: &[u8] = b"choices";
const NULL: &[u8] = b"null";

/// Reads the JSON of one event after the other.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    state: State,
    /// The name or value that is skipped.
    skip: Skip,
    /// The first bytes of the member's name, and how many there are.
    name: [u8; CHOICES.len()],
    name_length: usize,
    /// So many bytes of a value were those of `null`.
    nulls: usize,
    /// No member stays that came before.
    is_first: bool,
    /// The member here may be one that is taken out; from this place on.
    member: Option<u64>,
    /// The first member is taken out, up to this place or the next one's.
    taken: Option<u64>,
    /// It is not the event that only tells the usage.
    is_ordinary: bool,
    has_usage: bool,
    has_no_choices: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the object.
    #[default]
    Start,
    /// In it, between two members.
    Members,
    /// In a member's name.
    Name,
    /// Between a name and its colon.
    Colon,
    /// Between the colon and the value.
    Value,
    /// In a value that may be `null`, of a member that would be taken out.
    Null,
    /// Right behind the first bracket of `choices`.
    Choices,
    /// In a string, an array or an object.
    Skipped,
    /// In any other value.
    Scalar,
    /// Behind the object.
    After,
    /// The rest is nothing that is known here.
    Done,
}

impl Chunk {
    /// The next event begins.
    pub(super) fn restart(&mut self) {
        *self = Chunk::default();
    }

    /// Whether it can't be the event that only tells the usage.
    pub(super) fn is_ordinary(&self) -> bool {
        self.is_ordinary
    }

    /// Whether it is that event, if it ends here.
    pub(super) fn only_tells_usage(&self) -> bool {
        let is_whole = self.state == State::After && !self.is_ordinary;
        is_whole && self.has_usage && self.has_no_choices
    }

    /// The place from which a member may still be taken out.
    pub(super) fn member(&self) -> Option<u64> {
        self.member
    }

    /// It passes: there is too much of it to know better.
    pub(super) fn pass(&mut self) {
        self.is_ordinary = true;
    }

    /// The member here stays.
    pub(super) fn pass_member(&mut self) {
        self.member = None;
        self.taken = None;
        self.is_first = false;
        if self.state == State::Null {
            self.state = State::Scalar;
        }
    }

    /// Its JSON goes on in another line. What would be taken out across them
    /// stays, since what else stands between them has to.
    pub(super) fn next_line(&mut self) {
        if self.state == State::Null {
            self.is_ordinary = true;
        }
        self.pass_member();
        if self.state == State::Scalar {
            self.state = State::Members;
        }
    }

    /// More of its JSON, which stands at `place` in the stream.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        place: u64,
        held: &mut Held,
        piece: &mut Piece<'_>,
    ) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let here = place + at as u64;
            match self.state {
                State::Done => return,
                State::Name | State::Skipped => {
                    let end = self.skip.end(bytes, at);
                    if self.state == State::Name {
                        self.read_name(&bytes[at..end.map_or(bytes.len(), |end| end - 1)]);
                    }
                    let Some(end) = end else { return };
                    match self.state {
                        State::Name => self.state = State::Colon,
                        _ => self.end_value(place + end as u64),
                    }
                    at = end;
                    continue;
                }
                State::Null if NULL.get(self.nulls) == Some(&byte) => self.nulls += 1,
                State::Null if self.nulls == NULL.len() && is_end_of_scalar(byte) => {
                    self.take_out(here, held, piece);
                    continue;
                }
                State::Null => {
                    self.is_ordinary = true;
                    self.pass_member();
                    continue;
                }
                State::Scalar if is_end_of_scalar(byte) => {
                    self.end_value(here);
                    continue;
                }
                State::Scalar => {}
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
                State::Start if byte == b'{' => {
                    self.is_first = true;
                    self.state = State::Members;
                }
                State::Members => self.between(byte, here, held, piece),
                State::Colon if byte == b':' => self.state = State::Value,
                State::Value => self.begin_value(byte),
                State::Choices if byte == b']' => {
                    self.has_no_choices = true;
                    self.end_value(here + 1);
                }
                State::Choices => {
                    self.is_ordinary = true;
                    self.skip = Skip::nest();
                    self.state = State::Skipped;
                    continue;
                }
                State::Start | State::Colon | State::After => self.give_up(),
            }
            at += 1;
        }
    }

    /// A byte between two members.
    fn between(&mut self, byte: u8, here: u64, held: &mut Held, piece: &mut Piece<'_>) {
        match byte {
            b',' => {}
            b'"' => {
                if self.taken.take().is_some() {
                    held.take_out(here, piece);
                }
                if self.is_first {
                    self.member = Some(here);
                }
                self.name_length = 0;
                self.skip = Skip::text();
                self.state = State::Name;
            }
            b'}' => {
                if let Some(end) = self.taken.take() {
                    held.take_out(end, piece);
                }
                self.member = None;
                self.state = State::After;
                self.is_ordinary |= !(self.has_usage && self.has_no_choices);
            }
            _ => self.give_up(),
        }
    }

    /// A part of a member's name. One in which letters are escaped is none that
    /// any server writes, and so none that is known here.
    fn read_name(&mut self, part: &[u8]) {
        let room = &mut self.name[self.name_length.min(CHOICES.len())..];
        let known = part.len().min(room.len());
        room[..known].copy_from_slice(&part[..known]);
        self.name_length += part.len();
        let is_begun = USAGE.starts_with(self.name());
        if !is_begun && self.member.is_some() {
            self.pass_member();
        }
    }

    /// The member's name, as far as it was read; empty if it is too long.
    fn name(&self) -> &[u8] {
        match self.name.get(..self.name_length) {
            Some(name) => name,
            None => b"too long",
        }
    }

    fn begin_value(&mut self, byte: u8) {
        let (is_usage, is_choices) = (self.name() == USAGE, self.name() == CHOICES);
        if is_usage && byte == b'n' && self.member.is_some() {
            self.nulls = 1;
            self.state = State::Null;
            return;
        }
        self.pass_member();
        self.state = State::Skipped;
        match byte {
            b'[' if is_choices => self.state = State::Choices,
            b'"' => self.skip = Skip::text(),
            b'{' | b'[' => self.skip = Skip::nest(),
            b',' | b'}' | b']' | b':' => return self.give_up(),
            _ => self.state = State::Scalar,
        }
        if is_usage {
            self.has_usage = byte == b'{';
        }
        self.is_ordinary |= (is_usage && byte != b'{') || (is_choices && byte != b'[');
    }

    /// A value that stays has ended right before this place.
    fn end_value(&mut self, end: u64) {
        self.is_first = false;
        self.member = Some(end);
        self.state = State::Members;
    }

    /// The `"usage": null` that ends before this place is taken out: with the
    /// comma before it, or, as the first member, with the one behind it.
    fn take_out(&mut self, end: u64, held: &mut Held, piece: &mut Piece<'_>) {
        self.is_ordinary = true;
        self.state = State::Members;
        let begin = self.member.unwrap_or(end);
        held.pass(begin, piece);
        if self.is_first {
            self.taken = Some(end);
        } else {
            held.take_out(end, piece);
            self.member = Some(end);
        }
    }

    /// It is no JSON as an upstream writes it.
    fn give_up(&mut self) {
        self.is_ordinary = true;
        self.pass_member();
        self.state = State::Done;
    }
}

fn is_end_of_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
}
