//! The slog drain: from a record to a line, on the worker that logs.

use std::cell::RefCell;
use std::io;
use std::time::SystemTime;

use slog::{Drain, Level, Never, OwnedKVList, Record};

use super::queue::Queue;
use super::{Form, journal, json, text};

/// A thread's buffer goes back to the allocator after a line beyond this.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    /// Lines are put together here, so that loggers share no buffer and need no lock.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Formats records and hands them over. Drops what it can't format.
#[derive(Debug)]
pub(super) struct Records {
    form: Form,
    queue: Queue,
}

impl Records {
    pub(super) fn new(form: Form, queue: Queue) -> Records {
        Records { form, queue }
    }
}

impl Drain for Records {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if !self.queue.is_enabled(record.level()) {
            return Ok(());
        }
        let handed_over = LINE.try_with(|line| {
            // Taken already: a value that logs while it is formatted.
            let mut line = line.try_borrow_mut().ok()?;
            line.clear();
            write(self.form, &mut line, record, values).ok()?;
            self.queue.hand_over(&line);
            line.shrink_to(KEPT_BYTES);
            Some(())
        });
        if !matches!(handed_over, Ok(Some(()))) {
            self.queue.drop_line();
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        self.queue.is_enabled(level)
    }
}

/// Appends a record in its form; as a line, with a newline and with no other one in it.
pub(super) fn write(
    form: Form,
    line: &mut Vec<u8>,
    record: &Record<'_>,
    values: &OwnedKVList,
) -> io::Result<()> {
    let now = SystemTime::now();
    match form {
        Form::Json => json::write(line, now, record, values),
        Form::Text { colour } => text::write(line, now, record, values, colour),
        // The journal has a clock of its own.
        Form::Journal => journal::write(line, record, values),
    }
}
