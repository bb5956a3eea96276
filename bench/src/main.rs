//! The two ends of the benchmark, each a process of its own so that its CPU
//! time is not mistaken for a proxy's:
//!
//! - `bench-load upstream` serves JSON answers and paced SSE streams over TLS;
//! - `bench-load requests` asks for JSON answers, one after another on each of
//!   some keep-alive connections;
//! - `bench-load streams` holds many paced SSE streams open.
//!
//! `bench/run` starts them, puts a proxy between them, and reads that proxy's
//! CPU time and memory when a client says `start` and `end`. The clients check
//! every byte of every answer; the first wrong one ends the process with 1.

mod messages;
mod recorded;
mod requests;
mod streams;
mod tls;
mod upstream;
mod wire;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use lexopt::prelude::*;

const USAGE: &str = "\
usage: bench-load upstream DIRECTORY
       bench-load requests --to ADDRESS [--ca FILE] [--connections N]
                           [--warmup SECONDS] [--seconds SECONDS]
       bench-load streams  --to ADDRESS [--streams N] [--interval-us N]
                           [--settle SECONDS] [--seconds SECONDS]

upstream   writes the CA's certificate to DIRECTORY/ca.pem, prints its address,
           obeys `finish` and `sent` on standard input, ends when that closes
requests   speaks HTTP to a proxy, or with --ca HTTPS to the upstream itself
";

fn main() -> ExitCode {
    let command = match Command::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("bench-load: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-load: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Command {
    Upstream(PathBuf),
    Requests(requests::Plan),
    Streams(streams::Plan),
}

fn run(command: Command) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match command {
                Command::Upstream(directory) => upstream::serve(&directory).await,
                Command::Requests(plan) => requests::measure(plan).await,
                Command::Streams(plan) => streams::measure(plan).await,
            }
        })
}

impl Command {
    fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, lexopt::Error> {
        let mut words = lexopt::Parser::from_args(words);
        let name = match words.next()? {
            Some(Value(name)) => name.string()?,
            _ => return Err("a command is needed".into()),
        };
        match name.as_str() {
            "upstream" => Ok(Self::Upstream(words.value()?.into())),
            "requests" => Self::requests(words),
            "streams" => Self::streams(words),
            other => Err(format!("unknown command {other}").into()),
        }
    }

    fn requests(mut words: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut to = None;
        let mut plan = requests::Plan {
            to: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca: None,
            connections: 16,
            warmup: Duration::from_millis(300),
            measured: Duration::from_secs(2),
        };
        while let Some(word) = words.next()? {
            match word {
                Long("to") => to = Some(words.value()?.parse()?),
                Long("ca") => plan.ca = Some(words.value()?.into()),
                Long("connections") => plan.connections = words.value()?.parse()?,
                Long("warmup") => plan.warmup = seconds(&mut words)?,
                Long("seconds") => plan.measured = seconds(&mut words)?,
                other => return Err(other.unexpected()),
            }
        }
        plan.to = to.ok_or("--to is needed")?;
        Ok(Self::Requests(plan))
    }

    fn streams(mut words: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut to = None;
        let mut plan = streams::Plan {
            to: SocketAddr::from(([127, 0, 0, 1], 0)),
            streams: 200,
            interval: Duration::from_millis(20),
            settle: Duration::from_millis(500),
            measured: Duration::from_secs(2),
        };
        while let Some(word) = words.next()? {
            match word {
                Long("to") => to = Some(words.value()?.parse()?),
                Long("streams") => plan.streams = words.value()?.parse()?,
                Long("interval-us") => {
                    plan.interval = Duration::from_micros(words.value()?.parse()?);
                }
                Long("settle") => plan.settle = seconds(&mut words)?,
                Long("seconds") => plan.measured = seconds(&mut words)?,
                other => return Err(other.unexpected()),
            }
        }
        plan.to = to.ok_or("--to is needed")?;
        Ok(Self::Streams(plan))
    }
}

fn seconds(words: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    let value = words.value()?.string()?;
    f64::from_str(&value)
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{value:?} is no number of seconds").into())
}
