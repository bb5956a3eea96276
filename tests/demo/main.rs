//! `make demo`: the main job, shown on a terminal in a few seconds.
//!
//! A loopback upstream with real TLS, the real upstreamd before it, and a
//! client: one chat completion whole, one streamed, the events that upstreamd
//! wrote of both, and the microseconds it added. No network; the key is made up.
//!
//! `demo [--direct] [PATH-OF-UPSTREAMD]`; `--direct` leaves upstreamd out.

// A demo prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

mod completions;
mod latency;
mod screen;

use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use self::completions::Door;
use self::screen::Screen;
use self::support::daemon::Daemon;
use self::support::openai::Loopback;

/// Between two events of the upstream's stream: slow enough to be seen.
const PACE: Duration = Duration::from_millis(40);

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]

[upstream.loopback]
base_url = "@UPSTREAM@"
keys = ["demo"]

[upstream.loopback.tls]
ca_file = "@CA@"
platform_roots = false
"#;

fn main() -> ExitCode {
    // The test support panics where a test would fail: here that is a sentence.
    panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("something panicked");
        eprintln!("demo: {text}");
    }));
    let direct = std::env::args().skip(1).any(|word| word == "--direct");
    let binary = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with("--"));
    match panic::catch_unwind(|| show(direct, binary.map(PathBuf::from))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            eprintln!("demo: {failure}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn show(direct: bool, binary: Option<PathBuf>) -> Result<(), String> {
    let screen = Screen::new();
    let upstream = Loopback::start(PACE);
    let straight = Door::upstream(&upstream);
    if direct {
        completions::whole(&screen, &straight, None)?;
        completions::streamed(&screen, &straight, None)?;
        return latency::table(&screen, &straight, None);
    }

    let mut builder = Daemon::builder()
        .config(CONFIG)
        .upstream_at(&upstream.base_url(), Some(upstream.ca_file()))
        .credential("demo", Loopback::KEY);
    if let Some(binary) = binary {
        builder = builder.binary(binary);
    }
    let mut daemon = builder.start();
    let door = Door::daemon(&daemon);
    screen.heading("upstreamd, between a client and an OpenAI upstream with TLS");
    screen.pairs(&[
        ("client asks", format!("http://{}/v1", daemon.address())),
        ("upstream is", upstream.base_url()),
        (
            "key",
            "known to upstreamd only; this one is made up".to_owned(),
        ),
    ]);
    completions::whole(&screen, &door, Some(&daemon))?;
    completions::streamed(&screen, &door, Some(&daemon))?;
    latency::table(&screen, &straight, Some(&door))?;

    daemon.signal("TERM");
    match daemon.wait_exit() {
        Some(0) => Ok(()),
        code => Err(format!(
            "upstreamd was to end with 0 and ended with {code:?}"
        )),
    }
}
