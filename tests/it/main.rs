//! upstreamd's promises, each a test against the real binary and real sockets.

// The library's rules against panics and printing are not for tests.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod activation;
mod answers;
mod bad_reload;
mod bodies;
mod body_limits;
mod drain;
mod fields;
mod interim;
mod listening;
mod notify;
mod paths;
mod refusals;
mod reload;
mod slow_clients;
mod smuggling;
mod support_selftest;
