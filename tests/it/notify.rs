//! What the service manager is told (sd_notify(3)).

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::manager::Manager;
use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::upstream::Upstream;
use crate::support::wait::Gate;

#[test]
fn ready_comes_once_a_request_can_be_served() {
    for manager in [Manager::at_path(), Manager::abstract_one()] {
        let upstream = Upstream::answering("{}");
        let daemon = manager.builder(&upstream).spawn();
        let message = manager.next();
        assert_eq!(message.value("READY"), Some("1"), "{message:?}");
        assert_eq!(daemon.client().get("/v1/models").status(), 200);
    }
}

#[test]
fn a_start_that_fails_is_never_ready() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let builder = manager.builder(&upstream).more_config("\nnonsense = 1\n");
    assert_eq!(builder.spawn().wait_exit(), Some(78));
    assert!(manager.has_heard_nothing());
}

#[test]
fn a_reload_is_announced_with_its_moment_and_ends_with_ready() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let daemon = manager.builder(&upstream).start();
    manager.next();

    let before = uptime();
    daemon.signal("HUP");
    let message = manager.next();
    assert_eq!(message.value("RELOADING"), Some("1"), "{message:?}");
    let moment = Duration::from_micros(message.number("MONOTONIC_USEC"));
    assert!(
        before <= moment + TICK && moment <= uptime() + TICK,
        "{moment:?}"
    );
    assert_eq!(manager.next().value("READY"), Some("1"));

    daemon.rewrite_config("[server]\nlisten = 7\n");
    daemon.signal("HUP");
    assert_eq!(manager.next().value("RELOADING"), Some("1"));
    let message = manager.next();
    assert_eq!(message.value("READY"), Some("1"), "{message:?}");
    let status = message.value("STATUS").unwrap_or_default();
    assert!(status.contains("server.listen"), "no key in {status:?}");
}

/// What /proc/uptime rounds to.
const TICK: Duration = Duration::from_millis(20);

/// The monotonic clock, as far as a file tells it.
fn uptime() -> Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(text.split(' ').next().unwrap().parse().unwrap())
}

/// Fewer than there are places for.
const POSTS: usize = 8;

#[test]
fn reloads_asked_for_at_once_each_go_from_reloading_to_ready() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let admin = "admin = \"unix:@DIR@/admin.sock\"";
    let daemon = manager.builder(&upstream).server_settings(admin).start();
    manager.next();
    let path = daemon.directory().join("admin.sock");
    let asking = AtomicBool::new(true);
    let heard = thread::scope(|scope| {
        // A service manager that does not read would hold it up.
        let heard = scope.spawn(|| manager.until_status(|status| status.contains("failed")));
        let posts: Vec<_> = (0..POSTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::unix(&path);
                    client.send("POST", "/reload", "", b"").unwrap();
                    client.answer().status()
                })
            })
            .collect();
        let signals = scope.spawn(|| {
            while asking.load(Ordering::Relaxed) {
                daemon.signal("HUP");
            }
        });
        let statuses = posts.into_iter().map(|post| post.join());
        let statuses: Vec<_> = statuses.collect();
        asking.store(false, Ordering::Relaxed);
        signals.join().unwrap();
        // One reload more, to know when all before are over.
        daemon.rewrite_config("nonsense\n");
        daemon.signal("HUP");
        for status in statuses {
            assert_eq!(status.unwrap(), 200);
        }
        heard.join().unwrap()
    });
    let mut reloading = false;
    let mut reloads = 0;
    for message in heard {
        let (begins, ends) = (message.value("RELOADING"), message.value("READY"));
        match (begins, ends) {
            (Some(_), None) if !reloading => reloading = true,
            (None, Some(_)) if reloading => {
                reloading = false;
                reloads += 1;
            }
            (None, None) => {}
            _ => panic!("{message:?} while reloading is {reloading}"),
        }
    }
    assert!(!reloading);
    assert!(reloads > POSTS, "{reloads}");
}

#[test]
fn a_drain_says_stopping_and_asks_for_time_again_and_again() {
    let manager = Manager::at_path();
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = manager.builder(&upstream).start();
    manager.next();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    let message = manager.next_with("STOPPING", "1");
    let extension = |micros| Duration::from_micros(micros);
    let first = extension(message.number("EXTEND_TIMEOUT_USEC"));
    assert_eq!(message.value("STATUS"), Some("draining, 1 request running"));
    // In time: each extension is many times as long as the next one takes to come.
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let next = extension(manager.next().number("EXTEND_TIMEOUT_USEC"));
        assert!(next > 5 * begun.elapsed(), "{next:?}");
        assert!(next <= first && first <= Duration::from_secs(15));
    }
    gate.open();
    assert!(client.rest().is_complete());
    assert_eq!(daemon.wait_exit(), Some(0));
}

#[test]
fn a_drain_asks_for_no_time_beyond_its_own_deadline() {
    let manager = Manager::at_path();
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let builder = manager.builder(&upstream);
    // Three messages, a second apart, come well before its end.
    let mut daemon = builder.server_settings("drain_timeout = \"4s\"").start();
    manager.next();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    // The timeout and 6 s for the abort.
    let mut deadline = Duration::from_secs(10);
    let mut extensions = 0;
    let message = manager.next_with("STOPPING", "1");
    let begun = std::time::Instant::now();
    let mut micros = message.number("EXTEND_TIMEOUT_USEC");
    loop {
        let asked = Duration::from_micros(micros);
        assert!(asked <= deadline, "{asked:?} after {:?}", begun.elapsed());
        extensions += 1;
        if extensions == 3 {
            break;
        }
        micros = manager.next().number("EXTEND_TIMEOUT_USEC");
        deadline = Duration::from_secs(10) - begun.elapsed() + Duration::from_millis(500);
    }
    assert!(!client.rest().is_complete());
    assert_eq!(daemon.wait_exit(), Some(0));
}

#[test]
fn a_service_manager_that_is_gone_breaks_nothing() {
    let manager = Manager::at_path();
    let upstream = Upstream::answering("{}");
    let mut daemon = manager.builder(&upstream).start();
    manager.next();
    std::fs::remove_file(PathBuf::from(&manager.name)).unwrap();
    drop(manager);
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(0));

    // Nor does one that never was.
    let builder = Daemon::builder().upstream(&upstream);
    let daemon = builder.env("NOTIFY_SOCKET", "/nowhere/notify").start();
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
}
