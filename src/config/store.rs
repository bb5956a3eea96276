//! Where the counters of several hosts are: `[limits]`, and what clients and
//! upstreams are held to.

use std::fmt;
use std::net::Ipv6Addr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;

use super::checked::ListenAddress;
use super::hiding;
use super::log::choose;
use super::secret::Secret;
use super::value::{Text, Wrong};

/// Redis' own port, and Valkey's.
const PORT: u16 = 6379;

/// What one client is held to; one of them is set at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// Requests that it may make in a minute.
    pub requests_per_minute: Option<NonZeroU64>,
    /// Tokens that it may use in a minute, of requests and answers.
    pub tokens_per_minute: Option<NonZeroU64>,
    /// Requests of it that may run at the same time.
    pub max_running: Option<NonZeroU32>,
}

/// The store in which several hosts count together: `[limits]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Store {
    /// Where it is.
    pub address: StoreAddress,
    /// Its password.
    pub(crate) password: Option<Secret>,
    /// How long a request waits for it.
    pub timeout: Duration,
    /// What becomes of requests while it is away.
    pub when_away: WhenAway,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({}, password hidden)", self.address)
    }
}

/// What becomes of requests of limited clients while the store is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAway {
    /// They go on, each host counting by itself.
    Open,
    /// They are refused.
    Closed,
}

const WHEN_AWAY: [(&str, WhenAway); 2] = [("open", WhenAway::Open), ("closed", WhenAway::Closed)];

impl Text for WhenAway {
    const EXPECTED: &'static str = "\"open\" or \"closed\"";

    fn from_text(text: &str) -> Result<WhenAway, Wrong> {
        choose(text, &WHEN_AWAY)
    }
}

impl WhenAway {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            WhenAway::Open => "open",
            WhenAway::Closed => "closed",
        }
    }
}

/// Where a Redis or Valkey is: `redis://USER@HOST:PORT/DATABASE`, the same with
/// `rediss://` for TLS, or `unix:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// By TCP.
    Tcp {
        /// Whether by TLS.
        tls: bool,
        /// The user to log in as. None: the default one.
        user: Option<String>,
        /// A name or an address, without brackets.
        host: String,
        /// The port, 6379 filled in.
        port: u16,
        /// The number of the database.
        database: u32,
    },
    /// By a Unix socket at this absolute path, database 0.
    Unix(PathBuf),
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            StoreAddress::Tcp {
                tls,
                user,
                host,
                port,
                database,
            } => {
                f.write_str(if *tls { "rediss://" } else { "redis://" })?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                match host.contains(':') {
                    true => write!(f, "[{host}]:{port}/{database}"),
                    false => write!(f, "{host}:{port}/{database}"),
                }
            }
        }
    }
}

impl Text for StoreAddress {
    const EXPECTED: &'static str = "an address such as \"redis://127.0.0.1:6379/0\", \"rediss://host\" or \"unix:/run/valkey.sock\"";

    fn from_text(text: &str) -> Result<StoreAddress, Wrong> {
        if text.starts_with("unix:") {
            return match ListenAddress::from_text(text) {
                Ok(ListenAddress::Unix(path)) => Ok(StoreAddress::Unix(path)),
                Ok(ListenAddress::Tcp(_)) => Err(Wrong::text(text)),
                Err(wrong) => Err(wrong),
            };
        }
        if holds_a_password(text) {
            let wrong = Wrong::described("a URL with a password (hidden)");
            return Err(wrong
                .help("secrets don't belong in a URL; name the password's key: key = \"NAME\""));
        }
        let wrong = |help: &str| Err(Wrong::text(text).help(help));
        let tls = match text.split_once("://").map(|(scheme, _)| scheme) {
            Some("redis") => false,
            Some("rediss") => true,
            Some(_) => return wrong("the scheme is redis, or rediss for TLS"),
            None => return wrong(&format!("write the scheme too: \"redis://{text}\"")),
        };
        let Ok(uri) = text.parse::<Uri>() else {
            return wrong("a URL has ASCII characters only");
        };
        let Some(authority) = uri.authority() else {
            return wrong("a host belongs after \"://\"");
        };
        let host = authority.host();
        let bare = host.trim_matches(['[', ']']);
        let known = match bare == host {
            true => ServerName::try_from(host).is_ok(),
            false => bare.parse::<Ipv6Addr>().is_ok(),
        };
        if !known {
            return wrong("the host is a name, an IPv4 address, or an IPv6 address in brackets");
        }
        let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
        let rest = &authority.as_str()[user.map_or(0, |user| user.len() + 1)..];
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if rest.len() > host.len() => 0,
            None => PORT,
        };
        if port == 0 {
            return wrong("the port is a number from 1 to 65535");
        }
        let database = uri.path().trim_start_matches('/');
        let database = match database {
            "" => Some(0),
            number => number.parse().ok(),
        };
        let Some(database) = database.filter(|_| uri.query().is_none()) else {
            return wrong("after the host there may be a \"/\" and the number of a database");
        };
        Ok(StoreAddress::Tcp {
            tls,
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
            host: bare.to_owned(),
            port,
            database,
        })
    }
}

/// Whether a URL has what is or may be a password: `user:password@`, or a query.
fn holds_a_password(text: &str) -> bool {
    let user = text.rsplit_once('@').map(|(before, _)| before);
    let user = user.map(|before| before.split_once("://").map_or(before, |(_, user)| user));
    user.is_some_and(|user| user.contains(':') || hiding::looks_like_a_key(user))
        || hiding::url_may_hold_a_secret(&text.replace('@', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_prints_as_it_was_written() {
        for text in [
            "redis://127.0.0.1:6379/0",
            "rediss://upstreamd@valkey.example:6380/3",
            "redis://[::1]:6379/0",
            "unix:/run/redis/redis.sock",
        ] {
            assert_eq!(StoreAddress::from_text(text).unwrap().to_string(), text);
        }
        let short = StoreAddress::from_text("redis://localhost").unwrap();
        assert_eq!(short.to_string(), "redis://localhost:6379/0");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "localhost",
            "localhost:6379",
            "http://localhost",
            "redis://",
            "redis://:6379",
            "redis://host:",
            "redis://host:0",
            "redis://host:x",
            "redis://host/x",
            "redis://host/0/1",
            "redis://::1/0",
            "unix:redis.sock",
        ] {
            assert!(StoreAddress::from_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_shown() {
        for text in [
            "redis://:hunter2@host/0",
            "redis://me:hunter2@host",
            "redis://host?password=hunter2",
            "redis://a@b:hunter2@host",
        ] {
            let wrong = StoreAddress::from_text(text).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
    }
}
