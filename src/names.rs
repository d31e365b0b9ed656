//! Names, ids and keys: their syntax, and which new names may be taken.
//!
//! Syntax (what the grammar accepts) and policy (which names may be *taken*) are kept apart: a line that mentions any
//! well-formed name parses, and only NAME, REGISTER and CREATE ask [`check_new`]. Nothing here knows who is online.

mod pattern;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_security::GeneralSecurityProfile;

use crate::limits::NAME_CHARS;

pub use pattern::Pattern;

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
    /// A digit of another script where a letter must be: the grammar can only tell for ASCII.
    #[error("a name begins with a letter, and {} (U+{:04X}) is none", .0, *.0 as u32)]
    Digit(char),
    /// A word by which the server, its lines, or many people are called.
    #[error("that is, or looks like, a word that the server uses itself; choose another name")]
    Reserved,
}

/// Names that nobody may choose: who had one could pass for the server, for whoever runs it, for one of its lines, or for many
/// people at once, or be mistaken for a verb. A test of [`crate::wire::verbs`] holds the verbs against it.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "server", "system", "linechat", "service", "root", "admin", "administrator", "operator", "moderator", "sysop",
    "everyone", "everybody", "anyone", "anybody", "someone", "somebody", "nobody", "all", "here", "you", "me", "guest", "guests",
    "user", "users", "member", "members", "channel", "owner",
    "ok", "err", "error", "hello", "gap", "missed", "shutdown", "bye", "offline", "online", "disconnected", "dup",
    "list", "msg", "say", "inbox", "ack", "create", "join", "leave", "channels", "topic", "history", "close", "name", "register",
    "login", "whoami", "help", "ping", "caps", "quit",
    "search", "retract", "op", "deop", "give", "invite", "kick", "ban", "unban", "bans", "set", "passwd", "token", "unregister",
    "whois", "away", "ignore", "unignore", "ignores", "wait", "follow", "format", "notice", "kicked", "banned", "more",
];

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
    if let Some(first) = text.chars().next().filter(|first| !first.is_alphabetic()) {
        return Err(NameError::Digit(first));
    }
    let guest = skeletons("guest-");
    if skeletons(text).iter().any(|skeleton| guest.iter().any(|guest| skeleton.starts_with(&**guest))) {
        return Err(NameError::Guest);
    }
    if is_reserved(text) { Err(NameError::Reserved) } else { Ok(()) }
}

/// Whether a name is a reserved one or, as it is spelled, looks like one. Here i is not l: people are called Ali, and `all` is
/// reserved.
fn is_reserved(text: &str) -> bool {
    static LOOKS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let forms = RESERVED.iter().flat_map(|word| [(*word).to_owned(), word.to_ascii_uppercase()]);
        forms.map(|form| seen(&form)).collect()
    });
    LOOKS.contains(&seen(text)) || LOOKS.contains(&seen(&fold(text)))
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

/// What somebody sees who does not look at the case: the UTS 39 skeleton of the spelling, then of its small letters. Folding
/// first would hide that `pauI` looks like `paul`, and that a Cyrillic `В` looks like `B`.
fn seen(text: &str) -> String {
    let seen: String = unicode_security::skeleton(text).collect();
    unicode_security::skeleton(&fold(&seen)).collect()
}

/// The same, with all that may be taken for an l, be it i or 1, made one.
fn skeleton(text: &str) -> Box<str> {
    if !text.is_ascii() {
        return seen(text).chars().map(|c| if c == 'i' { 'l' } else { c }).collect();
    }
    // What the tables come to for ASCII: most names are, and a server may have to read a hundred thousand at its start.
    let mut skeleton = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            'i' | '1' => skeleton.push('l'),
            '0' => skeleton.push('o'),
            'm' => skeleton.push_str("rn"),
            c => skeleton.push(c),
        }
    }
    skeleton.into()
}

/// The forms by which look-alikes are known, so that nobody can pass for somebody else: names that have one in common look
/// alike in one spelling or another. Names that fold to the same always have. For ASCII there is one form; other scripts have
/// letters that look like Latin ones only when they are small, or only when they are capitals, so each case has its own.
pub fn skeletons(text: &str) -> SmallVec<[Box<str>; 3]> {
    let mut forms = SmallVec::new();
    forms.push(skeleton(text));
    if !text.is_ascii() {
        let folded = fold(text);
        forms.push(skeleton(&folded));
        forms.push(skeleton(&folded.to_uppercase()));
        forms.sort_unstable();
        forms.dedup();
    }
    forms
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
    use super::{NameError, RESERVED, check_chosen, check_new, fold, is_channel, is_name, seen, skeleton, skeletons};

    fn alike(one: &str, other: &str) -> bool {
        skeletons(one).iter().any(|form| skeletons(other).contains(form))
    }

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
        assert!(alike("nina", "nіnа"), "Cyrillic і and а");
        assert!(alike("paul", "pau1") && alike("paul", "pauI") && alike("PAUL", "pauI") && alike("bill", "biII"));
        assert!(alike("bob", "B0B") && alike("bob", "Воb") && alike("BOB", "вов"), "Cyrillic В, о and в");
        assert!(alike("general", "generaI") && alike("mia", "rnia") && alike("MIA", "rnia"));
        assert!(alike("paul", "paυl") && alike("PAUL", "ΡΑUL"), "Greek υ, Ρ and Α");
        assert_eq!(fold("JOSÉ"), fold("josé"));
        assert!(alike("JOSÉ", "josé") && !alike("jose", "josé"));
        assert!(!alike("ana", "anna") && !alike("bob", "rob") && !alike("Нина", "Nina"));
    }

    #[test]
    fn case_never_makes_another_name() {
        let names = ["Straße", "STRASSE", "İstanbul", "ΣΊΣΥΦΟΣ", "Σίσυφος", "Воb", "ǅabc", "Ana", "MIKI", "ŁUCJA", "名前"];
        for name in names {
            for other in [fold(name).into_owned(), name.to_lowercase(), fold(&name.to_uppercase()).into_owned()] {
                assert!(fold(&other) != fold(name) || alike(name, &other), "{name} {other}");
            }
        }
    }

    #[test]
    fn ascii_needs_no_tables() {
        for byte in (0x21..0x7f_u8).filter(|&byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
            let text = char::from(byte).to_string();
            assert_eq!(*skeleton(&text), *seen(&text).replace('i', "l"), "{text}");
        }
    }

    #[test]
    fn reserved_names_are_refused_in_every_spelling() {
        let words = RESERVED.iter().chain(&["SERVER", "OK", "Err", "r00t", "0perator", "EVERYONE", "aIl", "ѕystem", "LlST"]);
        for name in words.filter(|name| is_name(name)) {
            assert_eq!(check_chosen(name), Err(NameError::Reserved), "{name}");
        }
        for name in ["Ali", "ali", "alan", "rooty", "okay", "admin2", "Ana", "Systema"] {
            assert_eq!(check_chosen(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_name_begins_with_a_letter_of_some_script() {
        assert_eq!(check_chosen("\u{661}ana"), Err(NameError::Digit('\u{661}')), "Arabic-Indic 1");
        assert_eq!(check_chosen("\u{966}ana"), Err(NameError::Digit('\u{966}')), "Devanagari 0");
        assert_eq!(check_chosen("ana\u{966}"), Ok(()));
        assert_eq!(check_new("\u{661}ana"), Ok(()), "a channel may");
    }
}
