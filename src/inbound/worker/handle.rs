//! A worker as the main thread sees it: where orders go, and how it is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use slog::Logger;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::{Load, Order, Worker};
use crate::proxy::Snapshot;

/// Names that a worker resolves at the same time; more wait, within `connect_timeout`.
const MAX_LOOKUPS: usize = 16;

/// A running worker, seen from outside.
pub struct WorkerHandle {
    /// What its thread is called.
    pub name: String,
    orders: mpsc::UnboundedSender<Order>,
    load: Arc<Load>,
    /// Whether it owes the watchdog an answer for too long.
    silent: AtomicBool,
}

impl WorkerHandle {
    /// Starts the thread of worker `number`.
    ///
    /// # Errors
    /// No thread or no runtime can be had.
    pub fn start(number: usize, snapshot: Arc<Snapshot>, log: Logger) -> io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let load = Arc::new(Load::default());
        // Only getaddrinfo(3) runs on threads beside; a slow name server must not
        // make hundreds of them.
        let runtime = runtime::Builder::new_current_thread()
            .max_blocking_threads(MAX_LOOKUPS)
            .enable_io()
            .enable_time()
            .build()?;
        let seen = Arc::clone(&load);
        let name = format!("worker-{number}");
        thread::Builder::new().name(name.clone()).spawn(move || {
            let worker = Worker::new(snapshot, log, seen);
            LocalSet::new().block_on(&runtime, worker.run(inbox));
        })?;
        Ok(WorkerHandle {
            name,
            orders,
            load,
            silent: AtomicBool::new(false),
        })
    }

    /// One whose thread has died.
    #[cfg(test)]
    pub(crate) fn dead(name: &str) -> Self {
        let (orders, _) = mpsc::unbounded_channel();
        WorkerHandle {
            name: name.to_owned(),
            orders,
            load: Arc::default(),
            silent: AtomicBool::new(false),
        }
    }

    /// The one that a new connection goes to: the one that has the fewest, among
    /// those that live and answer.
    pub(in crate::inbound) fn choose(workers: &[WorkerHandle]) -> &WorkerHandle {
        workers
            .iter()
            .min_by_key(|worker| (worker.is_dead(), worker.is_silent(), worker.connections()))
            .expect("there is at least one worker")
    }

    /// Sends an order. A worker whose thread has died takes none, and a connection
    /// that it was to serve is closed.
    pub fn order(&self, order: Order) {
        if let Order::Serve { .. } = order {
            // Counted here and not when it is served, so that a burst is spread.
            self.load.connections.fetch_add(1, Ordering::Relaxed);
        }
        let _ = self.orders.send(order);
    }

    /// Whether its thread has died, which only a bug can bring about.
    pub fn is_dead(&self) -> bool {
        self.orders.is_closed()
    }

    /// Whether it was last found not to answer.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Notes whether it answers. One that does not gets new connections only if
    /// no other does.
    pub fn set_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// Connections that it has or will have.
    pub fn connections(&self) -> usize {
        if self.is_dead() {
            // Closed with its thread, whatever was still in the queue.
            return 0;
        }
        self.load.connections.load(Ordering::Relaxed)
    }

    /// Requests that it runs.
    pub fn requests(&self) -> usize {
        self.load.requests.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has `connections`, and takes orders as long as what it comes with lives.
    fn worker(connections: usize) -> (WorkerHandle, mpsc::UnboundedReceiver<Order>) {
        let (orders, inbox) = mpsc::unbounded_channel();
        let worker = WorkerHandle {
            name: format!("with {connections}"),
            orders,
            load: Arc::default(),
            silent: AtomicBool::new(false),
        };
        worker
            .load
            .connections
            .store(connections, Ordering::Relaxed);
        (worker, inbox)
    }

    #[test]
    fn a_worker_that_is_dead_or_silent_gets_no_connection_that_another_can_take() {
        let (workers, mut inboxes): (Vec<_>, Vec<_>) = (0..3).map(worker).unzip();
        assert_eq!(WorkerHandle::choose(&workers).connections(), 0);
        workers[0].set_silent(true);
        assert_eq!(WorkerHandle::choose(&workers).connections(), 1);
        inboxes.remove(1);
        assert_eq!(WorkerHandle::choose(&workers).connections(), 2);
        // One that does not answer is better than one that never will.
        workers[2].set_silent(true);
        inboxes.remove(0);
        assert_eq!(WorkerHandle::choose(&workers).connections(), 2);
        // Nothing waits for the connections of the dead.
        assert!(workers[0].is_dead());
        assert_eq!(workers[1].connections(), 0);
    }
}
