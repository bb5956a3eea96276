//! What requests add up to, for people: sums by model and upstream, and by client.
//!
//! The shapes are those of `GET /status` on the admin socket, read back by
//! `upstreamd status` and `upstreamd top`; both have to take what another version
//! says, so what is not there is nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Metrics;
use super::histogram::Histogram;
use super::labels::{OTHER, Outcome, Route};
use super::tokens::Tokens;
use crate::telemetry::event::RequestEvent;

/// Entries by model and upstream that are told apart at most; of the rest, those
/// with the fewest requests, each upstream's are one.
const MOST_MODELS: usize = 1000;

/// The sums.
#[derive(Debug, Default)]
pub struct Summary {
    /// By model and upstream, those with the most requests first.
    pub models: Vec<OfModel>,
    /// By client, in the order of their names.
    pub clients: Vec<OfClient>,
    /// What upstreamd itself took before the first byte, in seconds.
    pub added: Sum,
    /// Times that a request was sent again.
    pub retries: u64,
    /// Bytes of bodies of requests.
    pub bytes_in: u64,
    /// Bytes of bodies of answers.
    pub bytes_out: u64,
}

/// The requests for one model at one upstream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfModel {
    /// What was asked for; `other` stands for many. None: a request without one.
    pub model: Option<String>,
    /// Where they went; None: nowhere.
    pub upstream: Option<String>,
    /// Requests that run now.
    pub running: u64,
    /// Those that have ended.
    pub requests: u64,
    /// Of these, those that did not end well: an error's status, or an error, or
    /// no answer.
    pub failed: u64,
    /// From the first byte of a request to the last of its answer.
    pub duration_s: Sum,
    /// From the first byte of a request to the first of its answer.
    pub first_byte_s: Sum,
    /// Of a stream, what each token took after the first byte.
    pub output_token_s: Sum,
    /// Tokens, as answers counted them.
    pub tokens: TokenSums,
}

/// The requests of one client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfClient {
    /// Its name; None: nobody known.
    pub name: Option<String>,
    /// Requests that run now.
    pub running: u64,
    /// Those that have ended.
    pub requests: u64,
    /// Of these, those that did not end well.
    pub failed: u64,
}

/// Values that were measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// All together, in seconds.
    pub sum: f64,
}

/// Tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenSums {
    /// Of requests.
    pub input: u64,
    /// Of answers.
    pub output: u64,
    /// Of `input`, those from a cache.
    pub cached: u64,
    /// Of `output`, those of reasoning.
    pub reasoning: u64,
}

/// Requests that run now, by client, model and upstream.
#[derive(Debug, Clone, Default)]
pub struct Running(BTreeMap<(Box<str>, Route), u64>);

impl Running {
    /// Adds what runs on another worker.
    pub fn merge(&mut self, other: &Running) {
        for (of, count) in &other.0 {
            *self.0.entry(of.clone()).or_default() += count;
        }
    }
}

impl Metrics {
    /// Counts a request that runs: by names that are labels already, so that what
    /// clients make up stays out.
    pub fn count_running(&self, event: &RequestEvent, running: &mut Running) {
        let model = self
            .models
            .shown(event.model.as_deref().unwrap_or_default());
        let route = Route::new(model, event.upstream.as_deref().unwrap_or_default());
        let client = event.client.as_deref().unwrap_or_default();
        *running.0.entry((client.into(), route)).or_default() += 1;
    }

    /// The sums of what has ended and of what is `running`.
    #[must_use]
    pub fn summary(&self, running: &Running) -> Summary {
        let mut models: BTreeMap<Route, OfModel> = BTreeMap::new();
        let mut clients: BTreeMap<&str, OfClient> = BTreeMap::new();
        for (outcome, count) in &self.outcomes {
            let failed = if is_failure(outcome) { *count } else { 0 };
            let model = models
                .entry(Route::new(&outcome.model, &outcome.upstream))
                .or_default();
            model.requests += count;
            model.failed += failed;
            let client = clients.entry(&outcome.client).or_default();
            client.requests += count;
            client.failed += failed;
        }
        for ((client, route), count) in &running.0 {
            models.entry(route.clone()).or_default().running += count;
            clients.entry(client).or_default().running += count;
        }
        for (route, of) in &self.routes {
            let model = models.entry(route.clone()).or_default();
            model.duration_s = Sum::of(&of.duration);
            model.first_byte_s = Sum::of(&of.first_token);
            model.output_token_s = Sum::of(&of.output_token);
            model.tokens = TokenSums::of(&of.tokens);
        }
        let clients = clients.into_iter().map(|(name, sums)| OfClient {
            name: named(name),
            ..sums
        });
        Summary {
            clients: clients.collect(),
            models: told_apart(models),
            added: Sum::of(&self.added),
            retries: self.retries,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }
}

/// As a list of bounded length.
fn told_apart(models: BTreeMap<Route, OfModel>) -> Vec<OfModel> {
    let models = models.into_iter().map(|(route, sums)| OfModel {
        model: named(route.model()),
        upstream: named(route.upstream()),
        ..sums
    });
    let mut models: Vec<_> = models.collect();
    // A stable sort: those with as many stay in the order of their names.
    models.sort_by_key(|model| std::cmp::Reverse(model.requests + model.running));
    if models.len() > MOST_MODELS {
        let mut rest: BTreeMap<Option<String>, OfModel> = BTreeMap::new();
        for model in models.drain(MOST_MODELS..) {
            rest.entry(model.upstream.clone()).or_default().add(&model);
        }
        models.extend(rest.into_iter().map(|(upstream, sums)| OfModel {
            model: Some(OTHER.to_owned()),
            upstream,
            ..sums
        }));
    }
    models
}

fn named(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

fn is_failure(outcome: &Outcome) -> bool {
    !(100..400).contains(&outcome.status) || !outcome.error.is_empty()
}

impl OfModel {
    /// Adds the sums of another one, not its names.
    pub fn add(&mut self, other: &OfModel) {
        self.running += other.running;
        self.requests += other.requests;
        self.failed += other.failed;
        self.duration_s.add(other.duration_s);
        self.first_byte_s.add(other.first_byte_s);
        self.output_token_s.add(other.output_token_s);
        self.tokens.input += other.tokens.input;
        self.tokens.output += other.tokens.output;
        self.tokens.cached += other.tokens.cached;
        self.tokens.reasoning += other.tokens.reasoning;
    }
}

impl Sum {
    fn of(histogram: &Histogram) -> Sum {
        Sum {
            count: histogram.count(),
            sum: histogram.sum(),
        }
    }

    fn add(&mut self, other: Sum) {
        self.count += other.count;
        self.sum += other.sum;
    }

    /// Their mean, if there is any.
    #[must_use]
    pub fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl TokenSums {
    fn of(tokens: &Tokens) -> TokenSums {
        TokenSums {
            // Sums of whole numbers, below 2^53.
            input: tokens.input.sum() as u64,
            output: tokens.output.sum() as u64,
            cached: tokens.cached,
            reasoning: tokens.reasoning,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::bounded::Bounded;

    fn event(model: &str, upstream: &str, status: u16) -> RequestEvent {
        RequestEvent {
            model: Some(Bounded::from(model)),
            upstream: Some(Bounded::from(upstream)),
            status: Some(status),
            ..RequestEvent::default()
        }
    }

    #[test]
    fn running_requests_stand_beside_ended_ones_and_invented_models_are_one() {
        let mut metrics = Metrics::default();
        metrics.reserve(["mine"].into_iter());
        metrics.observe(&event("good", "far", 200));
        metrics.observe(&event("good", "far", 502));
        let mut running = Running::default();
        for model in ["mine", "good", "made up", "made up too"] {
            metrics.count_running(&event(model, "far", 200), &mut running);
        }
        let mut twice = running.clone();
        twice.merge(&running);
        let summary = metrics.summary(&twice);
        let seen: Vec<_> = summary
            .models
            .iter()
            .map(|of| (of.model.as_deref(), of.running, of.requests, of.failed))
            .collect();
        assert_eq!(
            seen,
            [
                (Some("good"), 2, 2, 1),
                (Some("other"), 4, 0, 0),
                (Some("mine"), 2, 0, 0),
            ]
        );
        assert_eq!(summary.clients.len(), 1);
        let nobody = &summary.clients[0];
        assert_eq!((nobody.running, nobody.requests, nobody.failed), (8, 2, 1));
    }

    #[test]
    fn the_list_of_models_has_an_end_and_loses_no_request() {
        let mut metrics = Metrics::default();
        let names: Vec<_> = (0..1500).map(|number| format!("m{number:04}")).collect();
        metrics.reserve(names.iter().map(String::as_str));
        for name in &names {
            metrics.observe(&event(name, "far", 200));
        }
        let summary = metrics.summary(&Running::default());
        assert_eq!(summary.models.len(), MOST_MODELS + 1);
        let sum: u64 = summary.models.iter().map(|of| of.requests).sum();
        assert_eq!(sum, 1500);
        let last = summary.models.last().unwrap();
        assert_eq!((last.model.as_deref(), last.requests), (Some("other"), 500));
    }
}
