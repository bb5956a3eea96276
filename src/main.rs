//! `upstreamd`: exit codes and nothing else.

use std::io::{self, Write};
use std::panic;
use std::process;

use upstreamd::cli::{self, Command, ExitCode};
use upstreamd::config::{self, Environment};
use upstreamd::{ask, daemon, keys, litellm, screen};

fn main() -> process::ExitCode {
    // On this thread a panic ends the program; elsewhere it ends one connection.
    let exit = panic::catch_unwind(|| match cli::parse(std::env::args_os().skip(1)) {
        Ok(command) => run(command),
        Err(error) => complain(ExitCode::Usage, &error),
    });
    let bug = |_| complain(ExitCode::Bug, &"a bug ended it; please report it");
    exit.unwrap_or_else(bug).into()
}

fn run(command: Command) -> ExitCode {
    let environment = Environment::of_this_process();
    match command {
        Command::Help => say(&cli::help()),
        Command::Version => say(&cli::version()),
        Command::PrintConfig(overrides) => match config::print(&overrides, &environment) {
            Ok(toml) => say(&toml),
            Err(errors) => complain(ExitCode::Configuration, &errors),
        },
        Command::Check(overrides) => match daemon::check(&overrides, &environment) {
            Ok(verdict) => say(&verdict),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::Reload(admin) => match ask::reload(admin) {
            Ok(said) => say(&said),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::Health(overrides, at) => match ask::health(&overrides, &environment, at) {
            Ok(verdict) => say(&verdict),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::Status(admin) => match screen::status(admin) {
            Ok(page) => say(&page),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::Top(command) => match screen::top(&command) {
            Ok(()) => ExitCode::Ok,
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::Key(command) => match keys::run(command, &environment) {
            Ok(said) => say(&said),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::LitellmConfig(command) => match litellm::config(command, &environment) {
            Ok(yaml) => say(&yaml),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::ImportEnv => match litellm::import(&environment) {
            Ok(toml) => say(&toml),
            Err(failed) => complain(failed.exit, &failed.message),
        },
        Command::Run(overrides) => match daemon::run(overrides, environment) {
            Ok(exit) => exit,
            Err(failed) => complain(failed.exit, &failed.message),
        },
    }
}

/// A reader that has gone (`upstreamd --help | head`) is no error of ours.
fn say(text: &str) -> ExitCode {
    if text.is_empty() {
        return ExitCode::Ok;
    }
    let _ = writeln!(io::stdout(), "{}", text.trim_end());
    ExitCode::Ok
}

fn complain(exit: ExitCode, error: &dyn std::fmt::Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "upstreamd: {}", error.to_string().trim_end());
    exit
}
