//! Whether an upstream answers: one that fails time after time is ejected for a
//! while, and one request then finds out whether it is back.
//!
//! ```text
//! in --[FAILURES in a row]--> ejected --[the time is over]--> one request probes it
//!  ^                             ^                                 |       |
//!  |                             +--------[it failed: twice the time]      |
//!  +-------------------------------------------------[it was answered]-----+
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::moment::{Moment, Until};

/// Failures in a row that eject (Envoy's `consecutive_5xx`).
const FAILURES: u32 = 5;
/// For how long, the first time; each probe that fails doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// Where doubling ends: an upstream that is back is found within a minute.
const MOST: Duration = Duration::from_secs(60);

/// How an upstream is, for all workers. Every request looks at it and hardly any writes
/// to it, so that its cache line has to be its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Health {
    failures: AtomicU32,
    ejected: Until,
    /// Ejections in a row.
    times: AtomicU32,
    is_probed: AtomicBool,
}

/// Whether an upstream may be asked.
#[derive(Debug)]
pub enum Look {
    /// It may.
    In,
    /// Not for so long.
    Ejected(Duration),
    /// By one request, which tells how it is.
    Probe(Probe),
}

/// The right to ask an ejected upstream; given back when dropped.
#[derive(Debug)]
pub struct Probe(Arc<Health>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.is_probed.store(false, Ordering::Relaxed);
    }
}

impl Health {
    /// Whether it is ejected, or a probe finds out whether it still is.
    pub fn is_ejected(&self) -> bool {
        self.ejected.get().is_some()
    }

    /// How long it is still ejected; a zero time if a probe may be sent, or is on
    /// its way. None: it is not.
    pub fn ejected_for(&self, now: Moment) -> Option<Duration> {
        let until = self.ejected.get()?;
        Some(now.until(until).unwrap_or_default())
    }

    /// The same for whoever looks on: an upstream whose time is over and that nobody
    /// probes is no longer left out.
    pub fn left_out_for(&self, now: Moment) -> Option<Duration> {
        let is_probed = self.is_probed.load(Ordering::Relaxed);
        self.ejected_for(now)
            .filter(|time| is_probed || !time.is_zero())
    }

    /// How long until it may be asked, as far as that is known; zero if it may.
    pub fn wait(&self, now: Moment) -> Duration {
        match self.ejected_for(now) {
            Some(Duration::ZERO) if self.is_probed.load(Ordering::Relaxed) => FIRST,
            time => time.unwrap_or_default(),
        }
    }

    /// Whether it may be asked; if by a probe, this is the one.
    pub fn look(self: &Arc<Self>, now: Moment) -> Look {
        match self.ejected_for(now) {
            None => Look::In,
            Some(Duration::ZERO) => match self.is_probed.swap(true, Ordering::Relaxed) {
                false => Look::Probe(Probe(Arc::clone(self))),
                // How long the probe takes, nobody knows.
                true => Look::Ejected(FIRST),
            },
            Some(time) => Look::Ejected(time),
        }
    }

    /// It answered. True: it was ejected until now.
    pub fn answered(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        let was_ejected = self.ejected.clear();
        if was_ejected {
            self.times.store(0, Ordering::Relaxed);
        }
        was_ejected
    }

    /// It did not answer, or that it can't serve; `is_probe` if that is what the
    /// request was. Some: it is ejected now, for so long.
    pub fn failed(&self, is_probe: bool, now: Moment) -> Option<Duration> {
        let is_ejected = self.is_ejected();
        // Of requests that were on their way before nothing new is learnt.
        if is_ejected && !is_probe {
            return None;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        // Several workers can count at the same time: one of them ejects.
        if !is_probe && failures != FAILURES {
            return None;
        }
        let times = self.times.fetch_add(1, Ordering::Relaxed);
        let time = FIRST.saturating_mul(1 << times.min(16)).min(MOST);
        self.ejected.set(now.after(time));
        self.failures.store(0, Ordering::Relaxed);
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ejected() -> (Arc<Health>, Moment) {
        let (health, now) = (Arc::<Health>::default(), Moment::now());
        for _ in 1..FAILURES {
            assert_eq!(health.failed(false, now), None);
        }
        assert_eq!(health.failed(false, now), Some(FIRST));
        (health, now)
    }

    #[test]
    fn failures_eject_only_in_a_row() {
        let (health, now) = (Arc::<Health>::default(), Moment::now());
        for _ in 0..3 {
            for _ in 1..FAILURES {
                assert_eq!(health.failed(false, now), None);
            }
            assert!(!health.answered());
        }
        assert!(matches!(health.look(now), Look::In));
    }

    #[test]
    fn an_ejected_upstream_is_asked_by_one_request_when_its_time_is_over() {
        let (health, now) = ejected();
        assert!(matches!(health.look(now), Look::Ejected(FIRST)));
        assert_eq!(health.failed(false, now), None, "it was on its way before");
        let later = now.after(FIRST);
        let Look::Probe(probe) = health.look(later) else {
            panic!("no probe")
        };
        assert!(matches!(health.look(later), Look::Ejected(_)));
        // The client left: another one may.
        drop(probe);
        assert!(matches!(health.look(later), Look::Probe(_)));
    }

    #[test]
    fn a_probe_that_is_answered_brings_it_back() {
        let (health, now) = ejected();
        let later = now.after(FIRST);
        let _probe = health.look(later);
        assert!(health.answered());
        assert!(!health.answered());
        assert!(matches!(health.look(later), Look::In));
        let (again, _) = ejected();
        assert_eq!(again.ejected_for(now), Some(FIRST));
    }

    #[test]
    fn a_probe_that_fails_doubles_the_time_up_to_a_minute() {
        let (health, mut now) = ejected();
        let mut times = Vec::new();
        for _ in 0..7 {
            now = now.after(MOST);
            let Look::Probe(_probe) = health.look(now) else {
                panic!("no probe")
            };
            times.push(health.failed(true, now).unwrap().as_secs());
        }
        assert_eq!(times, [2, 4, 8, 16, 32, 60, 60]);
    }
}
