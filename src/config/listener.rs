//! What stands in `[listener.NAME]`: the listener's name, and clients' names.

use super::checked::{ListenAddress, RequireKey};
use super::log::choose;
use super::value::{Text, Wrong};

/// Bytes that a name of systemd's may have: `FDNAME_MAX`, sd_listen_fds(3).
const LONGEST: usize = 255;

/// The name of a listener: `FileDescriptorName=` of systemd.socket(5), or the
/// address of one that upstreamd opens itself.
#[derive(Debug)]
pub(super) struct ListenerName;

impl Text for ListenerName {
    const EXPECTED: &'static str = "a name of up to 255 visible ASCII characters but ':', or an address such as \"127.0.0.1:4000\"";

    fn from_text(text: &str) -> Result<ListenerName, Wrong> {
        let of_systemd = |b: u8| (b.is_ascii_graphic() || b == b' ') && b != b':';
        let is_name = (1..=LONGEST).contains(&text.len()) && text.bytes().all(of_systemd);
        if is_name || ListenAddress::from_text(text).is_ok() {
            Ok(ListenerName)
        } else {
            Err(Wrong::text(text))
        }
    }
}

/// The name of a client, as another table has it.
#[derive(Debug)]
pub(super) struct ClientName(pub(super) String);

impl Text for ClientName {
    const EXPECTED: &'static str = "the name of a client";

    fn from_text(text: &str) -> Result<ClientName, Wrong> {
        Ok(ClientName(text.to_owned()))
    }
}

const REQUIREMENTS: [(&str, RequireKey); 3] = [
    ("always", RequireKey::Always),
    ("tcp", RequireKey::Tcp),
    ("never", RequireKey::Never),
];

/// The word for a requirement.
pub(super) fn requirement_word(requirement: RequireKey) -> &'static str {
    match requirement {
        RequireKey::Always => "always",
        RequireKey::Tcp => "tcp",
        RequireKey::Never => "never",
    }
}

impl Text for RequireKey {
    const EXPECTED: &'static str = "\"always\", \"tcp\" or \"never\"";

    fn from_text(text: &str) -> Result<RequireKey, Wrong> {
        choose(text, &REQUIREMENTS)
    }
}

/// `name` as it stands in the header of a table: in quotes if it has a dot,
/// for that is a table of its own, or anything else that needs them.
#[must_use]
pub fn in_header(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_called_as_systemd_or_as_its_address_is() {
        for name in [
            "upstreamd",
            "upstreamd.socket",
            "ci@1.socket",
            "127.0.0.1:4000",
            "[::1]:4000",
            "unix:/run/upstreamd.sock",
            &"a".repeat(255),
        ] {
            assert!(ListenerName::from_text(name).is_ok(), "{name}");
        }
        for name in ["", "a:b", "é", "a\n", &"a".repeat(256)] {
            assert!(ListenerName::from_text(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_requirement_is_read_as_it_is_printed() {
        for (word, requirement) in REQUIREMENTS {
            assert_eq!(RequireKey::from_text(word), Ok(requirement));
            assert_eq!(requirement_word(requirement), word);
        }
    }

    #[test]
    fn a_header_is_quoted_where_toml_needs_it() {
        assert_eq!(in_header("upstreamd-2"), "upstreamd-2");
        assert_eq!(in_header("a.socket"), "\"a.socket\"");
        assert_eq!(in_header("[::1]:1"), "\"[::1]:1\"");
    }
}
