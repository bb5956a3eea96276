//! What upstreamd says of itself, and what it can be told.
//!
//! On the admin socket ([`serve`]): one request a connection, served on the main
//! thread, which has nothing of clients' requests on it, and so also while
//! workers have no time. The socket's mode says who may; there is no other guard.
//! A new endpoint is a line in the table of `endpoints` and an answer.
//!
//! [`health()`] is answered on clients' sockets too.

mod endpoints;
mod health;
mod metrics;
mod overview;
mod reload;
mod server;
mod status;
mod told;

pub use health::health;
pub use overview::{Configuration, Key, Listener, Overview, Reload as ReloadOutcome, Upstream};
pub use reload::{Reload, Reloaded};
pub use server::{Access, serve};
pub use told::{Ask, LastReload, Listening, Reloads, State, Told};
