//! The store as all workers know it: where it is, and whether it is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::ClientConfig;
use slog::{Logger, info, warn};

use super::connection::Failed;
use crate::config::checked::{Store, StoreAddress, WhenAway};
use crate::upstream::{TlsError, platform_tls};

/// The store, as all workers know it.
#[derive(Debug)]
pub(in crate::limits) struct Shared {
    pub(super) store: Store,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Whether it was last found to be away; so each change is said once.
    away: AtomicBool,
}

impl Shared {
    pub(in crate::limits) fn new(store: &Store) -> Result<Self, TlsError> {
        let tls = match store.address {
            StoreAddress::Tcp { tls: true, .. } => Some(Arc::new(platform_tls()?)),
            _ => None,
        };
        Ok(Shared {
            store: store.clone(),
            tls,
            away: AtomicBool::new(false),
        })
    }

    pub(in crate::limits) fn is_same_as(&self, other: &Shared) -> bool {
        self.store == other.store
    }

    /// Another store in place of `before`: if that was away, this one is back.
    pub(in crate::limits) fn follow(&self, before: &Shared) {
        let away = before.away.load(Ordering::Relaxed);
        self.away.store(away, Ordering::Relaxed);
    }

    /// It can't be used; said if that is news.
    pub(super) fn is_away(&self, why: &Failed, log: &Logger) {
        if self.away.swap(true, Ordering::Relaxed) {
            return;
        }
        let when_away = self.store.when_away;
        let meanwhile = match when_away {
            WhenAway::Open => "each host counts by itself",
            WhenAway::Closed => "requests of clients with a limit are refused",
        };
        warn!(log, "the store of the limits at {} is away: {}; until it is back {}", self.store.address, why, meanwhile;
            "event" => "limits_store_away", "store" => %self.store.address, "when_away" => when_away.word(), "error" => %why);
    }

    /// It can be used; said if that is news.
    pub(super) fn is_back(&self, log: &Logger) {
        if self.away.swap(false, Ordering::Relaxed) {
            info!(log, "the store of the limits at {} is back", self.store.address;
                "event" => "limits_store_back", "store" => %self.store.address, "when_away" => self.store.when_away.word());
        }
    }
}
