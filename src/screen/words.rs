//! Numbers and times as people read them, in a few columns.

use std::time::{Duration, SystemTime};

use crate::telemetry::log::Timestamp;

/// What stands where nothing is known.
pub(super) const NONE: &str = "-";

/// What is known, or that nothing is.
pub(super) fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| NONE.to_owned())
}

/// A number of things: `999`, `12.3k`, `4.5M`.
pub(super) fn count(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        _ => large(number as f64),
    }
}

/// So many a second: `0`, `0.25`, `12.3`, `4.5k`.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        ..0.005 => "0".to_owned(),
        ..9.995 => format!("{rate:.2}"),
        ..999.95 => format!("{rate:.1}"),
        _ => large(rate),
    }
}

fn large(number: f64) -> String {
    let (mut number, mut unit) = (number / 1e3, 'k');
    for larger in ['M', 'G', 'T', 'P'] {
        if number < 999.95 {
            break;
        }
        (number, unit) = (number / 1e3, larger);
    }
    match number {
        ..99.95 => format!("{number:.1}{unit}"),
        _ => format!("{number:.0}{unit}"),
    }
}

/// What something took, in seconds: `45us`, `3.2ms`, `412ms`, `3.21s`, `75.0s`.
pub(super) fn took(seconds: f64) -> String {
    match seconds {
        ..0.000_999_5 => format!("{:.0}us", seconds * 1e6),
        ..0.009_95 => format!("{:.1}ms", seconds * 1e3),
        ..0.999_5 => format!("{:.0}ms", seconds * 1e3),
        ..9.995 => format!("{seconds:.2}s"),
        ..99.95 => format!("{seconds:.1}s"),
        _ => format!("{seconds:.0}s"),
    }
}

/// A share, of 0 to 1: `0%`, `0.4%`, `12%`.
pub(super) fn share(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0%".to_owned(),
        ..0.1 => "<0.1%".to_owned(),
        percent @ ..9.95 => format!("{percent:.1}%"),
        percent => format!("{percent:.0}%"),
    }
}

/// A length of time in whole seconds: `45s`, `12m 5s`, `4h 12m`, `3d 4h`.
pub(super) fn span(seconds: f64) -> String {
    // Saturates, and a clock that was set back shows as 0.
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Seconds since 1970 as `2026-11-24 08:00:00 UTC`.
pub(super) fn date(seconds: f64) -> String {
    let text = timestamp(seconds);
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// Seconds since 1970 as `08:00:00 UTC`.
pub(super) fn clock(seconds: f64) -> String {
    format!("{} UTC", &timestamp(seconds)[11..19])
}

fn timestamp(seconds: f64) -> String {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let at = SystemTime::UNIX_EPOCH.checked_add(since);
    let at = at.unwrap_or(SystemTime::UNIX_EPOCH);
    Timestamp::new(at).millis().to_owned()
}

/// `1 request`, `2 requests`.
pub(super) fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", count(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_columns() {
        assert_eq!(
            [0, 9999, 12_345, 999_999].map(count),
            ["0", "9999", "12.3k", "1.0M"]
        );
        assert_eq!([4_500_000, u64::MAX].map(count), ["4.5M", "18447P"]);
        assert_eq!(
            [0.0, 0.25, 9.999, 99.97, 12_345.0].map(rate),
            ["0", "0.25", "10.0", "100.0", "12.3k"]
        );
        assert_eq!(
            [0.000_045, 0.003_2, 0.412, 3.21, 75.0, 1234.0].map(took),
            ["45us", "3.2ms", "412ms", "3.21s", "75.0s", "1234s"]
        );
        assert_eq!(
            [0.0, 0.0001, 0.004, 0.12, 1.0].map(share),
            ["0%", "<0.1%", "0.4%", "12%", "100%"]
        );
    }

    #[test]
    fn times_are_those_of_the_calendar_and_bad_clocks_break_nothing() {
        assert_eq!(
            [-5.0, 45.0, 725.0, 15_120.0, 273_600.0].map(span),
            ["0s", "45s", "12m 5s", "4h 12m", "3d 4h"]
        );
        assert_eq!(date(1_795_507_200.5), "2026-11-24 08:00:00 UTC");
        assert_eq!(clock(1_795_507_200.5), "08:00:00 UTC");
        for wrong in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(date(wrong), "1970-01-01 00:00:00 UTC");
        }
        assert!(date(1e15).starts_with("9999-"));
    }
}
