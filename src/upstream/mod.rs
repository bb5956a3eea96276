//! The upstream side: connections to the base URL, and requests on them.
//!
//! A [`Pool`] belongs to one worker and one snapshot of the configuration, so
//! nothing of it is shared between threads and nothing here is locked. From the
//! outside in:
//!
//! - [`Pool::send`] takes a [`Request`], finds or opens a connection, and
//!   returns the [`Answer`] head with a body that is still arriving;
//! - `http1` and `http2` each carry a request over one connection, on hyper's
//!   low-level client;
//! - [`Places`] says how many may run there at the same time, over all workers;
//! - `dial` opens a connection: names, addresses (happy eyeballs), TLS;
//! - [`Failure`] says what went wrong, at which address.
//!
//! Beside them stands what decides where a request goes next (`proxy::attempts`):
//! [`Standing`], which all workers share, with the [`Health`] of an upstream and
//! how its [`Keys`] are; [`retry_after`]; and a worker's [`Budget`] of retries.

mod body;
mod budget;
mod deadline;
mod dial;
mod failure;
mod gate;
mod happy_eyeballs;
mod health;
mod http1;
mod http2;
mod keys;
mod moment;
mod pool;
mod queue;
mod request;
mod retry_after;
mod standing;
mod stream;
mod tls;

pub use body::AnswerBody;
pub use budget::Budget;
pub use dial::Dialer;
pub use failure::{Failure, FailureKind};
pub use health::{Health, Look, Probe};
pub use keys::{Key, Keys};
pub use moment::Moment;
pub use pool::{Again, Answer, Effort, Pool};
pub use queue::{NoPlace, Place, Places};
pub use request::{BodyFault, BytesIn, OnInterim, Request, RequestBody};
pub use retry_after::retry_after;
pub use standing::{Lease, Standing};
pub use stream::Stream;
pub use tls::{TlsError, platform_tls};
