//! Tokens, by kind.

use super::exposition::{Exposition, Kind};
use super::histogram::Histogram;
use super::labels::Route;
use crate::telemetry::tap::Usage;

/// Tokens of a request; `gen_ai.client.token.usage` of OpenTelemetry's conventions.
const BOUNDS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The tokens of requests.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) input: Histogram,
    pub(super) output: Histogram,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        Tokens {
            input: Histogram::new(BOUNDS),
            output: Histogram::new(BOUNDS),
            cached: 0,
            reasoning: 0,
        }
    }
}

impl Tokens {
    pub(super) fn observe(&mut self, usage: &Usage) {
        let kinds = [
            (&mut self.input, usage.prompt_tokens),
            (&mut self.output, usage.completion_tokens),
        ];
        for (histogram, tokens) in kinds {
            if let Some(tokens) = tokens {
                histogram.observe(tokens as f64);
            }
        }
        self.cached += usage.cached_tokens.unwrap_or_default();
        self.reasoning += usage.reasoning_tokens.unwrap_or_default();
    }

    pub(super) fn add(&mut self, other: &Tokens) {
        self.input.add(&other.input);
        self.output.add(&other.output);
        self.cached += other.cached;
        self.reasoning += other.reasoning;
    }
}

pub(super) fn write(text: &mut Exposition, routes: &[(&Route, &Tokens)]) {
    let name = "gen_ai_client_token_usage";
    text.family(
        name,
        Kind::Histogram,
        "Tokens of a request, as the upstream counted them.",
    );
    for (route, tokens) in routes {
        for (kind, histogram) in [("input", &tokens.input), ("output", &tokens.output)] {
            let [model, upstream] = route.labels();
            text.histogram(
                name,
                &[("gen_ai_token_type", kind), model, upstream],
                histogram,
            );
        }
    }
    text.family(
        "upstreamd_tokens",
        Kind::Counter,
        "Tokens by kind; cached ones are among input, reasoning ones among output.",
    );
    for (route, tokens) in routes {
        let [model, upstream] = route.labels();
        for (kind, count) in [
            ("input", tokens.input.sum()),
            ("output", tokens.output.sum()),
            ("cached", tokens.cached as f64),
            ("reasoning", tokens.reasoning as f64),
        ] {
            text.sample(
                "upstreamd_tokens_total",
                &[("kind", kind), model, upstream],
                count,
            );
        }
    }
}
