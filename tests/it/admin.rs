//! The admin socket: who it is, what it answers, and that it is in nobody's way.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::client::{Answer, Client};
use crate::support::daemon::{Builder, Daemon};
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

const ADMIN: &str = "admin = \"unix:@DIR@/admin.sock\"\n";

fn builder(upstream: &Upstream) -> Builder {
    Daemon::builder().upstream(upstream).server_settings(ADMIN)
}

fn path(daemon: &Daemon) -> PathBuf {
    daemon.directory().join("admin.sock")
}

/// An answer on a connection of its own.
#[track_caller]
fn asked(path: &Path, method: &str, target: &str, body: &str) -> Answer {
    let mut client = Client::unix(path);
    client.send(method, target, "", body.as_bytes()).unwrap();
    client.answer()
}

#[track_caller]
fn reload(path: &Path) -> Answer {
    asked(path, "POST", "/reload", "")
}

#[test]
fn health_is_answered_and_nothing_of_a_client_is() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let answer = asked(&path(&daemon), "GET", "/health", "");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body.json()["status"], "ok");
    assert_eq!(answer.head.field("connection"), Some("close"));
    assert_eq!(asked(&path(&daemon), "GET", "/v1/models", "").status(), 404);
    assert!(upstream.requests().is_empty());
    // Nor is it administered where clients are.
    assert_eq!(daemon.client().get("/health").status(), 200);
    let mut client = daemon.client();
    client.send("POST", "/reload", "", b"").unwrap();
    assert_eq!(client.answer().status(), 200);
    assert_eq!(upstream.wait_requests(1)[0].head.target(), "/v1/reload");
    assert!(daemon.events_named("reloaded").is_empty());
}

#[test]
fn what_there_is_not_is_answered_with_what_there_is() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let path = path(&daemon);
    let answer = asked(&path, "GET", "/", "");
    assert_eq!(answer.status(), 404);
    let there = &answer.body.json()["endpoints"];
    assert_eq!(
        *there,
        serde_json::json!(["GET /health", "GET /metrics", "POST /reload", "GET /status"])
    );
    for (method, target, allow) in [
        ("GET", "/reload", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/status", "GET, HEAD"),
    ] {
        let answer = asked(&path, method, target, "");
        assert_eq!(answer.status(), 405, "{method} {target}");
        assert_eq!(answer.head.field("allow"), Some(allow));
    }
    assert_eq!(asked(&path, "POST", "/reload", "{}").status(), 413);
    let mut head = Client::unix(&path);
    head.send("HEAD", "/health", "", b"").unwrap();
    assert_eq!(head.answer_to_head().status(), 200);
    assert!(daemon.events_named("reloaded").is_empty());
}

#[test]
fn a_reload_is_answered_with_what_came_of_it() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let path = path(&daemon);
    let config = |more: &str, server: &str| {
        format!(
            "[server]\nlisten = [\"127.0.0.1:0\", \"unix:@DIR@/upstreamd.sock\"]\n{ADMIN}{server}\n\
             [upstream.test]\nbase_url = \"@UPSTREAM@\"\nkeys = [\"test\"]\n{more}\n\
             [upstream.test.tls]\nca_file = \"@CA@\"\nplatform_roots = false\n"
        )
    };
    let agent_seen = || {
        assert_eq!(daemon.client().get("/v1/models").status(), 200);
        let last = upstream.requests().pop().unwrap();
        last.head.field("user-agent").map(str::to_owned)
    };

    daemon.rewrite_config(&config("user_agent = \"New/1\"", ""));
    let answer = reload(&path);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.body.json(), serde_json::json!({"reloaded": true}));
    // At once: it was in use before the answer came.
    assert_eq!(agent_seen().as_deref(), Some("New/1"));

    daemon.rewrite_config(&config("user_agent = \"New/2\"", "workers = 3"));
    let answer = reload(&path);
    assert_eq!(answer.status(), 200);
    let waiting = &answer.body.json()["restart_needed"];
    assert_eq!(*waiting, serde_json::json!(["server.workers"]));

    daemon.rewrite_config(&config("user_agent = 3\ntypo = 4", ""));
    let answer = reload(&path);
    assert_eq!(answer.status(), 500);
    let said = answer.body.json();
    assert_eq!(said["reloaded"], false);
    let errors = said["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for (error, (line, key)) in errors.iter().zip([(8, "user_agent"), (9, "typo")]) {
        let error = error.as_str().unwrap();
        assert!(
            error.contains(&format!("upstreamd.toml:{line}:")),
            "{error}"
        );
        assert!(error.contains(key), "{error}");
    }
    assert_eq!(agent_seen().as_deref(), Some("New/2"));
}

#[test]
fn a_file_that_hangs_stops_nothing_but_its_reload() {
    let upstream = Upstream::answering("{}");
    let mut daemon = builder(&upstream).start();
    let file = daemon.directory().join("upstreamd.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    make_fifo(&file);

    let mut asking = Client::unix(&path(&daemon));
    asking.send("POST", "/reload", "", b"").unwrap();
    // It is reading: whoever opens the other end does not wait.
    let mut end = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
    assert_eq!(asked(&path(&daemon), "GET", "/health", "").status(), 200);
    std::io::Write::write_all(&mut end, text.as_bytes()).unwrap();
    drop(end);
    assert_eq!(asking.answer().status(), 200);

    // Nor the end.
    let mut asking = Client::unix(&path(&daemon));
    asking.send("POST", "/reload", "", b"").unwrap();
    let _end = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    daemon.signal("TERM");
    assert_eq!(asking.answer().status(), 503);
    assert_eq!(daemon.wait_exit(), Some(0));
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("coreutils are there").success());
}

#[test]
fn while_draining_it_answers_and_keeps_nothing_from_ending() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let mut daemon = builder(&upstream).start();
    let path = path(&daemon);
    let mut running = daemon.client();
    running.start_stream_at("/v1/stream");
    daemon.signal("TERM");
    daemon.wait_event("draining");
    wait::until("it says that it drains", || {
        asked(&path, "GET", "/health", "").status() == 503
    });
    let answer = reload(&path);
    assert_eq!(answer.status(), 503);
    assert!(answer.body.text().contains("stopping"));
    // Somebody who says nothing.
    let _open = UnixStream::connect(&path).unwrap();
    gate.open();
    assert!(running.rest().is_complete());
    let ended = Instant::now();
    assert_eq!(daemon.wait_exit(), Some(0));
    assert!(ended.elapsed() < Duration::from_secs(4), "the drain waited");
    assert!(!path.exists());
}

#[test]
fn those_who_say_nothing_keep_neither_clients_nor_administrators_out_for_long() {
    let upstream = Upstream::answering("{}");
    let daemon = builder(&upstream).start();
    let path = path(&daemon);
    // More than there are places for; half of them begin.
    let silent: Vec<_> = (0..40)
        .map(|number| {
            let mut client = Client::unix(&path);
            if number % 2 == 0 {
                client.write("GET /health HTTP/1.1\r\n").unwrap();
            }
            client
        })
        .collect();
    assert_eq!(daemon.client().get("/v1/models").status(), 200);
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    drop(silent);
    assert_eq!(asked(&path, "GET", "/health", "").status(), 200);

    // And those that stay are dropped after a time of ours.
    let mut first = Client::unix(&path);
    first.write("GET /health HTTP/1.1\r\n").unwrap();
    let _others: Vec<_> = (0..15)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    assert_eq!(asked(&path, "GET", "/health", "").status(), 200);
}

#[test]
fn its_socket_is_for_owner_and_group_and_a_left_over_one_is_taken_over() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let path = files.path().join("a.sock");
    let settings = format!("admin = \"unix:{}\"", path.display());
    let builder = || {
        let builder = Daemon::builder().upstream(&upstream);
        builder.server_settings(&settings)
    };
    drop(UnixListener::bind(&path).unwrap());
    let daemon = builder().start();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(asked(&path, "GET", "/health", "").status(), 200);

    // One that somebody listens on is left alone.
    let mut second = builder().spawn();
    assert_eq!(second.wait_exit(), Some(69));
    let said = second.stderr();
    assert!(
        said.contains("server.admin") && said.contains("in use"),
        "{said}"
    );
    assert_eq!(asked(&path, "GET", "/health", "").status(), 200);
    drop(daemon);
}

#[test]
fn a_socket_that_systemd_passes_is_known_by_its_name() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let path = files.path().join("passed.sock");
    for name in ["upstreamd-admin", "upstreamd-admin.socket"] {
        let _ = std::fs::remove_file(&path);
        let clients = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = clients.local_addr().unwrap();
        let daemon = builder(&upstream)
            .pass(name, UnixListener::bind(&path).unwrap())
            .pass("upstreamd", clients)
            .start();
        assert_eq!(daemon.listeners(), [address.to_string()]);
        assert_eq!(asked(&path, "GET", "/health", "").status(), 200);
        assert_eq!(asked(&path, "GET", "/v1/models", "").status(), 404);
        assert_eq!(Client::tcp(address).get("/v1/models").status(), 200);
        // What the configuration names is not made.
        assert!(!daemon.directory().join("admin.sock").exists());
    }
}

#[test]
fn a_passed_admin_socket_has_to_be_a_unix_socket_beside_one_for_clients() {
    let upstream = Upstream::answering("{}");
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    let mut daemon = builder(&upstream)
        .pass("upstreamd", tcp())
        .pass("upstreamd-admin", tcp())
        .spawn();
    assert_eq!(daemon.wait_exit(), Some(78));
    assert!(
        daemon.stderr().contains("Unix socket"),
        "{}",
        daemon.stderr()
    );
    let files = Scratch::new();
    let unix = UnixListener::bind(files.path().join("a")).unwrap();
    let mut daemon = builder(&upstream).pass("upstreamd-admin", unix).spawn();
    assert_eq!(daemon.wait_exit(), Some(78));
    assert!(
        daemon.stderr().contains("for clients"),
        "{}",
        daemon.stderr()
    );
}
