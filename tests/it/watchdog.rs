//! Signs of life for the service manager (sd_watchdog_enabled(3)). What becomes
//! of a daemon that hangs is shown under systemd: `tests/system/test_watchdog.py`.

use std::process;
use std::time::{Duration, Instant};

use crate::manager::Manager;
use crate::support::daemon::Builder;
use crate::support::upstream::Upstream;
use crate::support::wait::Gate;

/// Wanted of the daemon, in microseconds.
const WITHIN: Duration = Duration::from_millis(800);

fn builder(manager: &Manager, upstream: &Upstream) -> Builder {
    let micros = WITHIN.as_micros().to_string();
    manager.builder(upstream).env("WATCHDOG_USEC", micros)
}

/// Waits for signs of life, each in time after the one before.
#[track_caller]
fn is_alive(manager: &Manager, times: usize) {
    let mut before = Instant::now();
    for _ in 0..times {
        manager.next_with("WATCHDOG", "1");
        assert!(before.elapsed() < WITHIN, "{:?}", before.elapsed());
        before = Instant::now();
    }
}

#[test]
fn it_is_fed_twice_in_each_period_and_while_draining_too() {
    let manager = Manager::at_path();
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = builder(&manager, &upstream).start();
    manager.next_with("READY", "1");
    let begun = Instant::now();
    is_alive(&manager, 5);
    // Half of a period each, the first at once; not more often.
    assert!(begun.elapsed() >= WITHIN / 2 * 3, "{:?}", begun.elapsed());
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    manager.next_with("STOPPING", "1");
    is_alive(&manager, 5);
    gate.open();
    assert!(client.rest().is_complete());
    assert_eq!(daemon.wait_exit(), Some(0));
    assert!(daemon.events_named("watchdog_missed").is_empty());
}

#[test]
fn it_is_fed_while_no_place_is_free() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let builder = builder(&manager, &upstream).server_settings("max_connections = 1");
    let daemon = builder.start();
    let mut holding = daemon.client();
    assert_eq!(holding.get("/v1/models").status(), 200);
    let mut waiting = daemon.client();
    waiting.send("GET", "/v1/models", "", b"").unwrap();
    is_alive(&manager, 5);
    drop(holding);
    assert_eq!(waiting.answer().status(), 200);
}

#[test]
fn a_watchdog_that_is_another_process_s_or_none_is_not_fed() {
    let upstream = Upstream::answering("{}");
    let other = process::id().to_string();
    for (micros, pid) in [("20000", Some(other.as_str())), ("0", None), ("soon", None)] {
        let manager = Manager::at_path();
        let mut builder = manager.builder(&upstream).env("WATCHDOG_USEC", micros);
        if let Some(pid) = pid {
            builder = builder.env("WATCHDOG_PID", pid);
        }
        let mut daemon = builder.start();
        manager.next_with("READY", "1");
        // A request takes longer than several periods would.
        for _ in 0..100 {
            assert_eq!(daemon.client().get("/v1/models").status(), 200);
        }
        daemon.signal("TERM");
        assert_eq!(daemon.wait_exit(), Some(0));
        for message in manager.until_status(|status| status.contains("draining")) {
            assert_eq!(message.value("WATCHDOG"), None, "{micros} {pid:?}");
        }
    }
}
