//! Subcommands and flags: from the words of a command line to what is asked for.
//!
//! One table, [`flags`], says which flags there are; parsing and [`help`] are
//! both made from it. Prints nothing and exits nowhere: `main` does.

use std::ffi::{OsStr, OsString};
use std::fmt;

use lexopt::Arg;

use crate::config::{Overrides, Wrong, nearest};

mod exit_code;
mod flag;
mod help;

pub use exit_code::ExitCode;
pub use flag::{Flag, Verb, flags};
pub use help::{help, version};

use flag::{Effect, Switch};

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `upstreamd`: serve.
    Run(Overrides),
    /// `upstreamd check [FILE]`: check the configuration and exit.
    Check(Overrides),
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
    let mut overrides = Overrides::default();
    let mut verb = None;
    let mut file = None;
    let mut print_config = None;
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
        match flag.effect {
            Effect::Switch(Switch::Help) => return Ok(Command::Help),
            Effect::Switch(Switch::Version) => return Ok(Command::Version),
            Effect::Switch(Switch::PrintConfig) => print_config = Some(flag),
            Effect::Value { name, set, .. } => {
                let missing = || {
                    usage(
                        format!("--{} needs a value", flag.long),
                        format!("write --{} {name}", flag.long),
                    )
                };
                let value = parser.value().map_err(|_| missing())?;
                set(&mut overrides, value).map_err(|(wrong, expected)| {
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
    if let Some(flag) = print_config.filter(|flag| !flag.verbs.contains(&verb)) {
        let message = format!("--{} does not go with `upstreamd check`", flag.long);
        return Err(usage(
            message,
            "it checks by itself: leave out `check`".to_owned(),
        ));
    }
    if let Some(file) = file
        && let Some(other) = overrides.file.replace(file)
    {
        let message = format!("two files to check: {} and another one", other.display());
        return Err(usage(
            message,
            "name it once: `upstreamd check FILE`".to_owned(),
        ));
    }
    Ok(match (verb, print_config) {
        (_, Some(_)) => Command::PrintConfig(overrides),
        (Verb::Run, None) => Command::Run(overrides),
        (Verb::Check, None) => Command::Check(overrides),
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
    file: &mut Option<std::path::PathBuf>,
) -> Result<(), UsageError> {
    match verb {
        None if word == "check" => *verb = Some(Verb::Check),
        Some(Verb::Check) if file.is_none() => *file = Some(word.into()),
        Some(_) => {
            let message = format!("{} is one word too many", shown(&word));
            return Err(usage(
                message,
                "`upstreamd check` takes one file".to_owned(),
            ));
        }
        None => {
            let text = word.to_string_lossy();
            let help = match nearest(&text, ["check"]) {
                Some(known) => format!("did you mean `upstreamd {known}`?"),
                None if text == "run" => "`upstreamd` alone runs it".to_owned(),
                None => "a configuration file goes behind --config".to_owned(),
            };
            return Err(usage(
                format!("there is no subcommand {}", shown(&word)),
                help,
            ));
        }
    }
    Ok(())
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
