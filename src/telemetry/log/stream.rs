//! Records as lines, to standard error: a pipe, a file, a terminal.

use std::io::{ErrorKind, Write};
use std::thread;

use memchr::memchr_iter;

use super::writer::{Output, REST};

/// Bytes of one write: what a pipe takes at once.
const BATCH: usize = 64 << 10;

/// Writes lines to `W`, many at once, whatever becomes of it.
pub(super) struct Stream<W> {
    out: W,
    batch: Vec<u8>,
    /// The last write ended within a line.
    torn: bool,
}

impl<W: Write> Stream<W> {
    pub(super) fn new(out: W) -> Self {
        Stream {
            out,
            batch: Vec::new(),
            torn: false,
        }
    }

    /// Writes lines; what could not be written comes back.
    fn write_lines<'a>(&mut self, lines: &'a [u8]) -> &'a [u8] {
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

impl<W: Write> Output for Stream<W> {
    fn put(&mut self, line: &[u8]) {
        self.batch.extend_from_slice(line);
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= BATCH
    }

    fn write(&mut self) -> u64 {
        let batch = std::mem::take(&mut self.batch);
        let left = self.write_lines(&batch);
        let lost = memchr_iter(b'\n', left).count();
        self.batch = batch;
        self.batch.clear();
        lost as u64
    }
}
