//! The ways in which the program ends.

/// What the program's exit status says; the numbers are those of sysexits(3),
/// and units tell them apart (`RestartPreventExitStatus=78`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// All is well: drained, or the configuration is right.
    Ok = 0,
    /// The command line is wrong.
    Usage = 64,
    /// Something that is needed is not available, such as an address in use or
    /// the daemon that is asked.
    /// Another try may succeed.
    Unavailable = 69,
    /// A bug in upstreamd.
    Bug = 70,
    /// The configuration is wrong. Another try fails too.
    Configuration = 78,
}

/// Why what was asked for was not done.
#[derive(Debug)]
pub struct Failed {
    /// What to exit with.
    pub exit: ExitCode,
    /// What to tell the operator.
    pub message: String,
}

impl Failed {
    /// With what is to be said.
    pub fn new(exit: ExitCode, message: impl ToString) -> Failed {
        Failed {
            exit,
            message: message.to_string(),
        }
    }
}

impl ExitCode {
    /// Every one with what `--help` and the manual say about it.
    pub const ALL: [(ExitCode, &'static str); 5] = [
        (ExitCode::Ok, "all is well"),
        (ExitCode::Usage, "the command line is wrong"),
        (
            ExitCode::Unavailable,
            "something needed is not available: an address in use, a daemon to ask",
        ),
        (ExitCode::Bug, "a bug in upstreamd; please report it"),
        (ExitCode::Configuration, "the configuration is wrong"),
    ];

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        code.number().into()
    }
}
