//! What systemd gives us and what we tell it: sockets by name, readiness, state.

mod notify;
mod sockets;

pub use notify::Notify;
pub use sockets::{Passed, PassedSocket, Purpose, SocketError, passed};
