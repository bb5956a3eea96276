//! A configuration made ready to run, and one worker's use of it.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use slog::Logger;

use super::fault::Fault;
use super::route::Routes;
use crate::config::checked::{Client, Config, Upstream};
use crate::limits::{Limiter, Limits};
use crate::upstream::{Dialer, Place, Places, Pool, TlsError};

/// A configuration with everything loaded that it names. Shared by all
/// workers; a reload makes a new one and swaps it whole.
#[derive(Debug)]
pub struct Snapshot {
    /// What the operator wrote, checked.
    pub config: Config,
    /// One for each upstream, at its place.
    doors: Vec<Door>,
    pub(super) routes: Routes,
    /// What clients are held to, and what they have taken.
    pub limits: Limits,
}

/// The way to one upstream.
#[derive(Debug)]
struct Door {
    dialer: Arc<Dialer>,
    host: HeaderValue,
    /// How many requests may run there. None: any number.
    places: Option<Arc<Places>>,
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
            limits: Limits::new(&config)?,
            config,
        })
    }

    /// Goes on from where `before`, which it replaces, has come to: what clients
    /// have taken, and which places are taken at upstreams of the same name.
    pub fn carry_over(&mut self, before: &Snapshot) {
        self.limits.carry_over(&before.limits);
        for (door, upstream) in self.doors.iter_mut().zip(&self.config.upstreams) {
            let mut names = before.config.upstreams.iter();
            let same = names.position(|other| other.name == upstream.name);
            let places = same.and_then(|at| before.doors[at].places.as_ref());
            if let (Some(places), Some(most)) = (places, upstream.max_running) {
                places.resize(most);
                door.places = Some(Arc::clone(places));
            }
        }
    }
}

impl Door {
    fn new(upstream: &Arc<Upstream>) -> Result<Self, TlsError> {
        let host = HeaderValue::from_str(upstream.base_url.authority.as_str())
            .expect("an authority is visible ASCII");
        Ok(Door {
            dialer: Arc::new(Dialer::new(Arc::clone(upstream))?),
            host,
            places: upstream.max_running.map(Places::new).map(Arc::new),
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
    /// The way to the counters of what clients have taken.
    pub limiter: Limiter,
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
    /// How many requests may run there.
    pub(super) places: Option<&'a Arc<Places>>,
    name: &'a Rc<str>,
}

impl Engine {
    /// An engine with empty pools, in place of `before`.
    pub fn new(snapshot: Arc<Snapshot>, before: Option<&Engine>, log: &Logger) -> Self {
        let before = before.map(|before| &before.limiter);
        let limiter = Limiter::new(&snapshot.limits, before, log);
        let doors = snapshot.doors.iter().zip(&snapshot.config.upstreams);
        let lanes = doors.map(|(door, upstream)| Lane {
            pool: Pool::new(Arc::clone(&door.dialer)),
            name: Rc::from(upstream.name.as_str()),
        });
        Engine {
            lanes: lanes.collect(),
            limiter,
            snapshot,
        }
    }

    /// Closes what was idle for too long, and what upstreams have closed; looks
    /// after the store of the limits.
    pub fn sweep(&self) {
        self.limiter.sweep();
        self.lanes.iter().for_each(|lane| lane.pool.sweep());
    }

    /// Connections that wait for a request.
    pub fn idle(&self) -> usize {
        self.lanes.iter().map(|lane| lane.pool.idle()).sum()
    }

    /// The way to the upstream at `place`.
    pub(super) fn way(&self, place: usize) -> Way<'_> {
        let lane = &self.lanes[place];
        Way {
            upstream: &self.snapshot.config.upstreams[place],
            pool: &lane.pool,
            host: &self.snapshot.doors[place].host,
            places: self.snapshot.doors[place].places.as_ref(),
            name: &lane.name,
        }
    }
}

impl Way<'_> {
    /// A place among the requests that run there, if their number is bounded;
    /// waited for in a queue that is fair between clients.
    ///
    /// # Errors
    /// There was none in time.
    pub(super) async fn place(&self, client: Option<&Client>) -> Result<Option<Place>, Fault> {
        let Some(places) = self.places else {
            return Ok(None);
        };
        let client = client.map_or("", |client| &client.name);
        let place = places.take(client, self.upstream.queue_timeout).await;
        let full = |why| Fault::upstream_full(self.upstream, why);
        place.map(Some).map_err(full)
    }

    /// The upstream's name, cheap to keep.
    pub(super) fn name(&self) -> Rc<str> {
        Rc::clone(self.name)
    }
}
