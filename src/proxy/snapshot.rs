//! A configuration made ready to run, and one worker's use of it.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use crate::config::checked::{Config, Upstream};
use crate::upstream::{Dialer, Pool, TlsError};

/// A configuration with everything loaded that it names. Shared by all
/// workers; a reload makes a new one and swaps it whole.
#[derive(Debug)]
pub struct Snapshot {
    /// What the operator wrote, checked.
    pub config: Config,
    dialer: Arc<Dialer>,
    host: HeaderValue,
}

impl Snapshot {
    /// Loads root certificates and the client certificate.
    ///
    /// # Errors
    /// TLS cannot be set up as configured.
    pub fn new(config: Config) -> Result<Self, TlsError> {
        let dialer = Arc::new(Dialer::new(Arc::clone(&config.upstream))?);
        let host = HeaderValue::from_str(config.upstream.base_url.authority.as_str())
            .expect("an authority is visible ASCII");
        Ok(Snapshot {
            config,
            dialer,
            host,
        })
    }
}

/// What one worker forwards with: the snapshot and a pool of its own. A request
/// keeps the engine it started with, so a reload never touches it.
pub struct Engine {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// Connections of this worker, made with this snapshot.
    pub pool: Pool,
    name: Rc<str>,
}

impl Engine {
    /// An engine with an empty pool.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let pool = Pool::new(Arc::clone(&snapshot.dialer));
        let name = Rc::from(snapshot.config.upstream.name.as_str());
        Engine {
            snapshot,
            pool,
            name,
        }
    }

    /// The upstream.
    pub fn upstream(&self) -> &Upstream {
        &self.snapshot.config.upstream
    }

    /// The upstream's name, cheap to keep.
    pub(super) fn name(&self) -> Rc<str> {
        Rc::clone(&self.name)
    }

    /// The `Host` field for the upstream.
    pub fn host(&self) -> &HeaderValue {
        &self.snapshot.host
    }
}
