//! `[retry]`, if it is there: without it nothing is retried, and its defaults
//! are none.

use crate::config::checked::Retry;
use crate::config::written;

use super::{Page, array, of};

pub(super) fn print(page: &mut Page, written: &written::Retry, retry: &Retry) {
    page.header("retry");
    page.line(
        "attempts",
        retry.attempts.to_string(),
        of(&written.attempts),
    );
    let statuses = retry.statuses.iter().map(u16::to_string);
    page.line("statuses", array(statuses), of(&written.statuses));
    page.duration("backoff", retry.backoff, of(&written.backoff));
    page.duration("max_backoff", retry.max_backoff, of(&written.max_backoff));
    page.duration(
        "max_retry_after",
        retry.max_retry_after,
        of(&written.max_retry_after),
    );
    let budget = toml::Value::from(retry.budget).to_string();
    page.line("budget", budget, of(&written.budget));
}
