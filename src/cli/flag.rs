//! The table of flags.

use std::ffi::OsString;

use crate::config::{FORMAT_WORDS, LEVEL_WORDS, Overrides, Text, Wrong};

/// A flag: all that parsing, help, the manual and shells know about it.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Its name without dashes.
    pub long: &'static str,
    /// Its letter, if it has one.
    pub short: Option<char>,
    /// What it does, in one line of help or two.
    pub help: &'static str,
    /// The subcommands that it goes with.
    pub verbs: &'static [Verb],
    pub(super) effect: Effect,
}

/// What upstreamd is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Serve: no subcommand.
    Run,
    /// `check`
    Check,
}

/// What a flag does to what is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// It asks for something else.
    Switch(Switch),
    /// It takes a value for the configuration.
    Value {
        /// How help calls the value.
        name: &'static str,
        /// Whether it may be given several times, each adding to the others.
        repeatable: bool,
        /// The words that it can be; none where it is free.
        choices: &'static [&'static str],
        /// Puts the value in.
        set: fn(&mut Overrides, OsString) -> Result<(), Refusal>,
    },
}

/// What was found, and what was expected.
pub(super) type Refusal = (Wrong, &'static str);

/// A flag without a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Switch {
    Help,
    Version,
    PrintConfig,
}

/// Every flag, in the order of the help.
#[must_use]
pub fn flags() -> &'static [Flag] {
    &FLAGS
}

const BOTH: &[Verb] = &[Verb::Run, Verb::Check];

static FLAGS: [Flag; 8] = [
    Flag {
        long: "config",
        short: Some('c'),
        help: "the configuration file",
        verbs: BOTH,
        effect: Effect::Value {
            name: "FILE",
            repeatable: false,
            choices: &[],
            set: |overrides, value| {
                overrides.file = Some(value.into());
                Ok(())
            },
        },
    },
    Flag {
        long: "listen",
        short: Some('l'),
        help: "listen here: 127.0.0.1:4000, [::1]:4000, unix:/path;\nmay be given several times",
        verbs: BOTH,
        effect: Effect::Value {
            name: "ADDRESS",
            repeatable: true,
            choices: &[],
            set: |overrides, value| read(value).map(|value| overrides.listen.push(value)),
        },
    },
    Flag {
        long: "base-url",
        short: None,
        help: "where requests go: https://host/v1",
        verbs: BOTH,
        effect: Effect::Value {
            name: "URL",
            repeatable: false,
            choices: &[],
            set: |overrides, value| read(value).map(|value| overrides.base_url = Some(value)),
        },
    },
    Flag {
        long: "log-format",
        short: None,
        help: "auto, journal, json or text",
        verbs: BOTH,
        effect: Effect::Value {
            name: "FORMAT",
            repeatable: false,
            choices: &FORMAT_WORDS,
            set: |overrides, value| read(value).map(|value| overrides.log_format = Some(value)),
        },
    },
    Flag {
        long: "log-level",
        short: None,
        help: "error, warning, info or debug",
        verbs: BOTH,
        effect: Effect::Value {
            name: "LEVEL",
            repeatable: false,
            choices: &LEVEL_WORDS,
            set: |overrides, value| read(value).map(|value| overrides.log_level = Some(value)),
        },
    },
    Flag {
        long: "print-config",
        short: None,
        help: "print the checked configuration as TOML, secrets\nmasked, and exit",
        verbs: &[Verb::Run],
        effect: Effect::Switch(Switch::PrintConfig),
    },
    Flag {
        long: "version",
        short: Some('V'),
        help: "print the version and exit",
        verbs: BOTH,
        effect: Effect::Switch(Switch::Version),
    },
    Flag {
        long: "help",
        short: Some('h'),
        help: "print this help and exit",
        verbs: BOTH,
        effect: Effect::Switch(Switch::Help),
    },
];

impl Flag {
    /// How help calls its value; None if it takes none.
    #[must_use]
    pub fn value_name(&self) -> Option<&'static str> {
        match self.effect {
            Effect::Value { name, .. } => Some(name),
            Effect::Switch(_) => None,
        }
    }

    /// The words that its value can be; none where that is free.
    #[must_use]
    pub fn choices(&self) -> &'static [&'static str] {
        match self.effect {
            Effect::Value { choices, .. } => choices,
            Effect::Switch(_) => &[],
        }
    }

    /// Whether it may be given several times, each adding to the others.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        matches!(
            self.effect,
            Effect::Value {
                repeatable: true,
                ..
            }
        )
    }
}

/// The flag of this name.
pub(super) fn long(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.long == name)
}

/// The flag of this letter.
pub(super) fn short(letter: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.short == Some(letter))
}

fn read<T: Text>(value: OsString) -> Result<T, Refusal> {
    let read = match value.to_str() {
        Some(text) => T::from_text(text),
        None => Err(Wrong::described("bytes that are not UTF-8")),
    };
    read.map_err(|wrong| (wrong, T::EXPECTED))
}
