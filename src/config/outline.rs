//! What a configuration says of upstreams, models and clients to somebody who needs no
//! secret: `upstreamd litellm-config`.

use super::check;
use super::checked::{BaseUrl, Models};
use super::credentials::variable_of;
use super::place::At;
use super::problem::{Problem, Problems};
use super::written::{KeySource, Upstream};
use super::{Environment, Errors, Overrides, system_file, written_of};

/// The outline of a configuration; keys by name alone.
#[derive(Debug)]
pub struct Outline {
    /// Every upstream, by name.
    pub upstreams: Vec<OutlinedUpstream>,
    /// The place among them of the one that gets what no model is found for.
    pub default_upstream: usize,
    /// Whether such models are refused.
    pub strict_models: bool,
    /// What clients may ask for.
    pub models: Models,
    /// The variable with a key that lets a client in; None where no client has
    /// a key.
    pub client_key: Option<String>,
}

/// What there is to know of `[upstream.NAME]`.
#[derive(Debug)]
pub struct OutlinedUpstream {
    /// Its name.
    pub name: String,
    /// Where requests go.
    pub base_url: BaseUrl,
    /// The environment variables that its keys would be in, were they in any.
    pub key_variables: Vec<String>,
}

/// The variable for a client's key in LiteLLM's environment, where upstreamd
/// reads its own from a file.
const CLIENT_KEY: &str = "UPSTREAMD_CLIENT_KEY";

impl Outline {
    /// Of the configuration that a daemon with these flags and this environment
    /// would run on. No secret is looked for.
    ///
    /// # Errors
    /// It has mistakes, or no upstream.
    pub fn read(overrides: &Overrides, environment: &Environment) -> Result<Outline, Errors> {
        let mut problems = Problems::default();
        let (source, written) = written_of(overrides, environment, system_file(), &mut problems)?;
        let mut upstreams = Vec::new();
        for (name, upstream) in &written.upstreams {
            match &upstream.base_url {
                Some(base_url) => upstreams.push(OutlinedUpstream {
                    name: name.clone(),
                    base_url: base_url.value.clone(),
                    key_variables: key_variables(upstream),
                }),
                None => problems.add(
                    Problem::new(
                        format!("upstream.{name}.base_url"),
                        &upstream.place,
                        "this upstream has no base URL",
                    )
                    .help("`upstreamd check` says all that is wrong"),
                ),
            }
        }
        let (default_upstream, models) = check::models(&written, &mut problems);
        if !problems.is_empty() {
            return Err(Errors::new(problems, source.as_ref()));
        }
        let keys = written.clients.values().filter_map(|c| c.key.as_ref());
        let keys: Vec<_> = keys.map(|at| &at.value).collect();
        let is_named = keys.iter().any(|key| matches!(key, KeySource::Named(_)));
        let client_key = match keys.first() {
            None => None,
            Some(_) if is_named => Some(CLIENT_KEY.to_owned()),
            Some(given) => Some(given.name().to_owned()),
        };
        let strict_models = written.server.strict_models.as_ref();
        Ok(Outline {
            upstreams,
            default_upstream,
            strict_models: strict_models.is_some_and(|at| at.value),
            models,
            client_key,
        })
    }
}

fn key_variables(upstream: &Upstream) -> Vec<String> {
    let keys = upstream.keys.iter().flat_map(|keys| &keys.value);
    keys.map(|At { value, .. }| match value {
        KeySource::Named(name) => variable_of(name.as_str()),
        // `OPENAI_API_KEYS.2` is the second one in a variable; a variable of
        // its own has no dot in its name.
        KeySource::Given { name, .. } => name.replace('.', "_"),
    })
    .collect()
}
