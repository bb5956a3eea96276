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

/// Rights that nobody may have on a file in `keys`: any of the group or of others.
const TOO_OPEN_FOR_KEYS: u32 = 0o077;

/// Rights that nobody may have on a file in `clients`, where the group may
/// read: whoever is to present the key can be a member.
const TOO_OPEN_FOR_CLIENTS: u32 = 0o037;

/// The places in which a secret can be.
#[derive(Debug)]
pub(super) struct Credentials<'e> {
    /// `$CREDENTIALS_DIRECTORY`
    systemd: Option<PathBuf>,
    /// `keys` beside the configuration file.
    keys: Option<PathBuf>,
    /// `keys.encrypted` beside the configuration file.
    sealed: Option<PathBuf>,
    /// `clients` beside the configuration file.
    clients: Option<PathBuf>,
    environment: &'e Environment,
}

/// Who presents a secret, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearer {
    /// upstreamd, to an upstream.
    Upstream,
    /// A client, to upstreamd.
    Client,
}

/// Why there is no secret. Names files and variables, never a content.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is in none of these places.
    NotFound(Vec<String>),
    /// It is in none of these places, but in this file as systemd's, which is
    /// not the one who asks.
    Sealed(PathBuf),
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
            sealed: directory.map(|directory| directory.join("keys.encrypted")),
            clients: directory.map(|directory| directory.join("clients")),
            environment,
        }
    }

    /// The secret called `name`, for `bearer`.
    ///
    /// # Errors
    /// It isn't there, or it can't be used.
    pub(super) fn find(&self, name: &Name, bearer: Bearer) -> Result<Secret, Missing> {
        let mut looked_at = Vec::new();
        let systemd = self.systemd.iter().flat_map(|directory| {
            ["", "key_", "enc_"].map(|prefix| directory.join(format!("{prefix}{name}")))
        });
        // systemd guards its directory itself, with an ACL that looks like rights of a group.
        let guarded = systemd.map(|path| (path, 0));
        let keys = self.keys.iter().map(|keys| (keys, TOO_OPEN_FOR_KEYS));
        let clients = self.clients.iter().map(|keys| (keys, TOO_OPEN_FOR_CLIENTS));
        let clients = clients.filter(|_| bearer == Bearer::Client);
        let own = keys.chain(clients);
        let own = own.map(|(directory, too_open)| (directory.join(name.as_str()), too_open));
        for (path, too_open) in guarded.chain(own) {
            let closed = match read(&path, too_open)? {
                Looked::Found(content) => {
                    return Secret::new(&content).map_err(|reason| {
                        Missing::Unusable(
                            format!("{} can't be a key: {reason}", path.display()),
                            "write the key and nothing else into that file".to_owned(),
                        )
                    });
                }
                Looked::Absent => "",
                Looked::Closed => " (this user may not look there)",
            };
            looked_at.push(format!("{}{closed}", path.display()));
        }
        let variable = variable_of(name.as_str());
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
        Err(match self.sealed(name) {
            Some(path) => Missing::Sealed(path),
            None => Missing::NotFound(looked_at),
        })
    }

    /// The encrypted file of this name, if systemd would have handed it over.
    fn sealed(&self, name: &Name) -> Option<PathBuf> {
        let path = self.sealed.as_ref()?.join(name.as_str());
        (self.systemd.is_none() && path.is_file()).then_some(path)
    }
}

/// `UPSTREAMD_KEY_NAME`
pub(super) fn variable_of(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    format!("UPSTREAMD_KEY_{name}")
}

/// What came of looking into a file.
enum Looked {
    Found(Vec<u8>),
    Absent,
    /// Its directory is closed to this user, so that nobody knows: systemd's
    /// own copy is the one that counts where only root may look.
    Closed,
}

/// Looks into a file, on which nobody may have one of the rights `too_open`.
fn read(path: &Path, too_open: u32) -> Result<Looked, Missing> {
    let unusable = |message: &str, help: &str| {
        Missing::Unusable(format!("{} {message}", path.display()), help.to_owned())
    };
    // Asked before it is opened: to open a FIFO waits for its writer.
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Looked::Closed),
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
        Ok(mode) if mode & too_open != 0 => {
            let message = format!("is open to other users (mode {mode:04o})");
            let most = 0o600 | (0o040 & !too_open);
            let help = format!("chmod {most:o} {}", path.display());
            return Err(unusable(&message, &help));
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
        Ok(_) => Ok(Looked::Found(content)),
        Err(error) => absent(path, &error),
    }
}

fn absent(path: &Path, error: &std::io::Error) -> Result<Looked, Missing> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(Looked::Absent),
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
        assert_eq!(variable_of(name.as_str()), "UPSTREAMD_KEY_CLIENT_LITELLM_2");
    }
}
