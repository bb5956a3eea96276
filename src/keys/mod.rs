//! `upstreamd key`: the keys that lie in files beside the configuration.
//!
//! Beside the system's configuration they are credentials: systemd reads them
//! as root and hands them to the daemon, which [`config`] finds
//! there. Nothing here is on a request's way.

mod encrypt;
mod list;
mod read;
mod restart;
mod store;

use std::fmt::Write;

use crate::cli::{ExitCode, Failed, KeyCommand, KeyVerb};
use crate::config::{self, Environment, Name, Overrides, Secret};

use self::store::{Form, Store};

/// Does what was asked, and says what was done.
///
/// # Errors
/// It was not done; all is as before.
pub fn run(command: KeyCommand, environment: &Environment) -> Result<String, Failed> {
    let KeyCommand {
        verb,
        overrides,
        restart,
    } = command;
    let store = Store::beside(&config::file_of(&overrides, environment));
    let mut said = match &verb {
        KeyVerb::List => return list::list(&store, &overrides, environment),
        KeyVerb::Set { name, plain } => set(name, *plain, &store, &overrides, environment)?,
        KeyVerb::Remove { name } => remove(name, &store, &overrides, environment)?,
    };
    said.push_str(&restart::after_change(&store, restart));
    Ok(said)
}

fn set(
    name: &Name,
    plain: bool,
    store: &Store,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<String, Failed> {
    store.writable()?;
    let content = read::key(name)?;
    let secret = Secret::new(&content).map_err(|reason| {
        failed(format!(
            "what came can't be a key: {reason}\nNothing was stored."
        ))
    })?;
    let mut said = String::new();
    let (form, content) = match encrypt::encrypt(name, &secret, store, plain) {
        encrypt::Outcome::Encrypted(content) => (Form::Encrypted, content),
        encrypt::Outcome::Plain { why } => {
            if let Some(why) = why {
                said = format!("It is stored as it is, for it can't be encrypted here: {why}\n");
            }
            (Form::Plain, secret.content().to_vec())
        }
    };
    let path = store.write(name, form, &content)?;
    // A String takes everything.
    let _ = writeln!(said, "{} is the key \"{name}\" now.", path.display());
    match config::key_uses(overrides, environment) {
        Ok(uses) if uses.iter().any(|other| other.name == *name) => {}
        Ok(_) => {
            let _ = writeln!(
                said,
                "Nothing names it yet: keys = [\"{name}\"] in an [upstream.NAME], or key = \"{name}\" in a [client.NAME]."
            );
        }
        Err(_) => said.push_str("The configuration has mistakes: `upstreamd check` shows them.\n"),
    }
    Ok(said)
}

fn remove(
    name: &Name,
    store: &Store,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<String, Failed> {
    let removed = store.remove(name)?;
    if removed.is_empty() {
        let known = store.names().unwrap_or_default();
        let known: Vec<_> = known.keys().map(Name::as_str).collect();
        let help = match config::nearest(name.as_str(), known.iter().copied()) {
            Some(nearest) => format!("; did you mean \"{nearest}\"?"),
            None => "; `upstreamd key list` shows which there are".to_owned(),
        };
        return Err(failed(format!(
            "there is no key \"{name}\" in {}{help}",
            store.directory().display()
        )));
    }
    let mut said = String::new();
    for path in &removed {
        let _ = writeln!(said, "{} is removed.", path.display());
    }
    let uses = config::key_uses(overrides, environment).unwrap_or_default();
    for other in uses.iter().filter(|other| other.name == *name) {
        let _ = writeln!(
            said,
            "{} still names it, and has no key without it.",
            other.by
        );
    }
    Ok(said)
}

fn failed(message: String) -> Failed {
    Failed {
        exit: ExitCode::Unavailable,
        message,
    }
}
