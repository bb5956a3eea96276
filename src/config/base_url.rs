//! The base URL of an upstream.

use std::net::Ipv6Addr;

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::pki_types::ServerName;

use super::checked::BaseUrl;
use super::hiding;
use super::value::{Text, Wrong};

impl Text for BaseUrl {
    const EXPECTED: &'static str = "a URL such as \"https://host/v1\" or \"http://[::1]:8080\"";

    fn from_text(text: &str) -> Result<BaseUrl, Wrong> {
        let wrong = |help: &str| Err(Wrong::text(text).help(help));
        // First of all: what may hold a password is never shown.
        if hiding::url_may_hold_a_secret(text) {
            return Err(secret_part(text));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return wrong(&format!("write the scheme too: \"https://{text}\""));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::HTTPS,
            "http" => Scheme::HTTP,
            _ => return wrong("the scheme is https, or http for an engine on a trusted network"),
        };
        let Ok(uri) = text.parse::<Uri>() else {
            return wrong("a URL has ASCII characters only, others are percent-encoded");
        };
        let Some(authority) = uri.authority() else {
            return wrong("a host belongs after \"://\"");
        };
        let host = authority.host();
        let bare = host.trim_matches(['[', ']']);
        let known = if bare == host {
            ServerName::try_from(host).is_ok()
        } else {
            bare.parse::<Ipv6Addr>().is_ok()
        };
        if !known {
            return wrong("the host is a name, an IPv4 address, or an IPv6 address in brackets");
        }
        let Some(port) = port(authority, &scheme) else {
            return wrong("the port is a number from 1 to 65535");
        };
        if climbs(uri.path()) {
            return wrong("a path without \".\" and \"..\"");
        }
        Ok(BaseUrl {
            port,
            scheme,
            authority: authority.clone(),
            host: bare.to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

fn secret_part(text: &str) -> Wrong {
    if text.contains('@') {
        Wrong::described("a URL with a user or password (hidden)")
            .help("secrets don't belong in a URL; name a key in `keys`")
    } else if text.contains('?') {
        Wrong::described("a URL with a query (hidden)")
            .help("a query of every request's own is forwarded; a base URL has none")
    } else {
        Wrong::described("a URL with a fragment (hidden)").help("drop what follows the '#'")
    }
}

fn port(authority: &Authority, scheme: &Scheme) -> Option<u16> {
    match authority.port() {
        Some(port) => Some(port.as_u16()).filter(|port| *port != 0),
        // `host:` and `host:99999` have a colon and no port.
        None if authority.as_str().len() > authority.host().len() => None,
        None if *scheme == Scheme::HTTPS => Some(443),
        None => Some(80),
    }
}

/// Whether a segment is `.` or `..`, percent-encoded or not.
fn climbs(path: &str) -> bool {
    path.split('/').any(|segment| {
        let segment = segment.to_ascii_lowercase().replace("%2e", ".");
        segment == "." || segment == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BaseUrl, Wrong> {
        BaseUrl::from_text(text)
    }

    #[test]
    fn a_base_url_is_read_into_its_parts() {
        let url = read("https://agentrouter.org/v1/").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str()),
            ("agentrouter.org", 443, "/v1")
        );
        assert_eq!(url.to_string(), "https://agentrouter.org/v1");
        let url = read("http://[::1]:8080").unwrap();
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str()),
            ("::1", 8080, "")
        );
        assert_eq!(url.authority.as_str(), "[::1]:8080");
        let url = read("http://10.0.0.1/").unwrap();
        assert_eq!(
            (url.port, url.to_string().as_str()),
            (80, "http://10.0.0.1")
        );
        assert!(read("http://my_service:8000/v1").is_ok());
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "https://",
            "agentrouter.org/v1",
            "ftp://host",
            "https:///v1",
            "https://host:",
            "https://host:0",
            "https://host:99999",
            "https://host:x",
            "https://a b",
            "https://h/../x",
            "https://h/%2E%2e/x",
            "https://h/./x",
            "https://::1/",
            "https://[::1",
            "https://[x]/",
            "https://höst/",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_url_that_may_hold_a_secret_is_refused_and_not_shown() {
        for text in [
            "https://me:hunter2@host/",
            "https://host/?key=hunter2",
            "https://host/#hunter2",
        ] {
            let wrong = read(text).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }
}
