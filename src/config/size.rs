//! Sizes as people write them: `64MiB`, `8KiB`, `1GB`, `512B`.

use std::fmt;

use super::value::{Text, Wrong};

/// The units and their bytes; those that a size is printed in come first, largest first.
const UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) usize);

impl Text for Size {
    const EXPECTED: &'static str = "a size such as \"64MiB\", \"8KiB\", \"1GB\" or \"512B\"";

    fn from_text(text: &str) -> Result<Size, Wrong> {
        let wrong =
            || Wrong::text(text).help("a whole number with a unit: B, kB, MB, GB, KiB, MiB, GiB");
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let known = |(name, _): &&(&str, usize)| name.eq_ignore_ascii_case(unit);
        let (_, bytes) = UNITS.iter().find(known).ok_or_else(wrong)?;
        let number: usize = number.parse().map_err(|_| wrong())?;
        Ok(Size(number.checked_mul(*bytes).ok_or_else(wrong)?))
    }

    fn in_place_of_number(number: &str) -> Option<String> {
        Some(format!("\"{number}B\" for bytes"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, bytes): &&(&str, usize)| self.0 >= *bytes && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS.iter().find(whole).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(Size::from_text("64MiB"), Ok(Size(67_108_864)));
        assert_eq!(Size::from_text("8KiB"), Ok(Size(8_192)));
        assert_eq!(Size::from_text("1GB"), Ok(Size(1_000_000_000)));
        assert_eq!(Size::from_text("512B"), Ok(Size(512)));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "64",
            "MiB",
            "64 MiB",
            "1.5MiB",
            "-1B",
            "99999999999GiB",
            "64M",
        ] {
            assert!(Size::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_size_reads_as_itself(bytes in any::<usize>()) {
            prop_assert_eq!(Size::from_text(&Size(bytes).to_string()), Ok(Size(bytes)));
        }

        #[test]
        fn a_whole_number_of_a_unit_reads_as_itself(number in 0..1_000usize, unit in 0..UNITS.len()) {
            let (name, bytes) = UNITS[unit];
            prop_assert_eq!(Size::from_text(&format!("{number}{name}")), Ok(Size(number * bytes)));
        }
    }
}
