//! The words for log formats and levels.

use super::checked::{LogFormat, LogLevel};
use super::nearest::nearest;
use super::value::{Text, Wrong};

const FORMATS: [(&str, LogFormat); 4] = [
    ("auto", LogFormat::Auto),
    ("journal", LogFormat::Journal),
    ("json", LogFormat::Json),
    ("text", LogFormat::Text),
];

const LEVELS: [(&str, LogLevel); 4] = [
    ("error", LogLevel::Error),
    ("warning", LogLevel::Warning),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
];

/// The words for formats, for whoever offers them.
pub(crate) const FORMAT_WORDS: [&str; FORMATS.len()] = words(&FORMATS);

/// The words for levels, for whoever offers them.
pub(crate) const LEVEL_WORDS: [&str; LEVELS.len()] = words(&LEVELS);

impl Text for LogFormat {
    const EXPECTED: &'static str = "\"auto\", \"journal\", \"json\" or \"text\"";

    fn from_text(text: &str) -> Result<LogFormat, Wrong> {
        choose(text, &FORMATS)
    }
}

impl Text for LogLevel {
    const EXPECTED: &'static str = "\"error\", \"warning\", \"info\" or \"debug\"";

    fn from_text(text: &str) -> Result<LogLevel, Wrong> {
        choose(text, &LEVELS)
    }
}

/// The word for a format.
pub(super) fn format_word(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Auto => "auto",
        LogFormat::Journal => "journal",
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    }
}

/// The word for a level.
pub(super) fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

const fn words<T, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut at = 0;
    while at < N {
        words[at] = choices[at].0;
        at += 1;
    }
    words
}

/// The choice that `text` is the word for.
///
/// # Errors
/// None; with the word that was most likely meant.
pub(super) fn choose<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Wrong> {
    if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*choice);
    }
    let words = choices.iter().map(|(word, _)| *word);
    let wrong = Wrong::text(text);
    // "warn" is what most other programs call it.
    let begun = words
        .clone()
        .find(|word| text.len() >= 3 && word.starts_with(text));
    Err(match nearest(&text.to_lowercase(), words).or(begun) {
        Some(word) => wrong.help(format!("did you mean \"{word}\"?")),
        None => wrong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_printed() {
        for (word, format) in FORMATS {
            assert_eq!(LogFormat::from_text(word), Ok(format));
            assert_eq!(format_word(format), word);
        }
        for (word, level) in LEVELS {
            assert_eq!(LogLevel::from_text(word), Ok(level));
            assert_eq!(level_word(level), word);
        }
    }

    #[test]
    fn the_word_of_another_program_is_explained() {
        let help = |text| LogLevel::from_text(text).unwrap_err().help;
        assert_eq!(help("warn").as_deref(), Some("did you mean \"warning\"?"));
        assert_eq!(help("INFO").as_deref(), Some("did you mean \"info\"?"));
        assert_eq!(help("loud"), None);
    }
}
