//! The known word that somebody most likely meant.

/// The one of `known` nearest to `word`, if one is near enough to be a typo:
/// at most a third of its letters wrong, counting two swapped letters as one.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bearable = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= bearable)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_finds_none() {
        let known = ["listen", "workers", "drain_timeout"];
        assert_eq!(nearest("drain-timeot", known), Some("drain_timeout"));
        assert_eq!(nearest("lsiten", known), Some("listen"));
        assert_eq!(nearest("temperature", known), None);
    }
}
