//! One connection to the store, on which the requests of a worker are
//! multiplexed, and the scripts that it has loaded.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, cmd};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_local;
use tokio_rustls::TlsConnector;

use crate::config::checked::{Store, StoreAddress};

/// What the store does for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Counts a request in, if it may run.
    Admit,
    /// Takes tokens.
    Charge,
    /// Says how many requests run here.
    Hold,
}

/// Each with its text and the number of its keys.
const SCRIPTS: [(&str, usize); 3] = [
    (include_str!("admit.lua"), 3),
    (include_str!("charge.lua"), 1),
    (include_str!("hold.lua"), 1),
];

/// Why the store did not do it.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection could not be opened, or ended.
    Broken(String),
    /// It answered with an error.
    Refused(String),
    /// It did not answer for so long.
    Silent(Duration),
    /// It answered what the script does not say.
    Nonsense,
    /// It was away when it was asked last, so it was not asked.
    KnownAway,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Broken(why) => f.write_str(why),
            Failed::Refused(why) => write!(f, "it answered: {why}"),
            Failed::Silent(time) => write!(f, "no answer within {time:?}"),
            Failed::Nonsense => f.write_str("an answer that is none of Redis'"),
            Failed::KnownAway => f.write_str("away"),
        }
    }
}

impl From<RedisError> for Failed {
    fn from(error: RedisError) -> Self {
        // A server that has forgotten its scripts gets them with a new connection.
        let broken = error.is_io_error() || error.is_connection_dropped();
        if broken || error.code() == Some("NOSCRIPT") {
            Failed::Broken(error.to_string())
        } else {
            Failed::Refused(error.to_string())
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed::Broken(error.to_string())
    }
}

/// A connection, and the names that the store has for the scripts.
#[derive(Clone)]
pub(super) struct Connection {
    redis: MultiplexedConnection,
    hashes: Rc<Vec<String>>,
}

impl Connection {
    /// Connects, logs in, loads the scripts, and sees that they can write.
    pub(super) async fn open(
        store: &Store,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Connection, Failed> {
        let mut login =
            RedisConnectionInfo::default().set_lib_name("upstreamd", env!("CARGO_PKG_VERSION"));
        if let Some(password) = &store.password {
            login = login.set_password(String::from_utf8_lossy(password.content()));
        }
        let mut redis = match &store.address {
            StoreAddress::Unix(path) => start(&login, UnixStream::connect(path).await?).await?,
            StoreAddress::Tcp {
                user,
                host,
                port,
                database,
                ..
            } => {
                if let Some(user) = user {
                    login = login.set_username(user);
                }
                login = login.set_db(i64::from(*database));
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // A question must not wait for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                match tls {
                    None => start(&login, stream).await?,
                    Some(settings) => {
                        let name = ServerName::try_from(host.clone())
                            .map_err(|error| Failed::Broken(error.to_string()))?;
                        let connector = TlsConnector::from(Arc::clone(settings));
                        start(&login, connector.connect(name, stream).await?).await?
                    }
                }
            }
        };
        let mut hashes = Vec::new();
        for (text, _) in SCRIPTS {
            let mut load = cmd("SCRIPT");
            load.arg("LOAD").arg(text);
            hashes.push(load.query_async(&mut redis).await?);
        }
        // A replica loads scripts too, and can run none that writes.
        let mut hello = cmd("SET");
        hello.arg("upstreamd:hello").arg(1).arg("PX").arg(1000);
        hello.query_async::<()>(&mut redis).await?;
        Ok(Connection {
            redis,
            hashes: Rc::new(hashes),
        })
    }

    /// Whether it is `other`.
    pub(super) fn is(&self, other: &Connection) -> bool {
        Rc::ptr_eq(&self.hashes, &other.hashes)
    }

    /// Runs a script with its keys and other words.
    pub(super) async fn run(&self, script: Script, words: &[String]) -> Result<Vec<i64>, Failed> {
        let place = script as usize;
        let (hash, keys) = (&self.hashes[place], SCRIPTS[place].1);
        let mut run = cmd("EVALSHA");
        run.arg(hash).arg(keys).arg(words);
        Ok(run.query_async(&mut self.redis.clone()).await?)
    }
}

/// Speaks Redis' protocol on a stream. Its other half reads and writes as long
/// as anybody has the connection.
async fn start(
    login: &RedisConnectionInfo,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<MultiplexedConnection, Failed> {
    // Whoever asks waits no longer than `timeout`, whatever that is.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (redis, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
    spawn_local(driver);
    Ok(redis)
}
