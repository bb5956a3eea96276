//! How a client stands with its limits, as the fields that OpenAI's API has for
//! it and the SDKs read:
//! <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>.

use std::time::Duration;

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
        for (names, window) in [(&REQUESTS, self.requests), (&TOKENS, self.tokens)] {
            for name in names {
                fields.remove(name);
            }
            let Some(window) = window else { continue };
            let [limit, remaining, reset] = names;
            fields.insert(limit, HeaderValue::from(window.limit));
            fields.insert(remaining, HeaderValue::from(window.remaining));
            let spelled = HeaderValue::from_str(&spelled(window.reset));
            fields.insert(reset, spelled.expect("digits and units are visible ASCII"));
        }
    }
}

/// A time as OpenAI writes it: `120ms`, `1s`, `6m0s`, `1h0m0s`.
fn spelled(time: Duration) -> String {
    // Not before it is over.
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    if seconds == 0 {
        return format!("{rest}ms");
    }
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if seconds >= 60 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&(seconds % 60).to_string());
    if rest > 0 {
        let fraction = format!("{rest:03}");
        text.push_str(&format!(".{}", fraction.trim_end_matches('0')));
    }
    text.push('s');
    text
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
            assert_eq!(spelled(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(spelled(Duration::from_nanos(1)), "1ms");
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
