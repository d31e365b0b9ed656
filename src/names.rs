//! Names, ids and keys: their syntax, and which new names may be taken.
//!
//! Syntax (what the grammar accepts) and policy (which names may be *taken*) are kept apart: a line that mentions any
//! well-formed name parses, and only NAME, REGISTER and CREATE ask [`check_new`]. Nothing here knows who is online.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_security::GeneralSecurityProfile;

use crate::limits::NAME_CHARS;

/// A user's number. It is never reused, not even after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub u64);

/// An entry's number in the one order. It only grows; within one room it rises but has gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// A well-formed name of a user or, without its `#`, of a channel. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

/// A user, as lines write it: `name:id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Who {
    /// The name at the time.
    pub name: Name,
    /// The id, which never changes.
    pub id: UserId,
}

/// Why a name cannot be taken; the text is for the person who chose it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is not a `name` of the grammar.
    #[error("a name is 1 to 32 letters, digits, '_', '-' or '.', and begins with a letter")]
    Form,
    /// The text is not a `channel` of the grammar.
    #[error("a channel is # and 1 to 32 letters, digits, '_', '-' or '.'")]
    ChannelForm,
    /// A character that Unicode does not recommend for identifiers (UTS 39).
    #[error("the character {} (U+{:04X}) cannot be part of a name", .0.escape_unicode(), *.0 as u32)]
    Character(char),
    /// Not in normalization form C: typed on another machine, it might not be found.
    #[error("type the name with composed letters (Unicode NFC)")]
    NotComposed,
    /// `guest-…`, which belongs to guests.
    #[error("names that begin with guest- belong to guests")]
    Guest,
}

fn is_ascii_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn is_body(text: &str) -> bool {
    let short_enough = text.len() <= NAME_CHARS || text.chars().count() <= NAME_CHARS;
    !text.is_empty() && short_enough && text.bytes().all(|byte| byte >= 0x80 || is_ascii_part(byte))
}

/// Whether `text` is what the grammar calls a `name`. `text` must have passed [`crate::wire::text`].
pub fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first >= 0x80) && is_body(text)
}

/// Whether `text`, without its `#`, is what the grammar calls a `channel`. It must have passed [`crate::wire::text`].
pub fn is_channel(text: &str) -> bool {
    is_body(text)
}

/// Whether `text` is what the grammar calls a message's `key`, without its `@`.
pub fn is_key(text: &str) -> bool {
    (1..=crate::limits::KEY_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether a new user or channel may be called `text`, which is well-formed already. The rules are the identifier profile of
/// UTS 39, and NFC.
///
/// # Errors
/// A [`NameError`] that names the rule.
pub fn check_new(text: &str) -> Result<(), NameError> {
    if !text.is_ascii() {
        let fits = |c: char| c.is_ascii() || (GeneralSecurityProfile::identifier_allowed(c) && c.is_alphanumeric());
        if let Some(c) = text.chars().find(|&c| !fits(c)) {
            return Err(NameError::Character(c));
        }
        if !is_nfc(text) {
            return Err(NameError::NotComposed);
        }
    }
    Ok(())
}

/// Whether a person may choose `text` as a name: [`check_new`], and not one that the server gives to guests.
///
/// # Errors
/// A [`NameError`] that names the rule.
pub fn check_chosen(text: &str) -> Result<(), NameError> {
    check_new(text)?;
    if skeleton(text).starts_with(&skeleton("guest-")) { Err(NameError::Guest) } else { Ok(()) }
}

/// The form by which a name is looked up: letters without case, composed. `Ana` and `ana` are one name.
pub fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        text.to_lowercase().nfc().collect()
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text.to_ascii_lowercase().into()
    } else {
        // The common case, without an allocation.
        text.into()
    }
}

/// The form in which look-alikes are equal (the UTS 39 skeleton of the folded name), so that nobody can pass for somebody else.
pub fn skeleton(text: &str) -> String {
    unicode_security::skeleton(&fold(text)).collect()
}

impl Name {
    /// A name from text that is well-formed already.
    pub fn new(text: &str) -> Self {
        debug_assert!(is_body(text), "invariant: only well-formed names become a Name, got {text:?}");
        Self(text.into())
    }

    /// The name that the server gives to a guest.
    pub fn guest(id: UserId) -> Self {
        let mut digits = itoa::Buffer::new();
        let mut name = SmallVec::<[u8; 32]>::from_slice(b"guest-");
        name.extend_from_slice(digits.format(id.0).as_bytes());
        Self(std::str::from_utf8(&name).expect("invariant: digits are text").into())
    }

    /// The name as it was chosen.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::{NameError, check_chosen, check_new, fold, is_channel, is_name, skeleton};

    #[test]
    fn names_are_letters_digits_and_three_marks() {
        for good in ["a", "ana", "José", "nina.b-c_3", "名前", &"x".repeat(32), &"é".repeat(32)] {
            assert!(is_name(good), "{good}");
            assert_eq!(check_chosen(good), Ok(()), "{good}");
        }
        for bad in ["", "3com", "-a", "a b", "a:b", "a#", "@a", "a!", &"x".repeat(33), &"é".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(is_channel("23456") && is_channel("-") && !is_channel(""));
    }

    #[test]
    fn a_name_may_not_hide_anything() {
        assert_eq!(check_new("a\u{200b}b"), Err(NameError::Character('\u{200b}')), "zero width space");
        assert_eq!(check_new("a\u{a0}b"), Err(NameError::Character('\u{a0}')), "no-break space");
        assert_eq!(check_new("hi😀"), Err(NameError::Character('😀')));
        assert!(check_new("jose\u{301}").is_err(), "a separate accent");
        assert_eq!(check_chosen("Guest-7"), Err(NameError::Guest));
        assert_eq!(check_chosen("gu\u{435}st-7"), Err(NameError::Guest), "Cyrillic е");
    }

    #[test]
    fn look_alikes_look_alike() {
        assert_eq!(skeleton("nina"), skeleton("nіnа"), "Cyrillic і and а");
        assert_eq!(skeleton("paul"), skeleton("pau1"));
        assert_eq!(fold("JOSÉ"), fold("josé"));
        assert_ne!(skeleton("ana"), skeleton("anna"));
    }
}
