//! The decision where a request goes: an upstream, the model's name there, and
//! what is edited in the body. All of it is prepared when a configuration is
//! loaded; for a request there is one look-up.

use super::edit::Edit;
use super::fault::{Fault, FaultKind};
use super::random;
use crate::config::checked::{self, Config, Models};

/// Every route of a configuration.
#[derive(Debug)]
pub(super) struct Routes {
    models: Models,
    /// One for each model, at its place.
    routes: Vec<Known>,
    /// For what no model is found for.
    default: [Candidate; 1],
    default_is_plain: bool,
    /// Whether a model that is not found is refused.
    strict: bool,
}

#[derive(Debug)]
struct Known {
    candidates: Vec<Candidate>,
    is_weighted: bool,
    /// Whether there is nothing to choose: one candidate with a key at most, and
    /// no `[retry]`.
    is_plain: bool,
}

/// An upstream that can answer, and as what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its place among the upstreams.
    pub(super) upstream: usize,
    /// The model's name there. None: as it was asked for.
    pub(super) name: Option<String>,
    /// What becomes of the body. None at all: the client's bytes are sent.
    pub(super) edits: Vec<Edit>,
    /// Whether the usage of streams is asked for (`include_usage`).
    pub(super) asks_for_usage: bool,
    weight: u32,
}

/// Where one request goes: each candidate once, the one to be tried first at
/// first. With weights, each is chosen by its share of those that are left.
pub(super) struct Route<'a> {
    candidates: &'a [Candidate],
    is_weighted: bool,
    is_plain: bool,
    /// A bit for each that was given out.
    tried: u32,
}

impl Routes {
    pub(super) fn new(config: &Config) -> Self {
        let is_plain =
            |upstream: usize| config.retry.is_none() && config.upstreams[upstream].keys.len() <= 1;
        let known = |model: &checked::Model| Known {
            candidates: model
                .candidates
                .iter()
                .map(|candidate| {
                    let upstream = &config.upstreams[candidate.upstream];
                    Candidate::new(model, candidate, upstream.include_usage)
                })
                .collect(),
            is_weighted: model.is_weighted,
            is_plain: matches!(&*model.candidates, [one] if is_plain(one.upstream)),
        };
        Routes {
            models: config.models.clone(),
            routes: config.models.all().iter().map(known).collect(),
            default: [Candidate {
                upstream: config.default_upstream,
                name: None,
                edits: Vec::new(),
                asks_for_usage: config.upstream().include_usage,
                weight: 1,
            }],
            default_is_plain: is_plain(config.default_upstream),
            strict: config.server.strict_models,
        }
    }

    /// Whether a request can go elsewhere that could go to this upstream.
    pub(super) fn may_leave(&self, upstream: usize) -> bool {
        self.routes.iter().any(|known| {
            let mut candidates = known.candidates.iter();
            has_several_upstreams(&known.candidates)
                && candidates.any(|candidate| candidate.upstream == upstream)
        })
    }

    /// Whether there is any `[model.NAME]`.
    pub(super) fn are_configured(&self) -> bool {
        !self.routes.is_empty()
    }

    /// Models that have a name of their own, in the order of these.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.models.all().iter().map(|model| &model.name);
        names
            .filter(|name| name.is_exact())
            .map(checked::Glob::as_str)
    }

    /// Where a request goes that names `model`, or none that can be seen.
    ///
    /// # Errors
    /// Only models that are configured may be asked for, and it is none of them.
    pub(super) fn find(&self, model: Option<&str>) -> Result<Route<'_>, Fault> {
        let found = model.and_then(|model| self.models.find(model));
        if let Some(known) = found.and_then(|place| self.routes.get(place)) {
            return Ok(Route::new(
                &known.candidates,
                known.is_weighted,
                known.is_plain,
            ));
        }
        match model {
            Some(model) if self.strict => Err(not_found(model)),
            _ => Ok(Route::new(&self.default, false, self.default_is_plain)),
        }
    }
}

fn has_several_upstreams(candidates: &[Candidate]) -> bool {
    let first = candidates.first().map(|first| first.upstream);
    candidates.iter().any(|other| Some(other.upstream) != first)
}

fn not_found(model: &str) -> Fault {
    Fault::new(
        FaultKind::ModelNotFound,
        format!(
            "There is no model {:?} here. GET /v1/models lists those that there are; the operator can add it with [model.NAME].",
            shortened(model)
        ),
    )
}

/// A client's word for a message: its beginning, if it is long.
pub(super) fn shortened(word: &str) -> &str {
    const SHOWN: usize = 100;
    &word[..word.floor_char_boundary(SHOWN)]
}

impl Candidate {
    fn new(model: &checked::Model, candidate: &checked::Candidate, include_usage: bool) -> Self {
        // What is called the same there needs no edit.
        let name = candidate.name.as_ref();
        let name = name.filter(|name| **name != model.name.as_str());
        let renamed = name.map(|name| Edit {
            name: "model".to_owned(),
            value: Some(serde_json::Value::from(name.as_str()).to_string()),
        });
        let set = model.set.iter().map(|(name, value)| Edit {
            name: name.clone(),
            value: Some(value.clone()),
        });
        let dropped = model.drop.iter().map(|name| Edit {
            name: name.clone(),
            value: None,
        });
        let edits: Vec<Edit> = renamed.into_iter().chain(set).chain(dropped).collect();
        // What the operator wrote of these for the model stands.
        let is_settled = |edit: &Edit| matches!(&*edit.name, "stream" | "stream_options");
        Candidate {
            upstream: candidate.upstream,
            name: name.cloned(),
            asks_for_usage: include_usage && !edits.iter().any(is_settled),
            edits,
            weight: candidate.weight,
        }
    }
}

impl<'a> Route<'a> {
    fn new(candidates: &'a [Candidate], is_weighted: bool, is_plain: bool) -> Self {
        Route {
            candidates,
            is_weighted,
            is_plain,
            tried: 0,
        }
    }

    /// All candidates, whether they were given out or not.
    pub(super) fn all(&self) -> &'a [Candidate] {
        self.candidates
    }

    /// Whether there is nothing to choose and nothing to retry.
    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether there is more than one upstream among the candidates.
    pub(super) fn has_several_upstreams(&self) -> bool {
        has_several_upstreams(self.candidates)
    }

    /// Whether each was given out.
    pub(super) fn all_given_out(&self) -> bool {
        self.left().next().is_none()
    }

    fn left(&self) -> impl Iterator<Item = (usize, &'a Candidate)> + use<'a> {
        let tried = self.tried;
        let all = self.candidates.iter().enumerate();
        all.filter(move |(place, _)| tried & (1 << place) == 0)
    }

    fn chosen(&self) -> Option<(usize, &'a Candidate)> {
        if !self.is_weighted {
            return self.left().next();
        }
        let sum: u64 = self.left().map(|(_, one)| u64::from(one.weight)).sum();
        let mut point = random::number().checked_rem(sum)?;
        self.left().find(|(_, one)| {
            let weight = u64::from(one.weight);
            let is_here = point < weight;
            point = point.saturating_sub(weight);
            is_here
        })
    }
}

impl<'a> Iterator for Route<'a> {
    type Item = &'a Candidate;

    fn next(&mut self) -> Option<&'a Candidate> {
        let (place, candidate) = self.chosen()?;
        self.tried |= 1 << place;
        Some(candidate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(weights: &[u32]) -> Vec<Candidate> {
        let candidate = |(upstream, weight): (usize, &u32)| Candidate {
            upstream,
            name: None,
            edits: Vec::new(),
            asks_for_usage: false,
            weight: *weight,
        };
        weights.iter().enumerate().map(candidate).collect()
    }

    fn order(candidates: &[Candidate], is_weighted: bool) -> Vec<usize> {
        let route = Route::new(candidates, is_weighted, false);
        route.map(|candidate| candidate.upstream).collect()
    }

    #[test]
    fn each_candidate_comes_once_in_the_order_of_preference() {
        assert_eq!(order(&candidates(&[1, 1, 1]), false), [0, 1, 2]);
        let most = candidates(&[1; checked::Model::MOST_CANDIDATES]);
        assert_eq!(order(&most, false).len(), most.len());
    }

    #[test]
    fn weights_are_shares_and_the_others_follow() {
        let candidates = candidates(&[3, 1]);
        let mut first = [0; 2];
        for _ in 0..4000 {
            let order = order(&candidates, true);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1]);
            first[order[0]] += 1;
        }
        // Six standard deviations (27 each) about 3000.
        assert!((2836..3164).contains(&first[0]), "{first:?}");
    }
}
