//! One table of the file, read key by key.
//!
//! Each `take` reads one value and collects what is wrong with it;
//! [`Section::finish`] then refuses the keys that nobody took, and knows from
//! the takes which ones there are.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;
use super::place::{At, Place};
use super::problem::{Problem, Problems};
use super::value::{Text, Value, Wrong};

/// A table and what of it was taken.
pub(super) struct Section<'t, 'p> {
    path: String,
    table: &'t DeTable<'t>,
    taken: Vec<&'static str>,
    /// Its keys are the operator's own, so that none is unknown.
    open: bool,
    problems: &'p mut Problems,
}

impl<'t, 'p> Section<'t, 'p> {
    /// The table of the whole file.
    pub(super) fn root(table: &'t DeTable<'t>, problems: &'p mut Problems) -> Section<'t, 'p> {
        Section::new(String::new(), table, problems)
    }

    /// The value of `key`, if it is there and right.
    pub(super) fn take<T: Value>(&mut self, key: &'static str) -> Option<At<T>> {
        let (_, value) = self.entry(key)?;
        let path = self.path_of(key);
        read(&path, value, self.problems)
    }

    /// The values of `key`, an array, those that are right.
    pub(super) fn take_all<T: Value>(&mut self, key: &'static str) -> Option<At<Vec<At<T>>>> {
        let (_, value) = self.entry(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            let expected = format!("an array of which each element is {}", T::EXPECTED);
            let help = match value.get_ref() {
                DeValue::String(_) => "put it in brackets: [\"...\"]",
                _ => "",
            };
            self.refuse(
                key,
                value,
                &Wrong::kind(value.get_ref()).help(help),
                &expected,
            );
            return None;
        };
        let path = self.path_of(key);
        let values = array
            .iter()
            .filter_map(|value| read(&path, value, self.problems));
        Some(At::new(values.collect(), Place::File(value.span())))
    }

    /// The values of `key`, an array or only one.
    pub(super) fn take_one_or_all<T: Value>(
        &mut self,
        key: &'static str,
    ) -> Option<At<Vec<At<T>>>> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::Array(_)) => self.take_all(key),
            _ => {
                let one = self.take(key)?;
                let place = one.place.clone();
                Some(At::new(vec![one], place))
            }
        }
    }

    /// Reads the table of `key`, if it is there, by `fill`.
    pub(super) fn take_table(
        &mut self,
        key: &'static str,
        fill: impl FnOnce(&mut Section<'_, '_>),
    ) {
        let Some((_, value)) = self.entry(key) else {
            return;
        };
        let DeValue::Table(table) = value.get_ref() else {
            self.refuse(
                key,
                value,
                &Wrong::kind(value.get_ref()),
                &format!("a table: [{}]", self.path_of(key)),
            );
            return;
        };
        let mut section = Section::new(self.path_of(key), table, self.problems);
        fill(&mut section);
        section.finish();
    }

    /// Reads each table of the array `key` by `fill`, if it is there; gives its place.
    pub(super) fn take_tables(
        &mut self,
        key: &'static str,
        mut fill: impl FnMut(Place, &mut Section<'_, '_>),
    ) -> Option<Place> {
        let (_, value) = self.entry(key)?;
        let path = self.path_of(key);
        let expected = "an array of tables: [{ ... }, ...]";
        let DeValue::Array(array) = value.get_ref() else {
            self.refuse(key, value, &Wrong::kind(value.get_ref()), expected);
            return None;
        };
        for value in array {
            let DeValue::Table(table) = value.get_ref() else {
                self.refuse(key, value, &Wrong::kind(value.get_ref()), expected);
                continue;
            };
            let mut section = Section::new(path.clone(), table, self.problems);
            fill(Place::File(value.span()), &mut section);
            section.finish();
        }
        Some(Place::File(value.span()))
    }

    /// Reads each `[key.NAME]` by `fill`, where NAME can be an `N`, in the
    /// order of the file.
    pub(super) fn take_named<N: Text>(
        &mut self,
        key: &'static str,
        mut fill: impl FnMut(String, Place, &mut Section<'_, '_>),
    ) {
        let Some((_, value)) = self.entry(key) else {
            return;
        };
        let expected = format!("a table with a name: [{key}.NAME]");
        let DeValue::Table(table) = value.get_ref() else {
            self.refuse(key, value, &Wrong::kind(value.get_ref()), &expected);
            return;
        };
        for (name, value) in table {
            let path = format!("{key}.{}", name.get_ref());
            let place = Place::File(name.span());
            let DeValue::Table(table) = value.get_ref() else {
                let found = Wrong::kind(value.get_ref()).found;
                let problem = Problem::found(path, &place, &found, &expected);
                self.problems.add(problem.help(format!(
                    "name it: put `{}` under [{key}.NAME]",
                    name.get_ref()
                )));
                continue;
            };
            if N::from_text(name.get_ref()).is_err() {
                let found = format!("the name {:?}", name.get_ref());
                self.problems
                    .add(Problem::found(key, &place, &found, N::EXPECTED));
            }
            let mut section = Section::new(path, table, self.problems);
            fill(name.get_ref().to_string(), place, &mut section);
            section.finish();
        }
    }

    /// All keys of this table whose values are right, for a table whose keys
    /// are the operator's own.
    pub(super) fn take_rest<T: Value>(&mut self) -> Vec<(At<String>, At<T>)> {
        self.open = true;
        let mut rest = Vec::new();
        for (key, value) in self.table {
            let path = format!("{}.{}", self.path, key.get_ref());
            let key = At::new(key.get_ref().to_string(), Place::File(key.span()));
            if let Some(value) = read(&path, value, self.problems) {
                rest.push((key, value));
            }
        }
        rest
    }

    /// The full path of `key` in this table.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Collects a problem that a reader of this table found.
    pub(super) fn complain(&mut self, problem: Problem) {
        self.problems.add(problem);
    }

    fn new(path: String, table: &'t DeTable<'t>, problems: &'p mut Problems) -> Section<'t, 'p> {
        Section {
            path,
            table,
            taken: Vec::new(),
            open: false,
            problems,
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        self.taken.push(key);
        let (name, value) = self.table.get_key_value(key)?;
        Some((name.span(), value))
    }

    fn refuse(&mut self, key: &str, value: &Spanned<DeValue<'_>>, wrong: &Wrong, expected: &str) {
        let path = self.path_of(key);
        self.problems
            .add(refusal(&path, &Place::File(value.span()), wrong, expected));
    }

    /// Refuses the keys that nobody took.
    pub(super) fn finish(self) {
        for key in self.table.keys().filter(|_| !self.open) {
            let word = key.get_ref().as_ref();
            if self.taken.contains(&word) {
                continue;
            }
            let message = match nearest(word, self.taken.iter().copied()) {
                Some(known) => format!("no such key, did you mean `{known}`?"),
                None => "no such key".to_owned(),
            };
            let section = match self.path.as_str() {
                "" => "the file".to_owned(),
                path => format!("[{path}]"),
            };
            let help = format!("{section} knows {}", self.taken.join(", "));
            let place = Place::File(key.span());
            let problem = Problem::new(self.path_of(word), &place, message);
            self.problems.add(problem.help(help));
        }
    }
}

/// `wrong` where `expected` should be.
pub(super) fn refusal(path: &str, place: &Place, wrong: &Wrong, expected: &str) -> Problem {
    let problem = Problem::found(path, place, &wrong.found, expected);
    match wrong.help.as_deref() {
        Some(help) if !help.is_empty() => problem.help(help),
        _ => problem,
    }
}

fn read<T: Value>(
    path: &str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Problems,
) -> Option<At<T>> {
    let place = Place::File(value.span());
    match T::from_toml(value.get_ref()) {
        Ok(value) => Some(At::new(value, place)),
        Err(wrong) => {
            problems.add(refusal(path, &place, &wrong, T::EXPECTED));
            None
        }
    }
}
