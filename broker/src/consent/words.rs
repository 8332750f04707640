//! `tool` and `purpose` are the server's words, shown to people as such: short plain text, no links (CO7).

/// Longest text, in characters.
pub const MAX: usize = 200;

/// Why a text is not shown.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum BadWords {
    /// More than [`MAX`] characters.
    #[error("at most 200 characters")]
    TooLong,
    /// A control, format or bidirectional character.
    #[error("no control, invisible or bidirectional characters")]
    Invisible,
    /// Something people would take for a link.
    #[error("no links")]
    Link,
}

/// Checks a text for a page.
///
/// # Errors
/// [`BadWords`].
pub fn check(text: &str) -> Result<(), BadWords> {
    if text.chars().count() > MAX {
        return Err(BadWords::TooLong);
    }
    if text.chars().any(is_invisible) {
        return Err(BadWords::Invisible);
    }
    let lower = text.to_lowercase();
    if lower.contains("://")
        || lower.contains("www.")
        || lower.contains("javascript:")
        || lower.contains("mailto:")
    {
        return Err(BadWords::Link);
    }
    Ok(())
}

/// Control characters, zero-width and bidirectional marks, line separators, tags and the byte-order mark.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A text from outside (an account label, an error description) made fit to show: invisible characters dropped, cut to [`MAX`].
pub fn tamed(text: &str) -> String {
    text.chars().filter(|c| !is_invisible(*c)).take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: CO7
    #[test]
    fn co7_words_are_short_visible_and_without_links() {
        assert_eq!(check("Summarise this week's notes – für Anna"), Ok(()));
        assert_eq!(check(&"x".repeat(201)), Err(BadWords::TooLong));
        for bad in ["a\nb", "a\u{202e}b", "a\u{200b}b", "a\u{0}b", "\u{feff}a", "a\u{2066}b"] {
            assert_eq!(check(bad), Err(BadWords::Invisible), "{bad:?}");
        }
        for bad in ["see https://evil.example", "WWW.evil.example", "JavaScript:alert(1)"] {
            assert_eq!(check(bad), Err(BadWords::Link), "{bad:?}");
        }
        assert_eq!(tamed("a\u{202e}b\n"), "ab");
    }
}
