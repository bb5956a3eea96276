//! The daemon itself: the real binary with a configuration of the test's own.

mod output;
mod start;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::output::Output;
pub use self::start::Builder;
use self::start::filled_in;
use super::client::Client;
use super::process::Process;
use super::scratch::Scratch;
use super::upstream::Upstream;
use super::wait::{self, DEADLINE};

/// The upstream's key, known to the daemon as credential `test`.
///
/// Tests search logs and clients' answers for it: it must not be there.
pub const UPSTREAM_KEY: &str = "sk-upstream-key-that-no-log-may-show";

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    output: Arc<Output>,
    directory: Scratch,
    places: Vec<(&'static str, String)>,
}

impl Daemon {
    /// In front of `upstream`, with [`UPSTREAM_KEY`], on a TCP and a Unix socket;
    /// every client may come in.
    #[track_caller]
    pub fn before(upstream: &Upstream) -> Daemon {
        Daemon::builder().upstream(upstream).start()
    }

    /// To be configured; without a configuration it gets none.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// What it listens on, as its `ready` event says.
    #[track_caller]
    pub fn listeners(&self) -> Vec<String> {
        let ready = self.wait_event("ready");
        let listeners = ready["listeners"].as_str().unwrap_or_default();
        let names = listeners.split(" ");
        names.map(str::to_owned).collect()
    }

    /// Its first TCP address.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let listeners = self.listeners();
        let mut addresses = listeners.iter().filter_map(|name| name.parse().ok());
        addresses
            .next()
            .unwrap_or_else(|| panic!("no TCP address among {listeners:?}"))
    }

    /// Its first Unix socket.
    #[track_caller]
    pub fn unix_path(&self) -> PathBuf {
        let listeners = self.listeners();
        let mut paths = listeners
            .iter()
            .filter_map(|name| name.strip_prefix("unix:"));
        paths
            .next()
            .map(PathBuf::from)
            .unwrap_or_else(|| panic!("no Unix socket among {listeners:?}"))
    }

    /// A new connection over TCP.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::tcp(self.address())
    }

    /// A new connection over the Unix socket.
    #[track_caller]
    pub fn unix_client(&self) -> Client {
        Client::unix(&self.unix_path())
    }

    /// Every event (JSON line) so far.
    pub fn events(&self) -> Vec<Value> {
        self.output.events()
    }

    /// Every event called `name` so far.
    pub fn events_named(&self, name: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event"] == name);
        events
    }

    /// The first event called `name`, waited for.
    #[track_caller]
    pub fn wait_event(&self, name: &str) -> Value {
        self.wait_events(name, 1).remove(0)
    }

    /// The events called `name`, once there are `count` of them.
    #[track_caller]
    pub fn wait_events(&self, name: &str, count: usize) -> Vec<Value> {
        self.wait_until(&format!("{count} events {name:?}"), |events| {
            let named = events.iter().filter(|event| event["event"] == name);
            let named: Vec<Value> = named.cloned().collect();
            (named.len() >= count).then_some(named)
        })
    }

    /// The first event for which `wanted` holds, waited for.
    #[track_caller]
    pub fn wait_event_where(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_until(what, |events| {
            events.iter().find(|event| wanted(event)).cloned()
        })
    }

    /// The events of finished requests so far.
    pub fn request_events(&self) -> Vec<Value> {
        const NAMES: [&str; 3] = ["request_completed", "request_failed", "streaming_error"];
        let mut events = self.events();
        events.retain(|event| NAMES.iter().any(|name| event["event"] == *name));
        events
    }

    /// The events of finished requests, once there are `count`; more fail the test.
    #[track_caller]
    pub fn wait_request_events(&self, count: usize) -> Vec<Value> {
        wait::until(&format!("{count} requests have their event"), || {
            self.request_events().len() >= count
        });
        let events = self.request_events();
        assert_eq!(events.len(), count, "{events:#?}");
        events
    }

    /// The event of the only request.
    #[track_caller]
    pub fn wait_request_event(&self) -> Value {
        self.wait_request_events(1).remove(0)
    }

    /// Sends SIGHUP, SIGTERM, SIGINT...: `signal("HUP")`.
    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: signals without unsafe code and without another crate.
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.pid().to_string()])
            .status()
            .expect("there is a shell");
        assert!(status.success(), "the daemon takes no signal {name}");
    }

    /// Replaces the configuration file, placeholders filled in; SIGHUP is the test's.
    pub fn rewrite_config(&self, config: &str) {
        let config = filled_in(config, &self.places);
        self.directory.write("upstreamd.toml", config);
    }

    /// Replaces a credential.
    pub fn rewrite_credential(&self, name: &str, secret: &str) {
        self.directory.write(&format!("credentials/{name}"), secret);
    }

    /// Its exit code, waited for [`DEADLINE`]; None after a signal.
    #[track_caller]
    pub fn wait_exit(&mut self) -> Option<i32> {
        self.wait_exit_within(DEADLINE)
    }

    /// Its exit code, waited for `timeout`; None after a signal.
    #[track_caller]
    pub fn wait_exit_within(&mut self, timeout: Duration) -> Option<i32> {
        let mut status = None;
        let exited = wait::holds_within(timeout, || {
            status = self.child.try_wait().expect("our child can be waited for");
            status.is_some()
        });
        assert!(
            exited,
            "the daemon still runs after {timeout:?}:\n{}",
            self.stderr()
        );
        // Its last lines may still be in the pipe.
        self.output.wait_closed();
        status.and_then(|status| status.code())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// All of its standard error so far.
    pub fn stderr(&self) -> String {
        self.output.stderr()
    }

    /// All of its standard output so far.
    pub fn stdout(&self) -> String {
        self.output.stdout()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory, descriptors, CPU time.
    pub fn process(&self) -> Process {
        Process(self.pid())
    }

    /// The directory with its configuration, credentials and Unix socket.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    #[track_caller]
    fn wait_until<T>(&self, what: &str, look: impl Fn(&[Value]) -> Option<T>) -> T {
        self.output.wait_until(DEADLINE, look).unwrap_or_else(|| {
            panic!(
                "waited in vain for {what}; standard error:\n{}",
                self.stderr()
            )
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Killed, it would leave no counts where coverage is measured. The second
        // signal ends a drain.
        for _ in 0..2 {
            let runs = matches!(self.child.try_wait(), Ok(None));
            if runs && super::profile().next().is_some() {
                self.signal("TERM");
                let ended = || !matches!(self.child.try_wait(), Ok(None));
                wait::holds_within(Duration::from_secs(2), ended);
            }
        }
        // Fails only if it has been waited for, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- standard error of the daemon\n{}---", self.stderr());
        }
    }
}
