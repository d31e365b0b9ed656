//! The text filter: what it lets through is safe on every terminal, and what it stops it names.

use linechat::wire::text::{check as text_check, is_safe, visible};

/// Panics unless these bytes are lines that a terminal can be shown.
pub fn assert_clean(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|error| panic!("{error} in {bytes:?}"));
    for c in text.chars().filter(|&c| c != '\n') {
        assert!(!c.is_control() || c == '\t', "{c:?} in {text:?}");
        assert!(!matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'), "{c:?} in {text:?}");
    }
}

/// The bytes are text, or not.
pub fn check(data: &[u8]) {
    match text_check(data) {
        Ok(text) => {
            assert_eq!(text.as_bytes(), data, "text passes as it is");
            assert!(!text.contains('\n'), "a line break in {text:?}");
            assert_clean(data);
        }
        Err(error) => assert_clean(error.to_string().as_bytes()),
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let shown = visible(text);
        assert!(shown.chars().all(is_safe) && shown.chars().count() == text.chars().count(), "{shown:?}");
        assert_eq!(text_check(data).is_ok(), text.chars().all(is_safe), "the two agree about {text:?}");
    }
}
