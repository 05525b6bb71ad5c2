//! What names and descriptions may be made of.

/// Whether every character can be printed: no control and format characters, no ends of lines or paragraphs.
pub(crate) fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_format(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// The same, with something else than a blank at either end.
pub(crate) fn is_clean(text: &str) -> bool {
    is_printable(text) && text.trim() == text
}

/// Characters of Unicode's category Cf that occur in texts: joiners, directions, marks of byte order.
const fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
    )
}

#[cfg(test)]
mod tests {
    use super::{is_clean, is_printable};

    #[test]
    fn blanks_and_what_cannot_be_seen() {
        for (text, printable, clean) in [
            ("", true, true),
            ("plain", true, true),
            ("é \u{1f600}", true, true),
            (" a", true, false),
            ("a\u{a0}", true, false),
            ("a\tb", false, false),
            ("a\nb", false, false),
            ("\u{200b}", false, false),
            ("f\u{2028}", false, false),
        ] {
            assert_eq!((is_printable(text), is_clean(text)), (printable, clean), "{text:?}");
        }
    }
}
