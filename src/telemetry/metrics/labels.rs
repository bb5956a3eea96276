//! The labels of series, owned and borrowed, so that a request whose series is
//! there needs no allocation.

use std::hash::{Hash, Hasher};

use fnv::FnvBuildHasher;
use hashbrown::{Equivalent, HashSet};

/// What stands for every name that is not known, or one too many.
pub(super) const OTHER: &str = "other";

/// Names that are kept at most, and the bytes of one.
const MOST_NAMES: usize = 64;

/// How a request ended, and whose it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Outcome {
    pub(super) client: Box<str>,
    pub(super) model: Box<str>,
    pub(super) upstream: Box<str>,
    pub(super) status: u16,
    pub(super) error: &'static str,
}

/// [`Outcome`], borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutcomeRef<'a> {
    pub(super) client: &'a str,
    pub(super) model: &'a str,
    pub(super) upstream: &'a str,
    pub(super) status: u16,
    pub(super) error: &'static str,
}

impl OutcomeRef<'_> {
    pub(super) fn to_owned(self) -> Outcome {
        Outcome {
            client: self.client.into(),
            model: self.model.into(),
            upstream: self.upstream.into(),
            status: self.status,
            error: self.error,
        }
    }

    /// Of these there are only so many as statuses and error codes.
    pub(super) fn without_names(self) -> Self {
        OutcomeRef {
            client: OTHER,
            model: OTHER,
            upstream: OTHER,
            ..self
        }
    }
}

impl Hash for OutcomeRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the derived one of `Outcome` does, field by field.
        self.client.hash(state);
        self.model.hash(state);
        self.upstream.hash(state);
        self.status.hash(state);
        self.error.hash(state);
    }
}

impl Equivalent<Outcome> for OutcomeRef<'_> {
    fn equivalent(&self, key: &Outcome) -> bool {
        self.client == &*key.client
            && self.model == &*key.model
            && self.upstream == &*key.upstream
            && self.status == key.status
            && self.error == key.error
    }
}

/// Where a request went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Route {
    model: Box<str>,
    upstream: Box<str>,
}

impl Route {
    /// Of this model, at this upstream.
    pub(super) fn new(model: &str, upstream: &str) -> Route {
        Route {
            model: model.into(),
            upstream: upstream.into(),
        }
    }

    pub(super) fn model(&self) -> &str {
        &self.model
    }

    pub(super) fn upstream(&self) -> &str {
        &self.upstream
    }

    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        [
            ("gen_ai_request_model", &self.model),
            ("upstream", &self.upstream),
        ]
    }
}

/// [`Route`], borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteRef<'a> {
    pub(super) model: &'a str,
    pub(super) upstream: &'a str,
}

impl RouteRef<'_> {
    pub(super) fn to_owned(self) -> Route {
        Route::new(self.model, self.upstream)
    }
}

impl Hash for RouteRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.model.hash(state);
        self.upstream.hash(state);
    }
}

impl Equivalent<Route> for RouteRef<'_> {
    fn equivalent(&self, key: &Route) -> bool {
        self.model == &*key.model && self.upstream == &*key.upstream
    }
}

/// Names of models, so far as they may become labels.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Those that the operator wrote: always, however many clients make up.
    reserved: HashSet<Box<str>, FnvBuildHasher>,
    /// Those that clients chose.
    learnt: HashSet<Box<str>, FnvBuildHasher>,
}

impl Names {
    /// Keeps a place for each of `names`, in place of those kept before.
    pub(super) fn reserve<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.reserved = names.map(Box::from).collect();
    }

    /// The name itself if it is known, or may become so: it proved good, and
    /// there is room. Else `other`.
    pub(super) fn known<'a>(&mut self, name: &'a str, is_good: bool) -> &'a str {
        let shown = self.shown(name);
        if shown == OTHER && is_good && self.learnt.len() < MOST_NAMES {
            self.learnt.insert(name.into());
            return name;
        }
        shown
    }

    /// The name itself if it is known. Else `other`.
    pub(super) fn shown<'a>(&self, name: &'a str) -> &'a str {
        if name.is_empty() || self.is_reserved(name) || self.learnt.contains(name) {
            return name;
        }
        OTHER
    }

    /// Whether the operator wrote it.
    pub(super) fn is_reserved(&self, name: &str) -> bool {
        self.reserved.contains(name)
    }
}
