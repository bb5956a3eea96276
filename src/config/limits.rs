//! Every default and every bound, each with the reason for its number.

use std::time::Duration;

use super::size::Size;

/// What a value is when nobody says, and what it may be.
pub(super) struct Limit<T> {
    /// When nobody says.
    pub(super) default: T,
    /// The smallest that is accepted.
    pub(super) least: T,
    /// The largest that is accepted.
    pub(super) most: T,
}

/// Loopback only, so that nothing is open to a network by default; 4000 is
/// LiteLLM's port, which the clients of the original helper already have.
pub(super) const LISTEN: &str = "127.0.0.1:4000";

/// Threads at most; more than any host has CPUs, so that a slip of the finger is found.
/// (The default, one per CPU that the process may use, is asked of the kernel.)
pub(super) const MOST_WORKERS: usize = 1024;

/// 10,000 streams of 40 KiB are 400 MB, and with an upstream connection each
/// they fit in 20,000 descriptors.
pub(super) const MAX_CONNECTIONS: Limit<usize> = Limit {
    default: 10_000,
    least: 1,
    most: 1_000_000,
};

/// Most answers end in 15 s, and systemd's `TimeoutStopSec` is 90 s. 0 aborts at once.
pub(super) const DRAIN_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(15), Duration::ZERO);

/// The longest session of OpenAI's Realtime API. Nobody waits for it: another
/// instance serves. Only what does not end by itself has to be ended.
pub(super) const HANDOVER_TIMEOUT: Limit<Duration> =
    duration(Duration::from_secs(3600), Duration::ZERO);

/// OpenAI takes 50 MB of images in a request; base64 and the rest of it fit in 64 MiB.
pub(super) const MAX_BODY: Limit<Size> = Limit {
    default: Size(64 << 20),
    least: Size(1 << 10),
    most: Size(1 << 30),
};

/// Twice what nginx takes (4 buffers of 8 KiB): SDKs put metadata and long
/// tokens in fields. hyper's own buffer needs 8 KiB.
pub(super) const MAX_HEADER: Limit<Size> = Limit {
    default: Size(64 << 10),
    least: Size(8 << 10),
    most: Size(1 << 20),
};

/// A head is one packet or a few; 10 s span three retransmissions and end a slow loris.
pub(super) const HEADER_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(10), SHORT);

/// nginx's `client_body_timeout`.
pub(super) const BODY_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(60), SHORT);

/// nginx's `keepalive_timeout`, longer than the pools of the SDKs keep a
/// connection: the client closes first, so that no request meets a closing one.
pub(super) const KEEPALIVE_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(75), SHORT);

/// As long as an upstream may be silent: a client that pauses for a tool call
/// is no worse.
pub(super) const WRITE_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(300), SHORT);

/// The first SYN and its retransmissions after 1 s, 3 s and 7 s.
pub(super) const CONNECT_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(10), SHORT);

/// The timeout of OpenAI's official SDKs: to give up earlier would break
/// requests that work without a proxy.
pub(super) const RESPONSE_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(600), SHORT);

/// Reasoning models are silent for minutes between two events.
pub(super) const IDLE_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(300), SHORT);

/// Just under the 60 s after which common load balancers (AWS ALB) close: we
/// close first, so that no request meets a closed connection.
pub(super) const POOL_IDLE_TIMEOUT: Limit<Duration> = duration(Duration::from_secs(55), SHORT);

/// Per worker; a burst's connections are kept without keeping all of a peak's. 0 keeps none.
pub(super) const POOL_MAX_IDLE: Limit<usize> = Limit {
    default: 256,
    least: 0,
    most: 100_000,
};

/// Shares of an upstream, against the others' of a model: parts of a thousand.
pub(super) const WEIGHT: Limit<usize> = Limit {
    default: 1,
    least: 1,
    most: 1000,
};

/// As the official SDKs: two retries.
pub(super) const RETRY_ATTEMPTS: Limit<usize> = Limit {
    default: 3,
    least: 1,
    most: 100,
};

/// Half of what the official SDKs wait at first (0.5 s): we are nearer.
pub(super) const BACKOFF: Limit<Duration> = duration(Duration::from_millis(250), Duration::ZERO);

/// A person still waits.
pub(super) const MAX_BACKOFF: Limit<Duration> = duration(Duration::from_secs(5), Duration::ZERO);

/// Longer than most limits per minute ask for, shorter than what clients wait
/// for a first byte (30 s and more).
pub(super) const MAX_RETRY_AFTER: Limit<Duration> =
    duration(Duration::from_secs(20), Duration::ZERO);

/// Finagle's: one retry for five requests.
pub(super) const RETRY_BUDGET: f64 = 0.2;

/// Shorter than this, a timeout would hit healthy peers on a loaded host.
const SHORT: Duration = Duration::from_millis(10);

/// A day: longer is a slip of the finger.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

const fn duration(default: Duration, least: Duration) -> Limit<Duration> {
    Limit {
        default,
        least,
        most: LONG,
    }
}
