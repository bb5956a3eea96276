//! A record as one JSON object, by slog-json.

use std::io;
use std::time::SystemTime;

use slog::{BorrowedKV, Drain, KV, OwnedKVList, Record, RecordStatic, Serializer};
use slog_json::Json;

use super::level_name;
use super::pairs::Pairs;
use super::timestamp::Timestamp;

/// Appends `{"ts":...,"level":...,"msg":...,` the record's fields `}` and a newline.
pub(super) fn write(
    line: &mut Vec<u8>,
    now: SystemTime,
    record: &Record<'_>,
    values: &OwnedKVList,
) -> io::Result<()> {
    let headed = Headed {
        time: Timestamp::new(now),
        record,
    };
    let fixed = RecordStatic {
        location: record.location(),
        tag: record.tag(),
        level: record.level(),
    };
    // Made anew for every record, which costs nothing: its own default values
    // would cost an allocation, and have no way to keep microseconds.
    let json = Json::new(line).build();
    json.log(
        &Record::new(&fixed, record.msg(), BorrowedKV(&headed)),
        values,
    )
}

/// A record's fields with time, level and message before them.
struct Headed<'a> {
    time: Timestamp,
    record: &'a Record<'a>,
}

impl KV for Headed<'_> {
    fn serialize(&self, record: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        serializer.emit_str("ts", self.time.micros())?;
        serializer.emit_str("level", level_name(record.level()))?;
        serializer.emit_arguments("msg", record.msg())?;
        Pairs(self.record).serialize(record, serializer)
    }
}
