//! A worker: one thread, one runtime, its own connections and its own pool.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use slog::{Logger, debug};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{MissedTickBehavior, interval};

use super::connection;
use super::socket::Accepted;
use crate::proxy::{Engine, Snapshot, Wire};

/// How often idle connections to the upstream are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Names that a worker resolves at the same time; more wait, within `connect_timeout`.
const MAX_LOOKUPS: usize = 16;

/// What the daemon asks of a worker.
#[derive(Debug)]
pub enum Order {
    /// Serve a connection; `place` is given back when it is closed.
    Serve {
        /// The socket.
        accepted: Accepted,
        /// The name of the listener it came from.
        listener: Arc<str>,
        /// Its share of `max_connections`; none if it is over them.
        place: Option<OwnedSemaphorePermit>,
    },
    /// Use another configuration for the requests to come.
    Reload(Arc<Snapshot>),
    /// Finish what runs, take nothing new.
    Drain,
    /// End what still runs, now.
    Abort,
    /// Say that orders are heard: the watchdog asks.
    Answer(oneshot::Sender<()>),
}

/// A running worker, seen from outside.
pub struct WorkerHandle {
    /// What its thread is called.
    pub name: String,
    orders: mpsc::UnboundedSender<Order>,
    load: Arc<Load>,
    /// Whether it owes the watchdog an answer for too long.
    silent: AtomicBool,
}

#[derive(Default)]
struct Load {
    connections: AtomicUsize,
    requests: Arc<AtomicUsize>,
}

/// A worker, seen by its own connections.
pub struct Worker {
    engine: RefCell<Rc<Engine>>,
    log: Logger,
    load: Arc<Load>,
    wires: RefCell<HashMap<u64, Rc<Wire>>>,
    next: Cell<u64>,
    draining: Cell<bool>,
    aborting: Cell<bool>,
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
            let worker = Rc::new(Worker {
                engine: RefCell::new(Rc::new(Engine::new(snapshot))),
                log,
                load: seen,
                wires: RefCell::default(),
                next: Cell::new(0),
                draining: Cell::new(false),
                aborting: Cell::new(false),
            });
            LocalSet::new().block_on(&runtime, worker.run(inbox));
        })?;
        Ok(WorkerHandle {
            name,
            orders,
            load,
            silent: AtomicBool::new(false),
        })
    }

    /// The one that a new connection goes to: the one that has the fewest, among
    /// those that live and answer.
    pub(super) fn choose(workers: &[WorkerHandle]) -> &WorkerHandle {
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

impl Worker {
    /// What new requests are forwarded with.
    pub(super) fn engine(&self) -> Rc<Engine> {
        Rc::clone(&self.engine.borrow())
    }

    pub(super) fn log(&self) -> &Logger {
        &self.log
    }

    async fn run(self: Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Order>) {
        let sweeper = Rc::clone(&self);
        spawn_local(async move {
            let mut sweep = interval(SWEEP);
            sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                sweep.tick().await;
                sweeper.engine().pool.sweep();
            }
        });
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Serve {
                    accepted,
                    listener,
                    place,
                } => self.serve(accepted, &listener, place),
                Order::Reload(snapshot) => {
                    *self.engine.borrow_mut() = Rc::new(Engine::new(snapshot))
                }
                Order::Drain => {
                    // A turn of the event loop first: requests that wait in the
                    // sockets of idle connections are seen before these close.
                    yield_now().await;
                    self.draining.set(true);
                    self.wires.borrow().values().for_each(|wire| wire.drain());
                }
                Order::Abort => {
                    self.draining.set(true);
                    self.aborting.set(true);
                    self.wires.borrow().values().for_each(|wire| wire.abort());
                }
                // Nobody waits for it any more, perhaps.
                Order::Answer(answer) => drop(answer.send(())),
            }
        }
    }

    fn serve(
        self: &Rc<Self>,
        accepted: Accepted,
        listener: &str,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let (socket, remote) = match accepted.register() {
            Ok(registered) => registered,
            Err(error) => {
                // The client was gone before we looked.
                debug!(self.log, "a connection was lost at once"; "event" => "accept_failed", "error" => %error);
                self.load.connections.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        };
        let seat = Seat {
            worker: Rc::clone(self),
            number: self.next.replace(self.next.get() + 1),
            _place: place,
        };
        let running = Arc::clone(&self.load.requests);
        let wire = Rc::new(Wire::new(
            Rc::from(listener),
            Rc::from(remote),
            self.log.clone(),
            running,
        ));
        if self.aborting.get() {
            wire.abort();
        } else if self.draining.get() {
            wire.drain();
        }
        self.wires
            .borrow_mut()
            .insert(seat.number, Rc::clone(&wire));
        spawn_local(async move {
            connection::serve(socket, wire, Rc::clone(&seat.worker)).await;
            drop(seat);
        });
    }
}

/// A connection's place among its worker's, given back even if serving panics.
struct Seat {
    worker: Rc<Worker>,
    number: u64,
    _place: Option<OwnedSemaphorePermit>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let wire = self.worker.wires.borrow_mut().remove(&self.number);
        if let Some(wire) = wire {
            wire.ended();
        }
        self.worker.load.connections.fetch_sub(1, Ordering::Relaxed);
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
