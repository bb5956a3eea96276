//! A configuration made ready to run, and one worker's use of it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use super::route::Routes;
use crate::config::checked::{Config, Upstream};
use crate::upstream::{Dialer, Pool, TlsError};

/// A configuration with everything loaded that it names. Shared by all
/// workers; a reload makes a new one and swaps it whole.
#[derive(Debug)]
pub struct Snapshot {
    /// What the operator wrote, checked.
    pub config: Config,
    /// One for each upstream, at its place.
    doors: Vec<Door>,
    pub(super) routes: Routes,
}

/// The way to one upstream.
#[derive(Debug)]
struct Door {
    dialer: Arc<Dialer>,
    host: HeaderValue,
}

impl Snapshot {
    /// Loads root certificates and the client certificates.
    ///
    /// # Errors
    /// TLS cannot be set up as configured.
    pub fn new(config: Config) -> Result<Self, TlsError> {
        let doors = config.upstreams.iter().map(Door::new);
        Ok(Snapshot {
            doors: doors.collect::<Result<_, _>>()?,
            routes: Routes::new(&config),
            config,
        })
    }
}

impl Door {
    fn new(upstream: &Arc<Upstream>) -> Result<Self, TlsError> {
        let host = HeaderValue::from_str(upstream.base_url.authority.as_str())
            .expect("an authority is visible ASCII");
        Ok(Door {
            dialer: Arc::new(Dialer::new(Arc::clone(upstream))?),
            host,
        })
    }
}

/// What one worker forwards with: the snapshot and pools of its own. A request
/// keeps the engine it started with, so a reload never touches it.
pub struct Engine {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// One for each upstream, at its place.
    lanes: Vec<Lane>,
}

/// A worker's connections to one upstream, made with this snapshot.
struct Lane {
    pool: Pool,
    name: Rc<str>,
}

/// An upstream, as a worker sees it.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// What the operator wrote of it.
    pub(super) upstream: &'a Upstream,
    /// This worker's connections to it.
    pub(super) pool: &'a Pool,
    /// The `Host` field for it.
    pub(super) host: &'a HeaderValue,
    name: &'a Rc<str>,
}

impl Engine {
    /// An engine with empty pools.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let doors = snapshot.doors.iter().zip(&snapshot.config.upstreams);
        let lanes = doors.map(|(door, upstream)| Lane {
            pool: Pool::new(Arc::clone(&door.dialer)),
            name: Rc::from(upstream.name.as_str()),
        });
        Engine {
            lanes: lanes.collect(),
            snapshot,
        }
    }

    /// Closes what was idle for too long, and what upstreams have closed.
    pub fn sweep(&self) {
        self.lanes.iter().for_each(|lane| lane.pool.sweep());
    }

    /// Connections that wait for a request, by upstream.
    pub fn idle(&self) -> BTreeMap<String, usize> {
        let lanes = self.lanes.iter();
        lanes
            .map(|lane| (lane.name.to_string(), lane.pool.idle()))
            .collect()
    }

    /// The way to the upstream at `place`.
    pub(super) fn way(&self, place: usize) -> Way<'_> {
        let lane = &self.lanes[place];
        Way {
            upstream: &self.snapshot.config.upstreams[place],
            pool: &lane.pool,
            host: &self.snapshot.doors[place].host,
            name: &lane.name,
        }
    }
}

impl Way<'_> {
    /// The upstream's name, cheap to keep.
    pub(super) fn name(&self) -> Rc<str> {
        Rc::clone(self.name)
    }
}
