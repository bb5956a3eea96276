//! How many requests may be sent again: a share of all, so that retries can't
//! multiply an outage (as Finagle's `RetryBudget`). Each worker has its own.

use std::cell::RefCell;

use tokio::time::Instant;

/// Seconds that are looked back at.
const WINDOW: u64 = 10;
/// Retries in a window that are free, so that a quiet host has some at all.
const FLOOR: f64 = 10.0;

/// A worker's budget.
#[derive(Debug)]
pub struct Budget {
    /// Retries for each request.
    share: f64,
    began: Instant,
    seconds: RefCell<[Second; WINDOW as usize]>,
}

/// What happened in one second.
#[derive(Debug, Default, Clone, Copy)]
struct Second {
    number: u64,
    requests: u32,
    retries: u32,
}

impl Budget {
    /// One in which nothing happened yet.
    pub fn new(share: f64) -> Budget {
        Budget {
            share,
            began: Instant::now(),
            seconds: RefCell::default(),
        }
    }

    /// A request has come.
    pub fn request(&self, now: Instant) {
        self.note(now, |second| second.requests += 1);
    }

    /// Whether one may be sent again; if so, that counts.
    pub fn spend(&self, now: Instant) -> bool {
        let current = self.number(now);
        let (mut requests, mut retries) = (0.0, 0.0);
        for second in &*self.seconds.borrow() {
            if second.number + WINDOW > current {
                requests += f64::from(second.requests);
                retries += f64::from(second.retries);
            }
        }
        let may = retries + 1.0 <= FLOOR + self.share * requests;
        if may {
            self.note(now, |second| second.retries += 1);
        }
        may
    }

    fn note(&self, now: Instant, write: impl FnOnce(&mut Second)) {
        let number = self.number(now);
        let second = &mut self.seconds.borrow_mut()[(number % WINDOW) as usize];
        if second.number != number {
            *second = Second {
                number,
                ..Second::default()
            };
        }
        write(second);
    }

    fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spent(budget: &Budget, now: Instant) -> usize {
        (0..1000).take_while(|_| budget.spend(now)).count()
    }

    #[test]
    fn retries_are_a_share_of_requests_and_a_few_are_free() {
        let budget = Budget::new(0.2);
        let now = Instant::now();
        assert_eq!(spent(&budget, now), 10);
        (0..100).for_each(|_| budget.request(now));
        assert_eq!(spent(&budget, now), 20);
        assert_eq!(spent(&Budget::new(0.0), now), 10);
    }

    #[test]
    fn what_is_ten_seconds_ago_counts_no_more() {
        let budget = Budget::new(0.5);
        let now = Instant::now();
        (0..100).for_each(|_| budget.request(now));
        assert_eq!(spent(&budget, now), 60);
        assert_eq!(spent(&budget, now + Duration::from_secs(9)), 0);
        assert_eq!(spent(&budget, now + Duration::from_secs(11)), 10);
        assert_eq!(spent(&budget, now + Duration::from_secs(3600)), 10);
    }
}
