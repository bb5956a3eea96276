//! Loading one key.

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
                Unloaded::Missing(match bearer {
                    Bearer::Upstream => {
                        format!("run `upstreamd key set {name}`, or put it into one of\n{places}")
                    }
                    Bearer::Client => format!("put it into one of\n{places}"),
                })
            }
        })
}

impl Unloaded {
    /// As an error about `path`.
    pub(super) fn problem(self, path: &str, written: &At<KeySource>) -> Problem {
        let (message, help) = match self {
            Unloaded::Wrong(message, help) => (message, help),
            Unloaded::Missing(help) => {
                let name = written.value.name();
                (format!("there is no key named \"{name}\""), help)
            }
        };
        Problem::new(path, &written.place, message).help(help)
    }
}
