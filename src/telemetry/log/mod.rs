//! Where records go: from every worker to standard error or the journal,
//! through one thread.
//!
//! A record is formatted on the worker that logs it, into a line of that
//! thread's own buffer, and handed to the writer by a bounded queue. Nothing
//! here waits and no lock is shared between workers: what finds no room is
//! dropped, counted, and said in a record `log_dropped` once there is room.
//!
//! ```text
//! slog macros, RequestEvent::log -> records -> json | text -> queue -> writer -> stderr
//!                                           -> journal     -> queue -> writer -> journald
//! ```

mod journal;
mod json;
mod pairs;
mod queue;
mod records;
mod stream;
mod text;
mod timestamp;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use slog::{Level, Logger, warn};

use self::journal::Journal;
use self::queue::{Bounds, Counts, Message, Queue};
use self::records::Records;
use self::stream::Stream;
#[cfg(test)]
pub(crate) use self::tests::Page;
pub(crate) use self::timestamp::Timestamp;
use self::writer::{Output, Writer};
use crate::config::checked::{LogFormat, LogLevel};

/// How long a flush waits between two looks for room in a full queue.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The form of a record, with nothing left to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// One line for a person's eyes.
    Text {
        /// With ANSI colours.
        colour: bool,
    },
    /// Fields of the systemd journal.
    Journal,
}

impl Form {
    /// The form that is meant: `auto` is the journal's where standard error is
    /// the journal, text on a terminal and JSON elsewhere. Colour is for text on
    /// a terminal, if asked for.
    pub fn resolve(format: LogFormat, colour: bool) -> Form {
        let is_terminal = io::stderr().is_terminal();
        let colour = colour && is_terminal;
        match format {
            LogFormat::Auto if journal::is_stderr() => Form::Journal,
            LogFormat::Auto if is_terminal => Form::Text { colour },
            LogFormat::Auto | LogFormat::Json => Form::Json,
            LogFormat::Text => Form::Text { colour },
            LogFormat::Journal => Form::Journal,
        }
    }
}

/// Takes in records and owns the thread that writes them.
#[derive(Debug)]
pub struct Logs {
    queue: Queue,
    form: Form,
    writer: Option<Thread>,
}

/// How many records were lost, now and later.
#[derive(Debug, Default)]
pub struct DropCount(Arc<Counts>);

impl DropCount {
    /// Records lost so far.
    pub fn get(&self) -> u64 {
        self.0.dropped()
    }
}

impl Logs {
    /// Writes to standard error, or to the journal; where that is not to be
    /// had, to standard error as JSON, and says so.
    ///
    /// Can't fail: if there is no standard error, or no thread to be had, all
    /// records are dropped (and in the second case counted).
    pub fn start(form: Form, level: LogLevel) -> Logs {
        match form {
            Form::Journal if journal::is_reachable() => {
                Logs::bounded(form, level, Journal::new(), Bounds::default())
            }
            Form::Journal => {
                let logs = Logs::on_stderr(Form::Json, level);
                warn!(logs.logger(), "the journal takes no records here, they go to standard error"; "event" => "journal_unreachable");
                logs
            }
            Form::Json | Form::Text { .. } => Logs::on_stderr(form, level),
        }
    }

    fn on_stderr(form: Form, level: LogLevel) -> Logs {
        // A descriptor of its own: std's handle has a lock, and while the
        // writer is stuck in a write nobody else should be.
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(stderr) => Logs::to(form, level, File::from(stderr)),
            Err(_) => Logs::to(form, level, io::sink()),
        }
    }

    /// Writes to anything, line by line: not in the form of the journal.
    pub fn to(form: Form, level: LogLevel, out: impl Write + Send + 'static) -> Logs {
        Logs::bounded(form, level, Stream::new(out), Bounds::default())
    }

    fn bounded(
        form: Form,
        level: LogLevel,
        out: impl Output + Send + 'static,
        bounds: Bounds,
    ) -> Logs {
        let (queue, messages) = Queue::new(bounds, severity(level));
        let writer = Writer::new(out, form, messages, queue.counts());
        // Never joined: it may be stuck in a write for ever.
        let thread = thread::Builder::new()
            .name("log".into())
            .spawn(move || writer.run());
        Logs {
            queue,
            form,
            writer: thread.ok().map(|handle| handle.thread().clone()),
        }
    }

    /// A logger. Each worker takes one of its own; clones of it may go anywhere.
    pub fn logger(&self) -> Logger {
        Logger::root(Records::new(self.form, self.queue.clone()), slog::o!())
    }

    /// From now on only records this severe are written, by every logger.
    pub fn set_level(&self, level: LogLevel) {
        self.queue.set_level(severity(level));
    }

    /// Records lost so far: no room, or a write that failed.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    /// The count of lost records, for whoever wants to look at it later.
    pub fn drop_count(&self) -> DropCount {
        DropCount(self.queue.counts())
    }

    /// The form that records have here.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Waits until all records that were handed over before are written, and
    /// read by the journal, or could not be. False: `timeout` was over first.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let (done, written) = mpsc::sync_channel(1);
        while !self.queue.post(Message::Flush(done.clone())) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK_AGAIN);
        }
        if let Some(writer) = &self.writer {
            writer.unpark();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        written.recv_timeout(left).is_ok()
    }
}

fn severity(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warning => Level::Warning,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    }
}

/// A level as records call it.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}
