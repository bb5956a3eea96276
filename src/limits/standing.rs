//! How a client stands with its limits, as the fields that OpenAI's API has for
//! it and the SDKs read:
//! <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::rate::Window;

/// Of requests, then of tokens: limit, remaining, reset.
static NAMES: [HeaderName; 6] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// How a client stands, when its request has come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its requests a minute, this one taken.
    pub requests: Option<Window>,
    /// Its tokens a minute, those of this request not yet known.
    pub tokens: Option<Window>,
}

impl Standing {
    /// Writes it into an answer's fields. What an upstream says there is about
    /// the operator's key, and would mislead a client with a limit of its own.
    pub fn write(&self, fields: &mut HeaderMap) {
        if self.requests.is_none() && self.tokens.is_none() {
            return;
        }
        // One piece of memory for all values, each with the place where it ends.
        let mut text = String::with_capacity(128);
        let mut ends = [0; 6];
        for (ends, window) in ends.chunks_mut(3).zip([self.requests, self.tokens]) {
            let Some(window) = window else {
                ends.fill(text.len());
                continue;
            };
            spell_number(window.limit, &mut text);
            ends[0] = text.len();
            spell_number(window.remaining, &mut text);
            ends[1] = text.len();
            spell_time(window.reset, &mut text);
            ends[2] = text.len();
        }
        let text = Bytes::from(text);
        fields.reserve(NAMES.len());
        let mut begin = 0;
        for (name, end) in NAMES.iter().zip(ends) {
            if begin == end {
                fields.remove(name);
                continue;
            }
            let value = HeaderValue::from_maybe_shared(text.slice(begin..end));
            fields.insert(name, value.expect("digits and units are visible ASCII"));
            begin = end;
        }
    }
}

/// Out of line: its code is there once, not once for each number of an answer.
#[inline(never)]
fn spell_number(number: u64, text: &mut String) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// A time as OpenAI writes it: `120ms`, `1s`, `6m0s`, `1h0m0s`.
fn spell_time(time: Duration, text: &mut String) {
    // Not before it is over.
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let milliseconds = nanos.div_ceil(1_000_000);
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    if seconds == 0 {
        spell_number(rest, text);
        text.push_str("ms");
        return;
    }
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    if hours > 0 {
        spell_number(hours, text);
        text.push('h');
    }
    if seconds >= 60 {
        spell_number(minutes, text);
        text.push('m');
    }
    spell_number(seconds % 60, text);
    if rest > 0 {
        // Three digits, the first of which may be zeros: that of 1000 becomes the point.
        let point = text.len();
        spell_number(1000 + rest, text);
        text.replace_range(point..=point, ".");
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('s');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spelled_as_openai_does() {
        for (milliseconds, expected) in [
            (0, "0ms"),
            (120, "120ms"),
            (1000, "1s"),
            (8640, "8.64s"),
            (59_003, "59.003s"),
            (360_000, "6m0s"),
            (72_500, "1m12.5s"),
            (3_600_000, "1h0m0s"),
            (90_061_000, "25h1m1s"),
        ] {
            let mut text = String::new();
            spell_time(Duration::from_millis(milliseconds), &mut text);
            assert_eq!(text, expected);
        }
        let mut text = String::new();
        spell_time(Duration::from_nanos(1), &mut text);
        assert_eq!(text, "1ms");
    }

    #[test]
    fn what_the_upstream_says_goes_where_a_limit_of_ours_is() {
        let mut fields = HeaderMap::new();
        for name in &NAMES {
            fields.insert(name, HeaderValue::from(7));
        }
        let untouched = fields.clone();
        Standing::default().write(&mut fields);
        assert_eq!(fields, untouched);
        let standing = Standing {
            requests: Some(Window {
                limit: 60,
                remaining: 59,
                reset: Duration::from_secs(1),
            }),
            tokens: None,
        };
        standing.write(&mut fields);
        assert_eq!(fields.len(), 3);
        assert_eq!(fields[&NAMES[0]], "60");
        assert_eq!(fields[&NAMES[1]], "59");
        assert_eq!(fields[&NAMES[2]], "1s");
    }
}
