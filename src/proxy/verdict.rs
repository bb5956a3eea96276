//! What an answer, or the want of one, says of the upstream and of the key that
//! was sent there; and whether another try may help.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::response;
use slog::{Logger, info, warn};

use super::fault::Fault;
use super::snapshot::Way;
use crate::config::checked::Retry;
use crate::telemetry::event::Fault as Blame;
use crate::upstream::{Moment, retry_after};

/// What went wrong with one try that another may not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    /// It is the key's: another one of the same upstream may have none.
    pub(super) is_the_keys: bool,
    /// The same upstream and key may answer otherwise next time.
    pub(super) may_pass: bool,
    /// The wait that the upstream asked for.
    pub(super) retry_after: Option<Duration>,
}

impl Trouble {
    /// What an answer has; None: it is for the client to see.
    pub(super) fn of_answer(head: &response::Parts, retry: Option<&Retry>) -> Option<Trouble> {
        let status = head.status;
        let is_listed = is_listed(status, retry);
        let is_the_keys = is_about_the_key(status);
        (is_listed || is_the_keys).then(|| Trouble {
            is_the_keys,
            may_pass: is_listed,
            retry_after: retry_after(&head.headers, SystemTime::now()),
        })
    }

    /// What a failure has. One that did not get as far as the request counts
    /// always, any other as the status that it would be answered with. None: it
    /// is for the client to hear of.
    pub(super) fn of_failure(fault: &Fault, retry: Option<&Retry>) -> Option<Trouble> {
        let row = fault.row();
        let is_listed = row.retryable || is_listed(row.status, retry);
        (row.blame == Blame::Upstream && is_listed).then_some(Trouble {
            is_the_keys: false,
            may_pass: true,
            retry_after: None,
        })
    }
}

fn is_listed(status: StatusCode, retry: Option<&Retry>) -> bool {
    let listed = retry.map_or(&Retry::STATUSES[..], |retry| &retry.statuses);
    listed.contains(&status.as_u16())
}

/// Whether another key may be answered otherwise.
fn is_about_the_key(status: StatusCode) -> bool {
    is_refusal(status) || status == StatusCode::TOO_MANY_REQUESTS
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Whether a gateway says that there is nobody behind it.
fn is_absence(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

impl Way<'_> {
    /// Takes down what an answer says of the upstream and of the key at `key`,
    /// where there is a request that could use another.
    pub(super) fn answered(
        &self,
        key: Option<usize>,
        head: &response::Parts,
        is_probe: bool,
        log: &Logger,
    ) {
        if self.is_optional && is_absence(head.status) {
            self.count_failure(is_probe, &head.status, log);
        } else if self.is_optional && self.standing.health.answered() {
            let name = &*self.upstream.name;
            info!(log, "upstream {} is back", name; "event" => "upstream_returned", "upstream" => name);
        }
        let Some(place) = key.filter(|_| self.has_other_keys()) else {
            return;
        };
        let key = self.standing.keys.at(place);
        if head.status == StatusCode::TOO_MANY_REQUESTS {
            key.limited(retry_after(&head.headers, SystemTime::now()), Moment::now());
        } else if head.status == StatusCode::UNAUTHORIZED {
            self.set_aside(place, head.status, log);
        } else if head.status.as_u16() < 400 {
            key.accepted();
        }
    }

    /// Takes down that the upstream refuses the key at `place`.
    pub(super) fn set_aside(&self, place: usize, status: StatusCode, log: &Logger) {
        if self.standing.keys.at(place).refused(Moment::now()) {
            let (name, key) = (&*self.upstream.name, &*self.upstream.keys[place].name);
            warn!(log, "upstream {} refused the key \"{}\" with {}: it is set aside for 5 minutes, or until a reload; look whether it was revoked or its account locked", name, key, status;
                "event" => "key_set_aside", "upstream" => name, "key" => key, "status" => status.as_u16());
        }
    }

    /// Takes down that it did not answer.
    pub(super) fn failed(&self, fault: &Fault, is_probe: bool, log: &Logger) {
        if self.is_optional && fault.row().blame == Blame::Upstream {
            self.count_failure(is_probe, &fault.message, log);
        }
    }

    /// Whether a request that could go to this upstream can use another key, be
    /// it another upstream's.
    pub(super) fn has_other_keys(&self) -> bool {
        self.is_optional || self.upstream.keys.len() > 1
    }

    fn count_failure(&self, is_probe: bool, why: &dyn std::fmt::Display, log: &Logger) {
        if let Some(time) = self.standing.health.failed(is_probe, Moment::now()) {
            let name = &*self.upstream.name;
            warn!(log, "upstream {} fails time after time and is left out for {} s: {}", name, time.as_secs(), why;
                "event" => "upstream_ejected", "upstream" => name, "ejected_s" => time.as_secs(), "error" => %why);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;
    use crate::proxy::FaultKind;
    use crate::upstream::{BodyFault, FailureKind};

    fn of_status(status: u16, statuses: Option<&[u16]>) -> Option<Trouble> {
        let answer = http::Response::builder().status(status);
        let (head, ()) = answer
            .header(RETRY_AFTER, "3")
            .body(())
            .unwrap()
            .into_parts();
        Trouble::of_answer(&head, statuses.map(retry).as_ref())
    }

    fn retry(statuses: &[u16]) -> Retry {
        Retry {
            attempts: 3,
            statuses: statuses.to_vec(),
            backoff: Duration::ZERO,
            max_backoff: Duration::ZERO,
            max_retry_after: Duration::ZERO,
            budget: 0.0,
        }
    }

    #[test]
    fn what_speaks_of_the_moment_or_of_the_key_is_trouble() {
        let trouble = |is_the_keys, may_pass| {
            Some(Trouble {
                is_the_keys,
                may_pass,
                retry_after: Some(Duration::from_secs(3)),
            })
        };
        for status in [408, 500, 502, 503, 504, 529] {
            assert_eq!(of_status(status, None), trouble(false, true), "{status}");
        }
        assert_eq!(of_status(429, None), trouble(true, true));
        assert_eq!(of_status(401, None), trouble(true, false));
        assert_eq!(of_status(403, None), trouble(true, false));
        for status in [200, 302, 400, 404, 409, 422, 501] {
            assert_eq!(of_status(status, None), None, "{status}");
        }
        assert_eq!(of_status(500, Some(&[409])), None);
        assert_eq!(of_status(409, Some(&[409])), trouble(false, true));
        assert_eq!(of_status(429, Some(&[409])), trouble(true, false));
    }

    #[test]
    fn a_failure_counts_as_the_status_that_it_would_be_answered_with() {
        let helps = |kind, statuses: Option<&[u16]>| {
            let fault = Fault::new(FaultKind::Upstream(kind), "");
            Trouble::of_failure(&fault, statuses.map(retry).as_ref()).is_some()
        };
        use FailureKind as F;
        for kind in [F::Refused, F::Incomplete, F::ResponseTimeout] {
            assert!(helps(kind, None), "{kind:?}");
        }
        assert!(helps(F::Refused, Some(&[])), "nothing was sent");
        assert!(!helps(F::Incomplete, Some(&[504])));
        assert!(!helps(F::ResponseTimeout, Some(&[502])));
        assert!(!helps(F::ClientBody(BodyFault::ClientSlow), None));
    }
}
