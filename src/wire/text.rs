//! Which text may pass: UTF-8 with nothing in it that a terminal would obey or that reverses the direction of writing.
//!
//! Text passes whole or is refused, and is never repaired: a person reads exactly what was sent. Only a client repairs text,
//! with [`visible`], because some other server might have let anything through.

use std::borrow::Cow;

/// Why text was refused; the message says what was found and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not UTF-8.
    #[error("byte {at} of the line (0x{byte:02X}) is not UTF-8; nothing was done")]
    NotUtf8 {
        /// Where, counted from 1.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// A control character other than TAB.
    #[error("byte {at} of the line is the control character U+{code:04X}; nothing was done")]
    Control {
        /// Where, counted from 1.
        at: usize,
        /// The character's number.
        code: u32,
    },
    /// A character that changes the direction of writing, or a separator of lines or paragraphs.
    #[error("byte {at} of the line begins U+{code:04X}, which changes how the rest of a line is shown; nothing was done")]
    Direction {
        /// Where, counted from 1.
        at: usize,
        /// The character's number.
        code: u32,
    },
}

/// Whether `byte` can be in a line: no control character but TAB, and no DEL. High bytes are checked as UTF-8 later.
pub const fn is_plain(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\t'
}

/// Line and paragraph separators and the bidirectional overrides and isolates (Unicode UAX 9; CVE-2021-42574).
const fn turns(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character may be shown to a person: no control character but TAB, and none that changes how the rest of the line
/// is shown.
pub const fn is_safe(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{a}'..='\u{1f}' | '\u{7f}'..='\u{9f}') && !turns(c)
}

/// The text with U+FFFD in place of each character that may not be shown: for a client, which cannot refuse what a server
/// sends.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) {
        return text.into();
    }
    text.chars().map(|c| if is_safe(c) { c } else { char::REPLACEMENT_CHARACTER }).collect::<String>().into()
}

/// The bytes as text, if every character of them may be shown to another person.
///
/// # Errors
/// The first character or byte that may not be shown, and where it is.
pub fn check(bytes: &[u8]) -> Result<&str, TextError> {
    // A fold, because without an early exit the compiler checks 32 bytes at a time.
    let has_control = bytes.iter().fold(false, |found, &byte| found | !is_plain(byte));
    if has_control && let Some(at) = bytes.iter().position(|&byte| !is_plain(byte)) {
        return Err(TextError::Control { at: at + 1, code: bytes[at].into() });
    }
    if bytes.is_ascii() {
        return Ok(std::str::from_utf8(bytes).expect("invariant: ASCII is UTF-8"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        TextError::NotUtf8 { at: at + 1, byte: bytes[at] }
    })?;
    match text.char_indices().find(|&(_, c)| !is_safe(c)) {
        Some((at, c)) if turns(c) => Err(TextError::Direction { at: at + 1, code: c.into() }),
        Some((at, c)) => Err(TextError::Control { at: at + 1, code: c.into() }),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{TextError, check, visible};

    #[test]
    fn every_control_character_but_tab_is_refused_wherever_it_stands() {
        for code in (0u32..0x20).chain(0x7f..0xa0) {
            let c = char::from_u32(code).unwrap();
            for line in [format!("{c}a"), format!("a{c}b"), format!("a{c}")] {
                let named = check(line.as_bytes());
                assert!(
                    matches!(named, Err(TextError::Control { code: found, .. }) if found == code) || named.is_ok() && c == '\t'
                );
            }
        }
    }

    #[test]
    fn a_client_shows_no_byte_that_a_terminal_obeys() {
        assert_eq!(visible("hi\tana"), "hi\tana");
        assert_eq!(visible("\u{1b}[2Jhi\u{202e}\u{9b}"), "\u{fffd}[2Jhi\u{fffd}\u{fffd}");
    }

    #[test]
    fn every_invalid_two_byte_sequence_is_refused() {
        for first in 0x80..=0xffu8 {
            for second in 0..=0xffu8 {
                let bytes = [b'a', first, second];
                let ok = std::str::from_utf8(&bytes).is_ok_and(|text| text.chars().nth(1) >= Some('\u{a0}'));
                assert_eq!(check(&bytes).is_ok(), ok, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn what_turns_the_line_around_is_refused_and_named() {
        for c in ('\u{2028}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            assert_eq!(check(format!("ab{c}c").as_bytes()), Err(TextError::Direction { at: 3, code: c.into() }));
        }
        for fine in ["שלום", "\u{200f}", "👩‍👩‍👧", "a\u{301}", "\u{feff}", "日本"] {
            assert_eq!(check(fine.as_bytes()), Ok(fine));
        }
    }
}
