//! What the environment says about the configuration.
//!
//! The variables of the helper that upstreamd replaces, so that its users
//! change nothing. An empty variable counts as unset: a unit or a compose file
//! often sets one to nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::listen::Port;
use super::place::{At, Place};
use super::problem::{Problem, Problems};
use super::secret::Secret;
use super::section::refusal;
use super::value::Text;
use super::written::{Client, KeySource, Written};

/// The client that `LITELLM_MASTER_KEY` lets in.
const LITELLM: &str = "litellm";

/// The variables of a process. Given, and not read where they are needed, so
/// that a test can say what they are.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn of_this_process() -> Environment {
        std::env::vars_os().collect()
    }

    /// The path in the variable `name`, if it is set and not empty.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.set(name).map(PathBuf::from)
    }

    /// The secret in the variable `name`, if it is set and not empty.
    ///
    /// # Errors
    /// What is wrong with the secret, without it.
    pub(super) fn secret(&self, name: &str) -> Option<Result<Secret, &'static str>> {
        self.set(name)
            .map(|value| Secret::new(value.as_encoded_bytes()))
    }

    /// Puts what the variables say over what the file says.
    pub(super) fn apply(&self, written: &mut Written, problems: &mut Problems) {
        if let Some(port) = self.value::<Port>("PORT", "server.listen", problems) {
            let address = At::new(port.value.into(), port.place.clone());
            written.server.listen = Some(At::new(vec![address], port.place));
        }
        let base_url = self.value("OPENAI_BASE_URL", "upstream.base_url", problems);
        let user_agent = self.value("NODE_USER_AGENT", "upstream.user_agent", problems);
        let keys = self.keys(problems);
        let places = [
            ("upstream.base_url", base_url.as_ref().map(|at| &at.place)),
            ("upstream.keys", keys.as_ref().map(|at| &at.place)),
            (
                "upstream.user_agent",
                user_agent.as_ref().map(|at| &at.place),
            ),
        ];
        let first = places
            .into_iter()
            .find_map(|(key, place)| Some((key, place?.clone())));
        let upstream = first.and_then(|(key, place)| written.the_upstream(key, &place, problems));
        if let Some(upstream) = upstream {
            upstream.base_url = base_url.or(upstream.base_url.take());
            upstream.user_agent = user_agent.or(upstream.user_agent.take());
            // An upstream that is said to need no key gets none that happens to
            // lie in the environment.
            let needs_none = upstream
                .keys
                .as_ref()
                .is_some_and(|keys| keys.value.is_empty());
            if !needs_none {
                upstream.keys = keys.or(upstream.keys.take());
            }
        }
        let key = self.key("LITELLM_MASTER_KEY", "client.litellm.key", problems);
        if let Some(key) = key {
            let client = written.clients.entry(LITELLM.to_owned());
            let client = client.or_insert_with(|| Client::new(key.place.clone()));
            client.key = Some(key);
        }
    }

    /// Whether the variable `name` says no: `0`, `false`, `no` or `off`.
    pub(crate) fn says_no(&self, name: &str) -> bool {
        let value = self.set(name).and_then(|value| value.to_str());
        let value = value.unwrap_or_default().to_ascii_lowercase();
        ["0", "false", "no", "off"].contains(&value.as_str())
    }

    /// The names of all variables that are set and not empty, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.filter_map(|(name, _)| name.to_str())
    }

    fn set(&self, name: &str) -> Option<&OsString> {
        self.0
            .get(std::ffi::OsStr::new(name))
            .filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str, key: &str, problems: &mut Problems) -> Option<&str> {
        let value = self.set(name)?;
        if value.to_str().is_none() {
            problems.add(Problem::new(
                key,
                &Place::variable(name),
                "found bytes that are not UTF-8",
            ));
        }
        value.to_str()
    }

    /// The variable `name`, if it is set and not empty, read as a value for `key`.
    pub(super) fn value<T: Text>(
        &self,
        name: &str,
        key: &str,
        problems: &mut Problems,
    ) -> Option<At<T>> {
        let text = self.text(name, key, problems)?;
        let place = Place::variable(name);
        match T::from_text(text) {
            Ok(value) => Some(At::new(value, place)),
            Err(wrong) => {
                problems.add(refusal(key, &place, &wrong, T::EXPECTED));
                None
            }
        }
    }

    /// `OPENAI_API_KEY`, then those of `OPENAI_API_KEYS`, each once.
    pub(super) fn keys(&self, problems: &mut Problems) -> Option<At<Vec<At<KeySource>>>> {
        const ONE: &str = "OPENAI_API_KEY";
        const SEVERAL: &str = "OPENAI_API_KEYS";
        const KEY: &str = "upstream.keys";
        let mut keys: Vec<_> = self.key(ONE, KEY, problems).into_iter().collect();
        let list = self.text(SEVERAL, KEY, problems).unwrap_or_default();
        let parts = list.split(|c: char| c == ',' || c.is_whitespace());
        for (index, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            let name = format!("{SEVERAL}.{}", index + 1);
            let place = Place::variable(SEVERAL);
            let key = given(name, part.as_bytes(), KEY, place, problems);
            keys.extend(key.filter(|key| !keys.iter().any(|other| same(&other.value, &key.value))));
        }
        let place = keys.first()?.place.clone();
        Some(At::new(keys, place))
    }

    /// The secret in the variable `name`, as a value for `key`.
    pub(super) fn key(
        &self,
        name: &str,
        key: &str,
        problems: &mut Problems,
    ) -> Option<At<KeySource>> {
        let value = self.set(name)?.as_encoded_bytes();
        given(name.to_owned(), value, key, Place::variable(name), problems)
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Environment {
        let variables = variables.into_iter();
        Environment(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables, values hidden)", self.0.len())
    }
}

fn given(
    name: String,
    content: &[u8],
    key: &str,
    place: Place,
    problems: &mut Problems,
) -> Option<At<KeySource>> {
    match Secret::new(content) {
        Ok(secret) => Some(At::new(KeySource::Given { name, secret }, place)),
        Err(reason) => {
            let message = format!("{name} can't be a key: {reason}");
            problems.add(Problem::new(key, &place, message));
            None
        }
    }
}

fn same(one: &KeySource, other: &KeySource) -> bool {
    match (one, other) {
        (KeySource::Given { secret: one, .. }, KeySource::Given { secret: other, .. }) => {
            one == other
        }
        _ => one.name() == other.name(),
    }
}
