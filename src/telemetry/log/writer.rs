//! The one thread that writes.
//!
//! It sleeps in the queue while there is nothing to write, takes what waits
//! into one batch, writes it, and then rests a moment outside the queue. Under
//! load it so finds many records at each turn, and no sender pays for waking it.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use slog::{Level, OwnedKVList, b, o, record};

use super::Form;
use super::queue::{Counts, Message};
use super::records;

/// Bytes of one write: what a pipe takes at once.
const BATCH: usize = 64 << 10;
/// Between two turns. A person does not see it, and the queue holds what a
/// thousand times the load of one host brings meanwhile.
const REST: Duration = Duration::from_millis(5);
/// How often losses are said while they go on.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Writes lines to `W`, whatever becomes of it.
pub(super) struct Writer<W> {
    out: W,
    form: Form,
    messages: Receiver<Message>,
    counts: Arc<Counts>,
    batch: Vec<u8>,
    flushes: Vec<SyncSender<()>>,
    /// The last write ended within a line.
    torn: bool,
    /// Losses that a record has told of.
    said: u64,
    said_at: Instant,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(
        out: W,
        form: Form,
        messages: Receiver<Message>,
        counts: Arc<Counts>,
    ) -> Self {
        Writer {
            out,
            form,
            messages,
            counts,
            batch: Vec::new(),
            flushes: Vec::new(),
            torn: false,
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
                let is_written = self.write_batch();
                if is_written && (is_empty || self.said_at.elapsed() >= SAY_EVERY) {
                    self.say_dropped();
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
        while self.batch.len() < BATCH {
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
                self.batch.extend_from_slice(&line);
            }
            Message::Flush(done) => self.flushes.push(done),
        }
    }

    /// Writes the batch. False: some of it was lost, and is counted.
    fn write_batch(&mut self) -> bool {
        let batch = std::mem::take(&mut self.batch);
        let left = self.write(&batch);
        let lost = memchr_iter(b'\n', left).count();
        self.counts.drop_lines(lost as u64);
        let is_written = left.is_empty();
        self.batch = batch;
        self.batch.clear();
        is_written
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
        if is_formatted.is_ok() && self.write(&line).is_empty() {
            self.said = dropped;
            self.said_at = Instant::now();
        }
    }

    /// Writes lines; what could not be written comes back.
    fn write<'a>(&mut self, lines: &'a [u8]) -> &'a [u8] {
        if self.torn && !lines.is_empty() {
            if self.push(b"\n") == 0 {
                return lines;
            }
            self.torn = false;
        }
        let (written, left) = lines.split_at(self.push(lines));
        if let Some(last) = written.last() {
            self.torn = *last != b'\n';
        }
        left
    }

    /// Writes as many of the bytes as can be written, and says how many.
    fn push(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.out.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody made the shared pipe or terminal non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(REST),
                Err(_) => break,
            }
        }
        written
    }
}
