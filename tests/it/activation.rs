//! Sockets that systemd passes: which are taken, which are refused, and what
//! becomes of them when the process ends.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

/// open(2) flags as /proc/PID/fdinfo shows them (octal, x86-64 and aarch64 alike).
const O_NONBLOCK: u32 = 0o4000;
const O_CLOEXEC: u32 = 0o2_000_000;

fn builder(upstream: &Upstream) -> Builder {
    Daemon::builder().upstream(upstream)
}

fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// An address that nobody listens on; systemd-socket-activate knows no port 0.
fn free(host: &str) -> String {
    let listener = TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The start fails with 78 and says all of `words`.
#[track_caller]
fn refused(builder: Builder, words: &[&str]) {
    let mut daemon = builder.spawn();
    assert_eq!(daemon.wait_exit(), Some(78), "{}", daemon.stderr());
    let said = daemon.stderr();
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

#[test]
fn systemd_socket_activate_hands_over_tcp_and_unix_with_names_and_without() {
    for (names, listener) in [
        (Some("upstreamd:upstreamd.socket:upstreamd"), "upstreamd"),
        (None, "unknown"),
    ] {
        let upstream = Upstream::answering("{}");
        let files = Scratch::new();
        let path = files.path().join("a.sock");
        let (v4, v6) = (free("127.0.0.1"), free("::1"));
        let mut wrapper = vec!["systemd-socket-activate".to_owned()];
        for address in [&v4, &v6, path.to_str().unwrap()] {
            wrapper.extend(["-l".to_owned(), address.to_owned()]);
        }
        wrapper.push("--setenv=CREDENTIALS_DIRECTORY".to_owned());
        wrapper.extend(names.map(|names| format!("--fdname={names}")));
        let daemon = builder(&upstream).through(wrapper).spawn();
        // The first connection starts the daemon; the last socket is this one.
        wait::until("it listens", || UnixStream::connect(&path).is_ok());
        let mut clients = [
            Client::unix(&path),
            Client::tcp(v4.parse().unwrap()),
            Client::tcp(v6.parse().unwrap()),
        ];
        for client in &mut clients {
            assert_eq!(client.get("/v1/models").status(), 200);
        }
        let unix = format!("unix:{}", path.display());
        assert_eq!(daemon.listeners(), [v4, v6, unix]);
        let events = daemon.wait_events("request_completed", 3);
        assert_eq!(events[0]["listener"], listener);
    }
}

#[test]
fn passed_sockets_of_both_names_are_served_and_listen_is_ignored() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let path = files.path().join("passed.sock");
    let (tcp, unix) = (loopback(), UnixListener::bind(&path).unwrap());
    let address = tcp.local_addr().unwrap();
    let daemon = builder(&upstream)
        .pass("upstreamd", tcp)
        .pass("upstreamd.socket", unix)
        .start();
    assert_eq!(
        daemon.listeners(),
        [address.to_string(), format!("unix:{}", path.display())]
    );
    assert_eq!(Client::tcp(address).get("/v1/models").status(), 200);
    assert_eq!(Client::unix(&path).get("/v1/models").status(), 200);
    let events = daemon.wait_events("request_completed", 2);
    assert_eq!(events[0]["listener"], "upstreamd");
    assert_eq!(events[1]["listener"], "upstreamd.socket");
    // What the configuration says under `listen`.
    assert!(!daemon.directory().join("upstreamd.sock").exists());
}

#[test]
fn variables_meant_for_another_process_pass_nothing() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream)
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "upstreamd")
        .start();
    assert_eq!(daemon.unix_client().get("/v1/models").status(), 200);
}

#[test]
fn passed_sockets_are_close_on_exec_and_non_blocking() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let (tcp, unix) = (
        loopback(),
        UnixListener::bind(files.path().join("a")).unwrap(),
    );
    let inodes = [inode(tcp.as_raw_fd()), inode(unix.as_raw_fd())];
    let daemon = builder(&upstream)
        .pass("upstreamd", tcp)
        .pass("upstreamd", unix)
        .start();
    let process = format!("/proc/{}", daemon.pid());
    if !daemon.process().can_be_looked_into() {
        return;
    }
    for inode in inodes {
        let flags = flags_of(Path::new(&process), &inode);
        assert!(!flags.is_empty(), "the daemon does not have {inode}");
        for flags in flags {
            assert_eq!(
                flags & (O_CLOEXEC | O_NONBLOCK),
                O_CLOEXEC | O_NONBLOCK,
                "{flags:o}"
            );
        }
    }
}

fn inode(descriptor: i32) -> String {
    let link = fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap();
    link.display().to_string()
}

/// The flags of every descriptor of the process that is `inode`.
fn flags_of(process: &Path, inode: &str) -> Vec<u32> {
    let is_it = |number: &String| {
        fs::read_link(process.join("fd").join(number))
            .is_ok_and(|link| link.to_str() == Some(inode))
    };
    fs::read_dir(process.join("fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(is_it)
        .map(|number| {
            let info = fs::read_to_string(process.join("fdinfo").join(number)).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            u32::from_str_radix(flags.unwrap().trim(), 8).unwrap()
        })
        .collect()
}

#[test]
fn an_unknown_name_ends_the_start_with_78_and_is_said() {
    let upstream = Upstream::answering("{}");
    refused(
        builder(&upstream).pass("web-front", loopback()),
        &[
            "web-front",
            "[listener.NAME]",
            "FileDescriptorName=upstreamd",
        ],
    );
    // One more than there is work for, beside a good one.
    refused(
        builder(&upstream)
            .pass("upstreamd", loopback())
            .pass("surplus", loopback()),
        &["surplus"],
    );
}

#[test]
fn a_name_of_its_own_is_accepted_if_the_configuration_speaks_of_it() {
    let upstream = Upstream::answering("{}");
    let team = loopback();
    let address = team.local_addr().unwrap();
    let table =
        "\n[client.one]\nkey = \"k\"\n[listener.\"team.socket\"]\nrequire_key = \"never\"\n";
    let daemon = builder(&upstream)
        .more_config(table)
        .credential("k", "sk-one")
        .pass("team.socket", team)
        .pass("upstreamd", loopback())
        .start();
    let mut client = Client::tcp(address);
    assert_eq!(client.get("/v1/models").status(), 200);
    let event = daemon.wait_event("request_completed");
    assert_eq!(event["listener"], "team.socket");

    // Without it, the next start would refuse the socket, and so does a reload.
    daemon.rewrite_config(
        "[upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = []\n[client.one]\nkey = \"k\"\n",
    );
    daemon.signal("HUP");
    let failed = daemon.wait_event("reload_failed");
    let message = failed["msg"].as_str().unwrap();
    assert!(message.contains("[listener.\"team.socket\"]"), "{message}");
    assert_eq!(client.get("/v1/models").status(), 200);
}

#[test]
fn what_is_no_listening_stream_socket_ends_the_start_with_78_and_its_name() {
    let upstream = Upstream::answering("{}");
    let listener = loopback();
    let files = Scratch::new();
    let things: [(&str, OwnedFd); 6] = [
        ("datagram", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        (
            "connected TCP",
            TcpStream::connect(listener.local_addr().unwrap())
                .unwrap()
                .into(),
        ),
        ("connected Unix", UnixStream::pair().unwrap().0.into()),
        (
            "Unix datagram",
            std::os::unix::net::UnixDatagram::unbound().unwrap().into(),
        ),
        (
            "plain file",
            File::open(files.write("file", "x")).unwrap().into(),
        ),
        ("null device", File::open("/dev/null").unwrap().into()),
    ];
    for (what, thing) in things {
        println!("{what}");
        refused(
            builder(&upstream)
                .pass("upstreamd.socket", loopback())
                .pass("upstreamd", thing),
            &["\"upstreamd\"", "listening stream socket"],
        );
    }
}

#[test]
fn descriptors_and_names_that_do_not_match_end_the_start_with_78() {
    let upstream = Upstream::answering("{}");
    let with = |variables: &str| {
        let script = format!("exec 3<&0; LISTEN_PID=$$ {variables} exec \"$@\"");
        // `pass` makes standard input the socket; the script is ours.
        builder(&upstream)
            .pass("upstreamd", loopback())
            .through(["sh", "-c", &script, "sh"])
    };
    refused(with("LISTEN_FDS=9"), &["LISTEN_FDS"]);
    refused(
        with("LISTEN_FDS=1 LISTEN_FDNAMES=upstreamd:upstreamd"),
        &["LISTEN_FDNAMES"],
    );
    refused(with("LISTEN_FDS=one"), &["LISTEN_FDS"]);
}

#[test]
fn what_waits_in_a_passed_socket_is_served_by_the_next_process() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let socket = loopback();
    let address = socket.local_addr().unwrap();
    let start = || builder(&upstream).pass("upstreamd", socket.try_clone().unwrap());
    let ask = || {
        let mut client = Client::tcp(address);
        client.send("GET", "/v1/next", "", b"").unwrap();
        client
    };

    let mut first = start().start();
    let mut running = Client::tcp(address);
    running.start_stream_at("/v1/first");
    first.signal("TERM");
    first.wait_event("draining");
    // Connected while the first one drains, and after it has gone.
    let while_draining = ask();
    gate.open();
    assert!(running.rest().is_complete());
    assert_eq!(first.wait_exit(), Some(0));
    let while_nobody_is_there = ask();

    let second = start().start();
    for mut client in [while_draining, while_nobody_is_there] {
        assert_eq!(client.answer().status(), 200);
    }
    second.wait_events("request_completed", 2);
    assert_eq!(first.events_named("request_completed").len(), 1);
}
