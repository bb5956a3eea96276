//! Where a value was written, so that an error can point at it.

use std::ops::Range;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the configuration file, at these bytes.
    File(Range<usize>),
    /// In the environment variable of this name.
    Environment(String),
    /// In the flag of this name, dashes included.
    Flag(&'static str),
    /// Nowhere: what is wrong is that something is missing.
    Nowhere,
}

impl Place {
    /// In the environment variable `name`.
    pub(super) fn variable(name: &str) -> Place {
        Place::Environment(name.to_owned())
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    /// The value.
    pub(super) value: T,
    /// Where it was written.
    pub(super) place: Place,
}

impl<T> At<T> {
    /// `value`, written at `place`.
    pub(super) fn new(value: T, place: Place) -> At<T> {
        At { value, place }
    }
}
