//! The loopback upstream as a process, for tests in other languages.
//!
//! Prints one JSON line (`base_url`, `ca_file`, `key`) and serves until its
//! standard input ends. An argument sets the milliseconds between two events
//! of a stream; without it there are 10. With `mutual` behind that it wants a
//! certificate of its clients, and says where two of them are (`clients`).

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
    let pace = Duration::from_millis(pace);
    let mutual = std::env::args().nth(2).is_some_and(|word| word == "mutual");
    let upstream = if mutual {
        Loopback::mutual(pace)
    } else {
        Loopback::start(pace)
    };
    let clients = ["one", "another"].map(|name| {
        let identity = upstream.authority().client(name);
        serde_json::json!({ "cert": identity.certificate_file, "key": identity.key_file })
    });
    println!(
        "{}",
        serde_json::json!({
            "base_url": upstream.base_url(),
            "ca_file": upstream.ca_file(),
            "key": Loopback::KEY,
            "clients": clients,
        })
    );
    // Nobody writes: the end of input is the parent's end.
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
