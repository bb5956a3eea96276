//! Durations as people write them: `30s`, `500ms`, `1h30m`.

use std::time::Duration;

use super::value::{Text, Wrong};

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Text for Duration {
    const EXPECTED: &'static str = "a duration such as \"30s\", \"500ms\", \"5m\" or \"1h30m\"";

    fn from_text(text: &str) -> Result<Duration, Wrong> {
        let wrong = || Wrong::text(text).help("whole numbers with the units h, m, s, ms");
        let mut rest = text;
        let mut milliseconds: u64 = 0;
        let mut units = UNITS.iter();
        while !rest.is_empty() {
            let (number, after) = split(rest, |c| c.is_ascii_digit());
            let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
            // The iterator goes on where it stopped: units come longest first, each once.
            let (_, length) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let part = number.checked_mul(*length).ok_or_else(wrong)?;
            milliseconds = milliseconds.checked_add(part).ok_or_else(wrong)?;
            rest = after;
        }
        if text.is_empty() {
            return Err(wrong());
        }
        Ok(Duration::from_millis(milliseconds))
    }

    fn in_place_of_number(number: &str) -> Option<String> {
        Some(format!("\"{number}s\" for seconds"))
    }
}

/// The same duration as a text: `1h30m`. What is shorter than a millisecond is
/// lost; nothing that was written is.
pub(super) fn to_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn split(text: &str, is_first: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_first(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let read = |text| Duration::from_text(text).map(|d| d.as_millis());
        assert_eq!(read("30s"), Ok(30_000));
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("5m"), Ok(300_000));
        assert_eq!(read("1h30m"), Ok(5_400_000));
        assert_eq!(read("0s"), Ok(0));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "1.5h",
            "30 s",
            "-1s",
            "1d",
            "1s1s",
            "1s1h",
            "99999999999999999h",
        ] {
            assert!(Duration::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_as_itself(milliseconds in any::<u64>()) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(Duration::from_text(&to_text(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_reading_a_duration_panic(text in "[0-9hms é]{0,30}") {
            let _ = Duration::from_text(&text);
        }
    }
}
