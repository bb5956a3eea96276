//! RFC 3339 in UTC, without a calendar library and without an allocation.

use std::time::SystemTime;

/// 9999-12-31T23:59:59Z: the last second that four digits of a year can say.
const LAST_SECOND: u64 = 253_402_300_799;

/// A point in time as text; the clock's errors (before 1970) show as 1970.
#[derive(Debug)]
pub(crate) struct Timestamp([u8; 27]);

impl Timestamp {
    pub(crate) fn new(at: SystemTime) -> Timestamp {
        let since = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = since.as_secs().min(LAST_SECOND);
        let (year, month, day) = date(seconds / 86_400);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], seconds / 3600 % 24);
        digits(&mut text[14..16], seconds / 60 % 60);
        digits(&mut text[17..19], seconds % 60);
        digits(&mut text[20..26], since.subsec_micros().into());
        Timestamp(text)
    }

    /// `2026-11-24T08:00:00.123456Z`
    pub(super) fn micros(&self) -> &str {
        str::from_utf8(&self.0).expect("digits and signs are ASCII")
    }

    /// `2026-11-24T08:00:00.123`, to be ended with a `Z`.
    pub(crate) fn millis(&self) -> &str {
        &self.micros()[..23]
    }
}

fn digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01.
///
/// Counts from 0000-03-01, so that a leap day is a year's last (H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // Each by `date -u -d @SECONDS +%FT%TZ`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (951_782_399, "2000-02-28T23:59:59.000001Z"),
            (951_782_400, "2000-02-29T00:00:00.000001Z"),
            (951_868_800, "2000-03-01T00:00:00.000001Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000001Z"),
            (1_795_507_200, "2026-11-24T08:00:00.000001Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000001Z"),
            (LAST_SECOND, "9999-12-31T23:59:59.000001Z"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::new(seconds, 1999);
            assert_eq!(Timestamp::new(at).micros(), text);
        }
    }

    #[test]
    fn a_clock_that_is_wrong_breaks_nothing() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::new(early).millis(), "1970-01-01T00:00:00.000");
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND * 1000);
        assert_eq!(Timestamp::new(late).millis(), "9999-12-31T23:59:59.000");
    }
}
