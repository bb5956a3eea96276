//! A service manager: what the daemon tells it (sd_notify(3)).

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait::DEADLINE;

/// Hears message by message.
pub(crate) struct Manager {
    socket: UnixDatagram,
    /// As `NOTIFY_SOCKET` has it.
    pub(crate) name: String,
    _files: Scratch,
}

impl Manager {
    /// At a path.
    pub(crate) fn at_path() -> Manager {
        let files = Scratch::new();
        let path = files.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager::hearing(socket, path.display().to_string(), files)
    }

    /// In the abstract namespace.
    pub(crate) fn abstract_one() -> Manager {
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

    /// The next message.
    #[track_caller]
    pub(crate) fn next(&self) -> Message {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("a message comes");
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        Message(text.lines().map(str::to_owned).collect())
    }

    /// The next message with this assignment, whatever comes before.
    #[track_caller]
    pub(crate) fn next_with(&self, name: &str, value: &str) -> Message {
        loop {
            let message = self.next();
            if message.value(name) == Some(value) {
                return message;
            }
        }
    }

    /// Everything that comes until this status, which is the last of it.
    #[track_caller]
    pub(crate) fn until_status(&self, wanted: impl Fn(&str) -> bool) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.next());
            let last = heard.last().and_then(|message| message.value("STATUS"));
            if last.is_some_and(&wanted) {
                return heard;
            }
        }
    }

    /// Whether no message waits.
    pub(crate) fn has_heard_nothing(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        matches!(self.socket.recv(&mut [0; 64]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// A daemon that tells this one.
    pub(crate) fn builder(&self, upstream: &Upstream) -> Builder {
        let builder = Daemon::builder().upstream(upstream);
        builder.env("NOTIFY_SOCKET", &self.name)
    }
}

/// The assignments of one message.
#[derive(Debug)]
pub(crate) struct Message(Vec<String>);

impl Message {
    /// What is assigned to `name`.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let lines = self.0.iter().filter_map(|line| line.split_once('='));
        let mut values = lines.filter_map(|(found, value)| (found == name).then_some(value));
        values.next()
    }

    /// The same as a number.
    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self
            .value(name)
            .unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.parse().unwrap()
    }
}
