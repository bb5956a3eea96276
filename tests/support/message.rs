//! HTTP/1.1 messages as they were on the wire: nothing normalised, nothing lost.

use std::time::Instant;

/// A request's or an answer's head.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// Every byte, the empty line included.
    pub raw: Vec<u8>,
    /// The request line or the status line.
    pub start_line: String,
    /// Names as sent and values without surrounding blanks, in order.
    ///
    /// Values are read as Latin-1, one character an octet: obs-text survives.
    pub fields: Vec<(String, String)>,
}

/// A body, with the pieces in which it came.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Every byte, chunk framing and trailers included.
    pub raw: Vec<u8>,
    /// With chunked coding the chunks; otherwise what each read brought.
    pub chunks: Vec<Chunk>,
    /// Trailer fields of a chunked body.
    pub trailers: Vec<(String, String)>,
    /// How it ended.
    pub end: End,
}

/// A piece of a body.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Its bytes, without framing.
    pub data: Vec<u8>,
    /// When its last byte had come.
    pub at: Instant,
    /// What stood behind its size, `;` included.
    pub extension: String,
}

/// How a body ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum End {
    /// It has not.
    #[default]
    Pending,
    /// As its framing says: length reached, last chunk seen, or closed cleanly.
    Complete,
    /// The connection ended first; with the reason.
    Cut(String),
    /// Its framing was none.
    Malformed(String),
    /// Nothing came until the deadline.
    TimedOut,
}

/// What a head says about the length of its body (RFC 9112, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All until the connection ends.
    UntilClose,
}

impl Head {
    /// Takes a head, empty line included, apart; never fails.
    pub fn parse(raw: &[u8]) -> Head {
        let text = latin1(raw);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let start_line = lines.next().unwrap_or_default().to_owned();
        Head {
            raw: raw.to_vec(),
            start_line,
            fields: lines.filter_map(field).collect(),
        }
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.word(0)
    }

    /// A request's target, as sent.
    pub fn target(&self) -> &str {
        self.word(1)
    }

    /// An answer's status; 0 if the line has none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// The first value of `name`, compared without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.values(name).first().copied()
    }

    /// Every value of `name`, in order.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether there is a field `name`.
    pub fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// The framing of this request's body.
    pub fn request_framing(&self) -> Framing {
        self.declared_framing().unwrap_or(Framing::Empty)
    }

    /// The framing of this answer's body, unless HEAD was asked.
    pub fn answer_framing(&self) -> Framing {
        match self.status() {
            100..200 | 204 | 304 => Framing::Empty,
            _ => self.declared_framing().unwrap_or(Framing::UntilClose),
        }
    }

    fn declared_framing(&self) -> Option<Framing> {
        let codings = self.field("transfer-encoding");
        if codings.is_some_and(|codings| codings.to_ascii_lowercase().contains("chunked")) {
            return Some(Framing::Chunked);
        }
        let length = self.field("content-length")?.parse().ok()?;
        Some(Framing::Length(length))
    }

    fn word(&self, index: usize) -> &str {
        self.start_line.split(' ').nth(index).unwrap_or_default()
    }
}

impl Body {
    /// The bytes without framing.
    pub fn data(&self) -> Vec<u8> {
        let pieces = self.chunks.iter().map(|chunk| chunk.data.as_slice());
        pieces.collect::<Vec<_>>().concat()
    }

    /// The bytes without framing, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data()).into_owned()
    }

    /// The bytes without framing, as JSON; panics if they are none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.data())
            .unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.text()))
    }

    /// Whether it ended as its framing says.
    pub fn is_complete(&self) -> bool {
        self.end == End::Complete
    }
}

/// A field line, or None for the empty line and for continuations.
pub fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// One character an octet.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
