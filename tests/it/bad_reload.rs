//! SIGHUP with a configuration that is wrong: it changes nothing; and many
//! reloads, good and bad, under load.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::daemon::{Daemon, UPSTREAM_KEY};
use crate::support::upstream::{Conn, Upstream};
use crate::support::wait;

/// Good, with `agent` as the identity; line 6 is free for what is wrong.
fn config(agent: &str, line_6: &str, ca: &str) -> String {
    format!(
        "[server]\nlisten = [\"127.0.0.1:0\", \"unix:@DIR@/s\"]\n[upstream.test]\n\
         base_url = \"@UPSTREAM@\"\nuser_agent = \"{agent}\"\n{line_6}\n\
         [upstream.test.tls]\nca_file = \"{ca}\"\nplatform_roots = false\n"
    )
}

const KEYS: &str = "keys = [\"test\"]";

/// What is wrong, and what the record has to say of it.
fn bad() -> [(&'static str, String, [&'static str; 2]); 6] {
    let line_6 = |line: &str| config("Bad/1", line, "@CA@");
    [
        (
            "syntax",
            line_6("keys = [\"test\""),
            ["upstreamd.toml:", ":"],
        ),
        (
            "unknown key",
            line_6("keys = [\"test\"]\nkeyz = 1"),
            ["upstreamd.toml:7:", "keyz"],
        ),
        (
            "wrong type",
            line_6("keys = [\"test\"]\nidle_timeout = 5"),
            ["upstreamd.toml:7:", "idle_timeout"],
        ),
        (
            "no such credential",
            line_6("keys = [\"lost\"]"),
            ["upstreamd.toml:6:", "lost"],
        ),
        (
            "no such CA file",
            config("Bad/1", KEYS, "@DIR@/nowhere.pem"),
            ["upstreamd.toml:8:", "nowhere.pem"],
        ),
        (
            "no CA in the file",
            config("Bad/1", KEYS, "@DIR@/upstreamd.toml"),
            ["upstreamd.toml:8:", "ca_file"],
        ),
    ]
}

#[test]
fn a_bad_configuration_changes_nothing_and_says_where_it_is_wrong() {
    let upstream = Upstream::answering("{}");
    let daemon = Daemon::builder()
        .config(&config("Good/1", KEYS, "@CA@"))
        .upstream(&upstream)
        .start();
    let mut client = daemon.client();
    for (what, text, said) in bad() {
        daemon.rewrite_config(&text);
        daemon.signal("HUP");
        daemon.wait_event_where(what, |event| {
            let message = event["msg"].as_str().unwrap_or_default();
            event["event"] == "reload_failed"
                && event["level"] == "error"
                && said.iter().all(|word| message.contains(word))
        });
        assert_eq!(client.get("/v1/models").status(), 200);
    }
    for request in upstream.wait_requests(bad().len()) {
        assert_eq!(request.head.field("user-agent"), Some("Good/1"));
        assert!(
            request
                .head
                .field("authorization")
                .unwrap()
                .ends_with(UPSTREAM_KEY)
        );
    }
    assert!(daemon.events_named("reloaded").is_empty());
    // And a good one is taken afterwards as if nothing had been.
    daemon.rewrite_config(&config("Good/2", KEYS, "@CA@"));
    daemon.signal("HUP");
    daemon.wait_event("reloaded");
    assert_eq!(client.get("/v1/models").status(), 200);
    let last = upstream.wait_requests(bad().len() + 1).pop().unwrap();
    assert_eq!(last.head.field("user-agent"), Some("Good/2"));
}

/// A stream of five events, or JSON.
fn answer(conn: &mut Conn) -> io::Result<()> {
    conn.serve(|conn, request| match request.head.target() {
        "/v1/stream" => {
            conn.start_events()?;
            for number in 0..5 {
                conn.write_chunk(format!("data: {number}\n\n"))?;
            }
            conn.write_last_chunk("")
        }
        _ => conn.answer_json(200, "{\"ok\":true}"),
    })
}

/// Between two requests of a client: each leaves an event, and the test looks
/// through all of them.
const PACE: Duration = Duration::from_millis(2);

/// Ends the load, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn fifty_reloads_under_load_fail_no_request() {
    const RELOADS: usize = 50;
    let upstream = Upstream::tls(answer);
    let daemon = Daemon::builder()
        .config(&config("Good/0", KEYS, "@CA@"))
        .upstream(&upstream)
        .start();
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = |path: &str, unix: bool| {
        let mut client = if unix {
            daemon.unix_client()
        } else {
            daemon.client()
        };
        while !over.load(Ordering::Relaxed) {
            let answer = client.post_json(path, "{\"model\":\"m\"}");
            assert_eq!(answer.status(), 200);
            assert!(answer.body.is_complete(), "{:?}", answer.body.end);
            let text = answer.body.text();
            assert!(
                text == "{\"ok\":true}" || text.ends_with("data: 4\n\n"),
                "{text}"
            );
            served.fetch_add(1, Ordering::Relaxed);
            thread::sleep(PACE);
        }
    };
    thread::scope(|scope| {
        let _stop = Stop(&over);
        let load = &load;
        let clients = [
            ("/v1/stream", false),
            ("/v1/stream", true),
            ("/v1/chat/completions", false),
            ("/v1/chat/completions", true),
            ("/v1/files", false),
        ]
        .map(|(path, unix)| scope.spawn(move || load(path, unix)));
        let bad = bad();
        for number in 0..RELOADS {
            let text = match number % 2 {
                0 => config(&format!("Good/{number}"), KEYS, "@CA@"),
                _ => bad[number / 2 % bad.len()].1.clone(),
            };
            let failures = daemon.events_named("reload_failed").len();
            daemon.rewrite_config(&text);
            daemon.signal("HUP");
            // A bad one says each thing that is wrong in a record of its own.
            match number % 2 {
                0 => drop(daemon.wait_events("reloaded", number / 2 + 1)),
                _ => drop(daemon.wait_events("reload_failed", failures + 1)),
            }
            let before = served.load(Ordering::Relaxed);
            wait::until("requests go on", || {
                served.load(Ordering::Relaxed) > before + 5
                    || clients.iter().any(|client| client.is_finished())
            });
        }
    });
    assert_eq!(daemon.events_named("request_failed").len(), 0);
    assert_eq!(daemon.events_named("streaming_error").len(), 0);
    let agents = upstream.requests();
    let last = agents.last().unwrap().head.field("user-agent");
    assert_eq!(last, Some("Good/48"));
}
