//! The table of flags.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::Verb;
use super::given::Given;
use crate::config::{FORMAT_WORDS, LEVEL_WORDS, Text, Wrong};

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

/// What a flag does to what is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// `--help`: it asks for the help, whatever else there is.
    Help,
    /// `--version`, likewise.
    Version,
    /// It takes no value.
    Switch(fn(&mut Given)),
    /// It takes a value.
    Value {
        /// How help calls the value.
        name: &'static str,
        /// Whether it may be given several times, each adding to the others.
        repeatable: bool,
        /// The words that it can be; none where it is free.
        choices: &'static [&'static str],
        /// Puts the value in.
        set: fn(&mut Given, OsString) -> Result<(), Refusal>,
    },
}

/// What was found, and what was expected.
pub(super) type Refusal = (Wrong, &'static str);

/// Every flag, in the order of the help.
#[must_use]
pub fn flags() -> &'static [Flag] {
    &FLAGS
}

/// Those that read the configuration.
const BOTH: &[Verb] = &[Verb::Run, Verb::Check];

static FLAGS: [Flag; 15] = [
    Flag {
        long: "config",
        short: Some('c'),
        help: "the configuration file",
        verbs: &[
            Verb::Run,
            Verb::Check,
            Verb::Health,
            Verb::KeySet,
            Verb::KeyList,
            Verb::KeyRemove,
            Verb::LitellmConfig,
        ],
        effect: Effect::Value {
            name: "FILE",
            repeatable: false,
            choices: &[],
            set: |given, value| {
                given.overrides.file = Some(value.into());
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
            set: |given, value| read(value).map(|value| given.overrides.listen.push(value)),
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
            set: |given, value| read(value).map(|value| given.overrides.base_url = Some(value)),
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
            set: |given, value| read(value).map(|value| given.overrides.log_format = Some(value)),
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
            set: |given, value| read(value).map(|value| given.overrides.log_level = Some(value)),
        },
    },
    Flag {
        long: "print-config",
        short: None,
        help: "print the checked configuration as TOML, secrets\nmasked, and exit",
        verbs: &[Verb::Run],
        effect: Effect::Switch(|given| given.print_config = true),
    },
    Flag {
        long: "admin",
        short: None,
        help: "the admin socket of the daemon that is asked, if not\n/run/upstreamd/admin.sock",
        verbs: &[Verb::Reload, Verb::Status, Verb::Top],
        effect: Effect::Value {
            name: "PATH",
            repeatable: false,
            choices: &[],
            set: |given, value| {
                // As the configuration writes it, too.
                let path = value.to_str().and_then(|text| text.strip_prefix("unix:"));
                given.admin = Some(path.map_or_else(|| value.clone().into(), PathBuf::from));
                Ok(())
            },
        },
    },
    Flag {
        long: "at",
        short: None,
        help: "where the daemon listens, if not where the\nconfiguration says first",
        verbs: &[Verb::Health, Verb::LitellmConfig],
        effect: Effect::Value {
            name: "ADDRESS",
            repeatable: false,
            choices: &[],
            set: |given, value| read(value).map(|value| given.at = Some(value)),
        },
    },
    Flag {
        long: "interval",
        short: None,
        help: "how often top looks: 2s unless given; 100ms to 1h",
        verbs: &[Verb::Top],
        effect: Effect::Value {
            name: "TIME",
            repeatable: false,
            choices: &[],
            set: |given, value| {
                let interval = read_interval(value)?;
                given.interval = Some(interval);
                Ok(())
            },
        },
    },
    Flag {
        long: "once",
        short: None,
        help: "print what there is to see after one interval, and\nexit",
        verbs: &[Verb::Top],
        effect: Effect::Switch(|given| given.once = true),
    },
    Flag {
        long: "plain",
        short: None,
        help: "store the key as it is, not encrypted",
        verbs: &[Verb::KeySet],
        effect: Effect::Switch(|given| given.plain = true),
    },
    Flag {
        long: "no-restart",
        short: None,
        help: "leave it to you to restart the service, which\nuses the keys that it was started with",
        verbs: &[Verb::KeySet, Verb::KeyRemove],
        effect: Effect::Switch(|given| given.no_restart = true),
    },
    Flag {
        long: "direct",
        short: None,
        help: "past upstreamd, straight to the upstream",
        verbs: &[Verb::LitellmConfig],
        effect: Effect::Switch(|given| given.direct = true),
    },
    Flag {
        long: "version",
        short: Some('V'),
        help: "print the version and exit",
        verbs: &Verb::ALL,
        effect: Effect::Version,
    },
    Flag {
        long: "help",
        short: Some('h'),
        help: "print this help and exit",
        verbs: &Verb::ALL,
        effect: Effect::Help,
    },
];

impl Flag {
    /// How help calls its value; None if it takes none.
    #[must_use]
    pub fn value_name(&self) -> Option<&'static str> {
        match self.effect {
            Effect::Value { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The words that its value can be; none where that is free.
    #[must_use]
    pub fn choices(&self) -> &'static [&'static str] {
        match self.effect {
            Effect::Value { choices, .. } => choices,
            _ => &[],
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

/// As often as a person can look, at most.
fn read_interval(value: OsString) -> Result<Duration, Refusal> {
    const EXPECTED: &str = "a duration from \"100ms\" to \"1h\"";
    let text = value.to_string_lossy().into_owned();
    let interval: Duration = read(value)?;
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    match range.contains(&interval) {
        true => Ok(interval),
        false => Err((Wrong::text(&text), EXPECTED)),
    }
}

fn read<T: Text>(value: OsString) -> Result<T, Refusal> {
    let read = match value.to_str() {
        Some(text) => T::from_text(text),
        None => Err(Wrong::described("bytes that are not UTF-8")),
    };
    read.map_err(|wrong| (wrong, T::EXPECTED))
}
