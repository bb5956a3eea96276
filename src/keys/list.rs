//! `upstreamd key list`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::cli::Failed;
use crate::config::{self, Environment, Name, Overrides};

use super::store::{Form, Store};

/// A line for each key that is stored or named in the configuration: its name,
/// its form, who names it. No key itself is read.
///
/// # Errors
/// The directories can't be read.
pub(super) fn list(
    store: &Store,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<String, Failed> {
    let stored = store.names()?;
    let (uses, note) = match config::key_uses(overrides, environment) {
        Ok(uses) => (uses, ""),
        Err(_) => (
            Vec::new(),
            "\nThe configuration has mistakes, so it isn't said who uses a key: `upstreamd check` shows them.\n",
        ),
    };
    let mut users: BTreeMap<&Name, Vec<&str>> = BTreeMap::new();
    for each in &uses {
        users.entry(&each.name).or_default().push(&each.by);
    }
    let names: BTreeSet<&Name> = stored.keys().chain(users.keys().copied()).collect();
    if names.is_empty() {
        return Ok(format!(
            "There are no keys beside the configuration in {}.\n{note}",
            store.directory().display()
        ));
    }
    let width = names
        .iter()
        .map(|name| name.as_str().len())
        .max()
        .unwrap_or_default()
        .max(4);
    let mut text = format!("{:width$}  {:9}  USED BY\n", "NAME", "STORED AS");
    for name in names {
        let forms = stored
            .get(name)
            .map(|forms| forms.iter().map(|form: &Form| form.name()).collect());
        let forms: Vec<&str> = forms.unwrap_or_else(|| vec!["missing"]);
        let by = users
            .get(name)
            .map_or_else(|| "-".to_owned(), |by| by.join(", "));
        // A String takes everything.
        let _ = writeln!(
            text,
            "{:width$}  {:9}  {by}",
            name.as_str(),
            forms.join(",")
        );
    }
    Ok(text + note)
}
