//! What is wrong with a configuration: collected, never only the first.

use super::place::Place;

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    /// The full path of the key, such as `server.listen`; empty for none.
    pub(super) key: String,
    /// Where it is.
    pub(super) place: Place,
    /// What is wrong: what was found, what was expected.
    pub(super) message: String,
    /// What to do.
    pub(super) help: Option<String>,
}

impl Problem {
    /// `message` about `key` at `place`.
    pub(super) fn new(
        key: impl Into<String>,
        place: &Place,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            key: key.into(),
            place: place.clone(),
            message: message.into(),
            help: None,
        }
    }

    /// `found` where `expected` should be.
    pub(super) fn found(
        key: impl Into<String>,
        place: &Place,
        found: &str,
        expected: &str,
    ) -> Problem {
        Problem::new(key, place, format!("found {found}, expected {expected}"))
    }

    /// With what to do about it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// All that was found wrong so far, and what could not be looked at.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    unread_keys: Vec<String>,
}

impl Problems {
    /// One more.
    pub(super) fn add(&mut self, problem: Problem) {
        self.found.push(problem);
    }

    /// The key called `name` may be right or wrong.
    pub(super) fn could_not_read(&mut self, name: &str) {
        if !self.unread_keys.iter().any(|other| other == name) {
            self.unread_keys.push(name.to_owned());
        }
    }

    /// Names of keys that could not be looked at.
    pub(super) fn unread_keys(&self) -> &[String] {
        &self.unread_keys
    }

    /// Whether `key` was complained about already: a refused value must not
    /// be called missing as well.
    pub(super) fn has(&self, key: &str) -> bool {
        self.found.iter().any(|problem| problem.key == key)
    }

    /// Those about `key` alone.
    pub(super) fn about(mut self, key: &str) -> Problems {
        self.found.retain(|problem| problem.key == key);
        self
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the file, then what isn't in it.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| match &problem.place {
            Place::File(span) => span.start,
            _ => usize::MAX,
        });
        self.found
    }
}
