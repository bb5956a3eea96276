//! Encrypting a key with systemd-creds(1), which alone knows the machine's keys.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::config::{Name, Secret};

use super::store::Store;

/// In what form a key can be stored.
pub(super) enum Outcome {
    /// The text to store, which only this machine can read.
    Encrypted(Vec<u8>),
    /// As it is: that was asked for, nobody would decrypt it, or it can't be done.
    Plain {
        /// Why it can't be encrypted, where it should.
        why: Option<String>,
    },
}

/// Encrypts it where systemd is the one who reads it.
pub(super) fn encrypt(name: &Name, secret: &Secret, store: &Store, plain: bool) -> Outcome {
    if plain || !store.is_systems() {
        return Outcome::Plain { why: None };
    }
    match systemd_creds(name, secret) {
        Ok(content) => Outcome::Encrypted(content),
        Err(why) => Outcome::Plain { why: Some(why) },
    }
}

fn systemd_creds(name: &Name, secret: &Secret) -> Result<Vec<u8>, String> {
    let mut command = Command::new("systemd-creds");
    // The service knows it under this name. No PCRs: a firmware update must not
    // be the end of a service; the TPM itself, where there is one, is enough.
    command
        .args([
            "encrypt",
            "--tpm2-pcrs=",
            &format!("--name=enc_{name}"),
            "-",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = command.spawn().and_then(|mut running| {
        let mut stdin = running.stdin.take().expect("it is piped");
        // If it does not read, it says why.
        let _ = stdin.write_all(secret.content());
        drop(stdin);
        running.wait_with_output()
    });
    match output {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => Ok(output.stdout),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or("it says nothing");
            Err(format!("systemd-creds: {last}"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("there is no systemd-creds".to_owned())
        }
        Err(error) => Err(format!("systemd-creds: {error}")),
    }
}
