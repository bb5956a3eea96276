//! upstreamd, the last hop between OpenAI-API clients and their upstream.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
