//! The pairs of a record in the order in which they were written down.
//!
//! slog's macros nest pairs, the last one outermost, and serialize them from
//! the outside: the last one first.

use std::fmt;

use slog::{KV, Key, Record, Serializer};

use crate::telemetry::event;

/// A record's own pairs.
pub(super) struct Pairs<'a>(pub(super) &'a Record<'a>);

impl KV for Pairs<'_> {
    fn serialize(&self, record: &Record<'_>, serializer: &mut dyn Serializer) -> slog::Result {
        // A request's event has its own order, and goes by no detour.
        if self.0.tag() == event::TAG {
            return self.0.kv().serialize(record, serializer);
        }
        let mut kept = Kept(Vec::new());
        self.0.kv().serialize(record, &mut kept)?;
        kept.0
            .into_iter()
            .rev()
            .try_for_each(|(key, value)| value.serialize(key, serializer))
    }
}

struct Kept(Vec<(Key, Value)>);

/// What a value was, so that a number stays one.
enum Value {
    None,
    Flag(bool),
    Number(u64),
    Signed(i64),
    Real(f64),
    Text(String),
}

impl Value {
    fn serialize(self, key: Key, serializer: &mut dyn Serializer) -> slog::Result {
        match self {
            Value::None => serializer.emit_none(key),
            Value::Flag(flag) => serializer.emit_bool(key, flag),
            Value::Number(number) => serializer.emit_u64(key, number),
            Value::Signed(number) => serializer.emit_i64(key, number),
            Value::Real(number) => serializer.emit_f64(key, number),
            Value::Text(text) => serializer.emit_str(key, &text),
        }
    }
}

impl Kept {
    fn keep(&mut self, key: Key, value: Value) -> slog::Result {
        self.0.push((key, value));
        Ok(())
    }
}

impl Serializer for Kept {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        self.keep(key, Value::Text(value.to_string()))
    }

    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.keep(key, Value::None)
    }

    fn emit_unit(&mut self, key: Key) -> slog::Result {
        self.keep(key, Value::None)
    }

    fn emit_bool(&mut self, key: Key, value: bool) -> slog::Result {
        self.keep(key, Value::Flag(value))
    }

    fn emit_u8(&mut self, key: Key, value: u8) -> slog::Result {
        self.emit_u64(key, value.into())
    }

    fn emit_u16(&mut self, key: Key, value: u16) -> slog::Result {
        self.emit_u64(key, value.into())
    }

    fn emit_u32(&mut self, key: Key, value: u32) -> slog::Result {
        self.emit_u64(key, value.into())
    }

    fn emit_usize(&mut self, key: Key, value: usize) -> slog::Result {
        self.emit_u64(key, value as u64)
    }

    fn emit_u64(&mut self, key: Key, value: u64) -> slog::Result {
        self.keep(key, Value::Number(value))
    }

    fn emit_i32(&mut self, key: Key, value: i32) -> slog::Result {
        self.emit_i64(key, value.into())
    }

    fn emit_i64(&mut self, key: Key, value: i64) -> slog::Result {
        self.keep(key, Value::Signed(value))
    }

    fn emit_f64(&mut self, key: Key, value: f64) -> slog::Result {
        self.keep(key, Value::Real(value))
    }
}
