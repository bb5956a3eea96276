//! The loopback upstream as a process, for tests in other languages.
//!
//! Prints one JSON line (`base_url`, `ca_file`, `key`) and serves until its
//! standard input ends. An argument sets the milliseconds between two events
//! of a stream; without it there are 10.

// The line on standard output is what this program is for.
#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

use std::io;
use std::time::Duration;

use support::openai::Loopback;

fn main() -> io::Result<()> {
    let pace = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(io::Error::other)?,
        None => 10,
    };
    let upstream = Loopback::start(Duration::from_millis(pace));
    println!(
        "{}",
        serde_json::json!({
            "base_url": upstream.base_url(),
            "ca_file": upstream.ca_file(),
            "key": Loopback::KEY,
        })
    );
    // Nobody writes: the end of input is the parent's end.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
