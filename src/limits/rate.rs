//! So many a minute: the generic cell rate algorithm (ITU-T I.371, GCRA), which
//! needs one number for each limit, the *theoretical arrival time*: when all
//! that was taken would have been due if it had been taken evenly.
//!
//! A minute's worth may be taken at once, and comes back evenly. In a store the
//! same is done by `store/*.lua`.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// In nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// So many units a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(pub(super) NonZeroU64);

/// What was taken of a rate, as the time in which it comes back.
#[derive(Debug, Default)]
pub(super) struct Taken(AtomicU64);

/// How it stands with a rate: what a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Units a minute.
    pub limit: u64,
    /// Units that can be taken at once now.
    pub remaining: u64,
    /// Until all of them can.
    pub reset: Duration,
}

impl Rate {
    /// The time that `units` come back in, in nanoseconds.
    fn time_of(self, units: u64) -> u64 {
        if let Some(time) = units.checked_mul(MINUTE) {
            // A division of 64 bits is several times faster.
            return time / self.0;
        }
        let time = u128::from(units) * u128::from(MINUTE) / u128::from(self.0.get());
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// The units that come back in `time`, which is a minute at most.
    fn units_in(self, time: u64) -> u64 {
        // First by the power of two in it: what is left of nearly every product, and
        // of the divisor, is a number of 64 bits.
        const TWOS: u32 = MINUTE.trailing_zeros();
        let product = (u128::from(time) * u128::from(self.0.get())) >> TWOS;
        match u64::try_from(product) {
            Ok(product) => product / (MINUTE >> TWOS),
            Err(_) => u64::try_from(product / u128::from(MINUTE >> TWOS)).unwrap_or(u64::MAX),
        }
    }

    /// What to tell of it, if all is back in `reset`.
    pub(super) fn window(self, reset: Duration) -> Window {
        let ahead = u64::try_from(reset.as_nanos()).unwrap_or(MINUTE);
        let free = MINUTE.saturating_sub(ahead);
        Window {
            limit: self.0.get(),
            remaining: self.units_in(free),
            reset,
        }
    }
}

impl Taken {
    /// Takes a unit at `now`, in nanoseconds since any moment that stays.
    /// Gives the time until all is back.
    ///
    /// # Errors
    /// There is none now, but after this time.
    pub(super) fn take(&self, rate: Rate, now: u64) -> Result<Duration, Duration> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let then = after_one(seen, rate, now)?;
            match self
                .0
                .compare_exchange_weak(seen, then, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(Duration::from_nanos(then - now)),
                Err(other) => seen = other,
            }
        }
    }

    /// Whether a unit could be taken at `now`, as [`Taken::take`] says it.
    ///
    /// # Errors
    /// There is none now, but after this time.
    pub(super) fn look(&self, rate: Rate, now: u64) -> Result<(), Duration> {
        after_one(self.0.load(Ordering::Relaxed), rate, now).map(drop)
    }

    /// The time until all is back.
    pub(super) fn reset(&self, now: u64) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed).saturating_sub(now))
    }

    /// Takes `units`, whether they are there or not.
    pub(super) fn charge(&self, rate: Rate, units: u64, now: u64) {
        let time = rate.time_of(units);
        let charged = |seen: u64| Some(seen.max(now).saturating_add(time));
        // It always gives a value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, charged);
    }
}

/// The theoretical arrival time after one unit more.
fn after_one(seen: u64, rate: Rate, now: u64) -> Result<u64, Duration> {
    let then = seen.max(now).saturating_add(rate.time_of(1));
    match then.saturating_sub(now).checked_sub(MINUTE) {
        None | Some(0) => Ok(then),
        Some(early) => Err(Duration::from_nanos(early)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(per_minute: u64) -> Rate {
        Rate(NonZeroU64::new(per_minute).unwrap())
    }

    #[test]
    fn a_minutes_worth_is_there_at_once_and_comes_back_evenly() {
        let (taken, rate) = (Taken::default(), rate(60));
        for left in (0..60).rev() {
            let reset = taken.take(rate, 0).unwrap();
            assert_eq!(rate.window(reset).remaining, left);
        }
        assert_eq!(taken.take(rate, 0), Err(Duration::from_secs(1)));
        assert_eq!(taken.take(rate, 999_999_999), Err(Duration::from_nanos(1)));
        assert!(taken.take(rate, 1_000_000_000).is_ok());
        assert!(taken.take(rate, 1_000_000_000).is_err());
    }

    #[test]
    fn units_and_times_are_exact_however_large() {
        for per_minute in [1, 7, 60, 10_000_000, 1_000_000_000, u64::MAX] {
            for part in [0, 1, 999_999_999, MINUTE / 7, MINUTE - 1, MINUTE] {
                let exact = u128::from(part) * u128::from(per_minute) / u128::from(MINUTE);
                assert_eq!(u128::from(rate(per_minute).units_in(part)), exact);
            }
            for units in [0, 1, 1_000_000, 307_445_734, 307_445_735, u64::MAX] {
                let exact = u128::from(units) * u128::from(MINUTE) / u128::from(per_minute);
                let time = u64::try_from(exact).unwrap_or(u64::MAX);
                assert_eq!(rate(per_minute).time_of(units), time);
            }
        }
    }

    #[test]
    fn a_debt_is_waited_for() {
        let (taken, rate) = (Taken::default(), rate(600));
        assert!(taken.look(rate, 0).is_ok());
        taken.charge(rate, 900, 0);
        let window = rate.window(taken.reset(0));
        assert_eq!(
            (window.remaining, window.reset),
            (0, Duration::from_secs(90))
        );
        // 300 too much, and one to be had.
        assert_eq!(taken.look(rate, 0), Err(Duration::from_millis(30_100)));
        assert!(taken.look(rate, 30_100_000_000).is_ok());
        taken.charge(rate, u64::MAX, 0);
        assert!(taken.look(rate, MINUTE).is_err());
    }

    proptest! {
        #[test]
        fn never_more_than_a_minutes_worth_and_what_came_back(
            per_minute in 1..1000u64,
            steps in prop::collection::vec(0..2_000_000_000u64, 1..400),
        ) {
            let (taken, rate) = (Taken::default(), rate(per_minute));
            let (mut now, mut got) = (0, 0u64);
            for step in steps {
                now += step;
                match taken.take(rate, now) {
                    Ok(_) => got += 1,
                    Err(wait) => {
                        // Exactly then, and not before.
                        let then = now + wait.as_nanos() as u64;
                        prop_assert!(taken.look(rate, then - 1).is_err());
                        prop_assert!(taken.look(rate, then).is_ok());
                    }
                }
                let most = per_minute + now * per_minute / MINUTE + 1;
                prop_assert!(got <= most, "{} > {}", got, most);
            }
        }
    }
}
