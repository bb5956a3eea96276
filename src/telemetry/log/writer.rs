//! The one thread that writes.
//!
//! It sleeps in the queue while there is nothing to write, takes what waits
//! into one batch, writes it, and then rests a moment outside the queue. Under
//! load it so finds many records at each turn, and no sender pays for waking it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use slog::{Level, OwnedKVList, b, o, record};

use super::Form;
use super::queue::{Counts, Message};
use super::records;

/// Between two turns. A person does not see it, and the queue holds what a
/// thousand times the load of one host brings meanwhile.
pub(super) const REST: Duration = Duration::from_millis(5);
/// How often losses are said while they go on.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Where records end up. It may wait as long as it has to: nobody but the
/// writer's thread waits with it.
pub(super) trait Output {
    /// Takes a record in its form.
    fn put(&mut self, record: &[u8]);

    /// Whether that was enough for one turn.
    fn is_full(&self) -> bool;

    /// Writes what was put. Gives how many records of it were lost.
    fn write(&mut self) -> u64;

    /// Waits until what was written is where it can't get lost any more.
    fn settle(&mut self) {}
}

/// Takes records from the queue to `O`, whatever becomes of it.
pub(super) struct Writer<O> {
    out: O,
    form: Form,
    messages: Receiver<Message>,
    counts: Arc<Counts>,
    flushes: Vec<SyncSender<()>>,
    /// Losses that a record has told of.
    said: u64,
    said_at: Instant,
}

impl<O: Output> Writer<O> {
    pub(super) fn new(
        out: O,
        form: Form,
        messages: Receiver<Message>,
        counts: Arc<Counts>,
    ) -> Self {
        Writer {
            out,
            form,
            messages,
            counts,
            flushes: Vec::new(),
            said: 0,
            said_at: Instant::now(),
        }
    }

    /// Until the last logger is gone.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.messages.recv() {
            self.take(first);
            loop {
                let is_empty = self.fill();
                let is_written = self.write();
                if is_written && (is_empty || self.said_at.elapsed() >= SAY_EVERY) {
                    self.say_dropped();
                }
                if !self.flushes.is_empty() {
                    self.out.settle();
                }
                for flush in self.flushes.drain(..) {
                    // Whoever asked may have stopped waiting.
                    let _ = flush.try_send(());
                }
                if is_empty {
                    break;
                }
            }
            thread::park_timeout(REST);
        }
    }

    /// Takes what waits, up to a batch. True: nothing more is there.
    fn fill(&mut self) -> bool {
        while !self.out.is_full() {
            match self.messages.try_recv() {
                Ok(message) => self.take(message),
                Err(_) => return true,
            }
        }
        false
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                self.counts.taken(line.len());
                self.out.put(&line);
            }
            Message::Flush(done) => self.flushes.push(done),
        }
    }

    /// Writes the batch. False: some of it was lost, and is counted.
    fn write(&mut self) -> bool {
        let lost = self.out.write();
        self.counts.drop_lines(lost);
        lost == 0
    }

    /// Says how many records were lost since it was last said.
    fn say_dropped(&mut self) {
        let dropped = self.counts.dropped();
        if dropped == self.said {
            return;
        }
        let mut line = Vec::new();
        let count = dropped - self.said;
        let fields = b!("event" => "log_dropped", "count" => count, "total" => dropped);
        let message = format_args!("{count} log records were dropped");
        let record = record!(Level::Warning, "", &message, fields);
        let is_formatted = records::write(self.form, &mut line, &record, &OwnedKVList::from(o!()));
        if is_formatted.is_err() {
            return;
        }
        self.out.put(&line);
        if self.out.write() == 0 {
            self.said = dropped;
            self.said_at = Instant::now();
        }
    }
}
