//! Points in time that fit into an atomic, so that workers can share them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What moments are counted from: when the process first asked for one.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds since a fixed time of this process; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Moment {
        Moment(millis(BEGAN.elapsed()).saturating_add(1))
    }

    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Moment {
        Moment(self.0.saturating_add(millis(time)))
    }

    /// The time until `later`; None if that is not later.
    #[must_use]
    pub fn until(self, later: Moment) -> Option<Duration> {
        let millis = later.0.checked_sub(self.0).filter(|millis| *millis > 0)?;
        Some(Duration::from_millis(millis))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A moment that something lasts until, or none. A reader may see it a little
/// late: nothing else hangs on the order.
#[derive(Debug, Default)]
pub(super) struct Until(AtomicU64);

impl Until {
    pub(super) fn get(&self) -> Option<Moment> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(Moment(millis)),
        }
    }

    /// How long it still lasts; None: it is over, or never was.
    pub(super) fn left(&self, now: Moment) -> Option<Duration> {
        now.until(self.get()?)
    }

    pub(super) fn set(&self, until: Moment) {
        self.0.store(until.0, Ordering::Relaxed);
    }

    /// Lasts until then, unless it lasts longer already.
    pub(super) fn extend(&self, until: Moment) {
        self.0.fetch_max(until.0, Ordering::Relaxed);
    }

    /// Whether it was set.
    pub(super) fn clear(&self) -> bool {
        // Most often there is nothing to clear, and nothing to write.
        self.0.load(Ordering::Relaxed) != 0 && self.0.swap(0, Ordering::Relaxed) != 0
    }
}
