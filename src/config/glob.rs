//! Patterns of models and endpoints: `*` is any run of characters, `?` is one.

/// Bytes of a name that is looked up at most. Clients choose names, and the
/// time that a pattern with several stars takes grows with them.
const LONGEST: usize = 512;

/// A name or a pattern. Case counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// Bytes before the first `*` or `?`.
    plain: usize,
}

impl Glob {
    /// `text` as a pattern; every text is one.
    pub fn new(text: impl Into<String>) -> Glob {
        let text = text.into();
        let plain = text.find(['*', '?']).unwrap_or(text.len());
        Glob { text, plain }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one name alone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.plain == self.text.len()
    }

    /// Bytes that a name has to have in common with it.
    #[must_use]
    pub fn literal(&self) -> usize {
        self.text
            .bytes()
            .filter(|b| !matches!(b, b'*' | b'?'))
            .count()
    }

    /// Whether `name` is one that it stands for.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if name.len() > LONGEST {
            return false;
        }
        // Most names that do not fit differ before the first star.
        let (plain, pattern) = self.text.split_at(self.plain);
        let Some(rest) = name.strip_prefix(plain) else {
            return false;
        };
        if pattern == "*" {
            return true;
        }
        let (mut pattern, mut name) = (pattern, rest);
        // Where to go on if the rest does not fit: behind the last star, which
        // then takes one character more.
        let mut again: Option<(&str, &str)> = None;
        loop {
            let (mut wanted, mut found) = (pattern.chars(), name.chars());
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    pattern = wanted.as_str();
                    again = Some((pattern, name));
                    continue;
                }
                (Some(one), Some(other)) if one == '?' || one == other => {
                    (pattern, name) = (wanted.as_str(), found.as_str());
                    continue;
                }
                _ => {}
            }
            let Some((behind, from)) = again else {
                return false;
            };
            let mut rest = from.chars();
            if rest.next().is_none() {
                return false;
            }
            (pattern, name) = (behind, rest.as_str());
            again = Some((pattern, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says_and_the_whole_of_it() {
        for (pattern, name, expected) in [
            ("gpt-5", "gpt-5", true),
            ("gpt-5", "gpt-5.1", false),
            ("gpt-5", "GPT-5", false),
            ("gpt-5*", "gpt-5", true),
            ("gpt-5*", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini", true),
            ("*-mini", "gpt-5-mini-high", false),
            ("*/*", "openai/gpt-5", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*ab", "aab", true),
            ("gpt-?", "gpt-5", true),
            ("gpt-?", "gpt-", false),
            ("gpt-?", "gpt-10", false),
            ("?", "ä", true),
            ("*", "", true),
            ("?*", "", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn a_name_of_any_length_takes_no_time() {
        let pattern = Glob::new("*a".repeat(128));
        assert!(!pattern.matches(&"a".repeat(64 << 20)));
    }

    /// The meaning, without a thought for speed.
    fn plainly(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                plainly(rest, name) || (!name.is_empty() && plainly(pattern, &name[1..]))
            }
            (['?', rest @ ..], [_, others @ ..]) => plainly(rest, others),
            ([one, rest @ ..], [other, others @ ..]) => one == other && plainly(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn any_pattern_means_the_same_as_read_plainly(pattern in "[ab*?]{0,8}", name in "[abä]{0,10}") {
            let expected = plainly(
                &pattern.chars().collect::<Vec<_>>(),
                &name.chars().collect::<Vec<_>>(),
            );
            prop_assert_eq!(Glob::new(pattern).matches(&name), expected);
        }
    }
}
