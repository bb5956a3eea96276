//! What the service manager is told (sd_notify(3)).

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::Duration;

use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait::{DEADLINE, Gate};

/// A service manager: what it hears, message by message.
struct Manager {
    socket: UnixDatagram,
    name: String,
    _files: Scratch,
}

impl Manager {
    fn at_path() -> Manager {
        let files = Scratch::new();
        let path = files.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager::hearing(socket, path.display().to_string(), files)
    }

    fn abstract_one() -> Manager {
        let files = Scratch::new();
        let name = files.path().display().to_string();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Manager::hearing(socket, format!("@{name}"), files)
    }

    fn hearing(socket: UnixDatagram, name: String, files: Scratch) -> Manager {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Manager {
            socket,
            name,
            _files: files,
        }
    }

    /// The next message's assignments.
    #[track_caller]
    fn next(&self) -> Message {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a message comes");
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        Message(text.lines().map(str::to_owned).collect())
    }

    fn has_heard_nothing(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        matches!(self.socket.recv(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    fn builder(&self, upstream: &Upstream) -> Builder {
        let builder = Daemon::builder().upstream(upstream);
        builder.env("NOTIFY_SOCKET", &self.name)
    }
}

#[derive(Debug)]
struct Message(Vec<String>);

impl Message {
    fn value(&self, name: &str) -> Option<&str> {
        let lines = self.0.iter().filter_map(|line| line.split_once('='));
        let mut values = lines.filter_map(|(found, value)| (found == name).then_some(value));
        values.next()
    }

    #[track_caller]
    fn number(&self, name: &str) -> u64 {
        let value = self
            .value(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.parse().unwrap()
    }
}

#[test]
fn ready_comes_once_a_request_can_be_served_and_the_status_says_what_is() {
    for manager in [Manager::at_path(), Manager::abstract_one()] {
        let upstream = Upstream::answering("{}");
        let daemon = manager.builder(&upstream).spawn();
        let message = manager.next();
        assert_eq!(message.value("READY"), Some("1"), "{message:?}");
        let status = message.value("STATUS").unwrap_or_default();
        assert!(status.contains("test"), "no upstream's name in {status:?}");
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

#[test]
fn a_drain_says_stopping_and_asks_for_the_time_it_may_take() {
    let manager = Manager::at_path();
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = manager.builder(&upstream).start();
    manager.next();
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    let message = manager.next();
    assert_eq!(message.value("STOPPING"), Some("1"), "{message:?}");
    // The 15 s of `drain_timeout`, and some time for the abort.
    let extension = Duration::from_micros(message.number("EXTEND_TIMEOUT_USEC"));
    assert!((15..60).contains(&extension.as_secs()), "{extension:?}");
    let status = message.value("STATUS").unwrap_or_default();
    assert!(status.contains('1'), "no count of requests in {status:?}");
    gate.open();
    assert!(client.rest().is_complete());
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
