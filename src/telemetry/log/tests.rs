//! The promises of [`Logs`], with a page in memory in the place of standard error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use slog::{debug, error, info, o, warn};

use super::queue::Bounds;
use super::*;

const LONG: Duration = Duration::from_secs(20);

/// What was written so far, for tests anywhere in the crate.
#[derive(Clone, Default)]
pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(bytes.clone()).expect("records are UTF-8")
    }

    fn records(&self) -> Vec<Value> {
        let text = self.text();
        let parse = |line| serde_json::from_str(line).expect("each line is JSON");
        text.lines().map(parse).collect()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut page = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        page.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Tells of each write, and is stuck in it until the gate's other end is dropped.
struct Stuck(Sender<()>, Receiver<()>, Page);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        self.2.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes five bytes, and then nothing as long as it is gone.
struct Gone(Arc<AtomicBool>, Page);

impl Write for Gone {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.0.load(Ordering::SeqCst) {
            return self.1.write(bytes);
        }
        match self.1.text().len() {
            0 => self.1.write(&bytes[..5]),
            _ => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers with each of these once, last one first, then works.
struct Flaky(Vec<io::Result<usize>>, Page);

impl Write for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.pop() {
            Some(Ok(length)) => self.1.write(&bytes[..length]),
            Some(Err(error)) => Err(error),
            None => self.1.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn json(page: &Page) -> Logs {
    Logs::to(Form::Json, LogLevel::Info, page.clone())
}

#[test]
fn a_record_is_one_json_line_with_time_level_and_message() {
    let page = Page::default();
    let logs = json(&page);
    let logger = logs.logger().new(o!("worker" => 3));
    info!(logger, "serving {}", "on"; "event" => "ready", "listeners" => 2);
    assert!(logs.flush(LONG));
    let record = &page.records()[0];
    let time = record["ts"].as_str().expect("a time is text");
    assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
    assert_eq!(record["level"], "info");
    assert_eq!(record["msg"], "serving on");
    assert_eq!(record["event"], "ready");
    assert_eq!(record["listeners"], 2);
    assert_eq!(record["worker"], 3);
}

#[test]
fn fields_come_in_the_order_in_which_they_were_written_down_as_what_they_are() {
    let page = Page::default();
    let logs = json(&page);
    info!(logs.logger(), "m"; "event" => "test", "count" => 3_usize, "signed" => -1, "share" => 0.5,
        "own" => true, "error" => %"e", "none" => None::<u8>, "last" => 1_u8);
    assert!(logs.flush(LONG));
    let text = page.text();
    let (_, fields) = text.split_once("\"msg\":\"m\",").expect("a message");
    assert_eq!(
        fields,
        "\"event\":\"test\",\"count\":3,\"signed\":-1,\"share\":0.5,\"own\":true,\"error\":\"e\",\"none\":null,\"last\":1}\n"
    );
}

#[test]
fn a_new_level_holds_at_once_for_every_logger() {
    let page = Page::default();
    let logs = json(&page);
    let (one, other) = (logs.logger(), logs.logger().new(o!()));
    let shown = |level| {
        logs.set_level(level);
        debug!(one, "d");
        info!(other, "i");
        warn!(one, "w");
        error!(other, "e");
        assert!(logs.flush(LONG));
        let records = page.records();
        page.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        records
            .iter()
            .map(|record| record["msg"].as_str().map(str::to_owned))
            .collect::<Option<String>>()
    };
    assert_eq!(shown(LogLevel::Error).as_deref(), Some("e"));
    assert_eq!(shown(LogLevel::Debug).as_deref(), Some("diwe"));
    assert_eq!(shown(LogLevel::Warning).as_deref(), Some("we"));
    assert_eq!(shown(LogLevel::Info).as_deref(), Some("iwe"));
}

#[test]
fn a_level_that_is_off_formats_nothing() {
    struct Untouched;
    impl std::fmt::Display for Untouched {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("formatted")
        }
    }
    let logs = json(&Page::default());
    debug!(logs.logger(), "{}", Untouched; "x" => %Untouched);
}

#[test]
fn lines_of_many_workers_stay_whole_and_none_is_lost() {
    let page = Page::default();
    let logs = json(&page);
    thread::scope(|scope| {
        for worker in 0..4 {
            let logger = logs.logger();
            scope.spawn(move || {
                for number in 0..1000 {
                    info!(logger, "x"; "worker" => worker, "number" => number);
                }
            });
        }
    });
    assert!(logs.flush(LONG));
    let mut next = [0; 4];
    for record in page.records() {
        let worker = record["worker"].as_u64().expect("a number") as usize;
        assert_eq!(
            record["number"], next[worker],
            "a worker's records keep their order"
        );
        next[worker] += 1;
    }
    assert_eq!((next, logs.dropped()), ([1000; 4], 0));
}

#[test]
fn a_stuck_stderr_blocks_nobody_and_what_is_dropped_is_said_afterwards() {
    for bounds in [
        Bounds {
            records: 10,
            bytes: 1 << 20,
        },
        Bounds {
            records: 1000,
            bytes: 1000,
        },
    ] {
        let (gate, closed) = channel();
        let (entered, is_stuck) = channel();
        let page = Page::default();
        let logs = Logs::bounded(
            Form::Json,
            LogLevel::Info,
            Stream::new(Stuck(entered, closed, page.clone())),
            bounds,
        );
        let logger = logs.logger();
        info!(logger, "x"; "event" => "test");
        is_stuck
            .recv_timeout(LONG)
            .expect("the first record is written at once");
        for _ in 0..500 {
            info!(logger, "x"; "event" => "test");
        }
        let started = Instant::now();
        assert!(!logs.flush(Duration::from_millis(20)));
        assert!(started.elapsed() < LONG);
        let dropped = logs.dropped();
        assert!(dropped > 400, "{dropped}");

        drop(gate);
        assert!(logs.flush(LONG));
        let records = page.records();
        let (said, written): (Vec<_>, Vec<_>) = records
            .iter()
            .partition(|record| record["event"] == "log_dropped");
        assert_eq!(written.len() as u64, 501 - dropped);
        assert_eq!(
            said.iter()
                .filter_map(|record| record["count"].as_u64())
                .sum::<u64>(),
            dropped
        );
        assert_eq!(said[0]["level"], "warning");
    }
}

#[test]
fn a_line_larger_than_the_bound_is_dropped_and_leaves_no_debt() {
    let page = Page::default();
    let bounds = Bounds {
        records: 10,
        bytes: 1000,
    };
    let out = Stream::new(page.clone());
    let logs = Logs::bounded(Form::Json, LogLevel::Info, out, bounds);
    let logger = logs.logger();
    for _ in 0..50 {
        info!(logger, "{}", "x".repeat(2000));
        info!(logger, "fits");
        assert!(logs.flush(LONG));
    }
    assert_eq!(logs.dropped(), 50);
    assert_eq!(
        page.records()
            .iter()
            .filter(|record| record["msg"] == "fits")
            .count(),
        50
    );
}

#[test]
fn a_stderr_that_is_gone_loses_records_and_nothing_else() {
    let page = Page::default();
    let gone = Arc::new(AtomicBool::new(true));
    let logs = Logs::to(
        Form::Json,
        LogLevel::Info,
        Gone(Arc::clone(&gone), page.clone()),
    );
    let logger = logs.logger();
    for number in 0..2 {
        info!(logger, "x"; "number" => number);
        assert!(logs.flush(LONG));
    }
    assert_eq!(logs.dropped(), 2);

    gone.store(false, Ordering::SeqCst);
    info!(logger, "x"; "number" => 2);
    assert!(logs.flush(LONG));
    let text = page.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "{\"ts\"", "the torn line stands alone");
    let whole = |line: &&str| serde_json::from_str(line).expect("whole");
    let rest: Vec<Value> = lines[1..].iter().map(whole).collect();
    assert_eq!(rest[0]["number"], 2);
    assert_eq!(
        (&rest[1]["event"], &rest[1]["count"]),
        (&"log_dropped".into(), &2.into())
    );
}

#[test]
fn a_non_blocking_stderr_that_is_full_for_a_moment_loses_nothing() {
    let page = Page::default();
    let full = || Err(io::Error::from(io::ErrorKind::WouldBlock));
    let flaky = Flaky(vec![full(), Ok(3), full(), full()], page.clone());
    let logs = Logs::to(Form::Json, LogLevel::Info, flaky);
    info!(logs.logger(), "x");
    assert!(logs.flush(LONG));
    assert_eq!((page.records().len(), logs.dropped()), (1, 0));
}

#[test]
fn a_value_that_logs_while_it_is_formatted_is_dropped_and_hangs_nothing() {
    struct Nested(Logger);
    impl slog::Value for Nested {
        fn serialize(
            &self,
            _: &slog::Record<'_>,
            key: slog::Key,
            serializer: &mut dyn slog::Serializer,
        ) -> slog::Result {
            info!(self.0, "inner");
            serializer.emit_unit(key)
        }
    }
    let page = Page::default();
    let logs = json(&page);
    let logger = logs.logger();
    info!(logger, "outer"; "x" => Nested(logger.clone()));
    assert!(logs.flush(LONG));
    assert_eq!(
        (page.records()[0]["msg"].as_str(), logs.dropped()),
        (Some("outer"), 1)
    );
}

#[test]
fn the_writer_ends_with_the_last_logger() {
    struct Ends(#[expect(dead_code, reason = "only its end is looked at")] Sender<()>);
    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (alive, ended) = channel();
    let logs = Logs::to(Form::Json, LogLevel::Info, Ends(alive));
    let logger = logs.logger();
    drop(logs);
    info!(logger, "x");
    drop(logger);
    assert_eq!(
        ended.recv_timeout(LONG),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    );
}
