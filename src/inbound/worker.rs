//! A worker: one thread, one runtime, its own connections and its own pool.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use slog::{Logger, debug};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, MissedTickBehavior, interval};

mod handle;

pub use handle::WorkerHandle;

use super::connection;
use super::socket::Accepted;
use crate::proxy::{Engine, Snapshot, Stage, Wire};
use crate::telemetry::metrics::{Metrics, Running};

/// How often idle connections to the upstream are looked through.
const SWEEP: Duration = Duration::from_secs(1);

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
    /// Another instance accepts: finish what runs, without haste.
    HandOver,
    /// Finish what runs, take nothing new.
    Drain,
    /// End what still runs, now.
    Abort,
    /// Report what was counted.
    Report(oneshot::Sender<Report>),
    /// Say that orders are heard: the watchdog asks.
    Answer(oneshot::Sender<()>),
}

/// What a worker has counted, and how it is.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The requests that have ended on it.
    pub metrics: Metrics,
    /// Those that run on it.
    pub running: Running,
    /// Its idle connections, by upstream.
    pub idle: BTreeMap<String, usize>,
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
    metrics: Rc<RefCell<Metrics>>,
    wires: RefCell<HashMap<u64, Rc<Wire>>>,
    next: Cell<u64>,
    stage: Cell<Stage>,
}

impl Worker {
    fn new(snapshot: Arc<Snapshot>, log: Logger, load: Arc<Load>) -> Rc<Self> {
        let metrics = Rc::new(RefCell::new(Metrics::default()));
        reserve(&metrics, &snapshot);
        Rc::new(Worker {
            engine: RefCell::new(Rc::new(Engine::new(snapshot, None, &log))),
            log,
            load,
            metrics,
            wires: RefCell::default(),
            next: Cell::new(0),
            stage: Cell::new(Stage::Serving),
        })
    }

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
                sweeper.engine().sweep();
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
                    reserve(&self.metrics, &snapshot);
                    let before = self.engine();
                    let engine = Engine::new(snapshot, Some(&before), &self.log);
                    *self.engine.borrow_mut() = Rc::new(engine);
                }
                Order::HandOver => self.enter(Stage::HandingOver(Instant::now())),
                Order::Drain => {
                    // A turn of the event loop first: requests that wait in the
                    // sockets of idle connections are seen before these close.
                    yield_now().await;
                    self.enter(Stage::Draining);
                }
                Order::Abort => self.enter(Stage::Aborting),
                // Nobody waits for it any more, perhaps.
                Order::Report(report) => drop(report.send(self.report())),
                Order::Answer(answer) => drop(answer.send(())),
            }
        }
    }

    fn report(&self) -> Report {
        let metrics = self.metrics.borrow();
        let mut running = Running::default();
        for wire in self.wires.borrow().values() {
            wire.note(|record| metrics.count_running(&record.event, &mut running));
        }
        Report {
            metrics: metrics.clone(),
            running,
            idle: self.engine().idle(),
        }
    }

    fn enter(&self, stage: Stage) {
        self.stage.set(stage);
        let wires = self.wires.borrow();
        wires.values().for_each(|wire| wire.enter(stage));
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
            Rc::clone(&self.metrics),
        ));
        wire.enter(self.stage.get());
        self.wires
            .borrow_mut()
            .insert(seat.number, Rc::clone(&wire));
        spawn_local(async move {
            connection::serve(socket, wire, Rc::clone(&seat.worker)).await;
            drop(seat);
        });
    }
}

/// Keeps a label of metrics for each model that `snapshot` has by its own name.
fn reserve(metrics: &RefCell<Metrics>, snapshot: &Snapshot) {
    let models = snapshot.config.models.all().iter();
    let names = models
        .filter(|model| model.name.is_exact())
        .map(|model| model.name.as_str());
    metrics.borrow_mut().reserve(names);
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
