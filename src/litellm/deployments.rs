//! What LiteLLM calls deployments: a model's name, and where it goes.

use std::net::SocketAddr;

use crate::config::checked::Model;
use crate::config::{Outline, OutlinedUpstream};

/// Any name, as LiteLLM and upstreamd both write it.
const ANY: &str = "*";

/// One entry of `model_list`.
#[derive(Debug, Default)]
pub(super) struct Deployment {
    /// What clients ask for; `*` stands for any run of characters.
    pub(super) model_name: String,
    /// What it is called there; each `*` is what it was above.
    pub(super) model: String,
    /// Where.
    pub(super) api_base: String,
    /// The variable with the key for it, if it wants one.
    pub(super) key_variable: Option<String>,
    /// With others of that name: lower ones first.
    pub(super) order: Option<usize>,
    /// With others of that name: its share.
    pub(super) weight: Option<u32>,
    /// Parameters that it gets, each with its value in JSON.
    pub(super) set: Vec<(String, String)>,
    /// Parameters that it is not given.
    pub(super) drop: Vec<String>,
}

/// Each model once, through the daemon: it knows the rest.
pub(super) fn through(outline: &Outline, daemon: SocketAddr) -> Vec<Deployment> {
    let names = outline.models.all().iter().map(|model| model.name.as_str());
    let names = names.filter(|name| is_known_to_litellm(name));
    let rest = passes_any(outline).then_some(ANY);
    let deployment = |name: &str| Deployment {
        model_name: name.to_owned(),
        model: name.to_owned(),
        api_base: format!("http://{daemon}/v1"),
        key_variable: outline.client_key.clone(),
        ..Deployment::default()
    };
    names.chain(rest).map(deployment).collect()
}

/// Each model at each of its upstreams, with each of the keys there.
pub(super) fn direct(outline: &Outline) -> Vec<Deployment> {
    let mut deployments = Vec::new();
    let models = outline.models.all().iter();
    for model in models.filter(|model| is_known_to_litellm(model.name.as_str())) {
        let is_ordered = model.candidates.len() > 1 && !model.is_weighted;
        for (index, candidate) in model.candidates.iter().enumerate() {
            let asked = model.name.as_str();
            let there = candidate.name.as_deref().unwrap_or(asked);
            for deployment in at(&outline.upstreams[candidate.upstream], asked, there) {
                deployments.push(Deployment {
                    order: is_ordered.then_some(index + 1),
                    weight: model.is_weighted.then_some(candidate.weight),
                    set: model.set.clone(),
                    drop: model.drop.clone(),
                    ..deployment
                });
            }
        }
    }
    if passes_any(outline) {
        let upstream = &outline.upstreams[outline.default_upstream];
        deployments.extend(at(upstream, ANY, ANY));
    }
    deployments
}

/// One for each key of an upstream, or one without a key.
fn at(upstream: &OutlinedUpstream, model_name: &str, model: &str) -> Vec<Deployment> {
    let deployment = |key_variable| Deployment {
        model_name: model_name.to_owned(),
        model: model.to_owned(),
        api_base: upstream.base_url.to_string(),
        key_variable,
        ..Deployment::default()
    };
    let keys = upstream.key_variables.iter().cloned();
    let mut all: Vec<_> = keys.map(|key| deployment(Some(key))).collect();
    if all.is_empty() {
        all.push(deployment(None));
    }
    all
}

/// Whether names that no model has pass too.
fn passes_any(outline: &Outline) -> bool {
    let is_any = |model: &Model| model.name.as_str() == ANY;
    !outline.strict_models && !outline.models.all().iter().any(is_any)
}

/// LiteLLM's patterns have `*` and no `?`.
fn is_known_to_litellm(name: &str) -> bool {
    !name.contains('?')
}
