//! Who may come in: by a bearer key, compared in constant time, or on a Unix
//! socket by the user that connected.

use std::cell::RefCell;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use http::{HeaderMap, header};

use crate::config::Secret;
use crate::config::checked::{Client, Listener, Peer};
use crate::proxy::{Fault, FaultKind, WEBSOCKET_KEY_PREFIX};

/// Whoever is at the other end of a connection.
pub(super) struct Guest {
    /// The user; known on Unix sockets.
    peer: Option<Peer>,
    /// Connections are used again, mostly with the same key.
    last: RefCell<Option<Known>>,
}

/// The client that was found last. Its key is in the clear, for as long as the
/// connection lasts and the key is good: whoever holds the connection has sent it.
struct Known {
    key: Secret,
    client: Arc<Client>,
}

impl Guest {
    /// Somebody who has sent no key yet; `peer` is there on Unix sockets.
    pub(super) fn new(peer: Option<Peer>) -> Self {
        Guest {
            peer,
            last: RefCell::default(),
        }
    }

    /// The client with this key, if the last one had it and is still a client.
    fn still<'a>(&self, key: &[u8], listener: &'a Listener) -> Option<&'a Arc<Client>> {
        let mut last = self.last.borrow_mut();
        let known = last.as_ref()?;
        verify_slices_are_equal(known.key.content(), key).ok()?;
        // A reload makes each client anew.
        let mut clients = listener.clients.iter();
        let found = clients.find(|client| Arc::ptr_eq(client, &known.client));
        if found.is_none() {
            *last = None;
        }
        found
    }
}

/// The client that `fields` speak for on `listener`, else the one that the
/// `guest`'s user is; `None` where nobody has to be known.
///
/// # Errors
/// A client has to be known there, and this one is not.
pub(super) fn authenticate<'a>(
    fields: &HeaderMap,
    guest: &Guest,
    listener: &'a Listener,
) -> Result<Option<&'a Client>, Fault> {
    let (key, peer) = (presented(fields), guest.peer);
    let by_key = key.and_then(|key| {
        let found = guest.still(key, listener);
        found.map_or_else(|| client_with(key, guest, listener), |client| Some(client))
    });
    let client = by_key.or_else(|| listener.client_of(peer?));
    if client.is_some() || !listener.is_guarded(peer.is_none()) {
        // SDKs send a key whether one is needed or not.
        return Ok(client);
    }
    let mut message = match key {
        None => {
            "No API key. Send the key that the operator of this upstreamd gave you, as \"Authorization: Bearer KEY\"."
        }
        Some(_) => {
            "The API key is not known here. Send the key that the operator of this upstreamd gave you, not the upstream's own."
        }
    }
    .to_owned();
    if let Some(Peer { uid, gid }) = peer {
        message.push_str(&format!(
            " Your user ({uid}, group {gid}) is no client of this socket either."
        ));
    }
    Err(Fault::new(FaultKind::InvalidClientKey, message))
}

/// The client with this key. Every one is compared, so that the time tells
/// nothing about which matched.
fn client_with<'a>(key: &[u8], guest: &Guest, listener: &'a Listener) -> Option<&'a Client> {
    let mut with_key = listener.clients.iter();
    with_key.find(|client| client.key_sha256.is_some())?;
    let hash = digest::digest(&digest::SHA256, key);
    let mut found = None;
    for client in &listener.clients {
        if let Some(expected) = &client.key_sha256
            && verify_slices_are_equal(hash.as_ref(), expected).is_ok()
        {
            found = Some(client);
        }
    }
    let client = found?;
    if let Ok(key) = Secret::new(key) {
        let client = Arc::clone(client);
        *guest.last.borrow_mut() = Some(Known { key, client });
    }
    Some(client)
}

/// The key in the first place where SDKs put one.
fn presented(fields: &HeaderMap) -> Option<&[u8]> {
    let bearer = fields.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme
            .eq_ignore_ascii_case(b"Bearer ")
            .then(|| key.trim_ascii())
    });
    bearer
        .or_else(|| fields.get("x-api-key").map(|value| value.as_bytes()))
        .or_else(|| fields.get("api-key").map(|value| value.as_bytes()))
        .or_else(|| websocket_key(fields))
        .filter(|key| !key.is_empty())
}

/// Browsers cannot set fields of a WebSocket; OpenAI's SDK puts the key among
/// the subprotocols.
fn websocket_key(fields: &HeaderMap) -> Option<&[u8]> {
    let protocols = fields.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    protocols
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix(WEBSOCKET_KEY_PREFIX))
        .map(str::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::checked::RequireKey;

    const ALICE: Peer = Peer {
        uid: 1000,
        gid: 100,
    };
    const NOBODY_KNOWN: Peer = Peer {
        uid: 1001,
        gid: 101,
    };

    fn client(name: &str, key: Option<&str>, user: Option<u32>) -> Arc<Client> {
        let hash = |key: &str| digest::digest(&digest::SHA256, key.as_bytes());
        let hash = |key| hash(key).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Arc::new(Client {
            name: name.into(),
            key_sha256: key.map(hash),
            user,
            group: None,
            models: None,
            endpoints: None,
            limits: None,
        })
    }

    fn listener(require_key: RequireKey) -> Listener {
        Listener {
            clients: vec![
                client("alice", None, Some(1000)),
                client("one", Some("sk-one"), None),
                client("two", Some("sk-two"), None),
            ],
            require_key,
        }
    }

    /// The client's name, "" for a stranger who may come in, or None.
    fn found(field: (&'static str, &str), peer: Option<Peer>, rule: RequireKey) -> Option<String> {
        let mut fields = HeaderMap::new();
        fields.insert(field.0, field.1.parse().expect("a field value"));
        let listener = listener(rule);
        let client = authenticate(&fields, &Guest::new(peer), &listener).ok()?;
        Some(client.map(|client| client.name.clone()).unwrap_or_default())
    }

    #[test]
    fn a_key_is_looked_up_each_time_and_after_a_reload() {
        let guest = Guest::new(None);
        let [first, mut second] = [(); 2].map(|()| listener(RequireKey::Always));
        let found = |key: &str, listener: &Listener| {
            let mut fields = HeaderMap::new();
            fields.insert("x-api-key", key.parse().expect("a field value"));
            let client = authenticate(&fields, &guest, listener).ok()?;
            client.map(|client| client.name.clone())
        };
        let keys = ["sk-one", "sk-one", "sk-two", "sk-on", "sk-one0", "sk-two"];
        let clients = ["one", "one", "two", "", "", "two"];
        for (key, client) in keys.iter().zip(clients) {
            assert_eq!(found(key, &first).unwrap_or_default(), client, "{key}");
        }
        assert_eq!(found("sk-two", &second).as_deref(), Some("two"));
        // Its key is another one from now on.
        second.clients[2] = client("two", Some("sk-new"), None);
        assert_eq!(found("sk-two", &second), None);
        assert_eq!(found("sk-new", &second).as_deref(), Some("two"));
    }

    #[test]
    fn a_key_is_taken_wherever_sdks_put_it() {
        for field in [
            ("authorization", "Bearer sk-two"),
            ("authorization", "bearer  sk-two "),
            ("x-api-key", "sk-two"),
            ("api-key", "sk-two"),
            (
                "sec-websocket-protocol",
                "realtime, openai-insecure-api-key.sk-two, openai-beta.realtime-v1",
            ),
        ] {
            let found = found(field, None, RequireKey::Always);
            assert_eq!(found.as_deref(), Some("two"), "{field:?}");
        }
    }

    #[test]
    fn no_key_and_wrong_keys_stay_out() {
        for field in [
            ("authorization", "Bearer "),
            ("authorization", "Basic sk-two"),
            ("api-key", "sk-tw"),
            ("x-api-key", "sk-two2"),
            ("x-other", "sk-two"),
        ] {
            assert_eq!(found(field, None, RequireKey::Always), None, "{field:?}");
        }
    }

    #[test]
    fn a_key_counts_before_the_peer_and_both_before_the_rule() {
        const KEY: (&str, &str) = ("x-api-key", "sk-one");
        const WRONG: (&str, &str) = ("x-api-key", "sk-wrong");
        use RequireKey::{Always, Never, Tcp};
        for (field, peer, rule, expected) in [
            (KEY, Some(ALICE), Always, Some("one")),
            (WRONG, Some(ALICE), Always, Some("alice")),
            (WRONG, Some(ALICE), Never, Some("alice")),
            (WRONG, Some(NOBODY_KNOWN), Always, None),
            (WRONG, Some(NOBODY_KNOWN), Tcp, Some("")),
            (WRONG, Some(NOBODY_KNOWN), Never, Some("")),
            (KEY, Some(NOBODY_KNOWN), Tcp, Some("one")),
            (WRONG, None, Tcp, None),
            (KEY, None, Tcp, Some("one")),
            (WRONG, None, Never, Some("")),
            (KEY, None, Never, Some("one")),
        ] {
            let found = found(field, peer, rule);
            assert_eq!(found.as_deref(), expected, "{field:?} {peer:?} {rule:?}");
        }
    }
}
