//! What is let through, and what is held back until it is known whether it is.

use std::mem;
use std::ops::Range;

use bytes::Bytes;

/// The most that is held back. With all details an event that tells the usage
/// has near 1 KiB; one that has more than this passes.
pub(super) const MOST: usize = 16 * 1024;

/// Bytes of a stream of which it is not known yet whether they pass: the end of
/// what came before, and the piece that is looked at. Places are counted from
/// the stream's beginning.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Those that earlier pieces brought.
    earlier: Vec<u8>,
    /// The place of the first one.
    from: u64,
}

/// A piece that is looked at, and what passes of it.
pub(super) struct Piece<'a> {
    whole: &'a Bytes,
    /// The place of its first byte.
    start: u64,
    passed: Passed,
}

/// One run of bytes passes as it is; several are joined to one, so that what
/// comes in one piece leaves in one.
enum Passed {
    Nothing,
    Run(Range<usize>),
    Joined(Vec<u8>),
}

impl<'a> Piece<'a> {
    /// The piece of a stream that begins at this place.
    pub(super) fn new(whole: &'a Bytes, start: u64) -> Self {
        Piece {
            whole,
            start,
            passed: Passed::Nothing,
        }
    }

    /// The place behind its last byte.
    pub(super) fn end(&self) -> u64 {
        self.start + self.whole.len() as u64
    }

    /// What passes.
    pub(super) fn passed(self) -> Bytes {
        match self.passed {
            Passed::Nothing => Bytes::new(),
            Passed::Run(run) => self.whole.slice(run),
            Passed::Joined(joined) => joined.into(),
        }
    }

    fn pass(&mut self, run: Range<usize>) {
        let joined = match &mut self.passed {
            Passed::Nothing => {
                self.passed = Passed::Run(run);
                return;
            }
            Passed::Run(before) if before.end == run.start => {
                before.end = run.end;
                return;
            }
            Passed::Run(before) => {
                let mut joined = Vec::with_capacity(self.whole.len());
                joined.extend_from_slice(&self.whole[before.clone()]);
                self.passed = Passed::Joined(joined);
                return self.pass(run);
            }
            Passed::Joined(joined) => joined,
        };
        joined.extend_from_slice(&self.whole[run]);
    }

    /// Bytes of earlier pieces come before all of this one.
    fn pass_earlier(&mut self, earlier: Vec<u8>) {
        match &mut self.passed {
            Passed::Joined(joined) => joined.extend_from_slice(&earlier),
            _ => self.passed = Passed::Joined(earlier),
        }
    }
}

impl Held {
    /// Lets everything before the place `to` through.
    pub(super) fn pass(&mut self, to: u64, piece: &mut Piece<'_>) {
        let earlier = self.take_earlier(to);
        if !earlier.is_empty() {
            piece.pass_earlier(earlier);
        }
        if let Some(run) = self.take_run(to, piece) {
            piece.pass(run);
        }
    }

    /// Takes everything before the place `to` out. False: it is more than
    /// [`MOST`], so it passes, in whatever pieces it came.
    pub(super) fn take_out(&mut self, to: u64, piece: &mut Piece<'_>) -> bool {
        if to.saturating_sub(self.from) > MOST as u64 {
            self.pass(to, piece);
            return false;
        }
        self.take_earlier(to);
        self.take_run(to, piece);
        true
    }

    /// Keeps what is left of the piece until more comes. False: it is too much,
    /// and has to pass.
    pub(super) fn keep(&mut self, piece: &Piece<'_>) -> bool {
        if piece.end() - self.from > MOST as u64 {
            return false;
        }
        let begins = self.from.saturating_sub(piece.start) as usize;
        self.earlier.extend_from_slice(&piece.whole[begins..]);
        true
    }

    /// The bytes that were kept, when no more come.
    pub(super) fn rest(&mut self) -> Bytes {
        mem::take(&mut self.earlier).into()
    }

    /// Whether nothing is held back between two pieces.
    pub(super) fn is_empty(&self) -> bool {
        self.earlier.is_empty()
    }

    fn take_earlier(&mut self, to: u64) -> Vec<u8> {
        let length = self
            .earlier
            .len()
            .min(to.saturating_sub(self.from) as usize);
        self.from += length as u64;
        if length == self.earlier.len() {
            return mem::take(&mut self.earlier);
        }
        self.earlier.drain(..length).collect()
    }

    fn take_run(&mut self, to: u64, piece: &Piece<'_>) -> Option<Range<usize>> {
        let run = self.from.saturating_sub(piece.start)..to.saturating_sub(piece.start);
        if run.is_empty() {
            return None;
        }
        self.from = to;
        Some(run.start as usize..run.end as usize)
    }
}
