//! Loading one key.

use crate::config::credentials::{Bearer, Credentials, Missing};
use crate::config::hiding;
use crate::config::place::At;
use crate::config::problem::{Problem, Problems};
use crate::config::secret::Secret;
use crate::config::written::KeySource;

/// The secret of a key that was written for `path`, for `bearer`.
pub(super) fn load(
    written: &At<KeySource>,
    bearer: Bearer,
    path: &str,
    credentials: &Credentials<'_>,
    problems: &mut Problems,
) -> Option<Secret> {
    let name = match &written.value {
        KeySource::Given { secret, .. } => return Some(secret.clone()),
        KeySource::Named(name) => name,
    };
    let problem = |message| Problem::new(path, &written.place, message);
    match credentials.find(name, bearer) {
        Ok(secret) => return Some(secret),
        Err(Missing::Unusable(message, help)) => problems.add(problem(message).help(help)),
        // The places have the name in them, which here is the secret.
        Err(Missing::NotFound(_)) if hiding::looks_like_a_key(name.as_str()) => {
            let message = "found what looks like a key itself (hidden), expected a key's name";
            let help = "put the key into a file and write that file's name here;\n\
                        if this file was readable by others, take the key for known and replace it";
            problems.add(problem(message.to_owned()).help(help));
        }
        Err(Missing::NotFound(places)) => {
            let message = format!("there is no key named \"{name}\"");
            let help = format!("put it into one of\n{}", places.join("\n"));
            problems.add(problem(message).help(help));
        }
    }
    None
}
