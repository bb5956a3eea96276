//! Addresses to listen on.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::checked::ListenAddress;
use super::value::{Text, Wrong};

/// `sun_path` holds 108 bytes, the last of which is a NUL: unix(7).
const LONGEST_UNIX_PATH: usize = 107;

impl Text for ListenAddress {
    const EXPECTED: &'static str =
        "an address such as \"127.0.0.1:4000\", \"[::1]:4000\" or \"unix:/run/upstreamd.sock\"";

    fn from_text(text: &str) -> Result<ListenAddress, Wrong> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = path.len() <= LONGEST_UNIX_PATH && !path.contains('\0');
            return if fits && path.starts_with('/') && !path.ends_with('/') {
                Ok(ListenAddress::Unix(PathBuf::from(path)))
            } else {
                Err(Wrong::text(text).help("an absolute path of 107 bytes at most after \"unix:\""))
            };
        }
        text.parse::<SocketAddr>()
            .map(ListenAddress::Tcp)
            .map_err(|_| {
                let wrong = Wrong::text(text);
                match port_of(text) {
                    Some(port) => wrong.help(format!(
                        "write \"127.0.0.1:{port}\", or \"0.0.0.0:{port}\" for every interface"
                    )),
                    None => wrong,
                }
            })
    }

    fn in_place_of_number(number: &str) -> Option<String> {
        Some(format!("\"127.0.0.1:{number}\""))
    }
}

/// The value of `server.admin`: a Unix socket, whose mode guards it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdminAddress(pub(super) PathBuf);

impl Text for AdminAddress {
    const EXPECTED: &'static str = "a Unix socket such as \"unix:/run/upstreamd/admin.sock\"";

    fn from_text(text: &str) -> Result<AdminAddress, Wrong> {
        match ListenAddress::from_text(text) {
            Ok(ListenAddress::Unix(path)) => Ok(AdminAddress(path)),
            Ok(ListenAddress::Tcp(_)) => {
                Err(Wrong::text(text).help("its mode is what guards it, and TCP has none"))
            }
            Err(_) => Err(Wrong::text(text)),
        }
    }
}

/// The value of `PORT`: only this host, as ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port(u16);

impl Text for Port {
    const EXPECTED: &'static str = "a port from 1 to 65535";

    fn from_text(text: &str) -> Result<Port, Wrong> {
        match text.parse() {
            Ok(port) if port != 0 => Ok(Port(port)),
            _ => Err(Wrong::text(text)),
        }
    }
}

impl From<Port> for ListenAddress {
    fn from(port: Port) -> ListenAddress {
        ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port.0)))
    }
}

/// The port of `4000`, `:4000`, `localhost:4000`, `*:4000`.
fn port_of(text: &str) -> Option<u16> {
    text.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_prints_as_it_was_written() {
        for text in [
            "127.0.0.1:4000",
            "[::1]:4000",
            "0.0.0.0:0",
            "unix:/run/a.sock",
        ] {
            assert_eq!(ListenAddress::from_text(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_admin_socket_is_a_unix_socket() {
        assert!(AdminAddress::from_text("unix:/run/a.sock").is_ok());
        for text in ["127.0.0.1:4001", "/run/a.sock", "unix:a.sock", ""] {
            assert!(AdminAddress::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_listen_address_is_refused() {
        let long = format!("unix:/{}", "a".repeat(107));
        for text in [
            "",
            "4000",
            ":4000",
            "localhost:4000",
            "unix:",
            "unix:a",
            "unix:/",
            &long,
        ] {
            assert!(ListenAddress::from_text(text).is_err(), "{text}");
        }
    }
}
