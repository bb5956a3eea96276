//! Clients of an upstreamd that is upgraded or restarted meanwhile, as a process
//! of their own: what they see of it is what the tests of `tests/system` compare.
//!
//! Three kinds at once: streams, each followed by the next; requests that arrive
//! at a fixed rate whether the ones before were answered or not, each on a
//! connection of its own; and clients that keep theirs.
//!
//! Prints `{"open":N}` when all streams are open. Each line on standard input is
//! answered with what happened since the one before (a [`tally::Tally`]); at its
//! end nothing new is begun, what runs is awaited, and that is told too.

// The lines on standard output are what this program is for.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod clients;
mod connect;
mod tally;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use lexopt::prelude::*;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use tally::Tally;

const USAGE: &str = "\
usage: load --to ADDRESS --key KEY [--streams N] [--words N] [--ramp SECONDS]
            [--requests N] [--kept N]

--streams   open at all times, of --words words each, begun over --ramp
--requests  each second, each on a new connection
--kept      clients that keep their connection, with two requests a second each
";

/// What to do, and to whom.
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    pub(crate) key: String,
    pub(crate) streams: usize,
    pub(crate) words: usize,
    pub(crate) ramp: Duration,
    pub(crate) requests: u32,
    pub(crate) kept: u32,
}

/// What all clients share.
pub(crate) struct Load {
    pub(crate) plan: Plan,
    pub(crate) tally: RefCell<Tally>,
    /// Nothing new is begun.
    pub(crate) over: Cell<bool>,
}

fn main() -> ExitCode {
    let plan = match parse() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("load: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime.and_then(|runtime| LocalSet::new().block_on(&runtime, run(plan))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(plan: Plan) -> io::Result<()> {
    let load = Rc::new(Load {
        tally: RefCell::default(),
        over: Cell::new(false),
        plan,
    });
    let mut clients = JoinSet::new();
    for number in 0..load.plan.streams {
        clients.spawn_local(clients::stream_again_and_again(Rc::clone(&load), number));
    }
    for number in 0..load.plan.kept {
        clients.spawn_local(clients::keep_asking(Rc::clone(&load), number));
    }
    clients.spawn_local(clients::arrive(Rc::clone(&load)));

    let mut lines = lines();
    while lines.recv().await.is_some() {
        println!("{}", load.tally.borrow_mut().take());
    }
    load.over.set(true);
    while let Some(ended) = clients.join_next().await {
        ended.map_err(io::Error::other)?;
    }
    println!("{}", load.tally.borrow_mut().take());
    Ok(())
}

/// The lines of standard input. Read by a thread: nothing else can be waited for there.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        lines.map_while(|line| sender.send(line).ok()).count()
    });
    receiver
}

fn parse() -> Result<Plan, lexopt::Error> {
    let mut words = lexopt::Parser::from_env();
    let (mut to, mut key) = (None, None);
    let mut plan = Plan {
        to: SocketAddr::from(([127, 0, 0, 1], 0)),
        key: String::new(),
        streams: 1000,
        words: 6,
        ramp: Duration::from_secs(4),
        requests: 200,
        kept: 20,
    };
    while let Some(word) = words.next()? {
        match word {
            Long("to") => to = Some(words.value()?.parse()?),
            Long("key") => key = Some(words.value()?.string()?),
            Long("streams") => plan.streams = words.value()?.parse()?,
            Long("words") => plan.words = words.value()?.parse()?,
            Long("ramp") => plan.ramp = Duration::from_secs(words.value()?.parse()?),
            Long("requests") => plan.requests = words.value()?.parse()?,
            Long("kept") => plan.kept = words.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    plan.to = to.ok_or("--to is needed")?;
    plan.key = key.ok_or("--key is needed")?;
    Ok(plan)
}
