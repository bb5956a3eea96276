//! The lines and events of an event stream, over the JSON scanner.
//!
//! Follows the HTML standard's event stream format (9.2.6): lines end with LF,
//! CRLF or CR; `data` fields of an event are joined by a newline; a blank line
//! ends the event; all else is passed over. Nothing is buffered: a field's
//! value goes to the scanner in the pieces it came in.

use memchr::memchr2;

use super::Observed;
use super::json::Scanner;

const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
const DATA: &[u8; 4] = b"data";

/// Reads an event stream in any pieces.
#[derive(Debug, Default)]
pub(super) struct Events {
    scanner: Scanner,
    place: Place,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The event has a `data` field already.
    has_data: bool,
    /// The last line was blank.
    after_blank: bool,
}

/// Where in its line the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the byte order mark that may open the stream, so many bytes in.
    Bom(u8),
    /// In a line of which these many bytes are the first ones of `data`.
    Name(u8),
    /// Right behind `data:`, where a space may come that is no data.
    Space,
    /// In the value of a `data` field.
    Data,
    /// In a line that says nothing here.
    Other,
}

impl Default for Place {
    fn default() -> Self {
        Place::Bom(0)
    }
}

impl Events {
    /// Before the first byte, or right after a blank line. Between the CR and
    /// the LF that end one counts: a CR alone ends it just as well.
    pub(super) fn at_boundary(&self) -> bool {
        self.after_blank || self.place == Place::Bom(0)
    }

    /// What the events said so far.
    pub(super) fn observed(&self) -> Observed {
        self.scanner.observed()
    }

    /// The next bytes of the stream.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.place {
                _ if byte == b'\n' && self.after_cr => {
                    self.after_cr = false;
                    at += 1;
                }
                Place::Bom(seen) if byte == BOM[usize::from(seen)] => {
                    self.place = if seen == 2 {
                        Place::Name(0)
                    } else {
                        Place::Bom(seen + 1)
                    };
                    at += 1;
                }
                Place::Bom(0) => self.place = Place::Name(0),
                Place::Bom(_) => self.place = Place::Other,
                Place::Name(0) if bytes[at..].starts_with(b"data: ") => {
                    self.begin_data();
                    self.place = Place::Data;
                    at += 6;
                }
                Place::Data | Place::Other => at = self.pass(bytes, at),
                _ if byte == b'\n' || byte == b'\r' => {
                    self.end_line(byte);
                    at += 1;
                }
                Place::Name(seen) => {
                    self.name(byte, usize::from(seen));
                    at += 1;
                }
                Place::Space => {
                    self.place = Place::Data;
                    at += usize::from(byte == b' ');
                }
            }
        }
    }

    /// A byte of a field's name, after so many that agree with `data`.
    fn name(&mut self, byte: u8, seen: usize) {
        self.leave_boundary();
        self.place = match DATA.get(seen) {
            Some(&next) if next == byte => Place::Name(seen as u8 + 1),
            None if byte == b':' => {
                self.begin_data();
                Place::Space
            }
            _ => Place::Other,
        };
    }

    /// The rest of the line, as far as it is here.
    fn pass(&mut self, bytes: &[u8], at: usize) -> usize {
        self.leave_boundary();
        let rest = &bytes[at..];
        let length = memchr2(b'\n', b'\r', rest);
        let line = &rest[..length.unwrap_or(rest.len())];
        if self.place == Place::Data && !self.scanner.is_done() {
            self.scanner.feed(line);
        }
        match length {
            Some(length) => {
                self.end_line(rest[length]);
                at + length + 1
            }
            None => bytes.len(),
        }
    }

    /// A `data` field: the event's first, or one more line of it.
    fn begin_data(&mut self) {
        self.leave_boundary();
        if self.has_data {
            self.scanner.feed(b"\n");
        }
        self.has_data = true;
    }

    fn end_line(&mut self, end: u8) {
        match self.place {
            // Blank: the event ends.
            Place::Name(0) => {
                self.scanner.restart();
                self.has_data = false;
                self.after_blank = true;
            }
            // `data` without a colon is a field with an empty value.
            Place::Name(4) => self.begin_data(),
            _ => {}
        }
        self.place = Place::Name(0);
        self.after_cr = end == b'\r';
    }

    fn leave_boundary(&mut self) {
        self.after_blank = false;
        self.after_cr = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(stream: &[u8]) -> Option<u64> {
        let mut events = Events::default();
        events.feed(stream);
        events.observed().usage?.total_tokens
    }

    #[test]
    fn every_form_of_a_data_field_is_read() {
        for stream in [
            "data: {\"usage\":{\"total_tokens\":5}}\n\n",
            "data:{\"usage\":{\"total_tokens\":5}}\r\n\r\n",
            "data: {\"usage\":{\"total_tokens\":5}}\r\r",
            "data:  {\"usage\":{\"total_tokens\":5}}",
            "\u{feff}data: {\"usage\":{\"total_tokens\":5}}\n\n",
            ": hello\nevent: x\nid: 1\nretry\ndata: {\"usage\":{\"total_tokens\":5}}\n\n",
            "data: {\"usage\":\ndata: {\"total_tokens\":\ndata\ndata:5}\ndata:}\n\n",
            "data: {\"a\ndata: {\"usage\":{\"total_tokens\":6}}\n\ndata: {\"usage\":{\"total_tokens\":5}}\n\n",
            "data: {\"usage\":{\"total_tokens\":5}}\n\ndata: {\"usage\":null}\n\ndata: [DONE]\n\n",
            "data: [DONE]\n\ndata: {\"usage\":{\"total_tokens\":5}}",
        ] {
            assert_eq!(total(stream.as_bytes()), Some(5), "{stream}");
        }
    }

    #[test]
    fn what_is_no_data_field_is_passed_over() {
        for stream in [
            ":data: {\"usage\":{\"total_tokens\":5}}\n\n",
            "datum: {\"usage\":{\"total_tokens\":5}}\n\n",
            "dat: {\"usage\":{\"total_tokens\":5}}\n\n",
            "data2: {\"usage\":{\"total_tokens\":5}}\n\n",
            " data: {\"usage\":{\"total_tokens\":5}}\n\n",
            "event: data: {\"usage\":{\"total_tokens\":5}}\n\n",
            "{\"usage\":{\"total_tokens\":5}}\n\n",
            "\n\u{feff}data: {\"usage\":{\"total_tokens\":5}}\n\n",
        ] {
            assert_eq!(total(stream.as_bytes()), None, "{stream}");
        }
    }

    #[test]
    fn lines_of_an_event_are_joined_by_a_newline() {
        assert_eq!(
            total(b"data:{\"usage\":{\"total_tokens\":5\ndata:6}}\n\n"),
            None
        );
    }

    #[test]
    fn an_event_of_ours_fits_before_the_first_byte_and_after_blank_lines_only() {
        // A `|` stands wherever the stream is at a boundary.
        for marked in [
            "|dx",
            "|data: x\n\n|data: y\n\n|",
            "|data: x\r\n\r|\n|data: y\r\n",
            "|data: x\r\r|data: y\r\r|",
            "|data: x\n\r|\n|",
            "|data: x\r\n\n|",
            "|data: x\r\n",
            "|: ping\n\n|: ping\n",
            "|\n|\n|\r|\n|\r|d",
            "|data: x\n\n|data",
            "|\u{feff}\n|",
        ] {
            let mut events = Events::default();
            let mut shown = String::new();
            for byte in marked.replace('|', "").into_bytes() {
                if events.at_boundary() {
                    shown.push('|');
                }
                events.feed(&[byte]);
                shown.push(char::from(byte));
            }
            if events.at_boundary() {
                shown.push('|');
            }
            let marked: String = marked.bytes().map(char::from).collect();
            assert_eq!(shown, marked);
        }
    }

    #[test]
    fn an_event_of_a_mebibyte_is_read_and_not_kept() {
        let mut stream = b"data: {\"delta\":\"".to_vec();
        stream.resize(1 << 20, b'x');
        stream.extend_from_slice(b"\",\"usage\":{\"total_tokens\":5}}\n\n");
        assert_eq!(total(&stream), Some(5));
    }
}
