//! Keeps a connection from waking the task that is polling it.
//!
//! hyper's connection and the body it fills are two ends of a channel, and each
//! wakes the other's task. Here both ends are polled by one task, one after the
//! other, so a wake-up by the channel only makes that task run once more for
//! nothing: half of the polls of a paced stream. The connection is therefore
//! polled with a waker of its own, which can be shut while the body is read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

/// A waker that passes on to the task that polls the connection just now.
pub(super) struct Gate {
    inner: Arc<Inner>,
    waker: Waker,
}

struct Inner {
    /// A lock because wakers are `Sync`; one thread uses it, so it is never waited for.
    task: Mutex<Waker>,
    shut: AtomicBool,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.shut.load(Ordering::Relaxed) {
            let task = self.task.lock().expect("nobody panics while holding it");
            task.wake_by_ref();
        }
    }
}

impl Gate {
    pub(super) fn new() -> Self {
        let inner = Arc::new(Inner {
            task: Mutex::new(Waker::noop().clone()),
            shut: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&inner));
        Gate { inner, waker }
    }

    /// The context to poll the connection with, so that it wakes the task of `cx`.
    pub(super) fn context(&self, cx: &Context<'_>) -> Context<'_> {
        let mut task = self
            .inner
            .task
            .lock()
            .expect("nobody panics while holding it");
        if !task.will_wake(cx.waker()) {
            task.clone_from(cx.waker());
        }
        Context::from_waker(&self.waker)
    }

    /// Runs `reading`, whose wake-ups are dropped: whoever calls it polls the
    /// connection again before it waits for anything.
    pub(super) fn shut_while<T>(&self, reading: impl FnOnce() -> T) -> T {
        self.inner.shut.store(true, Ordering::Relaxed);
        let read = reading();
        self.inner.shut.store(false, Ordering::Relaxed);
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakes_pass_but_while_it_is_shut() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let gate = Gate::new();
        let waker = gate.context(&Context::from_waker(&task)).waker().clone();
        waker.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        gate.shut_while(|| waker.wake_by_ref());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        waker.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
