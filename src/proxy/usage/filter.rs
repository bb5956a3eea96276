//! Takes out of an event stream what asking for its usage has put in.
//!
//! Lines and events are those of the HTML standard (9.2.6), as in the tap. What
//! passes goes on in the piece that it came in. Held back are only an event's
//! bytes until it is known to be another than the one that tells the usage, which
//! its `choices` say, and a member's until it is known to be no `"usage": null`.

use bytes::Bytes;
use memchr::memchr2;

use super::chunk::Chunk;
use super::held::{Held, Piece};

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
const DATA: &[u8; 4] = b"data";

/// Filters one event stream, in any pieces. Memory: 16 KiB at most, and that
/// only while an event is cut in two.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    held: Held,
    chunk: Chunk,
    line: Line,
    /// The place in the stream of the next byte.
    place: u64,
    /// A field has come since the last blank line.
    in_event: bool,
    /// One of them was `data`.
    has_data: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// With that CR an event ended that was taken out.
    took_event: bool,
}

/// Where in its line the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// In the byte order mark that may open the stream, so many bytes in.
    Bom(u8),
    /// At its first byte.
    Start,
    /// In a field's name, of which these many bytes are those of `data`.
    Name(u8),
    /// Right behind `data:`, where a space may come that is no data.
    Space,
    /// In the value of a `data` field.
    Data,
    /// In a comment, or another field.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Line::Bom(0)
    }
}

impl Filter {
    /// The next bytes of the stream; gives what the client gets of them, and of
    /// those that were held back before.
    pub(crate) fn feed(&mut self, bytes: &Bytes) -> Bytes {
        let start = self.place;
        let mut piece = Piece::new(bytes, start);
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let here = start + at as u64;
            if std::mem::take(&mut self.after_cr) && byte == b'\n' {
                if std::mem::take(&mut self.took_event) {
                    self.held.take_out(here + 1, &mut piece);
                }
                at += 1;
                continue;
            }
            match self.line {
                Line::Data | Line::Other => {
                    at = self.pass_line(bytes, at, &mut piece);
                    continue;
                }
                Line::Start => {
                    self.took_event = false;
                    match byte {
                        b'\n' | b'\r' => self.end_event(byte, here + 1, &mut piece),
                        b':' => self.line = Line::Other,
                        _ => {
                            self.begin_field(here, &mut piece);
                            continue;
                        }
                    }
                }
                Line::Bom(seen) if byte == BOM[usize::from(seen)] => {
                    self.line = match seen {
                        2 => Line::Start,
                        _ => Line::Bom(seen + 1),
                    };
                }
                Line::Bom(seen) => {
                    self.line = if seen == 0 { Line::Start } else { Line::Other };
                    continue;
                }
                _ if byte == b'\n' || byte == b'\r' => self.end_line(byte),
                Line::Name(seen) => self.name(byte, seen),
                Line::Space => {
                    self.line = Line::Data;
                    if byte != b' ' {
                        continue;
                    }
                }
            }
            at += 1;
        }
        self.place = piece.end();
        self.keep(&mut piece);
        piece.passed()
    }

    /// What was held back, when no more comes: of an event that was cut all, but
    /// not that which tells the usage and lacks only its end.
    pub(crate) fn finish(&mut self) -> Bytes {
        let rest = self.held.rest();
        if self.in_event && self.chunk.only_tells_usage() {
            return Bytes::new();
        }
        rest
    }

    /// Whether nothing is held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The first byte of a field's name.
    fn begin_field(&mut self, here: u64, piece: &mut Piece<'_>) {
        if !self.in_event {
            // Comments before an event are none of it.
            self.held.pass(here, piece);
            self.in_event = true;
        }
        self.line = Line::Name(0);
    }

    /// A byte of a field's name, after so many that agree with `data`.
    fn name(&mut self, byte: u8, seen: u8) {
        self.line = match DATA.get(usize::from(seen)) {
            Some(&next) if next == byte => Line::Name(seen + 1),
            None if byte == b':' => {
                self.begin_data();
                Line::Space
            }
            _ => Line::Other,
        };
    }

    /// The rest of the line, as far as it is here.
    fn pass_line(&mut self, bytes: &Bytes, at: usize, piece: &mut Piece<'_>) -> usize {
        let length = memchr2(b'\n', b'\r', &bytes[at..]);
        let end = length.map_or(bytes.len(), |length| at + length);
        if self.line == Line::Data {
            let place = self.place + at as u64;
            self.chunk
                .feed(&bytes[at..end], place, &mut self.held, piece);
        }
        if length.is_none() {
            return end;
        }
        self.end_line(bytes[end]);
        end + 1
    }

    /// A `data` field: the event's first, or one more line of it.
    fn begin_data(&mut self) {
        if self.has_data {
            self.chunk.next_line();
        }
        self.has_data = true;
    }

    fn end_line(&mut self, end: u8) {
        // `data` without a colon is a field with an empty value.
        if self.line == Line::Name(4) {
            self.begin_data();
        }
        self.line = Line::Start;
        self.after_cr = end == b'\r';
    }

    /// A blank line, which ends before the place `to`.
    fn end_event(&mut self, end: u8, to: u64, piece: &mut Piece<'_>) {
        if self.in_event && self.chunk.only_tells_usage() {
            self.took_event = self.held.take_out(to, piece);
        } else {
            self.held.pass(to, piece);
        }
        self.chunk.restart();
        self.in_event = false;
        self.has_data = false;
        self.after_cr = end == b'\r';
    }

    /// At the end of a piece: lets all through that is decided, and keeps the rest.
    fn keep(&mut self, piece: &mut Piece<'_>) {
        let is_open = self.in_event && !self.chunk.is_ordinary();
        if is_open && self.held.keep(piece) {
            return;
        }
        if is_open {
            self.chunk.pass();
        }
        let decided = self.chunk.member().unwrap_or(piece.end());
        self.held.pass(decided, piece);
        if !self.held.keep(piece) {
            self.chunk.pass_member();
            self.held.pass(piece.end(), piece);
        }
    }
}
