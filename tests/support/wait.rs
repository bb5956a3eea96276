//! Waiting for a condition, never for a time.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything in a test may take before it counts as hanging.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at a condition that can't wake us.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Waits until `condition` holds; panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(DEADLINE, condition),
        "waited {DEADLINE:?} in vain until {what}"
    );
}

/// Waits until `look` finds something; panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    until(what, || {
        found = look();
        found.is_some()
    });
    found.expect("`until` returns only when something was found")
}

/// Whether `condition` comes to hold within `time`.
pub fn holds_within(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Holds a scripted upstream until the test says go.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<Passes>, Condvar)>);

#[derive(Default)]
struct Passes {
    left: usize,
    open: bool,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets one waiter pass, now or later.
    pub fn let_one_through(&self) {
        self.passes().left += 1;
        self.0.1.notify_all();
    }

    /// Lets everybody pass from now on.
    pub fn open(&self) {
        self.passes().open = true;
        self.0.1.notify_all();
    }

    /// Waits for a pass; panics after [`DEADLINE`], which fails the test.
    pub fn pass(&self) {
        let (mut passes, timed_out) = self
            .0
            .1
            .wait_timeout_while(self.passes(), DEADLINE, |passes| {
                !passes.open && passes.left == 0
            })
            .expect("nobody panics while holding a gate's lock");
        assert!(
            !timed_out.timed_out(),
            "the gate was not opened within {DEADLINE:?}"
        );
        passes.left = passes.left.saturating_sub(1);
    }

    fn passes(&self) -> std::sync::MutexGuard<'_, Passes> {
        self.0
            .0
            .lock()
            .expect("nobody panics while holding a gate's lock")
    }
}
