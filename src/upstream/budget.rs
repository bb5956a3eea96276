//! How many requests may be sent again: a share of all, so that retries can't
//! multiply an outage (as Finagle's `RetryBudget`). Each worker has its own, and
//! tells it when a second has passed: a request asks no clock.

use std::cell::RefCell;
use std::rc::Rc;

/// Seconds that are looked back at, the current one with them.
const WINDOW: usize = 10;
/// Retries in a window that are free, so that a quiet host has some at all.
const FLOOR: f64 = 10.0;

/// A worker's budget.
#[derive(Debug)]
pub struct Budget {
    /// Retries for each request.
    share: f64,
    /// A reload goes on with it.
    window: Rc<RefCell<Window>>,
}

#[derive(Debug, Default)]
struct Window {
    seconds: [Second; WINDOW],
    /// The place of the second that it is now; the oldest comes behind it.
    now: usize,
}

/// What happened in one second.
#[derive(Debug, Default, Clone, Copy)]
struct Second {
    requests: u32,
    retries: u32,
}

impl Budget {
    /// One in which that happened which happened in the one `before` it.
    pub fn new(share: f64, before: Option<&Budget>) -> Budget {
        let window = before.map(|before| Rc::clone(&before.window));
        Budget {
            share,
            window: window.unwrap_or_default(),
        }
    }

    /// A request has come.
    pub fn request(&self) {
        self.window.borrow_mut().current().requests += 1;
    }

    /// Whether one may be sent again; if so, that counts.
    pub fn spend(&self) -> bool {
        let mut window = self.window.borrow_mut();
        let (mut requests, mut retries) = (0.0, 0.0);
        for second in &window.seconds {
            requests += f64::from(second.requests);
            retries += f64::from(second.retries);
        }
        let may = retries + 1.0 <= FLOOR + self.share * requests;
        if may {
            window.current().retries += 1;
        }
        may
    }

    /// A second has passed.
    pub fn tick(&self) {
        let mut window = self.window.borrow_mut();
        window.now = (window.now + 1) % WINDOW;
        *window.current() = Second::default();
    }
}

impl Window {
    fn current(&mut self) -> &mut Second {
        &mut self.seconds[self.now]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &Budget) -> usize {
        (0..1000).take_while(|_| budget.spend()).count()
    }

    fn pass(budget: &Budget, seconds: usize) {
        (0..seconds).for_each(|_| budget.tick());
    }

    #[test]
    fn retries_are_a_share_of_requests_and_a_few_are_free() {
        let budget = Budget::new(0.2, None);
        assert_eq!(spent(&budget), 10);
        (0..100).for_each(|_| budget.request());
        assert_eq!(spent(&budget), 20);
        assert_eq!(spent(&Budget::new(0.0, None)), 10);
    }

    #[test]
    fn what_is_ten_seconds_ago_counts_no_more() {
        let budget = Budget::new(0.5, None);
        (0..100).for_each(|_| budget.request());
        assert_eq!(spent(&budget), 60);
        pass(&budget, 9);
        assert_eq!(spent(&budget), 0);
        pass(&budget, 1);
        assert_eq!(spent(&budget), 10);
        pass(&budget, 3600);
        assert_eq!(spent(&budget), 10);
    }

    #[test]
    fn a_reload_gives_no_retries_anew_and_time_goes_on_for_both() {
        let before = Budget::new(0.0, None);
        assert_eq!(spent(&before), 10);
        let after = Budget::new(1.0, Some(&before));
        assert_eq!(spent(&after), 0);
        after.request();
        assert_eq!(spent(&after), 1);
        pass(&after, 10);
        assert_eq!(spent(&before), 10);
    }
}
