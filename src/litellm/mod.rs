//! LiteLLM in front of upstreamd: `upstreamd litellm-config` and `upstreamd
//! import-env`, for those who come from the helper that upstreamd replaces.
//!
//! That helper's launcher wrote LiteLLM's configuration from the environment.
//! Here the environment becomes a file once, and LiteLLM's configuration is made
//! from that file. Nothing here is on a request's way, and no secret is printed.

mod deployments;
mod import;
mod yaml;

use std::net::SocketAddr;

use crate::ask;
use crate::cli::{ExitCode, Failed, LitellmCommand};
use crate::config::checked::ListenAddress;
use crate::config::{self, Environment, Helper, Outline, Overrides};

/// Its launcher's switch between LiteLLM through the helper and without it.
const PROXY_SWITCH: &str = "NODE_UPSTREAM_PROXY_ENABLE";

/// A `config.yaml` for LiteLLM's proxy: the models of the configuration, through
/// the daemon or, if that is asked for, past it.
///
/// # Errors
/// The configuration has mistakes, or LiteLLM can't reach the daemon.
pub fn config(command: LitellmCommand, environment: &Environment) -> Result<String, Failed> {
    let LitellmCommand {
        overrides,
        at,
        direct,
    } = command;
    let outline = Outline::read(&overrides, environment)
        .map_err(|errors| Failed::new(ExitCode::Configuration, errors))?;
    if direct || environment.says_no(PROXY_SWITCH) {
        return Ok(yaml::write(&deployments::direct(&outline), None));
    }
    let daemon = tcp_address(at, &overrides, environment)?;
    let deployments = deployments::through(&outline, daemon);
    Ok(yaml::write(&deployments, Some(daemon)))
}

/// The configuration that means what the helper's environment meant.
///
/// # Errors
/// A variable is wrong, or none says where requests go.
pub fn import(environment: &Environment) -> Result<String, Failed> {
    let helper = Helper::read(environment);
    let helper = helper.map_err(|errors| Failed::new(ExitCode::Configuration, errors))?;
    Ok(import::toml(&helper))
}

/// Where LiteLLM reaches the daemon: `at`, or the first address of TCP that it
/// listens on. LiteLLM's client speaks TCP alone.
fn tcp_address(
    at: Option<ListenAddress>,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<SocketAddr, Failed> {
    let addresses = match at {
        Some(address) => vec![address],
        None => config::listen(overrides, environment)
            .map_err(|errors| Failed::new(ExitCode::Configuration, errors))?,
    };
    let tcp = addresses.into_iter().map(ask::reachable);
    let mut tcp = tcp.filter_map(|address| match address {
        // Port 0 is another one at every start.
        ListenAddress::Tcp(tcp) if tcp.port() != 0 => Some(tcp),
        _ => None,
    });
    tcp.next().ok_or_else(|| {
        let message = "error: no TCP address that LiteLLM could use, for it can't connect to a Unix socket\n  = help: add one to `listen` in [server], or name systemd's with --at 127.0.0.1:4000";
        Failed::new(ExitCode::Configuration, message)
    })
}
