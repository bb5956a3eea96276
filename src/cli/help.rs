//! The help, made from the table of flags.

use std::fmt::Write;

use super::{ExitCode, Flag, Verb, flags};

/// Where the help texts of flags begin. All lines end by column 80.
const TEXT_COLUMN: usize = 28;
/// The width of a subcommand with its argument.
const USAGE_COLUMN: usize = 35;

const HEAD: &str = "\
upstreamd: the last hop between OpenAI-API clients and their upstream

Usage:
";

const ENVIRONMENT: &str = "
Environment, which stands above the file and below flags:
  OPENAI_BASE_URL           where requests go
  OPENAI_API_KEY            the key to send there
  OPENAI_API_KEYS           more of them, with commas between
  NODE_USER_AGENT           the User-Agent to send there
  LITELLM_MASTER_KEY        the key that clients must present
  PORT                      listen on this port of 127.0.0.1
  UPSTREAMD_CONFIG          the configuration file
  UPSTREAMD_KEY_NAME        the key called NAME, if it is in no file

Files:
  /etc/upstreamd/upstreamd.toml    the configuration, if no other is named
  $CREDENTIALS_DIRECTORY/NAME      the key called NAME, from systemd
  keys/NAME                        the same beside the configuration, mode 0600;
                                   systemd loads it as root
  keys.encrypted/NAME              the same, encrypted; only systemd reads it

Exit codes:
";

const EXAMPLES: &str = "
Examples:
  OPENAI_BASE_URL=https://api.openai.com/v1 OPENAI_API_KEY=... upstreamd
  upstreamd key set openai < key.txt
  upstreamd check && systemctl reload upstreamd
";

/// What `--help` prints.
#[must_use]
pub fn help() -> String {
    let mut text = HEAD.to_owned();
    // A String takes everything.
    for verb in Verb::ALL {
        let _ = writeln!(text, "  {:<USAGE_COLUMN$}{}", usage(verb), verb.help());
    }
    text.push_str("\nFlags:\n");
    for flag in flags() {
        let name = name(flag);
        let mut lines = flag.help.lines();
        let first = lines.next().unwrap_or_default();
        let _ = writeln!(text, "{name:<TEXT_COLUMN$}{first}");
        for line in lines {
            let _ = writeln!(text, "{:TEXT_COLUMN$}{line}", "");
        }
    }
    text.push_str(ENVIRONMENT);
    for (code, meaning) in ExitCode::ALL {
        let _ = writeln!(text, "  {:<4}{meaning}", code.number());
    }
    text.push_str(EXAMPLES);
    text
}

/// What `--version` prints.
#[must_use]
pub fn version() -> String {
    format!("upstreamd {}\n", env!("CARGO_PKG_VERSION"))
}

/// A subcommand as one writes it: `upstreamd check [FILE] [FLAGS]`.
fn usage(verb: Verb) -> String {
    let mut words = vec!["upstreamd".to_owned()];
    words.extend(verb.words().iter().map(ToString::to_string));
    words.extend(verb.argument().map(|argument| match argument.is_required {
        true => argument.name.to_owned(),
        false => format!("[{}]", argument.name),
    }));
    words.push("[FLAGS]".to_owned());
    words.join(" ")
}

fn name(flag: &Flag) -> String {
    let short = flag
        .short
        .map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let value = flag
        .value_name()
        .map(|value| format!(" {value}"))
        .unwrap_or_default();
    format!("  {short}--{}{value}", flag.long)
}
