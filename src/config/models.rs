//! What clients ask for, and where that is: the checked form of `[model.NAME]`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::glob::Glob;

/// `[model.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The name or pattern in the configuration.
    pub name: Glob,
    /// Where it is; one at least, [`Model::MOST_CANDIDATES`] at most.
    pub candidates: Vec<Candidate>,
    /// Whether weights choose among them, and not their order.
    pub is_weighted: bool,
    /// Parameters that every request gets, each with its value in JSON.
    pub set: Vec<(String, String)>,
    /// Parameters that are left out.
    pub drop: Vec<String>,
}

/// An upstream that has a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its place among the upstreams.
    pub upstream: usize,
    /// The model's name there. None: as it was asked for.
    pub name: Option<String>,
    /// Its share of the requests, against those of the others: 1 to 1000.
    pub weight: u32,
}

impl Model {
    /// Candidates at most.
    pub const MOST_CANDIDATES: usize = 32;
}

/// All models, to be found by what clients ask for.
#[derive(Debug, Clone, Default)]
pub struct Models {
    all: Vec<Model>,
    /// Places of those that are no patterns.
    exact: BTreeMap<String, usize>,
    /// Places of the others, the one to be tried first at first.
    patterns: Vec<usize>,
}

impl Models {
    /// `all` of them, in the order of their names.
    pub(super) fn new(all: Vec<Model>) -> Models {
        let (exact, mut patterns): (Vec<_>, Vec<_>) =
            (0..all.len()).partition(|place| all[*place].name.is_exact());
        // What says more counts before what says less.
        patterns.sort_by_key(|place| Reverse(all[*place].name.literal()));
        let exact = exact
            .into_iter()
            .map(|place| (all[place].name.as_str().to_owned(), place));
        Models {
            exact: exact.collect(),
            patterns,
            all,
        }
    }

    /// All, in the order of their names.
    #[must_use]
    pub fn all(&self) -> &[Model] {
        &self.all
    }

    /// The place among [`Models::all`] of the one that `asked` is: the exact
    /// name, else the pattern with the most letters of its own.
    #[must_use]
    pub fn find(&self, asked: &str) -> Option<usize> {
        if let Some(place) = self.exact.get(asked) {
            return Some(*place);
        }
        let mut patterns = self.patterns.iter();
        patterns
            .find(|place| self.all[**place].name.matches(asked))
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_counts_before_patterns_and_the_longest_of_these_first() {
        let model = |name: &&str| Model {
            name: Glob::new(*name),
            candidates: Vec::new(),
            is_weighted: false,
            set: Vec::new(),
            drop: Vec::new(),
        };
        let names = ["*", "a*", "gpt-*", "gpt-5", "gpt-5*", "gpt-5?mini"];
        let models = Models::new(names.iter().map(model).collect());
        for (asked, expected) in [
            ("gpt-5", "gpt-5"),
            ("gpt-5.1", "gpt-5*"),
            ("gpt-5-mini", "gpt-5?mini"),
            ("gpt-4", "gpt-*"),
            ("abc", "a*"),
            ("o3", "*"),
        ] {
            let found = models.find(asked).map(|place| names[place]);
            assert_eq!(found, Some(expected), "{asked}");
        }
        assert_eq!(Models::default().find("gpt-5"), None);
    }
}
