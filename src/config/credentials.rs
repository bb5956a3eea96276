//! Secrets by name: where they are looked for, and what they have to be.
//!
//! systemd's directory first, `key_NAME` and `enc_NAME` because
//! `LoadCredential=key:DIRECTORY` and `LoadCredentialEncrypted=enc:DIRECTORY`
//! name the files so; see systemd.exec(5), CREDENTIALS.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::name::Name;
use super::secret::{self, Secret};

/// Any right of the group or of others.
const RIGHTS_OF_OTHERS: u32 = 0o077;

/// The places in which a secret can be.
#[derive(Debug)]
pub(super) struct Credentials<'e> {
    /// `$CREDENTIALS_DIRECTORY`
    systemd: Option<PathBuf>,
    /// `keys` beside the configuration file.
    keys: Option<PathBuf>,
    environment: &'e Environment,
}

/// Why there is no secret. Names files and variables, never a content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is in none of these places.
    NotFound(Vec<String>),
    /// It is there and can't be used: why, and what to do.
    Unusable(String, String),
}

impl<'e> Credentials<'e> {
    /// Those of a process with this environment, and of a configuration file
    /// in `directory`.
    pub(super) fn new(environment: &'e Environment, directory: Option<&Path>) -> Credentials<'e> {
        Credentials {
            systemd: environment.path("CREDENTIALS_DIRECTORY"),
            keys: directory.map(|directory| directory.join("keys")),
            environment,
        }
    }

    /// The secret called `name`.
    ///
    /// # Errors
    /// It isn't there, or it can't be used.
    pub(super) fn find(&self, name: &Name) -> Result<Secret, Missing> {
        let mut looked_at = Vec::new();
        let systemd = self.systemd.iter().flat_map(|directory| {
            ["", "key_", "enc_"].map(|prefix| directory.join(format!("{prefix}{name}")))
        });
        // systemd guards its directory itself, with an ACL that looks like rights of a group.
        let guarded = systemd.map(|path| (path, false));
        let own = self
            .keys
            .iter()
            .map(|directory| (directory.join(name.as_str()), true));
        for (path, private) in guarded.chain(own) {
            if let Some(content) = read(&path, private)? {
                return Secret::new(&content).map_err(|reason| {
                    Missing::Unusable(
                        format!("{} can't be a key: {reason}", path.display()),
                        "write the key and nothing else into that file".to_owned(),
                    )
                });
            }
            looked_at.push(path.display().to_string());
        }
        let variable = variable_of(name);
        match self.environment.secret(&variable) {
            Some(Ok(secret)) => return Ok(secret),
            Some(Err(reason)) => {
                let message =
                    format!("the environment variable {variable} can't be a key: {reason}");
                return Err(Missing::Unusable(
                    message,
                    "set it to the key and nothing else".to_owned(),
                ));
            }
            None => looked_at.push(format!("the environment variable {variable}")),
        }
        Err(Missing::NotFound(looked_at))
    }
}

/// `UPSTREAMD_KEY_NAME`
fn variable_of(name: &Name) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.as_str().chars().map(plain).collect();
    format!("UPSTREAMD_KEY_{name}")
}

/// The content of a file, if it exists.
fn read(path: &Path, private: bool) -> Result<Option<Vec<u8>>, Missing> {
    let unusable = |message: &str, help: &str| {
        Missing::Unusable(format!("{} {message}", path.display()), help.to_owned())
    };
    // Asked before it is opened: to open a FIFO waits for its writer.
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return absent(path, &error),
    };
    if !metadata.is_file() {
        return Err(unusable(
            "is not a file",
            "put the key into a file of this name",
        ));
    }
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return absent(path, &error),
    };
    // Asked of the open file, so that nobody swaps it in between.
    let mode = file
        .metadata()
        .map(|metadata| metadata.permissions().mode() & 0o777);
    match mode {
        Ok(mode) if private && mode & RIGHTS_OF_OTHERS != 0 => {
            let message = format!("is open to other users (mode {mode:04o})");
            return Err(unusable(&message, &format!("chmod 600 {}", path.display())));
        }
        Ok(_) => {}
        Err(error) => return absent(path, &error),
    }
    let mut content = Vec::new();
    // One newline, and one byte to notice that it is too long.
    match file
        .take(secret::LONGEST as u64 + 3)
        .read_to_end(&mut content)
    {
        Ok(_) => Ok(Some(content)),
        Err(error) => absent(path, &error),
    }
}

fn absent(path: &Path, error: &std::io::Error) -> Result<Option<Vec<u8>>, Missing> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(None),
        _ => Err(Missing::Unusable(
            format!("can't read {}: {error}", path.display()),
            "the user that upstreamd runs as has to be able to read it".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Text;

    #[test]
    fn the_variable_of_a_name_is_one_that_a_shell_can_set() {
        let name = Name::from_text("client.litellm-2").unwrap();
        assert_eq!(variable_of(&name), "UPSTREAMD_KEY_CLIENT_LITELLM_2");
    }
}
