//! The client side: listeners, workers, connections, who may come in.
//!
//! The acceptor takes connections from the listeners and gives each to the
//! worker that has the fewest; there it stays. A worker is one thread with one
//! runtime; nothing it uses for a request is shared with another. A connection
//! runs hyper's server by hand (`connection`), because a proxy has to see what
//! hyper hides: its own error answers, the moment when the last byte has gone,
//! and the socket after hyper is done with it.

mod acceptor;
mod admit;
mod authenticate;
mod client_io;
mod closing;
mod connection;
mod listener;
mod respond;
mod socket;
mod tunnel;
mod worker;

pub use acceptor::accept;
pub use listener::{BindError, Listener, Unlink, bind, bind_unix};
pub use worker::{Order, Report, Worker, WorkerHandle};
