//! What happened between two looks at a daemon.

use std::collections::HashMap;

use crate::admin::Overview;
use crate::telemetry::metrics::{OfClient, OfModel, Sum};

/// Two looks.
pub(super) struct Rates<'a> {
    now: &'a Overview,
    /// None where there is nothing to compare with: the first look, or another
    /// process.
    before: Option<Before<'a>>,
}

struct Before<'a> {
    overview: &'a Overview,
    /// From then to now; above 0.
    seconds: f64,
    models: HashMap<(Option<&'a str>, Option<&'a str>), &'a OfModel>,
    clients: HashMap<Option<&'a str>, &'a OfClient>,
}

/// What happened to some of the requests.
#[derive(Default)]
pub(super) struct Change {
    /// Requests that run.
    pub(super) running: u64,
    /// Since the daemon's start.
    pub(super) requests: u64,
    /// False: only what runs is known.
    pub(super) is_of_requests: bool,
    /// What came since the look before; None: not known.
    since: Option<Since>,
}

#[derive(Default)]
struct Since {
    sums: OfModel,
    seconds: f64,
}

impl<'a> Rates<'a> {
    pub(super) fn new(before: Option<&'a Overview>, now: &'a Overview) -> Rates<'a> {
        let before = before
            .filter(|before| (before.pid, before.since.to_bits()) == (now.pid, now.since.to_bits()))
            .filter(|before| now.now > before.now);
        Rates {
            now,
            before: before.map(|overview| Before {
                overview,
                seconds: now.now - overview.now,
                models: overview.models.iter().map(|of| (place(of), of)).collect(),
                clients: overview
                    .clients
                    .iter()
                    .map(|of| (of.name.as_deref(), of))
                    .collect(),
            }),
        }
    }

    /// Of all requests for which `is_among` holds.
    pub(super) fn of_models(&self, is_among: impl Fn(&OfModel) -> bool) -> Change {
        let mut change = Change {
            is_of_requests: true,
            ..Change::default()
        };
        let mut sums = OfModel::default();
        for now in self.now.models.iter().filter(|of| is_among(of)) {
            change.running += now.running;
            change.requests += now.requests;
            if let Some(before) = &self.before {
                sums.add(&match before.models.get(&place(now)) {
                    Some(before) => difference(now, before),
                    None => now.clone(),
                });
            }
        }
        self.changed(change, sums)
    }

    /// Of the requests of a client.
    pub(super) fn of_client(&self, now: &OfClient) -> Change {
        let change = Change {
            running: now.running,
            requests: now.requests,
            is_of_requests: true,
            since: None,
        };
        let before = self.before.as_ref();
        let before = before.and_then(|before| before.clients.get(&now.name.as_deref()));
        let (requests, failed) = before.map_or((0, 0), |of| (of.requests, of.failed));
        let sums = OfModel {
            requests: now.requests.saturating_sub(requests),
            failed: now.failed.saturating_sub(failed),
            ..OfModel::default()
        };
        self.changed(change, sums)
    }

    /// What upstreamd itself added to a request of late, in seconds.
    pub(super) fn added(&self) -> Option<f64> {
        let before = self.before.as_ref()?;
        let now = self.now.added_latency_s;
        less(now, before.overview.added_latency_s).mean()
    }

    fn changed(&self, change: Change, sums: OfModel) -> Change {
        let since = self.before.as_ref().map(|before| Since {
            sums,
            seconds: before.seconds,
        });
        Change { since, ..change }
    }
}

impl Change {
    /// Of what runs alone.
    pub(super) fn running(running: u64) -> Change {
        Change {
            running,
            ..Change::default()
        }
    }

    /// Requests that ended, each second.
    pub(super) fn rate(&self) -> Option<f64> {
        self.per_second(|sums| sums.requests)
    }

    /// Tokens of requests, each second.
    pub(super) fn tokens_in(&self) -> Option<f64> {
        self.per_second(|sums| sums.tokens.input)
    }

    /// Tokens of answers, each second.
    pub(super) fn tokens_out(&self) -> Option<f64> {
        self.per_second(|sums| sums.tokens.output)
    }

    /// Of the requests that ended, the share of those that did not end well.
    pub(super) fn failed(&self) -> Option<f64> {
        let sums = &self.since.as_ref()?.sums;
        (sums.requests > 0).then(|| sums.failed as f64 / sums.requests as f64)
    }

    /// To the first byte, in seconds; the mean.
    pub(super) fn first_byte(&self) -> Option<f64> {
        self.since.as_ref()?.sums.first_byte_s.mean()
    }

    /// To the last byte, in seconds; the mean.
    pub(super) fn duration(&self) -> Option<f64> {
        self.since.as_ref()?.sums.duration_s.mean()
    }

    fn per_second(&self, of: impl Fn(&OfModel) -> u64) -> Option<f64> {
        let since = self.since.as_ref()?;
        Some(of(&since.sums) as f64 / since.seconds)
    }
}

fn place(of: &OfModel) -> (Option<&str>, Option<&str>) {
    (of.model.as_deref(), of.upstream.as_deref())
}

/// What came between `before` and `now`. Counts of the entry for the rest can
/// fall, when one of its models gets an entry of its own.
fn difference(now: &OfModel, before: &OfModel) -> OfModel {
    let mut sums = OfModel {
        requests: now.requests.saturating_sub(before.requests),
        failed: now.failed.saturating_sub(before.failed),
        duration_s: less(now.duration_s, before.duration_s),
        first_byte_s: less(now.first_byte_s, before.first_byte_s),
        ..OfModel::default()
    };
    sums.tokens.input = now.tokens.input.saturating_sub(before.tokens.input);
    sums.tokens.output = now.tokens.output.saturating_sub(before.tokens.output);
    sums
}

fn less(now: Sum, before: Sum) -> Sum {
    Sum {
        count: now.count.saturating_sub(before.count),
        sum: (now.sum - before.sum).max(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overview(now: f64, requests: u64) -> Overview {
        let mut of = OfModel {
            model: Some("m".to_owned()),
            upstream: Some("far".to_owned()),
            running: 3,
            requests,
            failed: requests / 2,
            ..OfModel::default()
        };
        of.tokens.output = 100 * requests;
        of.first_byte_s = Sum {
            count: requests,
            sum: requests as f64 / 4.0,
        };
        Overview {
            pid: 7,
            now,
            models: vec![of],
            ..Overview::default()
        }
    }

    #[test]
    fn rates_and_means_are_those_of_the_time_between_two_looks() {
        let (before, now) = (overview(10.0, 100), overview(12.0, 120));
        let change = Rates::new(Some(&before), &now).of_models(|_| true);
        assert_eq!((change.running, change.requests), (3, 120));
        assert_eq!(change.rate(), Some(10.0));
        assert_eq!(change.failed(), Some(0.5));
        assert_eq!(change.first_byte(), Some(0.25));
        assert_eq!(change.tokens_out(), Some(1000.0));
        assert_eq!(change.duration(), None);
    }

    #[test]
    fn a_daemon_that_was_started_anew_is_compared_with_nothing() {
        let (mut before, now) = (overview(10.0, 100), overview(12.0, 1));
        before.since = 1.0;
        for before in [None, Some(&before), Some(&now)] {
            let change = Rates::new(before, &now).of_models(|_| true);
            assert_eq!((change.running, change.rate()), (3, None));
        }
    }
}
