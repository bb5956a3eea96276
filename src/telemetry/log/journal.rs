//! Records for the systemd journal, with their fields as fields of its own.
//!
//! A worker puts a record's strings one behind the other, and the writer sends
//! them: one datagram a record, or a sealed memfd if it is too large for one.
//! Every string goes with its length, here and over the journal's protocol, so
//! that no byte in a value can begin another field.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::unix::net::UnixDatagram;

use rustix::net::sockopt::set_socket_send_buffer_size;
use slog::{KV, Key, Level, OwnedKVList, Record, Serializer};
use systemd_journal_logger::JournalLog;

use super::pairs::Pairs;
use super::writer::Output;
use crate::telemetry::message_id::message_id;

/// Where journald takes records (systemd-journald.service(8)).
const SOCKET: &str = "/run/systemd/journal/socket";
/// What `journalctl -t` knows us by, and what the short formats show.
const IDENTIFIER: &str = "upstreamd";
/// Before each field's name, so that it is nobody else's.
const PREFIX: &str = "UPSTREAMD_";
/// Records of one turn of the writer, each of which is a system call.
const TURN: usize = 64;

/// Whether standard error is the journal's (`$JOURNAL_STREAM`, systemd.exec(5)).
pub(super) fn is_stderr() -> bool {
    systemd_journal_logger::connected_to_journal()
}

/// Whether records of our own form can be sent there. In a root directory of
/// its own, or in a container, a service may have the one without the other.
pub(super) fn is_reachable() -> bool {
    UnixDatagram::unbound().is_ok_and(|socket| socket.connect(SOCKET).is_ok())
}

/// Appends a record's level, message and fields; those that are absent left out.
pub(super) fn write(
    line: &mut Vec<u8>,
    record: &Record<'_>,
    values: &OwnedKVList,
) -> io::Result<()> {
    line.push(record.level().as_usize() as u8);
    append(line, |line| write!(line, "{}", record.msg()))?;
    let mut fields = Fields(line);
    Pairs(record).serialize(record, &mut fields)?;
    values.serialize(record, &mut fields)?;
    Ok(())
}

/// Appends a string with its length before it.
fn append(
    line: &mut Vec<u8>,
    string: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let start = line.len();
    line.extend_from_slice(&[0; 4]);
    string(line)?;
    let length = line.len() - start - 4;
    let length = u32::try_from(length).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    line[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Appends names and values.
struct Fields<'a>(&'a mut Vec<u8>);

impl Serializer for Fields<'_> {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        append(self.0, |line| write!(line, "{PREFIX}{key}"))?;
        append(self.0, |line| line.write_fmt(*value))?;
        Ok(())
    }

    fn emit_str(&mut self, key: Key, value: &str) -> slog::Result {
        if let Some(id) = message_id(value).filter(|_| key == "event") {
            append(self.0, |line| line.write_all(b"MESSAGE_ID"))?;
            append(self.0, |line| line.write_all(id.as_bytes()))?;
        }
        self.emit_arguments(key, &format_args!("{value}"))
    }

    fn emit_none(&mut self, _: Key) -> slog::Result {
        Ok(())
    }

    fn emit_unit(&mut self, _: Key) -> slog::Result {
        Ok(())
    }
}

/// A record as [`write`] has put it together.
#[derive(Debug, PartialEq)]
struct Sendable<'a> {
    level: Level,
    message: &'a str,
    fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Sendable<'a> {
    fn read(record: &'a [u8]) -> Option<Self> {
        let (level, strings) = record.split_first()?;
        let mut strings = Strings(strings);
        Some(Sendable {
            level: Level::from_usize((*level).into())?,
            message: strings.next()?,
            fields: std::iter::from_fn(|| Some((strings.next()?, strings.next()?))).collect(),
        })
    }
}

/// The strings of a record, one after the other.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        str::from_utf8(string).ok()
    }
}

/// Sends records to journald. Waits for it where it is slow, for ever if it
/// stands still; if it is gone, what comes meanwhile is lost.
pub(super) struct Journal {
    log: Option<JournalLog>,
    /// Records since the last turn, and those of them that were lost.
    put: usize,
    lost: u64,
}

impl Journal {
    pub(super) fn new() -> Self {
        Journal {
            log: None,
            put: 0,
            lost: 0,
        }
    }

    fn send(&mut self, record: &Sendable<'_>) -> io::Result<()> {
        let log = match &mut self.log {
            Some(log) => log,
            // Here and not in `new`, since it waits for journald already.
            none => none.insert(JournalLog::empty()?.with_syslog_identifier(IDENTIFIER.into())),
        };
        log.journal_send(
            &log::Record::builder()
                .level(level(record.level))
                .target(IDENTIFIER)
                .args(format_args!("{}", record.message))
                .key_values(&record.fields)
                .build(),
        )
    }
}

/// Waits until journald has read everything before.
///
/// It finds a record's unit by looking at the process that sent it. What it
/// reads after that has ended belongs to no unit, and `journalctl -u` does not
/// show it (systemd issue 2913). So the last records have to be read while
/// this process is still there.
///
/// Nothing in the protocol says that it has read. But a sender's datagrams that
/// are not read yet fill its buffer, and the smallest one (4.5 KiB, of which
/// the kernel takes more than 512 bytes for an empty datagram) has no room for
/// so many: when the last has found a place the first was read, and all that
/// came before it. journald passes over a datagram that is empty.
fn wait_until_read() -> io::Result<()> {
    const MORE_THAN_FIT: usize = 16;
    let socket = UnixDatagram::unbound()?;
    // The kernel raises it to its minimum.
    set_socket_send_buffer_size(&socket, 0)?;
    (0..MORE_THAN_FIT).try_for_each(|_| socket.send_to(&[], SOCKET).map(drop))
}

/// The level for which the library has the priority that ours means: 3 (err),
/// 4 (warning), 6 (info), 7 (debug). Its own `Info` is 5 (notice).
fn level(level: Level) -> log::Level {
    match level {
        Level::Critical | Level::Error => log::Level::Error,
        Level::Warning => log::Level::Warn,
        Level::Info => log::Level::Debug,
        Level::Debug | Level::Trace => log::Level::Trace,
    }
}

impl Output for Journal {
    fn put(&mut self, record: &[u8]) {
        self.put += 1;
        let sent = Sendable::read(record).is_some_and(|record| {
            loop {
                match self.send(&record) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    sent => return sent.is_ok(),
                }
            }
        });
        self.lost += u64::from(!sent);
    }

    fn is_full(&self) -> bool {
        self.put >= TURN
    }

    fn write(&mut self) -> u64 {
        self.put = 0;
        std::mem::take(&mut self.lost)
    }

    fn settle(&mut self) {
        // A journal that is gone has nothing left to read.
        let _ = wait_until_read();
    }
}

#[cfg(test)]
mod tests {
    use slog::{b, o, record};

    use super::*;

    fn written(record: &Record<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        write(&mut line, record, &OwnedKVList::from(o!())).expect("a Vec takes all");
        line
    }

    #[test]
    fn a_record_arrives_as_it_was_written() {
        let fields = b!("event" => "ready", "workers" => 2, "none" => None::<u8>, "duration_s" => 0.25, "own" => true);
        let message = format_args!("serving {}", "now");
        let line = written(&record!(Level::Info, "", &message, fields));
        let sendable = Sendable::read(&line).expect("a whole record");
        assert_eq!(
            (sendable.level, sendable.message),
            (Level::Info, "serving now")
        );
        let id = message_id("ready").expect("it has one");
        assert_eq!(
            sendable.fields,
            [
                ("MESSAGE_ID", id),
                ("UPSTREAMD_event", "ready"),
                ("UPSTREAMD_workers", "2"),
                ("UPSTREAMD_duration_s", "0.25"),
                ("UPSTREAMD_own", "true"),
            ]
        );
    }

    #[test]
    fn no_byte_of_a_value_begins_another_field() {
        for hostile in [
            "",
            "\n",
            "x\nPRIORITY=0\n",
            "\0\u{1}\u{2}\u{3}",
            "é\u{fffd}",
            &"x\n".repeat(1 << 17),
        ] {
            let fields = b!("model" => hostile, "event" => hostile);
            let message = format_args!("{hostile}");
            let line = written(&record!(Level::Error, "", &message, fields));
            let sendable = Sendable::read(&line).expect("a whole record");
            assert_eq!(sendable.message, hostile);
            let expected = [("UPSTREAMD_model", hostile), ("UPSTREAMD_event", hostile)];
            assert_eq!(sendable.fields, expected);
        }
    }

    #[test]
    fn what_is_no_record_is_not_sent() {
        for torn in [
            &b""[..],
            b"\x09",
            b"\x04\x05\0\0\0abc",
            b"\x04\x01\0\0\0\xff",
        ] {
            assert_eq!(Sendable::read(torn), None);
        }
    }
}
