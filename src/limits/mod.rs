//! What clients are held to: requests and tokens a minute, requests that run.
//!
//! [`Limits`] belongs to a snapshot: the counters of this host, atomics that all
//! workers share, taken over by the next snapshot. [`Limiter`] belongs to a
//! worker: it knows the store in which several hosts count together, if there
//! is one. [`Limiter::admit`] counts a request in before it goes on its way; the
//! [`Admission`] counts it out when it is dropped, and is told the tokens that
//! the answer has used.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use slog::Logger;
use tokio::time::Instant;

mod rate;
mod standing;
mod store;
mod tally;

pub use rate::Window;
pub use standing::Standing;
pub use tally::{Exceeded, Limit};

use self::store::{Link, Seat, Shared};
use self::tally::Tally;
use crate::config::checked::{Client, ClientLimits, Config, WhenAway};
use crate::handle::Handle;
use crate::upstream::TlsError;

/// The counters of a configuration.
#[derive(Debug)]
pub struct Limits {
    /// Of each client that is held to anything, by its name.
    tallies: BTreeMap<String, Arc<Tally>>,
    store: Option<Arc<Shared>>,
}

impl Limits {
    /// Those of `config`, with nothing counted.
    ///
    /// # Errors
    /// TLS for the store cannot be set up.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        let held = config
            .clients
            .iter()
            .filter(|client| client.limits.is_some());
        let tally =
            |client: &Arc<Client>| (client.name.clone(), Arc::new(Tally::new(&client.name)));
        let store = config.store.as_ref().map(Shared::new).transpose()?;
        Ok(Limits {
            tallies: held.map(tally).collect(),
            store: store.map(Arc::new),
        })
    }

    /// Goes on from where `before` is: both count on the same counters.
    pub fn carry_over(&mut self, before: &Limits) {
        for (name, tally) in &mut self.tallies {
            if let Some(before) = before.tallies.get(name) {
                *tally = Arc::clone(before);
            }
        }
        if let (Some(store), Some(before)) = (&mut self.store, &before.store) {
            if store.is_same_as(before) {
                *store = Arc::clone(before);
            } else {
                store.follow(before);
            }
        }
    }
}

/// Why a request may not go on.
#[derive(Debug)]
pub enum Refused {
    /// Its client is over a limit.
    Exceeded(Exceeded),
    /// Nobody knows, since the store is away, and the operator wants it closed.
    StoreAway,
}

/// One worker's way to the counters.
pub struct Limiter {
    /// The counters of this host.
    tallies: BTreeMap<String, Handle<Tally>>,
    link: Option<Rc<Link>>,
}

impl Limiter {
    /// For the counters `limits`; goes on with the connection of `before` if it
    /// leads to the same store.
    pub fn new(limits: &Limits, before: Option<&Limiter>, log: &Logger) -> Self {
        let link = limits.store.as_ref().map(|shared| {
            let kept = before.and_then(|before| before.link.as_ref());
            let kept = kept.filter(|link| link.leads_to(shared));
            kept.map_or_else(|| Link::new(Arc::clone(shared), log.clone()), Rc::clone)
        });
        let own = |(name, tally): (&String, &Arc<Tally>)| (name.clone(), Handle::new(tally));
        Limiter {
            tallies: limits.tallies.iter().map(own).collect(),
            link,
        }
    }

    fn tally(&self, client: &Client) -> &Handle<Tally> {
        let tally = self.tallies.get(&client.name);
        tally.expect("each client that is held to anything has a tally")
    }

    /// What is to be done now and then, about once a second.
    pub fn sweep(&self) {
        if let Some(link) = &self.link {
            link.sweep();
        }
    }

    /// Counts a request of `client` in, which is held to `held`, and which came at
    /// `came`.
    ///
    /// # Errors
    /// It may not go on.
    pub async fn admit(
        &self,
        client: &Client,
        held: &ClientLimits,
        came: Instant,
    ) -> Result<(Admission, Standing), Refused> {
        match &self.link {
            None => self.admit_here(client, held, came),
            // Boxed, so that those who need no store have no larger future for it.
            Some(link) => Box::pin(self.admit_by(link, client, held, came)).await,
        }
    }

    async fn admit_by(
        &self,
        link: &Rc<Link>,
        client: &Client,
        held: &ClientLimits,
        came: Instant,
    ) -> Result<(Admission, Standing), Refused> {
        let tally = self.tally(client);
        match link.admit(&tally.name, held).await {
            Some(Ok((seat, standing))) => {
                tally.admitted(held);
                Ok((self.admission(tally, held, seat), standing))
            }
            Some(Err(exceeded)) => Err(Refused::Exceeded(exceeded)),
            None if link.when_away() == WhenAway::Closed => Err(Refused::StoreAway),
            None => self.admit_here(client, held, came),
        }
    }

    fn admit_here(
        &self,
        client: &Client,
        held: &ClientLimits,
        came: Instant,
    ) -> Result<(Admission, Standing), Refused> {
        let tally = self.tally(client);
        let standing = tally.admit(held, came).map_err(Refused::Exceeded)?;
        // The other hosts hear of it when the store is back.
        let link = self.link.as_ref();
        let seat = link.and_then(|link| link.seat(&tally.name, held));
        Ok((self.admission(tally, held, seat), standing))
    }

    fn admission(
        &self,
        tally: &Handle<Tally>,
        held: &ClientLimits,
        seat: Option<Seat>,
    ) -> Admission {
        Admission {
            tally: tally.clone(),
            held: *held,
            seat,
            link: self.link.clone(),
        }
    }
}

/// A request that was counted in. Counted out when it is dropped.
pub struct Admission {
    tally: Handle<Tally>,
    held: ClientLimits,
    /// Its place among those that run, in the store.
    #[expect(dead_code, reason = "dropping it is its use")]
    seat: Option<Seat>,
    link: Option<Rc<Link>>,
}

impl Admission {
    /// The answer has used `tokens`.
    pub fn charge(&self, tokens: u64) {
        self.tally.charge(&self.held, tokens);
        if let (Some(link), Some(rate)) = (&self.link, self.held.tokens_per_minute) {
            link.charge(&self.tally.name, rate, tokens);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.held.max_running.is_some() {
            self.tally.leave();
        }
    }
}
