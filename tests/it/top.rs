//! `upstreamd status` and `upstreamd top`: what a person sees, on a real terminal.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::daemon::{Builder, Daemon};
use crate::support::profile;
use crate::support::scratch::Scratch;
use crate::support::upstream::Upstream;
use crate::support::wait::{self, Gate};

const ANSWER: &str = r#"{"id":"1","object":"chat.completion","model":"m","usage":{"prompt_tokens":7,"completion_tokens":11,"total_tokens":18}}"#;

fn builder(upstream: &Upstream) -> Builder {
    let admin = "admin = \"unix:@DIR@/admin.sock\"";
    Daemon::builder().upstream(upstream).server_settings(admin)
}

/// Exit code, standard output and error of a subcommand that asks `daemon`.
#[track_caller]
fn ran(socket: &Path, words: &[&str]) -> (i32, String, String) {
    let mut builder = Daemon::builder();
    for word in words {
        builder = builder.arg(word);
    }
    let mut command = builder.arg("--admin").arg(socket).spawn();
    let exit = command.wait_exit().expect("no signal ends it");
    (exit, command.stdout(), command.stderr())
}

fn chat(daemon: &Daemon, model: &str) {
    let body = serde_json::json!({ "model": model }).to_string();
    let answer = daemon.client().post_json("/v1/chat/completions", &body);
    assert_eq!(answer.status(), 200);
}

/// `upstreamd top` on a terminal.
struct Terminal {
    child: Child,
    written: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(columns: usize, rows: usize, socket: &Path, words: &[&str]) -> Terminal {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pty.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args([columns.to_string(), rows.to_string()])
            .args([env!("CARGO_BIN_EXE_upstreamd"), "top"])
            .args(words)
            .arg("--admin")
            .arg(socket)
            .env_clear()
            .envs(profile())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&written);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                // ASCII, so that no character is split.
                let text = String::from_utf8_lossy(&bytes[..read]);
                keep.lock().unwrap().push_str(&text);
            }
        });
        Terminal { child, written }
    }

    fn order(&mut self, order: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{order}").unwrap();
    }

    fn written(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    /// What was drawn, frame by frame, the last one perhaps not yet whole; fails
    /// if there is more than text and the three sequences that draw in place.
    #[track_caller]
    fn frames(&self) -> Vec<Vec<String>> {
        let written = self.written();
        let mut frames = written.split("\u{1b}[H");
        assert_eq!(frames.next(), Some(""), "{written:?}");
        let plain = |frame: &str| {
            let frame = frame.replace("\u{1b}[K", "").replace("\u{1b}[J", "");
            frame.replace("\r\r\n", "\n").replace("\r\n", "\n")
        };
        let frames: Vec<Vec<String>> = frames
            .map(|frame| plain(frame).lines().map(str::to_owned).collect())
            .collect();
        let lines = frames.iter().flatten();
        for line in lines {
            let plain = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(plain, "{line:?}");
        }
        frames
    }

    /// The first frame for which `wanted` holds, all of it drawn.
    #[track_caller]
    fn wait_frame(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        wait::until_some(what, || {
            let mut frames = self.frames();
            frames.pop();
            frames.into_iter().find(|frame| wanted(&frame.join("\n")))
        })
    }

    /// Its exit status, and whether the terminal is as before.
    #[track_caller]
    fn end(mut self) -> String {
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        self.child.wait().unwrap();
        said.trim().to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn status_says_how_the_daemon_is_and_what_is_wrong() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    let socket = daemon.directory().join("admin.sock");
    chat(&daemon, "gpt-5");
    daemon.wait_request_event();
    let (exit, page, err) = ran(&socket, &["status"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        page.starts_with(&format!(
            "upstreamd {version}, pid {}: serving\n",
            daemon.pid()
        )),
        "{page}"
    );
    let row = page.lines().find(|line| line.starts_with("gpt-5 "));
    let row: Vec<_> = row
        .expect("the model is there")
        .split_whitespace()
        .collect();
    assert_eq!(row[..5], ["gpt-5", "test", "0", "1", "0"], "{page}");
    assert_eq!(row[7..], ["7", "11"], "{page}");
    for said in [
        "upstreamd.toml, in use since 20",
        "last reload    none since the start",
        &daemon.address().to_string(),
        "0 running, 0 of them queued; 1 ended, 0 failed; 0 sent again",
        "before the first byte, on average",
        "  test http",
        "    key test: ready, 0 running",
        "(nobody known)",
    ] {
        assert!(page.contains(said), "no {said:?} in\n{page}");
    }
    assert!(!page.contains("\n! "), "{page}");

    daemon.rewrite_config("typo = 1\n");
    daemon.signal("HUP");
    daemon.wait_event("reload_failed");
    wait::until("the page says it", || {
        let (_, page, _) = ran(&socket, &["status"]);
        page.contains("! the last reload failed") && page.contains("upstreamd.toml:1:1:")
    });
}

#[test]
fn status_and_top_exit_with_69_where_no_daemon_answers() {
    let files = Scratch::new();
    let socket = files.path().join("a.sock");
    for words in [&["status"][..], &["top"], &["top", "--once"]] {
        let (exit, out, err) = ran(&socket, words);
        assert_eq!((exit, out.as_str()), (69, ""), "{words:?}");
        assert!(
            err.contains("a.sock") && err.contains("no such socket"),
            "{err}"
        );
    }
}

#[test]
fn an_interval_that_nobody_can_follow_is_refused() {
    let files = Scratch::new();
    for (interval, said) in [("1ms", "100ms"), ("2h", "1h"), ("2", "duration")] {
        let (exit, _, err) = ran(&files.path().join("a"), &["top", "--interval", interval]);
        assert_eq!(exit, 64);
        assert!(err.contains("--interval") && err.contains(said), "{err}");
    }
    let (exit, _, err) = ran(&files.path().join("a"), &["status", "--once"]);
    assert_eq!(exit, 64);
    assert!(err.contains("upstreamd top"), "{err}");
}

#[test]
fn a_frame_has_what_happened_within_its_interval() {
    let gate = Gate::new();
    let upstream = Upstream::two_events(&gate);
    let daemon = builder(&upstream)
        .more_config("\n[model.mine]\nupstream = \"test\"\n")
        .start();
    let socket = daemon.directory().join("admin.sock");
    let mut running = daemon.client();
    let body = "{\"model\":\"mine\",\"stream\":true}";
    running
        .send(
            "POST",
            "/v1/chat/completions",
            "content-type: application/json\r\n",
            body.as_bytes(),
        )
        .unwrap();
    wait::until("it runs at the upstream", || {
        !upstream.requests().is_empty()
    });
    let (exit, out, err) = ran(&socket, &["top", "--once", "--interval", "100ms"]);
    assert_eq!((exit, err.as_str()), (0, ""));
    assert!(!out.contains('\u{1b}'), "{out}");
    assert!(out.lines().all(|line| line.len() <= 80), "{out}");
    assert!(out.contains("1 running, 0 queued, 0/s"), "{out}");
    let row = |name: &str| -> Vec<String> {
        let row = out.lines().find(|line| line.starts_with(name));
        let row = row.unwrap_or_else(|| panic!("no {name} in\n{out}"));
        row.split_whitespace().map(str::to_owned).collect()
    };
    // It has no end yet, so that there is nothing to measure.
    assert_eq!(row("mine "), ["mine", "test", "1", "0", "-", "-", "-", "0"]);
    assert_eq!(row("  key test"), ["key", "test", "ready", "1"]);
    assert_eq!(row("test ")[..3], ["test", "ready", "1"]);
    gate.open();
}

#[test]
fn on_a_terminal_of_80_by_24_top_draws_in_place_without_colour_until_q() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    let socket = daemon.directory().join("admin.sock");
    // More than there is room for, and one that means harm.
    for number in 0..40 {
        chat(&daemon, &format!("model-of-a-rather-long-name-{number}"));
    }
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}evil\r\nüber";
    chat(&daemon, evil);
    let mut top = Terminal::start(80, 24, &socket, &["--interval", "100ms"]);
    // The first frame has nothing to compare with.
    let is_compared = |frame: &str| frame.contains("0/s") && frame.contains("model-of");
    let frame = top.wait_frame("a second frame is there", is_compared);
    assert!(frame.len() <= 24, "{frame:#?}");
    assert!(frame.iter().all(|line| line.len() <= 80), "{frame:#?}");
    assert!(frame[0].starts_with("upstreamd "), "{frame:#?}");
    assert!(frame[0].contains("q ends it"), "{frame:#?}");
    assert!(
        frame.iter().any(|line| line.contains(" more")),
        "{frame:#?}"
    );

    chat(&daemon, evil);
    top.wait_frame("the busiest model comes first", |frame| {
        let mut lines = frame.lines().skip_while(|line| !line.starts_with("Model"));
        let model = lines.nth(1).unwrap_or_default();
        model.starts_with("?[2J?]0;owned??31m?ev") && !model.ends_with(" 0")
    });
    for frame in top.frames() {
        assert!(frame.len() <= 24 && frame.iter().all(|line| line.len() <= 80));
    }
    top.order("type q");
    assert_eq!(top.end(), "0 restored");
}

#[test]
fn top_follows_the_size_of_its_window() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    let socket = daemon.directory().join("admin.sock");
    let name = "m".repeat(60);
    chat(&daemon, &name);
    // It looks no more in the time of this test.
    let mut top = Terminal::start(80, 24, &socket, &["--interval", "1h"]);
    wait::until("it is drawn", || top.written().contains("Client"));
    assert!(!top.written().contains(&name));
    top.order("size 132 40");
    wait::until("it is drawn anew", || top.written().contains(&name));
    top.order("size 40 8");
    let small = wait::until_some("it is small", || {
        let frame = top.frames().pop()?;
        let fits = frame.len() <= 8 && frame.iter().all(|line| line.len() <= 40);
        fits.then_some(frame)
    });
    assert!(small[0].starts_with("upstreamd "), "{small:#?}");
    // What Ctrl-C sends.
    top.order("type \\x03");
    assert_eq!(top.end(), "0 restored");
}

#[test]
fn a_signal_ends_top_and_the_terminal_is_as_before() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    let socket = daemon.directory().join("admin.sock");
    for signal in ["TERM", "INT", "HUP"] {
        let mut top = Terminal::start(80, 24, &socket, &["--interval", "1h"]);
        wait::until("it is drawn", || top.written().contains("Client"));
        top.order(&format!("kill {signal}"));
        assert_eq!(top.end(), "0 restored", "{signal}");
    }
}

#[test]
fn top_stays_while_the_daemon_is_away_and_goes_on_with_the_next_one() {
    let upstream = Upstream::answering(ANSWER);
    let files = Scratch::new();
    let socket = files.path().join("a.sock");
    let settings = format!("admin = \"unix:{}\"", socket.display());
    let start = || {
        let builder = Daemon::builder().upstream(&upstream);
        builder.server_settings(&settings).start()
    };
    let mut daemon = start();
    let first = format!("pid {},", daemon.pid());
    let mut top = Terminal::start(80, 24, &socket, &["--interval", "100ms"]);
    top.wait_frame("it is there", |frame| frame.contains(&first));
    daemon.signal("TERM");
    assert_eq!(daemon.wait_exit(), Some(0));
    top.wait_frame("it says so", |frame| frame.contains("! unix:"));
    let daemon = start();
    let second = format!("pid {},", daemon.pid());
    top.wait_frame("the next one is there", |frame| frame.contains(&second));
    top.order("type \\x03");
    assert_eq!(top.end(), "0 restored");
}

#[test]
fn into_a_pipe_top_writes_frame_below_frame() {
    let upstream = Upstream::answering(ANSWER);
    let daemon = builder(&upstream).start();
    let socket = daemon.directory().join("admin.sock");
    let mut top = Daemon::builder()
        .arg("top")
        .arg("--interval")
        .arg("100ms")
        .arg("--admin")
        .arg(&socket)
        .spawn();
    wait::until("there are three", || {
        top.stdout().matches("\nClient").count() >= 3
    });
    top.signal("TERM");
    assert_eq!(top.wait_exit(), Some(0));
    let out = top.stdout();
    assert!(!out.contains('\u{1b}'), "{out}");
    assert!(out.lines().all(|line| line.len() <= 80), "{out}");
}
