//! Where clients are accepted, and that nothing ends it.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::support::client::Client;
use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait;

/// Listens on `addresses`, quoted and comma-separated.
fn on(upstream: &Upstream, addresses: &str) -> Builder {
    Daemon::builder().upstream(upstream).config(&format!(
        "[server]\nlisten = [{addresses}]\nworkers = 1\n\
         [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n\
         tls = {{ ca_file = \"@CA@\", platform_roots = false }}\n"
    ))
}

#[track_caller]
fn serves(mut client: Client, daemon: &Daemon, listener: &str, remote: &str) {
    let before = daemon.events_named("request_completed").len();
    assert_eq!(client.get("/v1/x").status(), 200);
    let event = daemon
        .wait_events("request_completed", before + 1)
        .remove(before);
    assert_eq!(event["listener"], listener);
    let from = event["remote"].as_str().unwrap();
    assert!(from.starts_with(remote), "{from}");
}

#[test]
fn it_listens_on_ipv4_ipv6_and_unix_at_once() {
    let upstream = Upstream::answering("{}");
    let places =
        "\"127.0.0.1:0\", \"[::1]:0\", \"unix:@DIR@/a\", \"unix:@DIR@/b\", \"127.0.0.2:0\"";
    let daemon = on(&upstream, places).start();
    let listeners = daemon.listeners();
    assert_eq!(listeners.len(), 5);
    for listener in &listeners {
        match listener.strip_prefix("unix:") {
            Some(path) => serves(Client::unix(Path::new(path)), &daemon, listener, "unix:"),
            None => {
                let address: SocketAddr = listener.parse().unwrap();
                // Loopback's own address is the one that asks, whichever it asks.
                let remote = if address.is_ipv6() {
                    "[::1]:"
                } else {
                    "127.0.0.1:"
                };
                serves(Client::tcp(address), &daemon, listener, remote);
            }
        }
    }
}

#[test]
fn a_unix_socket_is_for_owner_and_group_and_goes_with_the_daemon() {
    let upstream = Upstream::answering("{}");
    let mut daemon = on(&upstream, "\"unix:@DIR@/s\"").start();
    let path = daemon.unix_path();
    let found = fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(0));
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_left_over_from_a_dead_process_is_taken_over() {
    let upstream = Upstream::answering("{}");
    let scratch = Scratch::new();
    let path = scratch.path().join("s");
    // The file of a listener outlives it.
    drop(UnixListener::bind(&path).unwrap());
    let listener = format!("unix:{}", path.display());
    let daemon = on(&upstream, &format!("\"{listener}\"")).start();
    serves(Client::unix(&path), &daemon, &listener, "unix:");
}

#[test]
fn a_unix_socket_that_somebody_listens_on_is_left_alone() {
    let upstream = Upstream::answering("{}");
    let scratch = Scratch::new();
    let path = scratch.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let mut daemon = on(&upstream, &format!("\"unix:{}\"", path.display())).spawn();
    assert_eq!(daemon.wait_exit(), Some(69));
    assert!(
        daemon
            .stderr()
            .contains(&format!("unix:{}", path.display()))
    );
    assert!(path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let upstream = Upstream::answering("{}");
    let scratch = Scratch::new();
    let path = scratch.write("s", "precious");
    let mut daemon = on(&upstream, &format!("\"unix:{}\"", path.display())).spawn();
    assert_eq!(daemon.wait_exit(), Some(69));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn an_address_in_use_ends_the_start_and_is_named() {
    let upstream = Upstream::answering("{}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut daemon = on(&upstream, &format!("\"127.0.0.1:0\", \"{address}\"")).spawn();
    assert_eq!(daemon.wait_exit(), Some(69));
    let said = daemon.stderr();
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
}

#[test]
fn an_address_of_another_machine_ends_the_start_and_is_named() {
    let upstream = Upstream::answering("{}");
    // TEST-NET-1, RFC 5737: nobody's.
    let mut daemon = on(&upstream, "\"192.0.2.1:4000\"").spawn();
    assert_eq!(daemon.wait_exit(), Some(69));
    assert!(daemon.stderr().contains("192.0.2.1:4000"));
}

#[test]
fn running_out_of_descriptors_ends_nothing() {
    const MORE: usize = 8;
    let upstream = Upstream::answering("{}");
    let daemon = on(&upstream, "\"127.0.0.1:0\", \"unix:@DIR@/s\"").start();
    assert_eq!(daemon.client().get("/v1/x").status(), 200);
    if !daemon.process().can_be_looked_into() {
        return;
    }
    // It raises its own limit to the hard one at its start, so both go down.
    let limit = daemon.process().descriptors() + MORE;
    let lowered = Command::new("prlimit")
        .args([
            "--pid",
            &daemon.pid().to_string(),
            &format!("--nofile={limit}:{limit}"),
        ])
        .status();
    assert!(lowered.expect("util-linux is there").success());

    let mut clients: Vec<Client> = (0..4 * MORE).map(|_| daemon.client()).collect();
    let event = daemon.wait_event("accept_failed");
    assert_eq!(event["level"], "warning");
    // Those that were let in are served meanwhile: the pooled connection is theirs.
    assert_eq!(clients[0].get("/v1/x").status(), 200);
    // And when some have gone, those that waited come in by themselves.
    let mut last = clients.pop().unwrap();
    last.send("GET", "/v1/last", "", b"").unwrap();
    drop(clients);
    assert_eq!(last.answer().status(), 200);
    assert_eq!(daemon.unix_client().get("/v1/x").status(), 200);
    wait::until("what they held is free again", || {
        daemon.process().descriptors() < limit - MORE / 2
    });
}
