//! Signs of life for the service manager: given only after a round through all
//! that a request needs.
//!
//! A round goes over every acceptor and through the loop of every worker, and
//! runs on the main thread, which accepts. What hangs or has died is not answered
//! for, and the service manager starts the daemon anew (`WatchdogSec=`).

use std::sync::Arc;
use std::time::Duration;

use slog::{Logger, error};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::inbound::{Order, WorkerHandle};
use crate::systemd::Notify;

/// A task that accepts on one socket.
pub(super) struct Acceptor {
    /// The socket's name.
    pub(super) name: String,
    pub(super) task: JoinHandle<()>,
}

/// What a round goes through.
pub(super) struct Watchdog {
    pub(super) workers: Arc<[WorkerHandle]>,
    pub(super) acceptors: Vec<Acceptor>,
    /// Whether acceptors end because they are told to.
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) notify: Notify,
    pub(super) log: Logger,
}

impl Watchdog {
    /// Gives a sign of life at the beginning and twice in each `within`, until
    /// something has died. What is late gets until then to answer after all.
    pub(super) async fn run(self, within: Duration) {
        // sd_watchdog_enabled(3) recommends half.
        let every = within / 2;
        let mut rounds = interval(every);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            // Said while there is time to read it: before the end of `within`.
            if !self.acceptors_live() || !self.workers_answer(Instant::now() + every / 2).await {
                return;
            }
            self.notify.alive();
        }
    }

    /// Whether every acceptor is there; one that waits for a connection, or for
    /// a place for one, is.
    fn acceptors_live(&self) -> bool {
        let over = self
            .acceptors
            .iter()
            .find(|acceptor| acceptor.task.is_finished());
        match over {
            Some(acceptor) if !*self.stopped.borrow() => {
                self.missed(&format!("acceptor of {}", acceptor.name), "has died");
                false
            }
            _ => true,
        }
    }

    /// Whether every worker answers; the late ones, after `until`, are named and
    /// waited for. False if one has died.
    async fn workers_answer(&self, until: Instant) -> bool {
        let asked: Vec<_> = self.workers.iter().map(ask).collect();
        let mut late = Vec::new();
        let mut all_live = true;
        for (worker, mut answer) in asked {
            match timeout_at(until, &mut answer).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => {
                    all_live = false;
                    self.missed(&worker.name, "has died");
                }
                Err(_) => {
                    worker.set_silent(true);
                    self.missed(&worker.name, "does not answer");
                    late.push((worker, answer));
                }
            }
        }
        for (worker, answer) in late {
            all_live &= answer.await.is_ok();
            worker.set_silent(false);
        }
        all_live
    }

    fn missed(&self, part: &str, why: &str) {
        error!(self.log, "{} {}: no sign of life is given, the service manager will start upstreamd anew", part, why;
            "event" => "watchdog_missed", "part" => part);
    }
}

fn ask(worker: &WorkerHandle) -> (&WorkerHandle, oneshot::Receiver<()>) {
    let (answer, answered) = oneshot::channel();
    worker.order(Order::Answer(answer));
    (worker, answered)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use slog::{Discard, o};
    use tokio::runtime;
    use tokio::task::{LocalSet, spawn_local, yield_now};
    use tokio::time::timeout;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(20);

    /// Whether signs of life go on for several periods, with these workers and an
    /// acceptor that ends at once or never.
    fn goes_on(workers: Vec<WorkerHandle>, acceptor_ends: bool, stopped: bool) -> bool {
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let task = match acceptor_ends {
                true => spawn_local(async {}),
                false => spawn_local(pending()),
            };
            yield_now().await;
            let log = Logger::root(Discard, o!());
            let watchdog = Watchdog {
                workers: workers.into(),
                acceptors: vec![Acceptor {
                    name: "upstreamd".to_owned(),
                    task,
                }],
                stopped: watch::channel(stopped).1,
                notify: Notify::new(log.clone()),
                log,
            };
            timeout(10 * WITHIN, watchdog.run(WITHIN)).await.is_err()
        })
    }

    #[test]
    fn what_has_died_is_not_answered_for() {
        assert!(goes_on(Vec::new(), false, false));
        assert!(!goes_on(vec![WorkerHandle::dead("worker-0")], false, false));
        assert!(!goes_on(Vec::new(), true, false));
    }

    #[test]
    fn acceptors_end_when_they_are_told_to_and_signs_of_life_go_on() {
        assert!(goes_on(Vec::new(), true, true));
    }
}
