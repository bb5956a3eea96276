//! What was given on a command line, flag by flag.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Overrides;
use crate::config::checked::ListenAddress;

/// What the flags said; most of it goes with some subcommands alone.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// What stands above file and environment.
    pub(super) overrides: Overrides,
    /// `--print-config`
    pub(super) print_config: bool,
    /// `--admin`
    pub(super) admin: Option<PathBuf>,
    /// `--at`
    pub(super) at: Option<ListenAddress>,
    /// `--interval`
    pub(super) interval: Option<Duration>,
    /// `--once`
    pub(super) once: bool,
    /// `--plain`
    pub(super) plain: bool,
    /// `--no-restart`
    pub(super) no_restart: bool,
    /// `--direct`
    pub(super) direct: bool,
}
