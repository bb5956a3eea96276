//! The table of subcommands.

/// What upstreamd is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Serve: no subcommand.
    Run,
    /// `check`
    Check,
    /// `reload`
    Reload,
    /// `health`
    Health,
    /// `status`
    Status,
    /// `top`
    Top,
    /// `key set`
    KeySet,
    /// `key list`
    KeyList,
    /// `key remove`
    KeyRemove,
    /// `litellm-config`
    LitellmConfig,
    /// `import-env`
    ImportEnv,
}

/// The one word that may follow a subcommand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// How help calls it.
    pub name: &'static str,
    /// Whether it has to be there.
    pub is_required: bool,
}

impl Verb {
    /// Every one, in the order of the help.
    pub const ALL: [Verb; 11] = [
        Verb::Run,
        Verb::Check,
        Verb::Reload,
        Verb::Health,
        Verb::Status,
        Verb::Top,
        Verb::KeySet,
        Verb::KeyList,
        Verb::KeyRemove,
        Verb::LitellmConfig,
        Verb::ImportEnv,
    ];

    /// The words that it is written with; none for [`Verb::Run`].
    #[must_use]
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Verb::Run => &[],
            Verb::Check => &["check"],
            Verb::Reload => &["reload"],
            Verb::Health => &["health"],
            Verb::Status => &["status"],
            Verb::Top => &["top"],
            Verb::KeySet => &["key", "set"],
            Verb::KeyList => &["key", "list"],
            Verb::KeyRemove => &["key", "remove"],
            Verb::LitellmConfig => &["litellm-config"],
            Verb::ImportEnv => &["import-env"],
        }
    }

    /// The word that may follow.
    #[must_use]
    pub fn argument(self) -> Option<Argument> {
        let (name, is_required) = match self {
            Verb::Run
            | Verb::Reload
            | Verb::Health
            | Verb::Status
            | Verb::Top
            | Verb::KeyList
            | Verb::LitellmConfig
            | Verb::ImportEnv => return None,
            Verb::Check => ("FILE", false),
            Verb::KeySet | Verb::KeyRemove => ("NAME", true),
        };
        Some(Argument { name, is_required })
    }

    /// What it does, in one line of help.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Verb::Run => "serve until SIGTERM; reload on SIGHUP",
            Verb::Check => "check the configuration, and exit",
            Verb::Reload => "have the running daemon reload",
            Verb::Health => "ask whether the daemon serves",
            Verb::Status => "print how the daemon is",
            Verb::Top => "watch requests, upstreams and keys live",
            Verb::KeySet => "store a key, read from standard input",
            Verb::KeyList => "list the keys that are stored or named",
            Verb::KeyRemove => "remove a stored key",
            Verb::LitellmConfig => "print a config.yaml for LiteLLM in front",
            Verb::ImportEnv => "print the environment as a configuration",
        }
    }

    /// `key set`: as in a sentence; `upstreamd` alone has no words.
    pub(super) fn shown(self) -> String {
        self.words().join(" ")
    }
}
