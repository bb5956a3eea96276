//! `[listener.NAME]`

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::checked::{Client, Listener, Listeners, RequireKey};
use crate::config::listener::ClientName;
use crate::config::nearest::nearest;
use crate::config::place::At;
use crate::config::problem::{Problem, Problems};
use crate::config::value::Wrong;
use crate::config::written;

/// What holds for each listener. Of the clients, `names` are all that are
/// written; `clients` may lack those with which something is wrong.
pub(super) fn check(
    written: &BTreeMap<String, written::Listener>,
    names: &BTreeMap<String, written::Client>,
    clients: &[Arc<Client>],
    problems: &mut Problems,
) -> Listeners {
    let others = Listener {
        clients: clients.to_vec(),
        // Without a client there is nobody to be known: everybody may come in.
        require_key: match names.is_empty() {
            true => RequireKey::Never,
            false => RequireKey::Always,
        },
    };
    let named = written.iter().map(|(name, written)| {
        let path = format!("listener.{name}");
        let require_key = require_key(&path, written.require_key.as_ref(), &others, problems);
        let clients = match &written.clients {
            Some(wanted) => allowed(&format!("{path}.clients"), wanted, names, clients, problems),
            None => clients.to_vec(),
        };
        let listener = Listener {
            clients,
            require_key,
        };
        (name.clone(), listener)
    });
    Listeners {
        named: named.collect(),
        others,
    }
}

fn require_key(
    path: &str,
    written: Option<&At<RequireKey>>,
    others: &Listener,
    problems: &mut Problems,
) -> RequireKey {
    let Some(At { value, place }) = written else {
        return others.require_key;
    };
    if *value != RequireKey::Never && others.require_key == RequireKey::Never {
        let message = "a key is required, and there is no client that could have one";
        let problem = Problem::new(format!("{path}.require_key"), place, message);
        problems.add(problem.help(
            "write [client.NAME] with key = \"NAME\" below it; or \"never\", if everybody who can connect may come in",
        ));
    }
    *value
}

/// Those of `clients` that `wanted` names.
fn allowed(
    path: &str,
    wanted: &At<Vec<At<ClientName>>>,
    names: &BTreeMap<String, written::Client>,
    clients: &[Arc<Client>],
    problems: &mut Problems,
) -> Vec<Arc<Client>> {
    if wanted.value.is_empty() && !problems.has(path) {
        let problem = Problem::found(path, &wanted.place, "no client", "one at least");
        problems.add(problem.help("leave it out, and all clients may come in here"));
    }
    let mut seen: Vec<&str> = Vec::new();
    for At { value, place } in &wanted.value {
        let name = value.0.as_str();
        if seen.contains(&name) {
            let message = format!("\"{name}\" is there twice");
            problems.add(Problem::new(path, place, message));
        } else if names.contains_key(name) {
            seen.push(name);
        } else {
            let message = format!("there is no client named {}", Wrong::text(name).found);
            let problem = Problem::new(path, place, message);
            problems.add(match nearest(name, names.keys().map(String::as_str)) {
                Some(known) => problem.help(format!("did you mean \"{known}\"?")),
                None => problem.help("write a table for it: [client.NAME]"),
            });
        }
    }
    let mut allowed = clients.to_vec();
    allowed.retain(|client| seen.contains(&client.name.as_str()));
    allowed
}
