//! Who may come in: a bearer key, compared in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use http::{HeaderMap, header};

use crate::config::checked::Client;
use crate::proxy::{Fault, FaultKind, WEBSOCKET_KEY_PREFIX};

/// The client that `fields` speak for; `None` where no client is configured
/// and everybody who can connect may come in.
///
/// # Errors
/// No key, or one that belongs to no client.
pub(super) fn authenticate<'a>(
    fields: &HeaderMap,
    clients: &'a [Client],
) -> Result<Option<&'a Client>, Fault> {
    if clients.is_empty() {
        return Ok(None);
    }
    let Some(key) = presented(fields) else {
        return Err(Fault::new(
            FaultKind::InvalidClientKey,
            "No API key. Send the key that the operator of this upstreamd gave you, as \"Authorization: Bearer KEY\".",
        ));
    };
    let hash = digest::digest(&digest::SHA256, key);
    // Every client is compared, so that the time tells nothing about which matched.
    let mut found = None;
    for client in clients {
        if verify_slices_are_equal(hash.as_ref(), &client.key_sha256).is_ok() {
            found = Some(client);
        }
    }
    found.map(Some).ok_or_else(|| {
        Fault::new(
            FaultKind::InvalidClientKey,
            "The API key is not known here. Send the key that the operator of this upstreamd gave you, not the upstream's own.",
        )
    })
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

    fn client(name: &str, key: &str) -> Client {
        let hash = digest::digest(&digest::SHA256, key.as_bytes());
        Client {
            name: name.into(),
            key_sha256: hash.as_ref().try_into().expect("SHA-256 has 32 bytes"),
        }
    }

    fn found(field: (&'static str, &str)) -> Option<String> {
        let clients = [client("one", "sk-one"), client("two", "sk-two")];
        let mut fields = HeaderMap::new();
        fields.insert(field.0, field.1.parse().expect("a field value"));
        authenticate(&fields, &clients)
            .ok()
            .flatten()
            .map(|client| client.name.clone())
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
            assert_eq!(found(field).as_deref(), Some("two"), "{field:?}");
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
            assert_eq!(found(field), None, "{field:?}");
        }
    }

    #[test]
    fn without_clients_everybody_may_come_in() {
        assert!(matches!(authenticate(&HeaderMap::new(), &[]), Ok(None)));
    }
}
