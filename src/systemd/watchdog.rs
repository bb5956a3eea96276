//! The service manager's watchdog (sd_watchdog_enabled(3)).

use std::time::Duration;

/// Within which the service manager wants a sign of life, again and again
/// (`WatchdogSec=`); None if it wants none from this process.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|within| !within.is_zero())
}
