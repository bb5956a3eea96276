//! What the daemon writes, read by threads as it comes.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::wait::DEADLINE;

/// Both standard streams of a process so far.
#[derive(Default)]
pub struct Output {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    stderr: String,
    stdout: String,
    events: Vec<Value>,
    open: usize,
}

impl Output {
    /// Starts reading those streams of `child` that are piped.
    pub fn of(child: &mut Child) -> Arc<Output> {
        let output = Arc::new(Output::default());
        let stderr = child.stderr.take().expect("standard error is piped");
        let stdout = child.stdout.take();
        output.written().open = 1 + usize::from(stdout.is_some());
        output.follow(stderr, |written, line| {
            written.stderr.push_str(line);
            written.events.extend(serde_json::from_str::<Value>(line));
        });
        if let Some(stdout) = stdout {
            output.follow(stdout, |written, line| written.stdout.push_str(line));
        }
        output
    }

    /// The JSON lines of standard error.
    pub fn events(&self) -> Vec<Value> {
        self.written().events.clone()
    }

    /// Standard error as text.
    pub fn stderr(&self) -> String {
        self.written().stderr.clone()
    }

    /// Standard output as text.
    pub fn stdout(&self) -> String {
        self.written().stdout.clone()
    }

    /// What `look` finds among the events within `timeout`. Gives up early when
    /// nothing more can come.
    pub fn wait_until<T>(
        &self,
        timeout: Duration,
        look: impl Fn(&[Value]) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let (_written, _) = self
            .changed
            .wait_timeout_while(self.written(), timeout, |written| {
                found = look(&written.events);
                found.is_none() && written.open > 0
            })
            .expect("nobody panics while holding the output");
        found
    }

    /// Waits until both streams have ended.
    pub fn wait_closed(&self) {
        drop(
            self.changed
                .wait_timeout_while(self.written(), DEADLINE, |written| written.open > 0)
                .expect("nobody panics while holding the output"),
        );
    }

    fn follow(
        self: &Arc<Output>,
        stream: impl Read + Send + 'static,
        keep: impl Fn(&mut Written, &str) + Send + 'static,
    ) {
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
                keep(&mut output.written(), &String::from_utf8_lossy(&line));
                output.changed.notify_all();
                line.clear();
            }
            output.written().open -= 1;
            output.changed.notify_all();
        });
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written
            .lock()
            .expect("nobody panics while holding the output")
    }
}
