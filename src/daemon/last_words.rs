//! What is said at the end: why a start failed, and the last records.

use std::time::Duration;

use slog::error;

use crate::cli::{ExitCode, Failed};
use crate::config::checked::{LogFormat, LogLevel};
use crate::telemetry::log::{Form, Logs};

/// How long the last records may take to be written.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// Has the last records written, whatever ends the daemon: a panic too.
pub(super) struct FlushAtEnd<'a>(pub(super) &'a Logs);

impl Drop for FlushAtEnd<'_> {
    fn drop(&mut self) {
        self.0.flush(FLUSH_TIME);
    }
}

/// Logs that the daemon does not start.
///
/// # Errors
/// The failure is still to be said on standard error: the log is not the
/// journal, or the journal has not read it in time.
pub(super) fn start_failed(failed: Failed, logs: &Logs) -> Result<ExitCode, Failed> {
    error!(logs.logger(), "{}", failed.message.trim_end(); "event" => "start_failed");
    let is_read = logs.flush(FLUSH_TIME) && logs.dropped() == 0;
    if is_read && logs.form() == Form::Journal {
        return Ok(failed.exit);
    }
    Err(failed)
}

/// The same before there is a log. What the configuration says of that may be
/// what is wrong with it, so it goes where `auto` would have it: to the journal,
/// which can explain it, or to standard error alone.
///
/// # Errors
/// As for [`start_failed`].
pub(super) fn start_failed_early(failed: Failed) -> Result<ExitCode, Failed> {
    match Form::resolve(LogFormat::Auto, false) {
        Form::Journal => start_failed(failed, &Logs::start(Form::Journal, LogLevel::Error)),
        Form::Json | Form::Text { .. } => Err(failed),
    }
}
