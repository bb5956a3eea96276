//! What the integration tests and the demo stand on: both ends of upstreamd,
//! and the daemon itself.
//!
//! ```text
//!   client ──▶ daemon (the real binary) ──▶ upstream (scripted, byte by byte)
//!                                      └──▶ openai   (realistic, async)
//! ```
//!
//! [`client`] and [`upstream`] are blocking and see raw bytes; both read
//! messages through [`link`], which stands on [`wire`]. Everything has a
//! deadline ([`wait::DEADLINE`]): a broken daemon fails a test, it hangs none.

// Each of the binaries built from this tree uses a part of it.
#![allow(dead_code, unreachable_pub)]
// A test's own output goes where the test runner's does.
#![allow(clippy::print_stderr)]

use std::ffi::OsString;

pub mod certs;
pub mod client;
pub mod daemon;
pub mod http2;
pub mod link;
pub mod message;
pub mod openai;
pub mod process;
pub mod redis;
pub mod scratch;
pub mod upstream;
pub mod wait;
pub mod wire;

/// The one variable that a program gets whose environment is a test's own: where
/// it leaves its counts when coverage is measured (tests/coverage).
pub fn profile() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name == "LLVM_PROFILE_FILE")
}
