//! upstreamd's promises, each a test against the real binary and real sockets.

// The library's rules against panics and printing are not for tests.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod activation;
mod bad_reload;
mod drain;
mod environment;
mod events;
mod logs;
mod notify;
mod reload;
mod secrets;
mod support_selftest;
mod tokens;
