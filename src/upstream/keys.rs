//! How the keys of an upstream are: how many requests each has running, and
//! whether the upstream takes it.
//!
//! A key that is answered with 429 cools down, and one that is answered with 401
//! or 403 is set aside. All of it is atomics that every worker shares; the
//! configuration after the next reload goes on with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::moment::{Moment, Until};

/// How long a key cools down whose 429 says no time; each further one in a row
/// doubles it. The limits of most providers are counted in minutes and refilled
/// all the time.
const FIRST_COOLING: Duration = Duration::from_secs(1);
/// Where doubling ends.
const MOST_DOUBLED: Duration = Duration::from_secs(60);
/// The longest that an upstream's `Retry-After` is believed: a slip of its clock
/// must not cost a key for a day.
const MOST_COOLING: Duration = Duration::from_secs(60 * 60);
/// How long a key is set aside: it may have been unlocked, or paid for, since.
const SET_ASIDE: Duration = Duration::from_secs(5 * 60);

/// How one key is, in a cache line that nothing else shares.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Key {
    running: AtomicU32,
    cooling: Until,
    /// 429s in a row that said no time.
    strikes: AtomicU32,
    aside: Until,
}

/// The keys of one upstream, in the order of its configuration.
#[derive(Debug)]
pub struct Keys {
    each: Vec<Arc<Key>>,
    /// Where the next search begins, so that equals take turns.
    turn: Turn,
}

/// Written by every request, and therefore in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Turn(AtomicUsize);

impl Key {
    /// Requests that run with it.
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// How long it is not to be used, since the upstream limits it.
    pub fn cooling_for(&self, now: Moment) -> Option<Duration> {
        self.cooling.left(now)
    }

    /// Whether it is not to be used, since the upstream refuses it.
    pub fn is_set_aside(&self, now: Moment) -> bool {
        self.aside.left(now).is_some()
    }

    /// Whether nothing ever spoke against using it, for which no clock is needed.
    pub fn is_clean(&self) -> bool {
        self.cooling.get().is_none() && self.aside.get().is_none()
    }

    /// Whether nothing speaks against using it.
    pub fn is_free(&self, now: Moment) -> bool {
        self.cooling_for(now).is_none() && !self.is_set_aside(now)
    }

    /// It was answered with 429.
    pub fn limited(&self, retry_after: Option<Duration>, now: Moment) {
        let time = match retry_after {
            Some(time) => time.min(MOST_COOLING),
            // Of requests that ran at the same time, one counts.
            None if self.cooling_for(now).is_some() => return,
            None => {
                let strikes = self.strikes.fetch_add(1, Ordering::Relaxed);
                let doubled = FIRST_COOLING.saturating_mul(1 << strikes.min(16));
                doubled.min(MOST_DOUBLED)
            }
        };
        self.cooling.extend(now.after(time));
    }

    /// It was answered with 401 or 403. Whether that is new.
    pub fn refused(&self, now: Moment) -> bool {
        let is_new = !self.is_set_aside(now);
        self.aside.set(now.after(SET_ASIDE));
        is_new
    }

    /// The upstream took it.
    pub fn accepted(&self) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
        self.aside.clear();
    }

    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Keys {
    /// Keys of which nothing is known.
    pub(super) fn new(count: usize) -> Keys {
        Keys {
            each: (0..count).map(|_| Arc::default()).collect(),
            turn: Turn::default(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether the upstream needs no key.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.each.iter().map(|key| &**key)
    }

    /// The key at `place`.
    pub fn at(&self, place: usize) -> &Key {
        &self.each[place]
    }

    /// The place of the one with the fewest requests among those that are
    /// `wanted`; equals take turns.
    pub fn least_loaded(&self, wanted: impl Fn(usize, &Key) -> bool) -> Option<usize> {
        match self.each.len() {
            0 => None,
            1 => wanted(0, &self.each[0]).then_some(0),
            count => {
                let first = self.turn.0.fetch_add(1, Ordering::Relaxed) % count;
                let places = (first..count).chain(0..first);
                let wanted = places.filter(|place| wanted(*place, &self.each[*place]));
                // The first of the least.
                wanted.min_by_key(|place| self.each[*place].running())
            }
        }
    }

    /// When the first of them can be used again; none is set aside for good, so
    /// that those do not count. None: all are set aside, or there are none.
    pub fn first_back(&self, now: Moment) -> Option<Duration> {
        let used = self.iter().filter(|key| !key.is_set_aside(now));
        used.map(|key| key.cooling_for(now).unwrap_or_default())
            .min()
    }

    /// Goes on with what is known of `before`, key by key as `same` says:
    /// a place of these, a place of those. What was set aside gets another try.
    pub(super) fn carry_over(&mut self, before: &Keys, same: impl Fn(usize, usize) -> bool) {
        for (place, key) in self.each.iter_mut().enumerate() {
            let known = (0..before.len()).find(|old| same(place, *old));
            if let Some(old) = known {
                *key = Arc::clone(&before.each[old]);
                key.aside.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn equals_take_turns_and_the_least_loaded_goes_first() {
        let keys = Keys::new(3);
        let any = |_: usize, _: &Key| true;
        let mut given = [0; 3];
        for _ in 0..9 {
            let place = keys.least_loaded(any).unwrap();
            given[place] += 1;
            keys.at(place).begin();
        }
        assert_eq!(given, [3, 3, 3]);
        keys.at(1).end();
        keys.at(1).end();
        assert_eq!(keys.least_loaded(any), Some(1));
        assert_eq!(keys.least_loaded(any), Some(1));
        assert_eq!(keys.least_loaded(|place, _| place == 2), Some(2));
        assert_eq!(keys.least_loaded(|_, _| false), None);
        assert_eq!(Keys::new(0).least_loaded(any), None);
    }

    #[test]
    fn a_key_cools_down_for_as_long_as_it_is_told() {
        let (key, now) = (Key::default(), Moment::now());
        key.limited(Some(SECOND * 7), now);
        assert_eq!(key.cooling_for(now), Some(SECOND * 7));
        key.limited(Some(SECOND), now);
        assert_eq!(key.cooling_for(now), Some(SECOND * 7), "the longest counts");
        let later = now.after(SECOND * 7);
        assert!(key.is_free(later));
        key.limited(Some(SECOND * 100_000), later);
        assert_eq!(key.cooling_for(later), Some(MOST_COOLING));
    }

    #[test]
    fn without_a_time_it_cools_down_longer_each_time_until_it_is_accepted() {
        let key = Key::default();
        let mut now = Moment::now();
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            key.limited(None, now);
            key.limited(None, now);
            let time = key.cooling_for(now).unwrap();
            assert_eq!(time, SECOND * expected);
            now = now.after(time);
        }
        key.accepted();
        key.limited(None, now);
        assert_eq!(key.cooling_for(now), Some(SECOND));
    }

    #[test]
    fn a_refused_key_is_set_aside_for_five_minutes_and_that_is_new_once() {
        let (key, now) = (Key::default(), Moment::now());
        assert!(key.refused(now));
        assert!(!key.refused(now));
        assert!(key.is_set_aside(now) && !key.is_free(now));
        assert!(key.is_free(now.after(SET_ASIDE)));
        key.accepted();
        assert!(key.is_free(now));
        assert!(key.refused(now));
    }

    #[test]
    fn the_first_back_is_the_one_that_cools_shortest() {
        let (keys, now) = (Keys::new(3), Moment::now());
        keys.at(0).refused(now);
        keys.at(1).limited(Some(SECOND * 9), now);
        assert_eq!(keys.first_back(now), Some(Duration::ZERO));
        keys.at(2).limited(Some(SECOND * 5), now);
        assert_eq!(keys.first_back(now), Some(SECOND * 5));
        keys.at(1).refused(now);
        keys.at(2).refused(now);
        assert_eq!(keys.first_back(now), None);
    }

    #[test]
    fn what_is_known_of_a_key_stays_but_that_it_was_set_aside() {
        let (before, now) = (Keys::new(2), Moment::now());
        before.at(0).limited(Some(SECOND), now);
        before.at(1).begin();
        before.at(1).refused(now);
        let mut after = Keys::new(3);
        after.carry_over(&before, |new, old| {
            (new, old) == (2, 0) || (new, old) == (0, 1)
        });
        assert_eq!(after.at(2).cooling_for(now), Some(SECOND));
        assert_eq!(after.at(0).running(), 1);
        assert!(after.at(0).is_free(now) && after.at(1).is_free(now));
        // Requests of before end there too.
        before.at(1).end();
        assert_eq!(after.at(0).running(), 0);
    }
}
