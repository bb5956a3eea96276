//! What systemd gives us and what we tell it: sockets by name, readiness, state,
//! signs of life.

mod notify;
mod sockets;
mod watchdog;

pub use notify::Notify;
pub use sockets::{Passed, PassedSocket, Purpose, SocketError, passed};
pub use watchdog::watchdog;
