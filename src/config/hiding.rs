//! What of a configuration may be shown in an error.
//!
//! Secrets don't belong in the file, which is why people put them there. A
//! value is shown only if its key can't hold a secret or the value can't be
//! one; whatever looks like a key is hidden wherever it stands, comments too.

use super::name::is_name;
use super::nearest::nearest;

/// Keys whose values say nothing secret.
const HARMLESS: &[&str] = &[
    "listen",
    "admin",
    "workers",
    "max_connections",
    "drain_timeout",
    "handover_timeout",
    "max_body",
    "max_header",
    "header_timeout",
    "body_timeout",
    "keepalive_timeout",
    "write_timeout",
    "format",
    "level",
    "user_agent",
    "connect_timeout",
    "response_timeout",
    "idle_timeout",
    "pool_idle_timeout",
    "pool_max_idle",
    "http2",
    "ca_file",
    "platform_roots",
    "client_cert",
    "client_key",
    "user",
    "uid",
    "group",
    "gid",
    "clients",
    "require_key",
    "default_upstream",
    "strict_models",
    "attempts",
    "statuses",
    "backoff",
    "max_backoff",
    "max_retry_after",
    "budget",
    "upstream",
    "upstreams",
    "name",
    "weight",
    "drop",
    "models",
    "endpoints",
];

/// Keys whose values are names of secrets, and the tables in which they are.
/// Anywhere else, such a key most likely has the secret itself.
const NAMES: [(&str, &str); 2] = [("upstream", "keys"), ("client", "key")];

/// How keys of well-known providers begin.
const KEY_PREFIXES: &[&str] = &[
    "sk-", "sk_", "gsk_", "xai-", "hf_", "AIza", "nvapi-", "pplx-", "r8_", "fw_", "ghp_", "eyJ",
];

/// Parts of the names of fields and keys that hold secrets.
const SECRET_WORDS: &[&str] = &[
    "key",
    "token",
    "auth",
    "secret",
    "cookie",
    "pass",
    "credential",
    "signature",
];

/// Whether `text`, the value written for `key` in `[table]` or `[table.NAME]`,
/// must not be shown.
pub(super) fn hides(table: &str, key: &str, text: &str) -> bool {
    let bare = text.trim_matches(['"', '\'']);
    if words(bare).any(|word| looks_like_a_key(&bare[word])) {
        return true;
    }
    if NAMES.contains(&(table, key)) {
        return !is_name(bare);
    }
    let secret = NAMES
        .iter()
        .map(|(_, key)| key)
        .chain(&["base_url", "fields"]);
    match nearest(key, HARMLESS.iter().chain(secret).copied()) {
        Some("base_url") => url_may_hold_a_secret(bare),
        Some(known) => !HARMLESS.contains(&known),
        None => true,
    }
}

/// Whether a URL has a part in which people put passwords or keys.
pub(super) fn url_may_hold_a_secret(url: &str) -> bool {
    url.contains(['@', '?', '#'])
}

/// Whether `name` (of a field) says that its value is a secret.
pub(super) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether a word is more likely a key than a name: it begins as the keys of a
/// provider do, or it has a long run of letters and digits that nobody would
/// choose for a name (16 with a digit among them, or 24), or it is long and has
/// many digits (a UUID).
pub(super) fn looks_like_a_key(word: &str) -> bool {
    let prefixed = KEY_PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let random = word.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        run.len() >= 24 || run.len() >= 16 && run.contains(|c: char| c.is_ascii_digit())
    });
    prefixed && word.len() > 8 || random || word.len() >= 24 && digits >= 6
}

/// The byte ranges of the words of `text` in which a key could stand.
pub(super) fn words(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(in_word)?;
        let length = text[start..].find(|c| !in_word(c));
        rest = length.map_or(text.len(), |length| start + length);
        Some(start..rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        for (table, key, text) in [
            ("upstream", "api_key", "hunter2"),
            ("upstream", "key", "hunter2"),
            ("upstream", "keys", "sk-0123456789"),
            ("client", "key", "correct horse"),
            ("client", "token", "x"),
            ("", "keys", "hunter2"),
            ("log", "level", "0198c5e2-7a10-7c3e-9f00-1234567890ab"),
            ("upstream", "base_url", "https://me:pw@host/"),
        ] {
            assert!(
                hides(table, key, &format!("\"{text}\"")),
                "{table}.{key} = {text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_shown() {
        for (table, key, text) in [
            ("server", "drain_timeot", "15s"),
            ("client", "key", "client.litellm"),
            ("upstream", "base_url", "https://agentrouter.org/v1"),
            ("upstream", "user_agent", "QwenCode/0.2.0 (linux; x64)"),
        ] {
            assert!(
                !hides(table, key, &format!("\"{text}\"")),
                "{table}.{key} = {text}"
            );
        }
    }
}
