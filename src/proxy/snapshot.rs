//! A configuration made ready to run, and one worker's use of it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use slog::Logger;

use super::fault::Fault;
use super::route::Routes;
use super::states::UpstreamState;
use super::wire::Wire;
use crate::config::checked::{self, Client, Config, Upstream};
use crate::handle::Handle;
use crate::limits::{Limiter, Limits};
use crate::upstream::{
    Budget, Dialer, Key, Lease, Moment, Place, Places, Pool, Standing, TlsError,
};

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
    standing: Arc<Standing>,
    /// Whether there is a request that can go elsewhere.
    is_optional: bool,
    /// How many requests may run there. None: any number.
    places: Option<Arc<Places>>,
}

impl Snapshot {
    /// Loads root certificates and the client certificates.
    ///
    /// # Errors
    /// TLS cannot be set up as configured.
    pub fn new(config: Config) -> Result<Self, TlsError> {
        let routes = Routes::new(&config);
        let doors = config.upstreams.iter().enumerate();
        let doors = doors.map(|(place, upstream)| Door::new(upstream, routes.may_leave(place)));
        Ok(Snapshot {
            doors: doors.collect::<Result<_, _>>()?,
            routes,
            limits: Limits::new(&config)?,
            config,
        })
    }

    /// Goes on from where `before`, which it replaces, has come to: what clients
    /// have taken, what is known of upstreams and keys that stay, and which places
    /// are taken there.
    pub fn carry_over(&mut self, before: &Snapshot) {
        self.limits.carry_over(&before.limits);
        for (door, upstream) in self.doors.iter_mut().zip(&self.config.upstreams) {
            let mut known = before.doors.iter().zip(&before.config.upstreams);
            let Some((old, then)) = known.find(|(_, then)| then.name == upstream.name) else {
                continue;
            };
            let mut standing = Standing::new(upstream);
            standing.carry_over(upstream, &old.standing, then, door.is_optional);
            door.standing = Arc::new(standing);
            let Some(places) = &old.places else {
                continue;
            };
            // Whoever waits there is let in, if there is no bound any more.
            places.resize(upstream.max_running.unwrap_or(NonZeroU32::MAX));
            if upstream.max_running.is_some() {
                door.places = Some(Arc::clone(places));
            }
        }
    }

    /// How each upstream is, in the order of their names.
    pub fn upstream_states(&self) -> impl Iterator<Item = UpstreamState<'_>> {
        let doors = self.doors.iter().zip(&self.config.upstreams);
        doors.map(|(door, upstream)| {
            let places = door.places.as_deref();
            let queued = places.map(Places::waiting).unwrap_or_default();
            UpstreamState::new(upstream, &door.standing, queued)
        })
    }
}

impl Door {
    fn new(upstream: &Arc<Upstream>, is_optional: bool) -> Result<Self, TlsError> {
        let host = HeaderValue::from_str(upstream.base_url.authority.as_str())
            .expect("an authority is visible ASCII");
        Ok(Door {
            dialer: Arc::new(Dialer::new(Arc::clone(upstream))?),
            host,
            standing: Arc::new(Standing::new(upstream)),
            is_optional,
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
    /// How many requests may be sent again, where `[retry]` is configured.
    pub(super) budget: Option<Budget>,
    /// The way to the counters of what clients have taken.
    pub limiter: Limiter,
}

/// A worker's connections to one upstream, made with this snapshot.
struct Lane {
    pool: Pool,
    name: Rc<str>,
    standing: Handle<Standing>,
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
    /// How it is, as all workers know it.
    pub(super) standing: &'a Handle<Standing>,
    /// Whether there is a request that can go elsewhere.
    pub(super) is_optional: bool,
    /// How many requests may run there.
    pub(super) places: Option<&'a Arc<Places>>,
    name: &'a Rc<str>,
}

impl Engine {
    /// An engine with empty pools, in place of `before`.
    pub fn new(snapshot: Arc<Snapshot>, before: Option<&Engine>, log: &Logger) -> Self {
        let limiter = before.map(|before| &before.limiter);
        let limiter = Limiter::new(&snapshot.limits, limiter, log);
        let budget = before.and_then(|before| before.budget.as_ref());
        let doors = snapshot.doors.iter().zip(&snapshot.config.upstreams);
        let lanes = doors.map(|(door, upstream)| Lane {
            pool: Pool::new(Arc::clone(&door.dialer)),
            name: Rc::from(upstream.name.as_str()),
            standing: Handle::new(&door.standing),
        });
        let retry = snapshot.config.retry.as_ref();
        Engine {
            lanes: lanes.collect(),
            budget: retry.map(|retry| Budget::new(retry.budget, budget)),
            limiter,
            snapshot,
        }
    }

    /// What is to be done every second: closes what was idle for too long, and what
    /// upstreams have closed; looks after the store of the limits, and tells the
    /// budget the time.
    pub fn sweep(&self) {
        self.limiter.sweep();
        if let Some(budget) = &self.budget {
            budget.tick();
        }
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
        let (lane, door) = (&self.lanes[place], &self.snapshot.doors[place]);
        Way {
            upstream: &self.snapshot.config.upstreams[place],
            pool: &lane.pool,
            host: &door.host,
            standing: &lane.standing,
            is_optional: door.is_optional,
            places: door.places.as_ref(),
            name: &lane.name,
        }
    }
}

impl<'a> Way<'a> {
    /// A place among the requests that run there, if their number is bounded; if it
    /// `waits` for one, in a queue that is fair between clients.
    ///
    /// # Errors
    /// There was none in time.
    pub(super) fn room(
        &self,
        client: Option<&Client>,
        waits: bool,
        wire: &Wire,
    ) -> impl Future<Output = Result<Option<Place>, Fault>> {
        let patience = match waits {
            true => self.upstream.queue_timeout,
            false => Duration::ZERO,
        };
        self.room_within(patience, client, wire)
    }

    /// The same, for which it waits as long as `patience`.
    ///
    /// # Errors
    /// There was none in time.
    pub(super) async fn room_within(
        &self,
        patience: Duration,
        client: Option<&Client>,
        wire: &Wire,
    ) -> Result<Option<Place>, Fault> {
        let Some(places) = self.places else {
            return Ok(None);
        };
        let client = client.map_or("", |client| &client.name);
        let place = wire.waits_for(places.take(client, patience)).await;
        let full = |why| Fault::upstream_full(self.upstream, why, patience);
        place.map(Some).map_err(full)
    }

    /// The upstream's name, cheap to keep.
    pub(super) fn name(&self) -> Rc<str> {
        Rc::clone(self.name)
    }

    /// The key at `place`, as the operator named it.
    pub(super) fn key(&self, place: Option<usize>) -> Option<&'a checked::Key> {
        self.upstream.keys.get(place?)
    }

    /// The place of the key that a request shall use which has no other choice:
    /// the least loaded of those that are free, or of all.
    pub(super) fn any_key(&self) -> Option<usize> {
        let keys = &self.standing.keys;
        if keys.len() <= 1 {
            return keys.least_loaded(|_, _| true);
        }
        let now = Moment::now();
        let free = keys.least_loaded(|_, key: &Key| key.is_free(now));
        free.or_else(|| keys.least_loaded(|_, _| true))
    }

    /// Counts a request that begins.
    pub(super) fn begin(&self, key: Option<usize>) -> Lease {
        Lease::begin(self.standing, key)
    }
}
