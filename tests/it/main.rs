//! upstreamd's promises, each a test against the real binary and real sockets.

// The library's rules against panics and printing are not for tests.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod bodies;
mod body_limits;
mod fields;
mod interim;
mod listening;
mod paths;
mod refusals;
mod slow_clients;
mod smuggling;
mod support_selftest;
