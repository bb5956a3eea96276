//! Times that a client measured, and the lines by which it tells `bench/run`
//! how far it is.

use std::io::{self, Write};

/// Times in microseconds, one for each request or event.
#[derive(Default)]
pub(crate) struct Times(Vec<u64>);

impl Times {
    pub(crate) fn add(&mut self, us: u64) {
        self.0.push(us);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The 50th and 99th percentile, 0 if there are no times.
    pub(crate) fn percentiles(&mut self) -> (u64, u64) {
        self.0.sort_unstable();
        let at = |hundredth: usize| {
            self.0
                .get(self.0.len() * hundredth / 100)
                .copied()
                .unwrap_or_default()
        };
        (at(50), at(99))
    }
}

/// Prints one line of JSON at once: the phase that begins, and its figures.
pub(crate) fn say(phase: &str, figures: &[(&str, u64)]) -> io::Result<()> {
    let mut line = format!("{{\"phase\":\"{phase}\"");
    for (name, value) in figures {
        line.push_str(&format!(",\"{name}\":{value}"));
    }
    line.push_str("}\n");
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
