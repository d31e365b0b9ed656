//! The server's lines as JSON: one object in one line for each, made from the line as it is by the table of [`forms`].
//!
//! `OK SAY 42 2026-11-22T13:00:01.007Z` is `{"ok":"SAY","seq":42,"time":"2026-11-22T13:00:01.007Z"}`. Nothing is lost: the line
//! can be made from its object again. Whoever wants lines as they are does not come here.

use crate::wire::forms::{self, Field, First, Kind, RETRY};

/// What is left of a line: `None` at its end, so that an empty rest can be told from none.
type Rest<'a> = Option<&'a [u8]>;

/// Appends the objects of these lines, each ending in LF as they do.
pub fn write_lines(out: &mut Vec<u8>, lines: &[u8]) {
    // Names and punctuation are about as much as a short text.
    out.reserve(2 * lines.len());
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        write(out, line.strip_suffix(b"\n").unwrap_or(line));
        out.push(b'\n');
    }
}

/// Appends the object of a line, both without their ending. A line of a type without a form keeps what follows its second word
/// as `rest`; a test holds that there is none.
pub fn write(out: &mut Vec<u8>, line: &[u8]) {
    let (head, rest) = split(line);
    let (word, mut rest) = split(rest.unwrap_or_default());
    let first = First::find(head);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(first.name().as_bytes());
    out.extend_from_slice(b"\":");
    string(out, word);
    for field in forms::fields(first, word) {
        write_field(out, field, &mut rest);
    }
    if let Some(rest) = rest {
        name(out, "rest");
        string(out, rest);
    }
    out.push(b'}');
}

/// The first word, and what follows the space after it.
fn split(text: &[u8]) -> (&[u8], Rest<'_>) {
    match text.iter().position(|&byte| byte == b' ') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Appends the field that `rest` begins with, if it is there, and moves on.
fn write_field(out: &mut Vec<u8>, field: &Field, rest: &mut Rest<'_>) {
    let Some(text) = *rest else { return };
    let (word, after) = match field.kind {
        Kind::Text | Kind::Pairs => (text, None),
        _ => split(text),
    };
    if field.is_optional && !field.may_be(word) {
        return;
    }
    *rest = after;
    name(out, field.name);
    match field.kind {
        Kind::Number => out.extend_from_slice(word),
        Kind::Retry => out.extend_from_slice(word.strip_prefix(RETRY).unwrap_or(b"0")),
        Kind::Flag => out.extend_from_slice(b"true"),
        Kind::Owner | Kind::Verb | Kind::Until if word == b"-" => out.extend_from_slice(b"null"),
        Kind::User | Kind::Owner | Kind::Room | Kind::Who => user(out, word),
        Kind::Time | Kind::Until | Kind::Channel | Kind::Word | Kind::Verb | Kind::Text => string(out, word),
        Kind::Pairs => pairs(out, word),
    }
}

/// Appends `nina:8763` as an object, and what is no user as a string. An address may look like a user only where it has one
/// colon, and none has.
fn user(out: &mut Vec<u8>, word: &[u8]) {
    let Some(at) = word.iter().position(|&byte| byte == b':') else { return string(out, word) };
    let (name, id) = (&word[..at], &word[at + 1..]);
    if !is_number(id) || word.starts_with(b"#") {
        return string(out, word);
    }
    out.extend_from_slice(b"{\"name\":");
    string(out, name);
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id);
    out.push(b'}');
}

fn pairs(out: &mut Vec<u8>, words: &[u8]) {
    out.push(b'{');
    for (index, pair) in words.split(|&byte| byte == b' ').enumerate() {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let value = pair.get(at + 1..).unwrap_or_default();
        if index > 0 {
            out.push(b',');
        }
        string(out, &pair[..at]);
        out.push(b':');
        if is_number(value) { out.extend_from_slice(value) } else { string(out, value) }
    }
    out.push(b'}');
}

/// Whether these are the digits of a number, of 64 bits at most, as JSON writes it.
pub(super) fn is_number(word: &[u8]) -> bool {
    (1..20).contains(&word.len()) && word.iter().all(u8::is_ascii_digit) && (word.len() == 1 || word[0] != b'0')
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a string. Of what JSON must escape, a line holds quotes, backslashes and TABs only.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    // A fold, because without an early exit the compiler looks at 32 bytes at a time.
    if text.iter().fold(false, |found, &byte| found | escape(byte).is_some()) {
        for &byte in text {
            match escape(byte) {
                Some(letter) => out.extend_from_slice(&[b'\\', letter]),
                None => out.push(byte),
            }
        }
    } else {
        out.extend_from_slice(text);
    }
    out.push(b'"');
}

/// What stands behind the backslash.
const fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\t' => Some(b't'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::write_lines;

    #[test]
    fn a_line_is_an_object() {
        let cases = [
            (
                "* MSG 42 2026-11-22T13:00:01.007Z #rust bob:7 say \"hi\"\\\t ",
                r##"{"event":"MSG","seq":42,"time":"2026-11-22T13:00:01.007Z","to":"#rust","from":{"name":"bob","id":7},"text":"say \"hi\"\\\t "}"##,
            ),
            ("- CHANNEL #rust 0 -", r##"{"data":"CHANNEL","channel":"#rust","members":0,"owner":null}"##),
            ("OK SAY 45 2026-11-22T13:00:01.007Z dup", r#"{"ok":"SAY","seq":45,"time":"2026-11-22T13:00:01.007Z","dup":true}"#),
            ("OK PING", r#"{"ok":"PING"}"#),
            ("OK PING  x", r#"{"ok":"PING","text":" x"}"#),
            ("OK CAPS line=4096 durable=fsync", r#"{"ok":"CAPS","caps":{"line":4096,"durable":"fsync"}}"#),
            (
                "ERR RATE_LIMITED LOGIN retry-ms=4000 too often",
                r#"{"err":"RATE_LIMITED","verb":"LOGIN","retry_ms":4000,"text":"too often"}"#,
            ),
            ("ERR TOO_LONG - a line is long", r#"{"err":"TOO_LONG","verb":null,"text":"a line is long"}"#),
            ("* NEWER a b", r#"{"event":"NEWER","rest":"a b"}"#),
        ];
        for (line, expected) in cases {
            let mut out = Vec::new();
            write_lines(&mut out, format!("{line}\n").as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
        }
    }
}
