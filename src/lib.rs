//! upstreamd: the last hop between programs that speak the OpenAI API and the
//! upstream that serves it.
//!
//! The modules, in the order of a request's way:
//!
//! - [`cli`] and [`config`]: what the operator wrote becomes what the daemon
//!   runs on;
//! - [`keys`]: the files that keys lie in, for `upstreamd key`;
//! - [`systemd`]: sockets come from there, and it is told how we are;
//! - [`daemon`]: start-up order, signals, reload, drain;
//! - [`inbound`]: accept, connection, client authentication;
//! - [`limits`]: what clients are held to, counted here or in a store;
//! - [`proxy`]: one request: target, body, fields, forward, answer, faults;
//! - [`upstream`]: connections to the upstream and requests on them;
//! - [`telemetry`]: the event of each request, the usage tap, log drains;
//! - [`admin`]: what upstreamd says of itself;
//! - [`ask`]: the subcommands that ask a running daemon;
//! - [`screen`]: what people see of it, `upstreamd status` and `upstreamd top`;
//! - [`litellm`]: LiteLLM in front, and the environment of its launcher;
//! - [`handle`]: how a worker holds what all workers share.
//!
//! Imports point one way: `daemon` -> `inbound` -> `admin` -> `proxy` ->
//! `limits` -> `upstream` -> `telemetry` -> `config`; `systemd` and `handle` know none of
//! them.

pub mod admin;
pub mod ask;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod handle;
pub mod inbound;
pub mod keys;
pub mod limits;
pub mod litellm;
pub mod proxy;
pub mod screen;
pub mod systemd;
pub mod telemetry;
pub mod upstream;
