//! `[retry]`: what is sent again, how often and after what time.

use std::time::Duration;

use toml::de::DeValue;

use super::value::{Value, Wrong};

/// `[retry]`
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How often a request is begun at most; each key and upstream that it may
    /// go to has one try whatever this says.
    pub attempts: usize,
    /// The statuses that another try may help with; a failure counts as the
    /// status that it would be answered with.
    pub statuses: Vec<u16>,
    /// The longest wait before the first retry; each further one has twice that.
    pub backoff: Duration,
    /// The longest wait that doubling leads to.
    pub max_backoff: Duration,
    /// The longest `Retry-After` of an upstream that is waited for.
    pub max_retry_after: Duration,
    /// Retries for each request of the last seconds, per worker.
    pub budget: f64,
}

impl Retry {
    /// Statuses that speak of the moment, and not of the request: what the
    /// official SDKs retry (but 409), and 529, which is Anthropic's overload.
    pub const STATUSES: [u16; 7] = [408, 429, 500, 502, 503, 504, 529];

    /// The longest wait before retry number `again`, counted from 0.
    #[must_use]
    pub fn longest(&self, again: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << again.min(30));
        doubled.min(self.max_backoff)
    }
}

/// A status of an answer that is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ErrorStatus(pub(super) u16);

impl Value for ErrorStatus {
    const EXPECTED: &'static str = "a status from 400 to 599, without quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<ErrorStatus, Wrong> {
        let number = usize::from_toml(value)?;
        match u16::try_from(number) {
            Ok(status @ 400..=599) => Ok(ErrorStatus(status)),
            _ => Err(Wrong::described(number.to_string())),
        }
    }
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl Value for Share {
    const EXPECTED: &'static str = "a number from 0 to 1, without quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<Share, Wrong> {
        let text = match value {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            other => return Err(Wrong::kind(other)),
        };
        match text.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Share(share)),
            _ => Err(Wrong::described(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry {
            attempts: 3,
            statuses: Vec::new(),
            backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(5),
            max_retry_after: Duration::from_secs(20),
            budget: 0.2,
        };
        let waits = (0..7).map(|again| retry.longest(again).as_millis());
        assert_eq!(
            waits.collect::<Vec<_>>(),
            [250, 500, 1000, 2000, 4000, 5000, 5000]
        );
        assert_eq!(retry.longest(u32::MAX), retry.max_backoff);
    }
}
