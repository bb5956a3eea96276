//! Text that may stand on a terminal.
//!
//! A model's name is whatever a client sent. A terminal obeys control characters,
//! and reorders, joins or widens others; none of these get through.

/// What stands for a character that may not.
const UNSHOWN: char = '?';
/// What ends a text that was cut.
const CUT: char = '~';

/// `text` in ASCII, each other character as `?`: as many columns as bytes.
pub(super) fn ascii(text: &str) -> String {
    let shown = |character: char| match character {
        ' '..='~' => character,
        _ => UNSHOWN,
    };
    text.chars().map(shown).collect()
}

/// `text` without what a terminal obeys or reorders, for lines that may be as long
/// as they are.
pub(super) fn line(text: &str) -> String {
    let shown = |character: char| match character {
        _ if character.is_control() => UNSHOWN,
        // Joiners, marks of direction, separators of lines, and what embeds,
        // overrides or isolates (Unicode 15, sections 23.2 and 23.3).
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' => UNSHOWN,
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => UNSHOWN,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => UNSHOWN,
        _ => character,
    };
    text.chars().map(shown).collect()
}

/// `text` at the left of `width` columns, cut if it has more.
pub(super) fn left(text: &str, width: usize) -> String {
    format!("{:<width$}", cut(text, width))
}

/// `text` at the right of `width` columns, cut if it has more.
pub(super) fn right(text: &str, width: usize) -> String {
    format!("{:>width$}", cut(text, width))
}

/// `text` in ASCII, `width` columns of it at most; that something is missing is seen.
pub(super) fn cut(text: &str, width: usize) -> String {
    let mut text = ascii(text);
    if text.len() > width {
        text.truncate(width.saturating_sub(1));
        if width > 0 {
            text.push(CUT);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("gpt-5", 5), "gpt-5");
        assert_eq!(cut("gpt-5-mini", 5), "gpt-~");
        assert_eq!(cut("x", 0), "");
        assert_eq!(left("a", 3), "a  ");
        assert_eq!(right("a", 3), "  a");
    }

    #[test]
    fn what_a_terminal_obeys_is_a_question_mark() {
        let sent = "a\u{1b}[2J\r\n\u{9b}1m\u{7}\u{202e}b\u{200b}ü";
        assert_eq!(ascii(sent), "a?[2J???1m??b??");
        assert_eq!(line(sent), "a?[2J???1m??b?ü");
    }

    proptest! {
        #[test]
        fn no_text_takes_more_room_than_it_has(text in any::<String>(), width in 0..100_usize) {
            for shown in [left(&text, width), right(&text, width)] {
                prop_assert_eq!(shown.len(), width);
                prop_assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            }
            prop_assert!(!line(&text).contains(char::is_control));
        }
    }
}
