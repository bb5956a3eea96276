//! The counters of several hosts, in a Valkey or Redis.
//!
//! Three scripts do on its clock what `tally` does on this host's: `admit.lua`
//! before a request, `charge.lua` after its answer, `hold.lua` when one ends.
//! A worker has one connection ([`Link`]), opened beside its requests; none of
//! them waits for it longer than `timeout`.
//!
//! How many requests run is no counter that could drift when an instance dies
//! or a message is lost: every worker says how many of a client run on it, and
//! is believed for [`BELIEVED`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slog::Logger;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};
use uuid::Builder;

mod connection;
mod shared;

pub(super) use self::shared::Shared;

use self::connection::{Connection, Failed, Script};
use super::rate::Rate;
use super::standing::Standing;
use super::tally::{Exceeded, Limit};
use crate::config::checked::{ClientLimits, WhenAway};

/// How long the word of a worker is believed that it runs so many requests:
/// what a host that died takes with it comes back after that.
const BELIEVED: Duration = Duration::from_secs(30);

/// How often it says so again, and looks whether the store is there: some servers
/// close what is silent for a minute.
const AGAIN: Duration = Duration::from_secs(10);

/// How long a connection may take to be opened. No request waits for that.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// A connection that was of use for so long is worth another one at once.
const SETTLED: Duration = Duration::from_secs(1);

/// One worker's connection to the store.
pub(super) struct Link {
    shared: Arc<Shared>,
    log: Logger,
    /// What the store calls this worker of this instance.
    id: String,
    connection: RefCell<Option<Connection>>,
    is_connecting: Cell<bool>,
    /// It could not be reached when that was last tried: nobody waits for it.
    is_lost: Cell<bool>,
    /// Connecting has ended, one way or the other.
    connected: Notify,
    /// How many requests of each client run here.
    running: RefCell<HashMap<Arc<str>, u32>>,
    said: Cell<Instant>,
    /// When the last connection was opened.
    opened: Cell<Instant>,
}

/// A request's place among those of its client that run; left when it is dropped.
pub(super) struct Seat {
    link: Rc<Link>,
    client: Arc<str>,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>, log: Logger) -> Rc<Self> {
        Rc::new(Link {
            shared,
            log,
            id: new_id(),
            connection: RefCell::default(),
            is_connecting: Cell::new(false),
            is_lost: Cell::new(false),
            connected: Notify::new(),
            running: RefCell::default(),
            said: Cell::new(Instant::now()),
            opened: Cell::new(Instant::now()),
        })
    }

    pub(super) fn leads_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    pub(super) fn when_away(&self) -> WhenAway {
        self.shared.store.when_away
    }

    /// Counts a request in. None: the store is away.
    pub(super) async fn admit(
        self: &Rc<Self>,
        client: &Arc<str>,
        held: &ClientLimits,
    ) -> Option<Result<(Option<Seat>, Standing), Exceeded>> {
        let seat = self.seat(client, held);
        let running = self.running.borrow().get(client).copied().unwrap_or(0);
        let asking = self.ask(Script::Admit, || {
            let number = |limit: Option<NonZeroU64>| limit.map_or(0, NonZeroU64::get);
            let most = held.max_running.map_or(0, |most| u64::from(most.get()));
            vec![
                key(client, "requests"),
                key(client, "tokens"),
                key(client, "running"),
                number(held.requests_per_minute).to_string(),
                number(held.tokens_per_minute).to_string(),
                most.to_string(),
                self.id.clone(),
                running.to_string(),
                BELIEVED.as_millis().to_string(),
            ]
        });
        let patience = self.shared.store.timeout;
        let told = match timeout(patience, asking).await {
            Ok(Ok(told)) => told,
            Ok(Err(Failed::KnownAway)) => return None,
            Ok(Err(failed)) => {
                self.lose(&failed);
                return None;
            }
            Err(_elapsed) => {
                self.lose(&Failed::Silent(patience));
                return None;
            }
        };
        let [limit, wait, requests, tokens] = told[..] else {
            self.lose(&Failed::Nonsense);
            return None;
        };
        let time = |microseconds: i64| Duration::from_micros(microseconds.max(0).unsigned_abs());
        let window = |rate: Option<_>, reset| rate.map(|rate| Rate(rate).window(time(reset)));
        let standing = Standing {
            requests: window(held.requests_per_minute, requests),
            tokens: window(held.tokens_per_minute, tokens),
        };
        let limit = match limit {
            0 => return Some(Ok((seat, standing))),
            1 => Limit::Requests,
            2 => Limit::Tokens,
            _ => Limit::Running,
        };
        Some(Err(Exceeded {
            limit,
            wait: time(wait),
            standing,
        }))
    }

    /// A place among those that run, if it is counted how many do.
    pub(super) fn seat(self: &Rc<Self>, client: &Arc<str>, held: &ClientLimits) -> Option<Seat> {
        held.max_running?;
        let mut running = self.running.borrow_mut();
        *running.entry(Arc::clone(client)).or_default() += 1;
        Some(Seat {
            link: Rc::clone(self),
            client: Arc::clone(client),
        })
    }

    /// Takes tokens; nobody waits for it.
    pub(super) fn charge(self: &Rc<Self>, client: &Arc<str>, rate: NonZeroU64, tokens: u64) {
        self.tell(
            Script::Charge,
            vec![key(client, "tokens"), rate.to_string(), tokens.to_string()],
        );
    }

    /// Looks whether the store is there, says again how much runs here, and
    /// tries to reach a store that is away.
    pub(super) fn sweep(self: &Rc<Self>) {
        if self.connection.borrow().is_none() {
            self.connect();
        } else if self.said.get().elapsed() >= AGAIN {
            self.say_all();
        }
    }

    fn say_all(self: &Rc<Self>) {
        self.said.set(Instant::now());
        let clients: Vec<_> = self.running.borrow().keys().cloned().collect();
        if clients.is_empty() {
            // Whatever it is, it says that the store is there.
            self.say(&Arc::from(""));
        }
        clients.iter().for_each(|client| self.say(client));
    }

    /// Says how many requests of `client` run here.
    fn say(self: &Rc<Self>, client: &Arc<str>) {
        let running = self.running.borrow().get(client).copied().unwrap_or(0);
        self.tell(
            Script::Hold,
            vec![
                key(client, "running"),
                self.id.clone(),
                running.to_string(),
                BELIEVED.as_millis().to_string(),
            ],
        );
    }

    /// Runs a script that nobody waits for, if the store is there.
    fn tell(self: &Rc<Self>, script: Script, words: Vec<String>) {
        let Some(connection) = self.connection.borrow().clone() else {
            return;
        };
        let link = Rc::clone(self);
        spawn_local(async move {
            let patience = link.shared.store.timeout;
            let told = match timeout(patience, connection.run(script, &words)).await {
                Ok(told) => told,
                Err(_elapsed) => Err(Failed::Silent(patience)),
            };
            if let Err(failed) = told {
                // Perhaps another one is in its place already.
                let is_it = link
                    .connection
                    .borrow()
                    .as_ref()
                    .is_some_and(|now| now.is(&connection));
                match failed {
                    // Who needs it next opens another one.
                    Failed::Broken(_) if is_it => drop(link.connection.take()),
                    failed if is_it => link.lose(&failed),
                    _ => {}
                }
            }
        });
    }

    /// Runs a script. If the connection has ended since it was used last, on
    /// another one.
    async fn ask(
        self: &Rc<Self>,
        script: Script,
        words: impl Fn() -> Vec<String>,
    ) -> Result<Vec<i64>, Failed> {
        let connection = self.connection().await?;
        match connection.run(script, &words()).await {
            Err(Failed::Broken(_)) => {
                self.reconnect();
                let connection = self.connection().await?;
                connection.run(script, &words()).await
            }
            told => told,
        }
    }

    /// The connection; waits while it is opened, unless it was lost before.
    async fn connection(self: &Rc<Self>) -> Result<Connection, Failed> {
        loop {
            if let Some(connection) = &*self.connection.borrow() {
                return Ok(connection.clone());
            }
            if self.is_lost.get() {
                return Err(Failed::KnownAway);
            }
            self.connect();
            self.connected.notified().await;
        }
    }

    fn reconnect(self: &Rc<Self>) {
        self.connection.take();
        self.connect();
    }

    /// The store does not answer as it should: nobody asks it until it does.
    fn lose(self: &Rc<Self>, why: &Failed) {
        self.connection.take();
        self.is_lost.set(true);
        self.shared.is_away(why, &self.log);
        // One that fails as soon as it is open is opened by the sweep alone.
        if self.opened.get().elapsed() >= SETTLED {
            self.connect();
        }
    }

    fn connect(self: &Rc<Self>) {
        if self.is_connecting.replace(true) {
            return;
        }
        let link = Rc::clone(self);
        spawn_local(async move {
            let shared = &link.shared;
            let opening = Connection::open(&shared.store, shared.tls.as_ref());
            let opened = match timeout(CONNECT_TIME, opening).await {
                Ok(opened) => opened,
                Err(_elapsed) => Err(Failed::Silent(CONNECT_TIME)),
            };
            link.is_connecting.set(false);
            match opened {
                Ok(connection) => {
                    *link.connection.borrow_mut() = Some(connection);
                    link.is_lost.set(false);
                    link.opened.set(Instant::now());
                    shared.is_back(&link.log);
                    link.say_all();
                }
                Err(failed) => {
                    link.is_lost.set(true);
                    shared.is_away(&failed, &link.log);
                }
            }
            link.connected.notify_waiters();
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut running = self.link.running.borrow_mut();
        if let Some(count) = running.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.client);
            }
        }
        drop(running);
        self.link.say(&self.client);
    }
}

/// A name that no other worker anywhere has.
fn new_id() -> String {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).expect("the generator seeds itself from the kernel");
    let id = Builder::from_random_bytes(random).into_uuid();
    id.simple().to_string()
}

/// The key of one of a client's counters. All of a client are in one slot of a
/// cluster, which one script needs.
fn key(client: &str, counter: &str) -> String {
    format!("upstreamd:{{{client}}}:{counter}")
}
