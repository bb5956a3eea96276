//! `[retry]`

use std::time::Duration;

use crate::config::checked::Retry;
use crate::config::limits::{self, Limit};
use crate::config::place::At;
use crate::config::problem::{Problem, Problems};
use crate::config::written;

use super::within;

/// None: there is no such table.
pub(super) fn check(written: Option<&written::Retry>, problems: &mut Problems) -> Option<Retry> {
    let written = written?;
    let statuses = statuses(written, problems);
    let attempts = within(
        written.attempts.as_ref(),
        &limits::RETRY_ATTEMPTS,
        "retry.attempts",
        problems,
    );
    let mut duration = |written: &Option<At<Duration>>, limit: &Limit<Duration>, key: &str| {
        within(written.as_ref(), limit, &format!("retry.{key}"), problems)
    };
    let backoff = duration(&written.backoff, &limits::BACKOFF, "backoff");
    let max_backoff = duration(&written.max_backoff, &limits::MAX_BACKOFF, "max_backoff");
    let max_retry_after = duration(
        &written.max_retry_after,
        &limits::MAX_RETRY_AFTER,
        "max_retry_after",
    );
    let budget = written.budget.as_ref();
    Some(Retry {
        attempts,
        statuses,
        backoff,
        max_backoff,
        max_retry_after,
        budget: budget.map_or(limits::RETRY_BUDGET, |at| at.value.0),
    })
}

fn statuses(written: &written::Retry, problems: &mut Problems) -> Vec<u16> {
    let Some(written) = &written.statuses else {
        return Retry::STATUSES.to_vec();
    };
    let mut statuses = Vec::new();
    for At { value, place } in &written.value {
        if statuses.contains(&value.0) {
            let message = format!("{} is there twice", value.0);
            problems.add(Problem::new("retry.statuses", place, message));
        }
        statuses.push(value.0);
    }
    statuses
}
