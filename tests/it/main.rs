//! upstreamd's promises, each a test against the real binary and real sockets.

// The library's rules against panics and printing are not for tests.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod activation;
mod admin;
mod answers;
mod ask;
mod attempts;
mod backpressure;
mod bad_reload;
mod bodies;
mod body_limits;
mod broken_upstream;
mod completions;
mod drain;
mod entry;
mod environment;
mod events;
mod fields;
mod handover;
mod held_clients;
mod http2;
mod included_usage;
mod interim;
mod keys;
mod limits;
mod listening;
mod litellm;
mod logs;
mod manager;
mod manual;
mod metrics;
mod model_list;
mod models;
mod monitoring;
mod not_configured;
mod notify;
mod overview;
mod paths;
mod pool;
mod refusal;
mod refusals;
mod reload;
mod secrets;
mod slow_clients;
mod smuggling;
mod status;
mod streaming;
mod support_selftest;
mod tokens;
mod top;
mod upgrade;
mod watchdog;
mod workers;
