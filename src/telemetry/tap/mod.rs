//! The usage tap: reads token counts, model and response id out of an answer
//! while its bytes pass to the client.
//!
//! It is handed every chunk that the proxy forwards, in whatever pieces the
//! upstream sent them, and keeps at most a few KiB of them: the raw values of
//! `usage`, `id` and `model`. It never holds a byte back and can't fail; what
//! it does not understand it reports as absent.
//!
//! ```text
//! bytes -> sse (lines, events) -> json (names, values) -> usage (numbers)
//! ```

mod json;
#[cfg(test)]
mod properties;
pub(crate) mod skip;
mod sse;
mod usage;

use crate::telemetry::bounded::Bounded;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use self::json::Scanner;
use self::sse::Events;
pub use self::usage::Usage;

/// Watches one answer. Memory: below 1 KiB in use, 16 KiB at most.
#[derive(Debug)]
pub struct Tap(Kind);

#[derive(Debug)]
enum Kind {
    Off,
    Json(Scanner),
    Sse(Events),
}

/// What an answer said about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The model that answered, by the upstream's name for it.
    pub model: Option<Bounded>,
    /// The upstream's name for this answer: `chatcmpl-...`, `resp_...`.
    pub response_id: Option<Bounded>,
    /// Tokens. None: the answer gave no usage that could be read.
    pub usage: Option<Usage>,
}

impl Tap {
    /// A tap that fits an answer with these fields.
    ///
    /// Off, and free, unless the content is JSON (`application/json`, `+json`)
    /// or an event stream, and is not compressed.
    pub fn for_answer(headers: &HeaderMap) -> Tap {
        if is_encoded(headers) {
            return Tap::off();
        }
        Tap(match essence(headers) {
            Some(kind) if kind.eq_ignore_ascii_case("application/json") || is_json_suffix(kind) => {
                Kind::Json(Scanner::default())
            }
            Some(kind) if kind.eq_ignore_ascii_case("text/event-stream") => {
                Kind::Sse(Events::default())
            }
            _ => Kind::Off,
        })
    }

    /// A tap that watches nothing, for an answer that must not be looked at.
    pub fn off() -> Tap {
        Tap(Kind::Off)
    }

    /// The next bytes of the answer, in any pieces.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Kind::Off => {}
            Kind::Json(scanner) => scanner.feed(bytes),
            Kind::Sse(events) => events.feed(bytes),
        }
    }

    /// Whether the answer is an event stream that the tap reads.
    pub fn is_sse(&self) -> bool {
        matches!(self.0, Kind::Sse(_))
    }

    /// Whether an event of ours may be written here: before an event stream's
    /// first byte or right after one of its blank lines, however they end.
    pub fn at_event_boundary(&self) -> bool {
        matches!(&self.0, Kind::Sse(events) if events.at_boundary())
    }

    /// What was seen. To be called after the last byte, also of an answer that
    /// was cut: what had come whole until then counts.
    pub fn finish(&mut self) -> Observed {
        match &mut self.0 {
            Kind::Off => Observed::default(),
            Kind::Json(scanner) => scanner.observed(),
            Kind::Sse(events) => events.observed(),
        }
    }
}

/// Whether the body is compressed: any coding but `identity`, on any line.
fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|line| {
        line.as_bytes()
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// The media type without its parameters.
fn essence(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// RFC 6839: `application/problem+json` and its like.
fn is_json_suffix(kind: &str) -> bool {
    let suffix = kind.len().checked_sub(5).and_then(|at| kind.get(at..));
    suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn tap(content_type: &str, encodings: &[&'static str]) -> Tap {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(content_type) {
            headers.insert(CONTENT_TYPE, value);
        }
        for coding in encodings {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Tap::for_answer(&headers)
    }

    #[test]
    fn the_content_type_decides_how_an_answer_is_read() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/vnd.x+JSON ;v=1",
        ] {
            assert!(matches!(tap(json, &[]).0, Kind::Json(_)), "{json}");
        }
        for sse in ["text/event-stream", "TEXT/event-stream;charset=utf-8"] {
            assert!(tap(sse, &[]).is_sse(), "{sse}");
        }
        for other in [
            "",
            "text/plain",
            "audio/mpeg",
            "application/x-ndjson",
            "+jso",
            "json",
        ] {
            assert!(matches!(tap(other, &[]).0, Kind::Off), "{other}");
        }
        assert!(matches!(Tap::for_answer(&HeaderMap::new()).0, Kind::Off));
    }

    #[test]
    fn a_compressed_answer_is_not_looked_at() {
        for plain in [&[][..], &["identity"], &["Identity", "identity"], &[""]] {
            assert!(tap("text/event-stream", plain).is_sse(), "{plain:?}");
        }
        for coded in [
            &["gzip"][..],
            &["br"],
            &["identity", "zstd"],
            &["identity, gzip"],
        ] {
            assert!(
                matches!(tap("application/json", coded).0, Kind::Off),
                "{coded:?}"
            );
            assert!(!tap("text/event-stream", coded).is_sse(), "{coded:?}");
        }
    }

    #[test]
    fn only_an_event_stream_has_event_boundaries() {
        assert!(tap("text/event-stream", &[]).at_event_boundary());
        assert!(!tap("application/json", &[]).at_event_boundary());
        assert!(!Tap::off().at_event_boundary());
    }

    #[test]
    fn an_answer_that_is_off_shows_nothing() {
        let mut off = tap("text/plain", &[]);
        off.feed(br#"{"id":"x","model":"m","usage":{"total_tokens":1}}"#);
        assert_eq!(off.finish(), Observed::default());
    }
}
