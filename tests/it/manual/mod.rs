//! The manual says what the program does: nothing is missing, nothing is stale.
//!
//! Each page is read as its source, and held against what the binary prints,
//! refuses and logs, or against the tables of the library.

mod command_line;
mod configuration;
mod events;
mod example;
mod faults;
mod journal;
mod metrics;
mod page;
mod promises;
mod rendered;
mod shipped;
mod source;
mod status;

use std::collections::BTreeSet;
use std::fmt::Debug;

/// Fails with what the page lacks, and what only the page has.
#[track_caller]
fn assert_same<T: Ord + Debug>(
    what: &str,
    page: impl IntoIterator<Item = T>,
    code: impl IntoIterator<Item = T>,
) {
    let page: BTreeSet<T> = page.into_iter().collect();
    let code: BTreeSet<T> = code.into_iter().collect();
    let missing: Vec<_> = code.difference(&page).collect();
    let stale: Vec<_> = page.difference(&code).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "{what}\n  missing in the manual: {missing:?}\n  stale in the manual:   {stale:?}"
    );
    assert!(!code.is_empty(), "{what}: nothing was compared");
}
