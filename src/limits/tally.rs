//! What one client has taken, as this host counts it: atomics, shared by the
//! workers and kept over reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::rate::{Rate, Taken};
use super::standing::Standing;
use crate::config::checked::ClientLimits;

/// One client's counters, in a cache line that nothing else shares.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Tally {
    /// The client's name.
    pub(super) name: Arc<str>,
    began: Instant,
    requests: Taken,
    tokens: Taken,
    running: AtomicU32,
}

/// The limit that a request is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `requests_per_minute`
    Requests,
    /// `tokens_per_minute`
    Tokens,
    /// `max_running`
    Running,
}

/// Why a request may not go on.
#[derive(Debug, Clone, Copy)]
pub struct Exceeded {
    /// The first limit that it is over.
    pub limit: Limit,
    /// How long it would have to wait.
    pub wait: Duration,
    /// How its client stands.
    pub standing: Standing,
}

/// How long one should wait for a place among those that run: nobody knows when
/// one of them ends.
pub(super) const UNTIL_ONE_ENDS: Duration = Duration::from_secs(1);

impl Tally {
    /// A client that has taken nothing.
    pub(super) fn new(name: &str) -> Self {
        Tally {
            name: Arc::from(name),
            began: Instant::now(),
            requests: Taken::default(),
            tokens: Taken::default(),
            running: AtomicU32::new(0),
        }
    }

    /// Counts a request in that came at `came`, if it may run. What is refused is not
    /// counted.
    ///
    /// # Errors
    /// It is over a limit.
    pub(super) fn admit(&self, limits: &ClientLimits, came: Instant) -> Result<Standing, Exceeded> {
        let now = self.at(came);
        let refused = |limit, wait| Exceeded {
            limit,
            wait,
            standing: self.standing(limits, now),
        };
        if let Some(rate) = limits.tokens_per_minute {
            let free = self.tokens.look(Rate(rate), now);
            free.map_err(|wait| refused(Limit::Tokens, wait))?;
        }
        if let Some(most) = limits.max_running
            && self.enter() > most.get()
        {
            self.leave();
            return Err(refused(Limit::Running, UNTIL_ONE_ENDS));
        }
        if let Some(rate) = limits.requests_per_minute
            && let Err(wait) = self.requests.take(Rate(rate), now)
        {
            if limits.max_running.is_some() {
                self.leave();
            }
            return Err(refused(Limit::Requests, wait));
        }
        Ok(self.standing(limits, now))
    }

    /// Counts a request in that a store has let through.
    pub(super) fn admitted(&self, limits: &ClientLimits) {
        if let Some(rate) = limits.requests_per_minute {
            self.requests.charge(Rate(rate), 1, self.at(Instant::now()));
        }
        if limits.max_running.is_some() {
            self.enter();
        }
    }

    /// A request with a place among those that run has ended.
    pub(super) fn leave(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// An answer has used `tokens`.
    pub(super) fn charge(&self, limits: &ClientLimits, tokens: u64) {
        if let Some(rate) = limits.tokens_per_minute {
            self.tokens
                .charge(Rate(rate), tokens, self.at(Instant::now()));
        }
    }

    /// Requests that run now, this one taken in.
    fn enter(&self) -> u32 {
        self.running.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn standing(&self, limits: &ClientLimits, now: u64) -> Standing {
        let window =
            |rate: Option<_>, taken: &Taken| rate.map(|rate| Rate(rate).window(taken.reset(now)));
        Standing {
            requests: window(limits.requests_per_minute, &self.requests),
            tokens: window(limits.tokens_per_minute, &self.tokens),
        }
    }

    /// In nanoseconds; enough for 584 years.
    fn at(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
