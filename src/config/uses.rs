//! Which keys the configuration names, whether they are there or not.

use std::path::{Path, PathBuf};

use super::file;
use super::name::Name;
use super::place::At;
use super::problem::Problems;
use super::source::Source;
use super::written::{KeySource, Written};
use super::{Environment, Errors, Overrides};

/// A place in the configuration that names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The key's name.
    pub name: Name,
    /// The table that names it: `upstream.openai`, `client.litellm`.
    pub by: String,
}

/// The configuration file that counts: the one of `overrides`, else
/// `$UPSTREAMD_CONFIG`, else the system's, whether it exists or not.
#[must_use]
pub fn file_of(overrides: &Overrides, environment: &Environment) -> PathBuf {
    let named = overrides.file.clone();
    let named = named.or_else(|| environment.path("UPSTREAMD_CONFIG"));
    named.unwrap_or_else(|| file::DEFAULT_PATH.into())
}

/// The system's configuration file, beside which systemd's keys are.
#[must_use]
pub fn system_file() -> &'static Path {
    Path::new(file::DEFAULT_PATH)
}

/// Every use of a key by name; no secret is read.
///
/// # Errors
/// The file can't be read, or has mistakes.
pub fn key_uses(overrides: &Overrides, environment: &Environment) -> Result<Vec<KeyUse>, Errors> {
    let mut problems = Problems::default();
    let mut source = file::find(overrides, environment, system_file())?;
    let written = match &mut source {
        Some(source) => file::read(source, &mut problems)?,
        None => Written::default(),
    };
    if !problems.is_empty() {
        return Err(Errors::new(
            problems,
            source.as_ref().map(|source| source as &Source),
        ));
    }
    let of_upstreams = written.upstreams.iter().flat_map(|(by, upstream)| {
        let keys = upstream.keys.iter().flat_map(|keys| &keys.value);
        keys.filter_map(move |key| key_use(key, format!("upstream.{by}")))
    });
    let of_clients = written.clients.iter().filter_map(|(by, client)| {
        let key = client.key.as_ref()?;
        key_use(key, format!("client.{by}"))
    });
    let limits = written.limits.key.as_ref();
    let of_store = limits.and_then(|key| key_use(key, "limits".to_owned()));
    Ok(of_upstreams.chain(of_clients).chain(of_store).collect())
}

fn key_use(key: &At<KeySource>, by: String) -> Option<KeyUse> {
    match &key.value {
        KeySource::Named(name) => Some(KeyUse {
            name: name.clone(),
            by,
        }),
        KeySource::Given { .. } => None,
    }
}
