//! The configuration: from what the operator wrote to what the daemon runs on.
//!
//! File, environment and flags become one *written* configuration, in which
//! every value is optional and has its place; the checks make the *checked*
//! one of it, in which nothing can be wrong. [`load`] does both, at the start
//! and at each reload, and says everything that is wrong at once.
//!
//! Precedence: flags > environment > file > defaults. Knows none of the
//! modules that run on it.

use std::path::Path;

mod accounts;
mod base_url;
mod check;
pub mod checked;
mod credentials;
mod duration;
mod entry;
mod environment;
mod errors;
mod field;
mod file;
mod glob;
mod helper;
mod hiding;
mod limits;
mod listen;
mod listener;
mod log;
mod model;
mod models;
mod name;
mod nearest;
mod outline;
mod overrides;
mod place;
mod print;
mod problem;
mod retry;
mod secret;
mod section;
mod size;
mod source;
#[cfg(test)]
mod tests;
mod uses;
mod value;
mod written;

pub use checked::Config;
pub use environment::Environment;
pub use errors::Errors;
pub use helper::{Helper, HelperModel};
pub use listener::in_header;
pub use name::Name;
pub use outline::{Outline, OutlinedUpstream};
pub use overrides::Overrides;
pub use uses::{KeyUse, file_of, key_uses, system_file};

pub(crate) use log::{FORMAT_WORDS, LEVEL_WORDS};
pub(crate) use nearest::nearest;
pub(crate) use secret::{LONGEST as LONGEST_SECRET, Secret};
pub(crate) use value::{Text, Wrong};

use self::check::Surroundings;
use self::credentials::Credentials;
use self::problem::Problems;
use self::source::Source;
use self::written::Written;

/// What a configuration is read for, which says what becomes of a key that is
/// named and can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// To serve with it. A missing key of an upstream is no error, so that the
    /// port is open and says what to do: [`checked::Upstream::missing_keys`].
    Start,
    /// To serve with it in place of one that works. Every key has to be there.
    Reload,
    /// To say what is wrong with it, to somebody at a shell. Every key has to be
    /// there, but one that is encrypted can't be looked at:
    /// [`Config::unread_keys`].
    Check,
    /// To show it. Keys are not shown, so none has to be there.
    Print,
}

impl Occasion {
    /// Whether an upstream's key may be nowhere.
    fn tolerates_missing_keys(self) -> bool {
        matches!(self, Occasion::Start | Occasion::Print)
    }

    /// Whether a key may be encrypted, so that only systemd can read it.
    fn tolerates_sealed_keys(self) -> bool {
        matches!(self, Occasion::Check | Occasion::Print)
    }
}

/// Reads and checks the whole configuration, secrets and certificates too.
///
/// The file is the one that `overrides` names, else `$UPSTREAMD_CONFIG`, else
/// `/etc/upstreamd/upstreamd.toml` if it exists, else none. Reads files, and
/// changes nothing: a reload calls it again and keeps what it has on an error.
///
/// # Errors
/// Everything that is wrong, not only the first; without any secret.
pub fn load(
    overrides: &Overrides,
    environment: &Environment,
    occasion: Occasion,
) -> Result<Config, Errors> {
    let default = Path::new(file::DEFAULT_PATH);
    resolve(overrides, environment, default, occasion).map(|(_, config)| config)
}

/// The configuration as TOML, as `--print-config` shows it: what [`load`]
/// would return, every default spelled out, each value with where it comes
/// from, secrets masked. It can be loaded again.
///
/// # Errors
/// As [`load`].
pub fn print(overrides: &Overrides, environment: &Environment) -> Result<String, Errors> {
    let default = Path::new(file::DEFAULT_PATH);
    let (written, config) = resolve(overrides, environment, default, Occasion::Print)?;
    Ok(print::toml(&written, &config))
}

/// Where a daemon that runs on this configuration listens, if systemd passes it
/// no socket. All else may be wrong, or unreadable for whoever asks.
///
/// # Errors
/// The file cannot be read or is not TOML, or the addresses in it are wrong.
pub fn listen(
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Vec<checked::ListenAddress>, Errors> {
    let mut problems = Problems::default();
    let default = Path::new(file::DEFAULT_PATH);
    let (source, written) = written_of(overrides, environment, default, &mut problems)?;
    let listen = check::listen(written.server.listen.as_ref(), &mut problems);
    let problems = problems.about("server.listen");
    if problems.is_empty() {
        Ok(listen)
    } else {
        Err(Errors::new(problems, source.as_ref()))
    }
}

/// File, environment and flags, put over each other.
fn written_of(
    overrides: &Overrides,
    environment: &Environment,
    default: &Path,
    problems: &mut Problems,
) -> Result<(Option<Source>, Written), Errors> {
    let mut source = file::find(overrides, environment, default)?;
    let mut written = Written::default();
    if let Some(source) = &mut source {
        written = file::read(source, problems)?;
    }
    environment.apply(&mut written, problems);
    overrides.apply(&mut written, problems);
    Ok((source, written))
}

fn resolve(
    overrides: &Overrides,
    environment: &Environment,
    default: &Path,
    occasion: Occasion,
) -> Result<(Written, Config), Errors> {
    let mut problems = Problems::default();
    let (source, written) = written_of(overrides, environment, default, &mut problems)?;
    let file = source.as_ref().map(Source::path);
    let directory = file.and_then(Path::parent);
    let surroundings = Surroundings {
        credentials: Credentials::new(environment, directory),
        directory,
        file,
        occasion,
    };
    let config = check::check(&written, &surroundings, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok((written, config)),
        _ => Err(Errors::new(problems, source.as_ref())),
    }
}
