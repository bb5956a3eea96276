//! `[client.NAME]`

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::config::accounts::{GroupAccount, UserAccount};
use crate::config::checked::{Client, ClientLimits, Glob, Group};
use crate::config::credentials::Bearer;
use crate::config::limits::{self, Limit};
use crate::config::place::At;
use crate::config::problem::{Problem, Problems};
use crate::config::section::refusal;
use crate::config::value::{Value, Wrong};
use crate::config::written;

use super::key::{self, Unloaded};
use super::upstream::at_most;
use super::{Surroundings, within};

/// Each thing that can identify a client.
const IDENTITIES: [&str; 5] = ["key", "user", "uid", "group", "gid"];

/// Every client, in the order of their names.
pub(super) fn check(
    written: &BTreeMap<String, written::Client>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Arc<Client>> {
    let mut clients: Vec<Arc<Client>> = Vec::new();
    for (name, written) in written {
        let mut table = Table {
            name,
            others: &clients,
            problems,
        };
        table.needs_an_identity(written);
        let client = Client {
            name: name.clone(),
            key_sha256: table.key(written, surroundings),
            user: table.user(written),
            group: table.group(written),
            models: table.patterns("models", &written.models, |name| &name.0),
            endpoints: table.patterns("endpoints", &written.endpoints, |endpoint| &endpoint.0),
            limits: table.limits(written),
        };
        clients.push(Arc::new(client));
    }
    clients
}

/// One `[client.NAME]`.
struct Table<'a> {
    name: &'a str,
    /// Those that were checked before.
    others: &'a [Arc<Client>],
    problems: &'a mut Problems,
}

impl Table<'_> {
    fn path(&self, key: &str) -> String {
        format!("client.{}.{key}", self.name)
    }

    fn needs_an_identity(&mut self, written: &written::Client) {
        let user = written.user.as_ref().or(written.uid.as_ref());
        let group = written.group.as_ref().or(written.gid.as_ref());
        let is_there = written.key.is_some() || user.is_some() || group.is_some();
        // A value that was refused was meant to be one.
        let refused = |key: &&str| self.problems.has(&self.path(key));
        if is_there || IDENTITIES.iter().any(refused) {
            return;
        }
        let message = "nothing says how this client is known";
        let help = format!(
            "write key = \"NAME\", the name of its key, for example \"client.{}\";\n\
             or, for programs that come by a Unix socket, user = \"NAME\" or group = \"NAME\"",
            self.name
        );
        let problem = Problem::new(format!("client.{}", self.name), &written.place, message);
        self.problems.add(problem.help(help));
    }

    fn key(
        &mut self,
        written: &written::Client,
        surroundings: &Surroundings<'_>,
    ) -> Option<[u8; 32]> {
        let source = written.key.as_ref()?;
        let path = self.path("key");
        let secret = match key::load(source, Bearer::Client, &surroundings.credentials) {
            Ok(secret) => secret,
            Err(Unloaded::Sealed(_)) if surroundings.occasion.tolerates_sealed_keys() => {
                self.problems.could_not_read(source.value.name());
                return None;
            }
            Err(unloaded) => {
                self.problems.add(unloaded.problem(&path, source));
                return None;
            }
        };
        match secret.sha256() {
            Ok(hash) => {
                let same = |other: &Client| other.key_sha256 == Some(hash);
                self.is_its_own("key", "the same key as that", source, same);
                Some(hash)
            }
            Err(reason) => {
                let name = source.value.name();
                let message = format!("the key named \"{name}\" can't be used: {reason}");
                self.problems
                    .add(Problem::new(path, &source.place, message));
                None
            }
        }
    }

    fn user(&mut self, written: &written::Client) -> Option<u32> {
        let (key, account) = self.one("user", &written.user, "uid", &written.uid)?;
        let found = account.value.look_up();
        let uid = self.found::<UserAccount, _>(key, account, found)?;
        let same = |other: &Client| other.user == Some(uid);
        self.is_its_own(key, "the same user as that", account, same);
        Some(uid)
    }

    fn group(&mut self, written: &written::Client) -> Option<Group> {
        let (key, account) = self.one("group", &written.group, "gid", &written.gid)?;
        let found = account.value.look_up();
        let group = self.found::<GroupAccount, _>(key, account, found)?;
        let same = |other: &Client| {
            let other = other.group.as_ref();
            other.is_some_and(|other| other.gid == group.gid)
        };
        self.is_its_own(key, "the same group as that", account, same);
        Some(group)
    }

    /// What the client is held to.
    fn patterns<T>(
        &mut self,
        key: &str,
        written: &Option<At<Vec<At<T>>>>,
        text: impl Fn(&T) -> &str,
    ) -> Option<Vec<Glob>> {
        let At { value, place } = written.as_ref()?;
        let path = self.path(key);
        if value.is_empty() && !self.problems.has(&path) {
            let problem = Problem::found(path, place, "an empty list", "one at least");
            self.problems
                .add(problem.help("leave it out, and nothing is refused"));
        }
        let patterns = value.iter().map(|at| Glob::new(text(&at.value)));
        Some(patterns.collect())
    }

    /// How much it may ask for.
    fn limits(&mut self, written: &written::Client) -> Option<ClientLimits> {
        let mut a_minute = |written: &Option<At<usize>>, limit: &Limit<usize>, key: &str| {
            let path = self.path(key);
            let most = within(Some(written.as_ref()?), limit, &path, self.problems);
            // 0 is out of bounds and was complained about.
            NonZeroU64::new(most as u64)
        };
        let limits = ClientLimits {
            requests_per_minute: a_minute(
                &written.requests_per_minute,
                &limits::REQUESTS_PER_MINUTE,
                "requests_per_minute",
            ),
            tokens_per_minute: a_minute(
                &written.tokens_per_minute,
                &limits::TOKENS_PER_MINUTE,
                "tokens_per_minute",
            ),
            max_running: at_most(
                written.max_running.as_ref(),
                &self.path("max_running"),
                self.problems,
            ),
        };
        let is_held = limits.requests_per_minute.is_some()
            || limits.tokens_per_minute.is_some()
            || limits.max_running.is_some();
        is_held.then_some(limits)
    }

    /// The one of two words for the same thing that was written.
    fn one<'w, T>(
        &mut self,
        word: &'static str,
        one: &'w Option<At<T>>,
        other_word: &'static str,
        other: &'w Option<At<T>>,
    ) -> Option<(&'static str, &'w At<T>)> {
        if let (Some(_), Some(other)) = (one, other) {
            let message = format!("the same thing as {word}, which is there too");
            let problem = Problem::new(self.path(other_word), &other.place, message);
            self.problems.add(problem.help("keep one of them"));
        }
        let one = one.as_ref().map(|one| (word, one));
        one.or(other.as_ref().map(|other| (other_word, other)))
    }

    fn found<T: Value, U>(&mut self, key: &str, at: &At<T>, found: Result<U, Wrong>) -> Option<U> {
        let wrong = |wrong| {
            let path = self.path(key);
            self.problems
                .add(refusal(&path, &at.place, &wrong, T::EXPECTED));
        };
        found.map_err(wrong).ok()
    }

    /// Who came in would be anybody's guess.
    fn is_its_own<T>(&mut self, key: &str, what: &str, at: &At<T>, same: impl Fn(&Client) -> bool) {
        if let Some(other) = self.others.iter().find(|other| same(other)) {
            let message = format!("{what} of client.{}", other.name);
            let problem = Problem::new(self.path(key), &at.place, message);
            self.problems
                .add(problem.help("give each client one of its own"));
        }
    }
}
