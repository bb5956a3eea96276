//! The subcommands that ask a running daemon: what they print, and exit with.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::daemon::Daemon;
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait::Gate;

fn serving(upstream: &Upstream) -> Daemon {
    let builder = Daemon::builder().upstream(upstream);
    let admin = "admin = \"unix:@DIR@/admin.sock\"";
    builder.server_settings(admin).start()
}

/// Exit code, standard output and error of a subcommand.
#[track_caller]
fn ran(words: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut builder = Daemon::builder();
    for word in words {
        builder = builder.arg(word);
    }
    for (name, value) in environment {
        builder = builder.env(name, value);
    }
    let mut command = builder.spawn();
    let exit = command.wait_exit().expect("no signal ends it");
    (exit, command.stdout(), command.stderr())
}

#[track_caller]
fn reload(socket: &Path) -> (i32, String, String) {
    ran(&["reload", "--admin", socket.to_str().unwrap()], &[])
}

#[test]
fn reload_says_nothing_of_a_good_configuration_and_all_of_a_bad_one() {
    let upstream = Upstream::answering("{}");
    let daemon = serving(&upstream);
    let socket = daemon.directory().join("admin.sock");
    assert_eq!(reload(&socket), (0, String::new(), String::new()));
    daemon.wait_event("reloaded");

    daemon.rewrite_config("[server]\nlisten = 7\nworkers = \"many\"\n");
    let (exit, out, err) = reload(&socket);
    assert_eq!((exit, out.as_str()), (78, ""));
    for said in [
        "the one before goes on",
        "upstreamd.toml:2:10:",
        "upstreamd.toml:3:11:",
    ] {
        assert!(err.contains(said), "no {said:?} in {err}");
    }
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
}

#[test]
fn reload_names_the_keys_that_wait_for_a_restart() {
    let upstream = Upstream::answering("{}");
    let daemon = serving(&upstream);
    daemon.rewrite_config(
        "[upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = []\n[server]\nmax_connections = 7\n",
    );
    let (exit, out, _) = reload(&daemon.directory().join("admin.sock"));
    assert_eq!(exit, 0);
    for key in ["server.listen", "server.admin", "server.max_connections"] {
        assert!(out.contains(key), "no {key} in {out}");
    }
}

#[test]
fn without_a_daemon_both_exit_with_69_and_say_where_they_asked() {
    let files = Scratch::new();
    let socket = files.path().join("a.sock");
    let (exit, _, err) = reload(&socket);
    assert_eq!(exit, 69);
    assert!(
        err.contains("no such socket") && err.contains("a.sock"),
        "{err}"
    );
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(reload(&socket).0, 69);

    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let (exit, _, err) = ran(&["health", "--at", &address], &[]);
    assert_eq!(exit, 69);
    assert!(err.contains(&address), "{err}");
}

#[test]
fn a_daemon_that_stops_is_neither_healthy_nor_reloads() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = serving(&upstream);
    let socket = daemon.directory().join("admin.sock");
    let mut client = daemon.client();
    client.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    daemon.wait_event("draining");
    let (exit, _, err) = reload(&socket);
    assert_eq!(exit, 69);
    assert!(err.contains("stopping"), "{err}");
    let at = format!("unix:{}", socket.display());
    let (exit, _, err) = ran(&["health", "--at", &at], &[]);
    assert_eq!(exit, 69);
    assert!(err.contains("503"), "{err}");
    gate.open();
    assert_eq!(daemon.wait_exit(), Some(0));
}

#[test]
fn health_asks_where_it_is_told_or_where_the_daemon_is_configured_to_be() {
    let upstream = Upstream::answering("{}");
    let daemon = serving(&upstream);
    let (address, unix) = (daemon.address(), daemon.listeners().pop().unwrap());
    for at in [address.to_string(), unix.clone()] {
        let (exit, out, err) = ran(&["health", "--at", &at], &[]);
        assert_eq!(exit, 0, "{err}");
        assert!(out.contains(&at) && out.contains("fine"), "{out}");
    }
    // By the configuration, of which whoever asks may read no secret.
    let files = Scratch::new();
    let text = format!(
        "[server]\nlisten = \"0.0.0.0:{}\"\n[upstream.test]\nkeys = [\"lost\"]\n",
        address.port()
    );
    let file = files.write("c.toml", text);
    let file = file.to_str().unwrap();
    for (words, environment) in [
        (
            &["health", "-c", file][..],
            ("UPSTREAMD_CONFIG", "/nowhere"),
        ),
        (&["health"], ("UPSTREAMD_CONFIG", file)),
        (&["health"], ("PORT", &*address.port().to_string())),
    ] {
        let (exit, out, err) = ran(words, &[environment]);
        assert_eq!(exit, 0, "{words:?} {environment:?}: {err}");
        assert!(out.contains(&address.to_string()), "{out}");
    }
    let wrong = files.write("d.toml", "[server]\nlisten = 4000\n");
    let (exit, _, err) = ran(&["health", "-c", wrong.to_str().unwrap()], &[]);
    assert_eq!(exit, 78);
    assert!(err.contains("d.toml:2:10"), "{err}");
}

#[test]
fn health_waits_for_nobody_longer_than_five_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let (exit, _, err) = ran(&["health", "--at", &address], &[]);
    assert_eq!(exit, 69);
    assert!(err.contains("5 s"), "{err}");
    assert!(begun.elapsed() >= Duration::from_secs(5));
}
