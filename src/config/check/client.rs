//! `[client.NAME]`

use std::collections::BTreeMap;

use crate::config::checked::Client;
use crate::config::credentials::Credentials;
use crate::config::problem::{Problem, Problems};
use crate::config::written;

use super::{key, report_missing};

/// Every client, by name.
pub(super) fn check(
    written: &BTreeMap<String, written::Client>,
    credentials: &Credentials<'_>,
    problems: &mut Problems,
) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for (name, client) in written {
        let path = format!("client.{name}.key");
        let Some(source) = &client.key else {
            let help = format!(
                "write key = \"NAME\", the name of a credential that holds the key; for example \"client.{name}\""
            );
            report_missing(
                &path,
                &client.place,
                "this client has no key",
                &help,
                problems,
            );
            continue;
        };
        let Some(secret) = key::load(source, &path, credentials, problems) else {
            continue;
        };
        match secret.sha256() {
            Ok(key_sha256) => {
                // Who came in would be anybody's guess.
                if let Some(other) = clients.iter().find(|other| other.key_sha256 == key_sha256) {
                    let message = format!("the same key as that of client.{}", other.name);
                    let problem = Problem::new(path, &source.place, message);
                    problems.add(problem.help("give each client a key of its own"));
                }
                clients.push(Client {
                    name: name.clone(),
                    key_sha256,
                });
            }
            Err(reason) => {
                let message = format!(
                    "the key named \"{}\" can't be used: {reason}",
                    source.value.name()
                );
                problems.add(Problem::new(path, &source.place, message));
            }
        }
    }
    clients
}
