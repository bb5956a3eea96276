//! How a client stands with its limits, as the fields that OpenAI's API has for
//! it and the SDKs read:
//! <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::rate::Window;

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];

const TOKENS: [HeaderName; 3] = [
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
        fields.reserve(REQUESTS.len() + TOKENS.len());
        // One piece of memory for all values.
        let mut text = String::with_capacity(128);
        let [requests, tokens] =
            [self.requests, self.tokens].map(|window| Some(window?.spell(&mut text)));
        let text = Bytes::from(text);
        for (names, ranges) in [(&REQUESTS, requests), (&TOKENS, tokens)] {
            let Some(ranges) = ranges else {
                names.iter().for_each(|name| drop(fields.remove(name)));
                continue;
            };
            for (name, range) in names.iter().zip(ranges) {
                let value = HeaderValue::from_maybe_shared(text.slice(range));
                fields.insert(name, value.expect("digits and units are visible ASCII"));
            }
        }
    }
}

impl Window {
    /// Adds limit, remaining and reset to `text`. Gives where each is.
    fn spell(&self, text: &mut String) -> [Range<usize>; 3] {
        let mut number = itoa::Buffer::new();
        let begin = text.len();
        text.push_str(number.format(self.limit));
        let limit = text.len();
        text.push_str(number.format(self.remaining));
        let remaining = text.len();
        spell(self.reset, text);
        [begin..limit, limit..remaining, remaining..text.len()]
    }
}

/// A time as OpenAI writes it: `120ms`, `1s`, `6m0s`, `1h0m0s`.
fn spell(time: Duration, text: &mut String) {
    // Not before it is over.
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let milliseconds = nanos.div_ceil(1_000_000);
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let mut number = itoa::Buffer::new();
    if seconds == 0 {
        text.push_str(number.format(rest));
        text.push_str("ms");
        return;
    }
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    if hours > 0 {
        text.push_str(number.format(hours));
        text.push('h');
    }
    if seconds >= 60 {
        text.push_str(number.format(minutes));
        text.push('m');
    }
    text.push_str(number.format(seconds % 60));
    if rest > 0 {
        // Three digits, the first of which may be zeros.
        text.push('.');
        text.push_str(number.format(1000 + rest)[1..].trim_end_matches('0'));
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
            spell(Duration::from_millis(milliseconds), &mut text);
            assert_eq!(text, expected);
        }
        let mut text = String::new();
        spell(Duration::from_nanos(1), &mut text);
        assert_eq!(text, "1ms");
    }

    #[test]
    fn what_the_upstream_says_goes_where_a_limit_of_ours_is() {
        let mut fields = HeaderMap::new();
        for name in REQUESTS.iter().chain(&TOKENS) {
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
        assert_eq!(fields[&REQUESTS[0]], "60");
        assert_eq!(fields[&REQUESTS[1]], "59");
        assert_eq!(fields[&REQUESTS[2]], "1s");
    }
}
