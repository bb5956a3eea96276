//! Standard error under all conditions: nobody reads, nobody is there, a person reads.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::client::Client;
use crate::support::daemon::Daemon;
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait;

/// A pipe with a name, open at both ends here: nobody who opens it waits.
fn pipe(files: &Scratch) -> (PathBuf, File) {
    let path = files.path().join("stderr");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo is in coreutils").success());
    let both = File::options().read(true).write(true).open(&path).unwrap();
    (path, both)
}

/// Starts the daemon with its standard error `redirected`, in the shell's words.
fn start(upstream: &Upstream, redirected: &str, arguments: &[&str]) -> (Daemon, PathBuf) {
    let script = format!("exec \"$@\" {redirected}");
    let builder = Daemon::builder().upstream(upstream);
    let builder = arguments
        .iter()
        .fold(builder, |builder, word| builder.arg(word));
    let daemon = builder.through(["sh", "-c", &script, "sh"]).spawn();
    let path = daemon.directory().join("upstreamd.sock");
    wait::until("it listens", || UnixStream::connect(&path).is_ok());
    (daemon, path)
}

/// The JSON lines in `pipe`, read by a thread as they come.
fn lines_of(pipe: &Path) -> Receiver<Value> {
    let lines = BufReader::new(File::open(pipe).unwrap()).lines();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let line = serde_json::from_str(&line).expect("every line is JSON");
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Sends `count` probes, many at once.
fn probe(path: &Path, count: usize) {
    const AT_ONCE: usize = 100;
    let mut client = Client::unix(path);
    let requests = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(AT_ONCE);
    for _ in 0..count / AT_ONCE {
        client.write(&requests).unwrap();
        for _ in 0..AT_ONCE {
            assert_eq!(client.answer().status(), 200);
        }
    }
}

#[test]
fn a_standard_error_that_nobody_reads_delays_nothing_and_losses_are_counted() {
    /// Two records each, at debug level: more than may wait (8192).
    const PROBES: usize = 6_000;
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let (pipe, _unread) = pipe(&files);
    let redirected = format!("2>{}", pipe.display());
    let (mut daemon, path) = start(&upstream, &redirected, &["--log-level", "debug"]);
    probe(&path, PROBES);
    assert_eq!(Client::unix(&path).get("/v1/models").status(), 200);

    // Read late, it tells how much is missing: nothing is lost without a word.
    let lines = lines_of(&pipe);
    let (mut read, mut dropped) = (0, 0);
    while read + dropped < 2 * PROBES {
        let line = lines.recv_timeout(wait::DEADLINE);
        let line = line.unwrap_or_else(|_| panic!("{read} read and {dropped} said to be lost"));
        if line["event"] == "log_dropped" {
            assert_eq!(line["level"], "warning");
            dropped = usize::try_from(line["total"].as_u64().unwrap()).unwrap();
        }
        read += usize::from(line["path"] == "/health");
    }
    assert!(dropped > 0);
    // Those of the last request may be among the lost ones.
    assert!(read + dropped <= 2 * PROBES + 2, "{read} + {dropped}");

    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(0));
}

#[test]
fn a_full_standard_error_does_not_hold_up_the_end() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let (pipe, _unread) = pipe(&files);
    let redirected = format!("2>{}", pipe.display());
    let (mut daemon, path) = start(&upstream, &redirected, &["--log-level", "debug"]);
    probe(&path, 200);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit_within(Duration::from_secs(5)), Some(0));
}

#[test]
fn a_standard_error_that_is_closed_fails_nothing() {
    let upstream = Upstream::answering("{}");
    let files = Scratch::new();
    let (pipe, reader) = pipe(&files);
    for (redirected, reader) in [
        (format!("2>{}", pipe.display()), Some(reader)),
        ("2>&-".to_owned(), None),
    ] {
        let (mut daemon, path) = start(&upstream, &redirected, &[]);
        drop(reader);
        for _ in 0..10 {
            assert_eq!(Client::unix(&path).get("/v1/models").status(), 200);
        }
        daemon.signal("HUP");
        assert_eq!(Client::unix(&path).get("/v1/models").status(), 200);
        daemon.signal("TERM");
        assert_eq!(daemon.wait_exit(), Some(0));
    }
}

#[test]
fn text_is_for_people_and_has_no_colours_in_a_pipe() {
    let upstream = Upstream::answering("{}");
    let (mut daemon, path) = start(&upstream, "", &["--log-format", "text"]);
    let mut client = Client::unix(&path);
    client.get("/v1/models?key=sk-in-a-query");
    client.get("/v1/a/../../b");
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(0));
    let text = daemon.stderr();
    let line = |word: &str| {
        let found = text.lines().find(|line| line.contains(word));
        found.unwrap_or_else(|| panic!("no {word:?} in:\n{text}"))
    };
    assert!(line(" ready ").contains("upstreamd.sock"));
    let good = line("request_completed");
    assert!(good.contains("GET /v1/models 200 in 0."), "{good}");
    assert!(good.contains("upstream=test"), "{good}");
    assert!(line("request_failed").contains("error_code=invalid_path"));
    assert!(line("draining").contains("requests running"));
    line("stopped");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(!text.contains("sk-in-a-query"));
}
