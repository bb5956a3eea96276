//! A real `redis-server`, as Debian has it, on the loopback interface and a Unix
//! socket of a directory of its own; killed when dropped.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::scratch::Scratch;
use super::wait::{self, DEADLINE};

/// A running server.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    arguments: Vec<OsString>,
    directory: Scratch,
}

impl Redis {
    /// One that lets everybody in.
    pub fn start() -> Redis {
        Redis::with(|_| Vec::new())
    }

    /// One with the arguments that `more` gives for its port.
    pub fn with(more: impl Fn(u16) -> Vec<OsString>) -> Redis {
        loop {
            // Nobody else listens on it; if somebody is faster it ends at once.
            let free = TcpListener::bind("127.0.0.1:0").expect("the loopback interface has ports");
            let port = free.local_addr().expect("a bound socket has a name").port();
            drop(free);
            let mut redis = Redis {
                child: None,
                port,
                arguments: more(port),
                directory: Scratch::new(),
            };
            if redis.run() {
                return redis;
            }
        }
    }

    /// `redis://127.0.0.1:PORT/0`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// `unix:` and its path.
    pub fn unix_url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers to `command`, as it comes, by its Unix socket.
    pub fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a socket takes a timeout");
        write!(stream, "{command}\r\nQUIT\r\n").expect("it takes a command");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.trim_end_matches("+OK\r\n").to_owned()
    }

    /// Ends it at once; what it had is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_file(self.socket());
    }

    /// Starts it again, at the same places and empty.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.run(), "redis-server does not start again");
    }

    /// Stops it, so that it takes connections and answers nothing.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let kill = ["-c", "kill -s \"$0\" \"$1\"", name, &pid];
        let status = Command::new("sh").args(kill).status();
        assert!(status.expect("there is a shell").success());
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// Whether it came up.
    fn run(&mut self) -> bool {
        let mut command = Command::new(program());
        command
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("no redis-server; run tests/install: {error}"));
        let child = self.child.insert(child);
        let socket = self.directory.path().join("redis.sock");
        let mut ended = false;
        wait::until("redis-server takes connections", || {
            ended = matches!(child.try_wait(), Ok(Some(_)));
            ended || UnixStream::connect(&socket).is_ok()
        });
        !ended
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What tests/install made, else the one of the system.
fn program() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_default();
    let mut above = this.ancestors();
    above
        .find_map(|directory| {
            let program = directory.join("tools/bin/redis-server");
            program.exists().then_some(program)
        })
        .unwrap_or_else(|| Path::new("redis-server").to_owned())
}
