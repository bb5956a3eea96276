//! Loading one key.

use std::path::PathBuf;

use crate::config::credentials::{Bearer, Credentials, Missing};
use crate::config::hiding;
use crate::config::place::At;
use crate::config::problem::Problem;
use crate::config::secret::Secret;
use crate::config::written::KeySource;

/// Why a key could not be loaded.
#[derive(Debug)]
pub(super) enum Unloaded {
    /// It is in none of the places where it could be: what to do.
    Missing(String),
    /// It lies encrypted in this file, which only systemd can read.
    Sealed(PathBuf),
    /// What is wrong with it, and what to do.
    Wrong(String, String),
}

/// The secret of the key that `written` speaks of, for `bearer`.
///
/// # Errors
/// It is nowhere, or it can't be used.
pub(super) fn load(
    written: &At<KeySource>,
    bearer: Bearer,
    credentials: &Credentials<'_>,
) -> Result<Secret, Unloaded> {
    let name = match &written.value {
        KeySource::Given { secret, .. } => return Ok(secret.clone()),
        KeySource::Named(name) => name,
    };
    credentials
        .find(name, bearer)
        .map_err(|missing| match missing {
            Missing::Unusable(message, help) => Unloaded::Wrong(message, help),
            // The places have the name in them, which here is the secret.
            Missing::NotFound(_) if hiding::looks_like_a_key(name.as_str()) => Unloaded::Wrong(
                "found what looks like a key itself (hidden), expected a key's name".to_owned(),
                "put the key into a file and write that file's name here;\n\
             if this file was readable by others, take the key for known and replace it"
                    .to_owned(),
            ),
            Missing::NotFound(places) => {
                let places = places.join("\n");
                let help =
                    format!("run `upstreamd key set {name}`, or put it into one of\n{places}");
                Unloaded::Missing(help)
            }
            Missing::Sealed(path) => Unloaded::Sealed(path),
        })
}

impl Unloaded {
    /// As an error about `path`.
    pub(super) fn problem(self, path: &str, written: &At<KeySource>) -> Problem {
        let name = written.value.name();
        let (message, help) = match self {
            Unloaded::Wrong(message, help) => (message, help),
            Unloaded::Missing(help) => (format!("there is no key named \"{name}\""), help),
            Unloaded::Sealed(path) => (
                format!(
                    "{} is encrypted, and only systemd can read it",
                    path.display()
                ),
                format!(
                    "start upstreamd by systemd, or store the key as it is: upstreamd key set --plain {name}"
                ),
            ),
        };
        Problem::new(path, &written.place, message).help(help)
    }
}
