//! Where a request may be sent next: an upstream that is not ejected, and the
//! least loaded of its keys that are free. The key is chosen last, after the
//! wait for a place there: what is known of upstreams and keys changes meanwhile.

use std::cell::LazyCell;
use std::time::Duration;

use super::attempt::Attempt;
use super::outbound::Outbound;
use super::route::{Candidate, Route};
use super::snapshot::{Engine, Way};
use super::verdict::Trouble;
use crate::upstream::{self, Key, Look, Moment, Probe};

/// The places of one request, as far as they were looked at.
pub(super) struct Places<'a> {
    engine: &'a Engine,
    /// Those that were not.
    route: Route<'a>,
    seen: Vec<Seen<'a>>,
    /// Whether there is another upstream to go to.
    several: bool,
    /// The first that had no room, while others were not tried.
    full: Option<usize>,
}

/// A candidate that was looked at.
struct Seen<'a> {
    candidate: &'a Candidate,
    way: Way<'a>,
    /// Places of keys that were tried.
    tried: Vec<usize>,
    /// Nothing is left of it that was not tried.
    is_spent: bool,
    /// Another try there would be in vain.
    is_hopeless: bool,
    /// When the upstream wants to be asked again.
    not_before: Option<Moment>,
}

/// Somewhere to send a request.
pub(super) struct Place<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) way: Way<'a>,
    /// The place of the key, once [`Places::choose_key`] chose it, if the upstream
    /// has any.
    pub(super) key: Option<usize>,
    /// Whether the request finds out how an ejected upstream is.
    pub(super) probe: Option<Probe>,
    /// Whether the request waits if it is full: not where it may go elsewhere.
    pub(super) waits: bool,
    number: usize,
    pick: Pick,
}

/// Which of an upstream's keys a request may go with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pick {
    /// One that is free and was not tried.
    Fresh,
    /// One that is free.
    Free,
    /// Any: if one is free, that one.
    Any,
}

impl<'a> Places<'a> {
    pub(super) fn new(engine: &'a Engine, route: Route<'a>) -> Self {
        Places {
            engine,
            several: route.has_several_upstreams(),
            route,
            seen: Vec::new(),
            full: None,
        }
    }

    /// The first try, if nothing speaks against it and there is nothing to wait for,
    /// with its place at the upstream. None: the place is among those that
    /// [`Places::fresh`] looks at.
    pub(super) fn first(
        &mut self,
        outbound: &'a Outbound<'a>,
    ) -> Option<(Attempt<'a>, Option<upstream::Place>)> {
        let candidate = self.route.next()?;
        let way = self.engine.way(candidate.upstream);
        let Some((key, room)) = self.at_once(way) else {
            self.look_at(candidate, way);
            return None;
        };
        let attempt = Attempt {
            outbound,
            candidate,
            way,
            key,
            is_probe: false,
        };
        Some((attempt, room))
    }

    /// The key to go there with now, and the place there; either only if there are any.
    fn at_once(&self, way: Way<'_>) -> Option<(Option<usize>, Option<upstream::Place>)> {
        let standing = way.standing;
        if way.upstream.lacks_key().is_some() || (self.several && standing.health.is_ejected()) {
            return None;
        }
        let room = match way.places {
            None => None,
            Some(places) => Some(places.take_now()?),
        };
        // The key last: the next in turn is not asked for in vain.
        let (keys, minds_keys) = (&standing.keys, minds_keys(way, self.several));
        let now = LazyCell::new(Moment::now);
        let key = keys.least_loaded(|_, key| !minds_keys || key.is_clean() || key.is_free(*now));
        (key.is_some() || keys.is_empty()).then_some((key, room))
    }

    /// What came of the request at the first place.
    pub(super) fn first_failed(&mut self, attempt: &Attempt<'a>, trouble: Trouble) {
        let number = self.seen.len();
        self.look_at(attempt.candidate, attempt.way);
        self.failed_at(number, attempt.key, trouble);
    }

    /// Whether there may be another try.
    pub(super) fn may_go_on(&self) -> bool {
        !self.route.is_plain()
    }

    /// A place that was not tried and can be used now: with another key of the
    /// same upstream before another upstream.
    pub(super) fn fresh(&mut self) -> Option<Place<'a>> {
        let now = Moment::now();
        loop {
            let last = self.seen.len().checked_sub(1);
            if let Some(number) = last.filter(|number| !self.seen[*number].is_spent) {
                let found = self.usable(number, Pick::Fresh, now);
                if found.is_some() {
                    return found;
                }
                self.seen[number].is_spent = true;
            }
            let candidate = self.route.next()?;
            self.look_at(candidate, self.engine.way(candidate.upstream));
        }
    }

    fn look_at(&mut self, candidate: &'a Candidate, way: Way<'a>) {
        let lacks_key = way.upstream.lacks_key().is_some();
        self.seen.push(Seen {
            candidate,
            way,
            tried: Vec::new(),
            is_spent: lacks_key,
            is_hopeless: lacks_key,
            not_before: None,
        });
    }

    /// A place where everything speaks against every key, which is still better
    /// than none: the upstream says itself what is wrong.
    pub(super) fn last_resort(&self) -> Option<Place<'a>> {
        let now = Moment::now();
        (0..self.seen.len()).find_map(|number| {
            let seen = &self.seen[number];
            let is_new = !seen.is_hopeless && seen.tried.is_empty();
            let has_keys = !seen.way.standing.keys.is_empty();
            (is_new && has_keys).then(|| self.at(number, Pick::Any, now))?
        })
    }

    /// The place that can be used first, and when; tried before or not.
    pub(super) fn soonest(&self) -> Option<(usize, Duration)> {
        let now = Moment::now();
        let waits = self.seen.iter().enumerate();
        let waits = waits.filter_map(|(number, seen)| Some((number, self.wait(seen, now)?)));
        waits.min_by_key(|(_, wait)| *wait)
    }

    /// The place that [`Places::soonest`] found, if it can be used by now.
    pub(super) fn again(&self, number: usize) -> Option<Place<'a>> {
        self.usable(number, Pick::Free, Moment::now())
    }

    /// Chooses the key to go there with, when nothing is left to wait for. False:
    /// none can be used any more, or the upstream was ejected meanwhile.
    pub(super) fn choose_key(&self, place: &mut Place<'_>) -> bool {
        let (seen, now) = (&self.seen[place.number], Moment::now());
        let standing = seen.way.standing;
        let keys = &standing.keys;
        if self.several && place.probe.is_none() && standing.health.is_ejected() {
            return false;
        }
        place.key = match place.pick {
            Pick::Any => seen.way.any_key(),
            pick => keys.least_loaded(self.suits(seen, pick, now)),
        };
        place.key.is_some() || keys.is_empty()
    }

    /// What came of the request there.
    pub(super) fn failed(&mut self, place: &Place<'_>, trouble: Trouble) {
        self.failed_at(place.number, place.key, trouble);
    }

    fn failed_at(&mut self, number: usize, key: Option<usize>, trouble: Trouble) {
        let seen = &mut self.seen[number];
        seen.tried.extend(key);
        // Another key meets the same upstream.
        seen.is_spent |= !trouble.is_the_keys || key.is_none();
        let keys = seen.way.upstream.keys.len();
        seen.is_hopeless |= !trouble.may_pass && seen.tried.len() >= keys;
        // A limit of one key's says nothing of the others.
        if !(trouble.is_the_keys && minds_keys(seen.way, self.several)) {
            let now = Moment::now();
            seen.not_before = trouble.retry_after.map(|time| now.after(time));
        }
    }

    /// It had no room, for a request that waited if it had nowhere else to go.
    pub(super) fn full(&mut self, place: &Place<'_>) {
        let seen = &mut self.seen[place.number];
        seen.is_spent = true;
        if place.waits {
            seen.is_hopeless = true;
        } else {
            self.full.get_or_insert(place.number);
        }
    }

    /// The place that had no room before all others were tried, to wait there.
    pub(super) fn full_before(&mut self) -> Option<Place<'a>> {
        // The last again, so that it goes on there with one key after another.
        let mut seen = self.seen.remove(self.full.take()?);
        seen.is_spent = false;
        self.seen.push(seen);
        self.fresh()
    }

    /// Why none of them can be used, for a person.
    pub(super) fn why(&self) -> String {
        let now = Moment::now();
        let why = |seen: &Seen<'_>| {
            let (upstream, standing) = (seen.way.upstream, seen.way.standing);
            let name = &upstream.name;
            match standing.health.ejected_for(now) {
                _ if upstream.lacks_key().is_some() => format!("\"{name}\" has no key yet"),
                Some(_) if self.several => format!("\"{name}\" fails time after time"),
                _ if standing.keys.first_back(now).is_none() => {
                    format!("every key of \"{name}\" is refused there")
                }
                _ => format!("every key of \"{name}\" is at its limit"),
            }
        };
        let mut reasons: Vec<String> = self.seen.iter().map(why).collect();
        reasons.dedup();
        reasons.join(", ")
    }

    /// The upstream whose key was not set yet, if that is all there is.
    pub(super) fn lacking(&self) -> Option<(&'a str, &'a str)> {
        let mut lacking = self.seen.iter().map(|seen| {
            let upstream = seen.way.upstream;
            upstream.lacks_key().map(|key| (&*upstream.name, key))
        });
        let first = lacking.next()??;
        lacking.all(|other| other.is_some()).then_some(first)
    }

    /// How long until it can be used; None: not at all.
    fn wait(&self, seen: &Seen<'_>, now: Moment) -> Option<Duration> {
        if seen.is_hopeless {
            return None;
        }
        let standing = seen.way.standing;
        let keys = match minds_keys(seen.way, self.several) {
            true => standing.keys.first_back(now)?,
            false => Duration::ZERO,
        };
        let ejected = match self.several {
            true => standing.health.wait(now),
            false => Duration::ZERO,
        };
        let asked = seen.not_before.and_then(|until| now.until(until));
        Some(keys.max(ejected).max(asked.unwrap_or_default()))
    }

    fn usable(&self, number: usize, pick: Pick, now: Moment) -> Option<Place<'a>> {
        let seen = &self.seen[number];
        let (keys, suits) = (&seen.way.standing.keys, self.suits(seen, pick, now));
        // Without keys there is nothing to choose: whoever asks twice was there already.
        let is_usable = keys.is_empty()
            || keys
                .iter()
                .enumerate()
                .any(|(place, key)| suits(place, key));
        is_usable.then(|| self.at(number, pick, now))?
    }

    /// Whether a key of it can be used.
    fn suits(&self, seen: &Seen<'_>, pick: Pick, now: Moment) -> impl Fn(usize, &Key) -> bool {
        let minds_keys = minds_keys(seen.way, self.several);
        move |place, key| {
            let was_tried = pick == Pick::Fresh && seen.tried.contains(&place);
            !was_tried && (!minds_keys || key.is_free(now))
        }
    }

    fn at(&self, number: usize, pick: Pick, now: Moment) -> Option<Place<'a>> {
        let seen = &self.seen[number];
        let probe = match self.several {
            false => None,
            true => match seen.way.standing.health.look(now) {
                Look::In => None,
                Look::Probe(probe) => Some(probe),
                Look::Ejected(_) => return None,
            },
        };
        Some(Place {
            candidate: seen.candidate,
            way: seen.way,
            key: None,
            probe,
            waits: self.route.all_given_out(),
            number,
            pick,
        })
    }
}

/// Whether it matters how its keys are: a request that has no other goes with the
/// one that there is.
fn minds_keys(way: Way<'_>, several: bool) -> bool {
    let keys = way.upstream.keys.len();
    keys > 1 || (keys == 1 && several)
}
