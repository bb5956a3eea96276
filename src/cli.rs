//! Subcommands and flags: from the words of a command line to what is asked for.
//!
//! One table, [`flags`], says which flags there are; parsing and [`help`] are
//! both made from it. Prints nothing and exits nowhere: `main` does.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use lexopt::Arg;

use crate::config::checked::ListenAddress;
use crate::config::{Overrides, Wrong, nearest};

mod exit_code;
mod flag;
mod help;

pub use exit_code::ExitCode;
pub use flag::{Flag, Verb, flags};
pub use help::{help, version};

use flag::{Effect, Said, Switch};

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `upstreamd`: serve.
    Run(Overrides),
    /// `upstreamd check [FILE]`: check the configuration and exit.
    Check(Overrides),
    /// `upstreamd reload`: have the daemon reload, by the admin socket at this
    /// path, or where the unit has it.
    Reload(Option<PathBuf>),
    /// `upstreamd health`: ask at this address, or at the first one that is
    /// configured, whether the daemon serves.
    Health(Overrides, Option<ListenAddress>),
    /// `--print-config`: print the checked configuration and exit.
    PrintConfig(Overrides),
    /// `--version`: print [`version`] and exit.
    Version,
    /// `--help`: print [`help`] and exit.
    Help,
}

/// A command line that asks for nothing that there is: [`ExitCode::Usage`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    message: String,
    help: String,
}

/// What the words of a command line, the program's name not among them, ask for.
///
/// `--help` and `--version` win over everything else, mistakes behind them
/// included. Of a flag that is given twice the last one counts, unless it is
/// repeatable.
///
/// # Errors
/// A word, flag or value that is not known, with the nearest one that is.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(words);
    let mut said = Said::default();
    let mut verb = None;
    let mut file = None;
    let mut print_config = false;
    let mut given = Vec::new();
    while let Some(word) = parser
        .next()
        .map_err(|error| unexpected(&error.to_string()))?
    {
        let flag = match word {
            Arg::Long(name) => flag::long(name).ok_or_else(|| unknown_flag(name))?,
            Arg::Short(letter) => flag::short(letter)
                .ok_or_else(|| usage(format!("there is no flag -{letter}"), String::new()))?,
            Arg::Value(word) => {
                positional(word, &mut verb, &mut file)?;
                continue;
            }
        };
        given.push(flag);
        match flag.effect {
            Effect::Switch(Switch::Help) => return Ok(Command::Help),
            Effect::Switch(Switch::Version) => return Ok(Command::Version),
            Effect::Switch(Switch::PrintConfig) => print_config = true,
            Effect::Value { name, set, .. } => {
                let missing = || {
                    usage(
                        format!("--{} needs a value", flag.long),
                        format!("write --{} {name}", flag.long),
                    )
                };
                let value = parser.value().map_err(|_| missing())?;
                set(&mut said, value).map_err(|(wrong, expected)| {
                    let message = format!(
                        "--{}: found {}, expected {expected}",
                        flag.long, wrong.found
                    );
                    usage(message, wrong.help.unwrap_or_default())
                })?;
            }
        }
    }
    let verb = verb.unwrap_or(Verb::Run);
    if let Some(flag) = given.into_iter().find(|flag| !flag.verbs.contains(&verb)) {
        let message = format!("--{} does not go with `{}`", flag.long, verb.command());
        let verbs: Vec<_> = flag.verbs.iter().map(|verb| verb.command()).collect();
        return Err(usage(
            message,
            format!("it goes with `{}`", verbs.join("`, `")),
        ));
    }
    let Said {
        mut overrides,
        admin,
        at,
    } = said;
    if let Some(file) = file
        && let Some(other) = overrides.file.replace(file)
    {
        let message = format!("two files to check: {} and another one", other.display());
        return Err(usage(
            message,
            "name it once: `upstreamd check FILE`".to_owned(),
        ));
    }
    Ok(match verb {
        Verb::Run if print_config => Command::PrintConfig(overrides),
        Verb::Run => Command::Run(overrides),
        Verb::Check => Command::Check(overrides),
        Verb::Reload => Command::Reload(admin),
        Verb::Health => Command::Health(overrides, at),
    })
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        if !self.help.is_empty() {
            writeln!(f, "  = help: {}", self.help)?;
        }
        writeln!(f, "  = `upstreamd --help` shows what there is")
    }
}

impl std::error::Error for UsageError {}

fn positional(
    word: OsString,
    verb: &mut Option<Verb>,
    file: &mut Option<PathBuf>,
) -> Result<(), UsageError> {
    match verb {
        None => *verb = Some(subcommand(&word)?),
        Some(Verb::Check) if file.is_none() => *file = Some(word.into()),
        Some(verb) => {
            let message = format!("{} is one word too many", shown(&word));
            let takes = match verb {
                Verb::Check => "one file",
                _ => "none",
            };
            return Err(usage(
                message,
                format!("`{}` takes {takes}", verb.command()),
            ));
        }
    }
    Ok(())
}

fn subcommand(word: &OsStr) -> Result<Verb, UsageError> {
    let text = word.to_string_lossy();
    Verb::of(&text).ok_or_else(|| {
        let known = Verb::ALL.into_iter().filter_map(Verb::word);
        let help = match nearest(&text, known) {
            Some(known) => format!("did you mean `upstreamd {known}`?"),
            None if text == "run" => "`upstreamd` alone runs it".to_owned(),
            None => "a configuration file goes behind --config".to_owned(),
        };
        usage(format!("there is no subcommand {}", shown(word)), help)
    })
}

fn unknown_flag(name: &str) -> UsageError {
    let known = flags().iter().map(|flag| flag.long);
    let help = nearest(name, known).map(|known| format!("did you mean --{known}?"));
    usage(
        format!("there is no flag --{name}"),
        help.unwrap_or_default(),
    )
}

/// A word as it may be shown: it may be a key that slipped in.
fn shown(word: &OsStr) -> String {
    Wrong::text(&word.to_string_lossy()).found
}

/// lexopt's own errors: a value for a flag that takes none.
fn unexpected(message: &str) -> UsageError {
    usage(message.to_owned(), "this flag takes no value".to_owned())
}

fn usage(message: String, help: String) -> UsageError {
    UsageError { message, help }
}

#[cfg(test)]
mod tests;
