//! What requests add up to, for a monitoring system.
//!
//! Each worker counts the requests that end on it in a [`Metrics`] of its own,
//! so that nothing is shared on a request's way; who wants to see the whole
//! [`merge`](Metrics::merge)s copies of them and [`write`](Metrics::write)s the
//! text. Every set of labels is bounded, whatever clients send.
//!
//! Names are those of OpenTelemetry's conventions for generative AI where there
//! are any, in the spelling that Prometheus gives them.

mod exposition;
mod histogram;
mod labels;
mod summary;
mod tokens;

use std::time::Duration;

use fnv::FnvBuildHasher;

use self::histogram::Histogram;
use self::labels::{Names, Outcome, Route};
use self::tokens::Tokens;
use super::event::RequestEvent;

pub use self::exposition::{CONTENT_TYPE, Exposition, Kind};
pub use self::summary::{OfClient, OfModel, Running, Sum, Summary, TokenSums};

/// Found by borrowed labels, which std's own map can't do. A hash that clients could
/// foresee does no harm: there are only so many names of theirs.
type HashMap<K, V> = hashbrown::HashMap<K, V, FnvBuildHasher>;

/// Series of [`Outcome`]s that a worker keeps at most; what comes later is
/// counted under `other`. As many more are kept for models that the operator
/// wrote, so that names which clients make up take no place from these.
const MOST_OUTCOMES: usize = 2000;

/// Seconds; `gen_ai.server.request.duration` of OpenTelemetry's conventions.
const DURATIONS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Seconds; `gen_ai.server.time_to_first_token`, likewise.
const FIRST_TOKENS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Seconds; `gen_ai.server.time_per_output_token`, likewise.
const OUTPUT_TOKENS: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];

/// Seconds that upstreamd itself adds: tens of microseconds, unless the host is
/// busy or a body is large.
const ADDED: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 1.0,
];

/// The requests that have ended.
#[derive(Debug, Clone)]
pub struct Metrics {
    outcomes: HashMap<Outcome, u64>,
    routes: HashMap<Route, OfRoute>,
    models: Names,
    /// What upstreamd itself took of each request.
    added: Histogram,
    /// Times that a request was sent again.
    retries: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// What is known of the requests of one model at one upstream.
#[derive(Debug, Clone)]
struct OfRoute {
    duration: Histogram,
    first_token: Histogram,
    output_token: Histogram,
    tokens: Tokens,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            outcomes: HashMap::default(),
            routes: HashMap::default(),
            models: Names::default(),
            added: Histogram::new(ADDED),
            retries: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }
}

impl Metrics {
    /// Keeps a label for each of `models`, which the operator wrote, in place of
    /// those kept before.
    pub fn reserve<'a>(&mut self, models: impl Iterator<Item = &'a str>) {
        self.models.reserve(models);
        // What was counted under its name goes on under it, if there is room.
        for outcome in self
            .outcomes
            .keys()
            .filter(|one| &*one.model != labels::OTHER)
        {
            self.models.known(&outcome.model, true);
        }
    }

    /// Counts a request that has ended.
    pub fn observe(&mut self, event: &RequestEvent) {
        if event.is_probe {
            return;
        }
        let model = self.count(event);
        self.bytes_in += event.bytes_in;
        self.bytes_out += event.bytes_out;
        self.retries += u64::from(event.retries);
        if let Some(added) = event.added {
            self.added.observe(added.as_secs_f64());
        }
        let Some(upstream) = event.upstream.as_deref().filter(|_| event.status.is_some()) else {
            return;
        };
        let route = labels::RouteRef { model, upstream };
        match self.routes.get_mut(&route) {
            Some(known) => known.observe(event),
            None => self
                .routes
                .entry(route.to_owned())
                .or_default()
                .observe(event),
        }
    }

    /// Counts how a request ended. Gives what its model is called here.
    fn count<'a>(&mut self, event: &'a RequestEvent) -> &'a str {
        let outcome = labels::OutcomeRef {
            client: event.client.as_deref().unwrap_or_default(),
            model: event.model.as_deref().unwrap_or_default(),
            upstream: event.upstream.as_deref().unwrap_or_default(),
            status: event.status.unwrap_or_default(),
            error: event.error_code.unwrap_or_default(),
        };
        // Nearly every request ends as another one did before.
        if let Some(count) = self.outcomes.get_mut(&outcome) {
            *count += 1;
            return outcome.model;
        }
        let succeeded = event.status.is_some_and(|status| status < 400);
        let model = self.models.known(outcome.model, succeeded);
        let most = match self.models.is_reserved(model) {
            true => 2 * MOST_OUTCOMES,
            false => MOST_OUTCOMES,
        };
        let mut outcome = labels::OutcomeRef { model, ..outcome };
        if self.outcomes.len() >= most && !self.outcomes.contains_key(&outcome) {
            outcome = outcome.without_names();
        }
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
        model
    }

    /// Adds what another worker has counted.
    pub fn merge(&mut self, other: &Metrics) {
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += count;
        }
        for (route, more) in &other.routes {
            self.routes.entry(route.clone()).or_default().add(more);
        }
        self.added.add(&other.added);
        self.retries += other.retries;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }

    /// Writes every family of them.
    pub fn write(&self, text: &mut Exposition) {
        self.write_outcomes(text);
        self.write_routes(text);
        let name = "upstreamd_added_latency_seconds";
        text.family(
            name,
            Kind::Histogram,
            "What upstreamd itself took before an answer's first byte, waiting left out.",
        );
        text.histogram(name, &[], &self.added);
        text.family(
            "upstreamd_retries",
            Kind::Counter,
            "Times a request was sent to an upstream again.",
        );
        text.sample("upstreamd_retries_total", &[], self.retries);
        text.family(
            "upstreamd_received_bytes",
            Kind::Counter,
            "Bytes of request bodies.",
        );
        text.sample("upstreamd_received_bytes_total", &[], self.bytes_in);
        text.family(
            "upstreamd_sent_bytes",
            Kind::Counter,
            "Bytes of answer bodies that clients took.",
        );
        text.sample("upstreamd_sent_bytes_total", &[], self.bytes_out);
    }

    fn write_outcomes(&self, text: &mut Exposition) {
        let name = "upstreamd_requests";
        text.family(
            name,
            Kind::Counter,
            "Requests that have ended; status is 0 where no answer was begun.",
        );
        let mut outcomes: Vec<_> = self.outcomes.iter().collect();
        outcomes.sort();
        for (outcome, count) in outcomes {
            let status = outcome.status.to_string();
            let labels = [
                ("client", &*outcome.client),
                ("model", &*outcome.model),
                ("upstream", &*outcome.upstream),
                ("status", &status),
                ("error", outcome.error),
            ];
            text.sample("upstreamd_requests_total", &labels, count);
        }
    }

    fn write_routes(&self, text: &mut Exposition) {
        let mut routes: Vec<_> = self.routes.iter().collect();
        routes.sort_by_key(|(route, _)| *route);
        let families: [(&str, &str, Part); 3] = [
            (
                "gen_ai_server_request_duration_seconds",
                "From a request's first byte to its answer's last.",
                |of| &of.duration,
            ),
            (
                "gen_ai_server_time_to_first_token_seconds",
                "From a request's first byte to its answer's first, where that is no error.",
                |of| &of.first_token,
            ),
            (
                "gen_ai_server_time_per_output_token_seconds",
                "Of a streamed answer, after its first byte, for each token of output.",
                |of| &of.output_token,
            ),
        ];
        for (name, help, histogram) in families {
            text.family(name, Kind::Histogram, help);
            for (route, of) in &routes {
                text.histogram(name, &route.labels(), histogram(of));
            }
        }
        tokens::write(
            text,
            &routes
                .iter()
                .map(|(route, of)| (*route, &of.tokens))
                .collect::<Vec<_>>(),
        );
    }
}

/// One of its histograms.
type Part = fn(&OfRoute) -> &Histogram;

impl Default for OfRoute {
    fn default() -> Self {
        OfRoute {
            duration: Histogram::new(DURATIONS),
            first_token: Histogram::new(FIRST_TOKENS),
            output_token: Histogram::new(OUTPUT_TOKENS),
            tokens: Tokens::default(),
        }
    }
}

impl OfRoute {
    fn observe(&mut self, event: &RequestEvent) {
        self.duration.observe(event.duration.as_secs_f64());
        // An error has no token.
        let succeeded = event.status.is_some_and(|status| status < 400);
        if let Some(ttfb) = event.ttfb.filter(|_| succeeded) {
            self.first_token.observe(ttfb.as_secs_f64());
        }
        if let Some(each) = per_output_token(event) {
            self.output_token.observe(each.as_secs_f64());
        }
        if let Some(usage) = &event.usage {
            self.tokens.observe(usage);
        }
    }

    fn add(&mut self, other: &OfRoute) {
        self.duration.add(&other.duration);
        self.first_token.add(&other.first_token);
        self.output_token.add(&other.output_token);
        self.tokens.add(&other.tokens);
    }
}

/// What a stream took for each token after its first one.
fn per_output_token(event: &RequestEvent) -> Option<Duration> {
    let tokens = event.usage?.completion_tokens?.checked_sub(1)?;
    let streamed = event.streaming == Some(true) && !event.truncated && !event.client_aborted;
    let rest = event.duration.checked_sub(event.ttfb?)?;
    (streamed && tokens > 0).then(|| rest.div_f64(tokens as f64))
}

#[cfg(test)]
mod tests;
