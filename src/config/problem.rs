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

/// All that was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// One more.
    pub(super) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Whether `key` was complained about already: a refused value must not
    /// be called missing as well.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|problem| problem.key == key)
    }

    /// Those about `key` alone.
    pub(super) fn about(mut self, key: &str) -> Problems {
        self.0.retain(|problem| problem.key == key);
        self
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the file, then what isn't in it.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| match &problem.place {
            Place::File(span) => span.start,
            _ => usize::MAX,
        });
        self.0
    }
}
