//! Subcommands and flags: from the words of a command line to what is asked for.
//!
//! Two tables say what there is, [`Verb`] the subcommands and [`flags`] the
//! flags; parsing and [`help`] are both made from them. Prints nothing and exits
//! nowhere: `main` does.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg;

use crate::config::checked::ListenAddress;
use crate::config::{Name, Overrides, Text, Wrong, nearest};

mod exit_code;
mod flag;
mod given;
mod help;
mod verb;

pub use exit_code::{ExitCode, Failed};
pub use flag::{Flag, flags};
pub use help::{help, version};
pub use verb::{Argument, Verb};

use flag::Effect;
use given::Given;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `upstreamd`: serve.
    Run(Overrides),
    /// `upstreamd check [FILE]`: check the configuration and exit.
    Check(Overrides),
    /// `--print-config`: print the checked configuration and exit.
    PrintConfig(Overrides),
    /// `upstreamd reload`: have the daemon reload, by the admin socket at this
    /// path, or where the unit has it.
    Reload(Option<PathBuf>),
    /// `upstreamd health`: ask at this address, or at the first one that is
    /// configured, whether the daemon serves.
    Health(Overrides, Option<ListenAddress>),
    /// `upstreamd status`: print how the daemon is, by the admin socket at this
    /// path, or where the unit has it.
    Status(Option<PathBuf>),
    /// `upstreamd top`: show it live.
    Top(TopCommand),
    /// `upstreamd key ...`: the keys beside the configuration.
    Key(KeyCommand),
    /// `upstreamd litellm-config`: print a configuration for LiteLLM.
    LitellmConfig(LitellmCommand),
    /// `upstreamd import-env`: print the environment as a configuration.
    ImportEnv,
    /// `--version`: print [`version`] and exit.
    Version,
    /// `--help`: print [`help`] and exit.
    Help,
}

/// `upstreamd key ...`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCommand {
    /// What to do.
    pub verb: KeyVerb,
    /// Which configuration the keys are beside of.
    pub overrides: Overrides,
    /// Whether the service may be restarted, so that it takes up the change.
    pub restart: bool,
}

/// What to do with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyVerb {
    /// `set NAME`: store a key.
    Set {
        /// The key's name.
        name: Name,
        /// Not encrypted, even where it could be.
        plain: bool,
    },
    /// `list`: which there are.
    List,
    /// `remove NAME`: remove a stored key.
    Remove {
        /// The key's name.
        name: Name,
    },
}

/// `upstreamd top`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopCommand {
    /// The daemon's admin socket, if not where the unit has it.
    pub admin: Option<PathBuf>,
    /// From one look to the next; 100 ms to 1 h.
    pub interval: Duration,
    /// Whether one look is all.
    pub once: bool,
}

impl TopCommand {
    /// How often it looks unless told otherwise: a person can follow, and the
    /// daemon does not notice.
    pub const INTERVAL: Duration = Duration::from_secs(2);
}

/// `upstreamd litellm-config`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LitellmCommand {
    /// Which configuration's upstreams and models.
    pub overrides: Overrides,
    /// Where the daemon listens, if not where the configuration says first.
    pub at: Option<ListenAddress>,
    /// Whether LiteLLM goes straight to the upstream.
    pub direct: bool,
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
    let mut given = Given::default();
    let mut flags: Vec<&Flag> = Vec::new();
    let mut words: Vec<OsString> = Vec::new();
    while let Some(word) = parser
        .next()
        .map_err(|error| unexpected(&error.to_string()))?
    {
        let flag = match word {
            Arg::Long(name) => flag::long(name).ok_or_else(|| unknown_flag(name))?,
            Arg::Short(letter) => flag::short(letter)
                .ok_or_else(|| usage(format!("there is no flag -{letter}"), String::new()))?,
            Arg::Value(word) => {
                words.push(word);
                continue;
            }
        };
        match flag.effect {
            Effect::Help => return Ok(Command::Help),
            Effect::Version => return Ok(Command::Version),
            Effect::Switch(set) => set(&mut given),
            Effect::Value { name, set, .. } => {
                let missing = || {
                    usage(
                        format!("--{} needs a value", flag.long),
                        format!("write --{} {name}", flag.long),
                    )
                };
                let value = parser.value().map_err(|_| missing())?;
                set(&mut given, value).map_err(|(wrong, expected)| {
                    let message = format!(
                        "--{}: found {}, expected {expected}",
                        flag.long, wrong.found
                    );
                    usage(message, wrong.help.unwrap_or_default())
                })?;
            }
        }
        flags.push(flag);
    }
    let (verb, argument) = verb_and_argument(words)?;
    if let Some(flag) = flags.iter().find(|flag| !flag.verbs.contains(&verb)) {
        return Err(out_of_place(flag, verb));
    }
    command(verb, argument, given)
}

/// The subcommand that `words` begin with, and the one word that may be left.
fn verb_and_argument(words: Vec<OsString>) -> Result<(Verb, Option<OsString>), UsageError> {
    let begins = |verb: &&Verb| {
        let known = verb.words();
        known.len() <= words.len() && known.iter().zip(&words).all(|(known, word)| word == known)
    };
    let verb = Verb::ALL
        .iter()
        .filter(begins)
        .max_by_key(|verb| verb.words().len());
    let verb = *verb.expect("no words begin all words");
    let mut rest = words.into_iter().skip(verb.words().len());
    let Some(first) = rest.next() else {
        return match verb.argument() {
            Some(Argument {
                name,
                is_required: true,
            }) => {
                let message = format!("`upstreamd {}` needs a {name}", verb.shown());
                let help = format!("write `upstreamd {} {name}`", verb.shown());
                Err(usage(message, help))
            }
            _ => Ok((verb, None)),
        };
    };
    let second = rest.next();
    if verb == Verb::Run {
        return Err(no_subcommand(&first, second.as_deref()));
    }
    let help = match verb.argument() {
        Some(Argument { name, .. }) => format!("`upstreamd {}` takes one {name}", verb.shown()),
        None => format!("`upstreamd {}` takes none", verb.shown()),
    };
    match (verb.argument(), second) {
        (Some(_), None) => Ok((verb, Some(first))),
        (Some(_), Some(word)) => Err(too_many(&word, help)),
        (None, _) => Err(too_many(&first, help)),
    }
}

fn command(verb: Verb, argument: Option<OsString>, given: Given) -> Result<Command, UsageError> {
    let Given {
        mut overrides,
        print_config,
        admin,
        at,
        interval,
        once,
        plain,
        no_restart,
        direct,
    } = given;
    let key = |verb, overrides| {
        Command::Key(KeyCommand {
            verb,
            overrides,
            restart: !no_restart,
        })
    };
    let name = |argument: Option<OsString>| {
        let text = argument
            .unwrap_or_default()
            .into_string()
            .unwrap_or_default();
        Name::from_text(&text).map_err(|wrong| {
            let message = format!("found {}, expected {}", wrong.found, Name::EXPECTED);
            usage(
                message,
                "the key itself is read from standard input".to_owned(),
            )
        })
    };
    Ok(match verb {
        Verb::Run if print_config => Command::PrintConfig(overrides),
        Verb::Run => Command::Run(overrides),
        Verb::Check => {
            if let Some(file) = argument
                && let Some(other) = overrides.file.replace(file.into())
            {
                let message = format!("two files to check: {} and another one", other.display());
                let help = "name it once: `upstreamd check FILE`".to_owned();
                return Err(usage(message, help));
            }
            Command::Check(overrides)
        }
        Verb::Reload => Command::Reload(admin),
        Verb::Health => Command::Health(overrides, at),
        Verb::Status => Command::Status(admin),
        Verb::Top => Command::Top(TopCommand {
            admin,
            interval: interval.unwrap_or(TopCommand::INTERVAL),
            once,
        }),
        Verb::KeySet => key(
            KeyVerb::Set {
                name: name(argument)?,
                plain,
            },
            overrides,
        ),
        Verb::KeyList => key(KeyVerb::List, overrides),
        Verb::LitellmConfig => Command::LitellmConfig(LitellmCommand {
            overrides,
            at,
            direct,
        }),
        Verb::ImportEnv => Command::ImportEnv,
        Verb::KeyRemove => key(
            KeyVerb::Remove {
                name: name(argument)?,
            },
            overrides,
        ),
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

/// What to say of a first word that begins no subcommand.
fn no_subcommand(first: &OsStr, second: Option<&OsStr>) -> UsageError {
    let first_text = first.to_string_lossy();
    let known: Vec<String> = Verb::ALL.iter().map(|verb| verb.shown()).collect();
    let known = || {
        known
            .iter()
            .map(String::as_str)
            .filter(|known| !known.is_empty())
    };
    let both = second.map(|second| format!("{first_text} {}", second.to_string_lossy()));
    let meant = both.and_then(|both| nearest(&both, known()));
    let forms: Vec<_> = known()
        .filter(|known| known.split(' ').next() == Some(&first_text))
        .map(|known| format!("`upstreamd {known}`"))
        .collect();
    let help = if let Some(known) = meant.or_else(|| nearest(&first_text, known())) {
        format!("did you mean `upstreamd {known}`?")
    } else if !forms.is_empty() {
        format!("there are {}", forms.join(", "))
    } else if first_text == "run" {
        "`upstreamd` alone runs it".to_owned()
    } else {
        "a configuration file goes behind --config".to_owned()
    };
    usage(format!("there is no subcommand {}", shown(first)), help)
}

fn too_many(word: &OsStr, help: String) -> UsageError {
    usage(format!("{} is one word too many", shown(word)), help)
}

fn out_of_place(flag: &Flag, verb: Verb) -> UsageError {
    let message = match verb {
        Verb::Run => format!("--{} needs a subcommand", flag.long),
        _ => format!(
            "--{} does not go with `upstreamd {}`",
            flag.long,
            verb.shown()
        ),
    };
    let with: Vec<_> = flag
        .verbs
        .iter()
        .map(|verb| match verb {
            Verb::Run => "`upstreamd` alone".to_owned(),
            _ => format!("`upstreamd {}`", verb.shown()),
        })
        .collect();
    usage(message, format!("it goes with {}", with.join(", ")))
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
