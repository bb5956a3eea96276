//! The bounded way from the workers to the writer.
//!
//! std's bounded channel: an array of slots, claimed by one compare-and-swap.
//! It wakes the receiver only if that sleeps in `recv`, so a writer that rests
//! elsewhere between its batches costs the senders no system call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender};

use slog::Level;

/// What may wait for the writer at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Records. Their slots take 32 bytes each, from the start.
    pub(super) records: usize,
    /// Bytes of all their lines together.
    pub(super) bytes: usize,
}

impl Default for Bounds {
    /// 8192 events of 1 KB: half a second without a reader at 16,000 requests a second.
    fn default() -> Self {
        Bounds {
            records: 8192,
            bytes: 8 << 20,
        }
    }
}

/// What the writer gets.
#[derive(Debug)]
pub(super) enum Message {
    /// A record in its form.
    Line(Box<[u8]>),
    /// An answer is wanted when everything before is written.
    Flush(SyncSender<()>),
}

/// The end that takes lines in.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    messages: SyncSender<Message>,
    counts: Arc<Counts>,
    bytes: usize,
}

/// What both ends know. All of it relaxed: nothing else is ordered by it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    level: AtomicUsize,
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

impl Queue {
    pub(super) fn new(bounds: Bounds, level: Level) -> (Queue, Receiver<Message>) {
        let (messages, receiver) = mpsc::sync_channel(bounds.records);
        let counts = Counts {
            level: AtomicUsize::new(level.as_usize()),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        };
        let queue = Queue {
            messages,
            counts: Arc::new(counts),
            bytes: bounds.bytes,
        };
        (queue, receiver)
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    pub(super) fn is_enabled(&self, level: Level) -> bool {
        level.as_usize() <= self.counts.level.load(Relaxed)
    }

    pub(super) fn set_level(&self, level: Level) {
        self.counts.level.store(level.as_usize(), Relaxed);
    }

    /// Hands a line over, or drops and counts it. Never waits.
    pub(super) fn hand_over(&self, line: &[u8]) {
        let waiting = self.counts.waiting.fetch_add(line.len(), Relaxed);
        if waiting + line.len() > self.bytes || !self.post(Message::Line(line.into())) {
            self.counts.taken(line.len());
            self.counts.drop_lines(1);
        }
    }

    /// Posts a message if there is room and a writer.
    pub(super) fn post(&self, message: Message) -> bool {
        self.messages.try_send(message).is_ok()
    }

    pub(super) fn drop_line(&self) {
        self.counts.drop_lines(1);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.counts.dropped()
    }
}

impl Counts {
    /// So many bytes wait no longer.
    pub(super) fn taken(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Relaxed);
    }

    pub(super) fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}
