//! Parses a line into a command, with nom. It accepts exactly what `command-line` of `grammar/linechat.abnf` matches, which a
//! test checks. `words.rs` has the parts of a line, `verbs.rs` the verbs.
//!
//! A line that parses allocates nothing. The refusal of one that does not says what its verb expects.

pub(super) mod verbs;
mod wanted;
mod words;

use std::borrow::Cow;

use nom::combinator::all_consuming;
use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Parser};

use crate::code::{Code, Refusal};
use crate::limits::NAME_CHARS;
use crate::names::NameError;
use crate::wire::command::{Command, Target};
use crate::wire::verbs::{self as table, Verb};
use crate::wire::{foreign, text};

pub use wanted::{Wanted, wanted};

/// A line that is no command: what ERR says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The verb that ERR names: a known verb, the unknown word (cut to 32 characters), or `-`.
    pub verb: Cow<'static, str>,
    /// Why.
    pub refusal: Refusal,
}

/// What is wrong with a part of a line; [`parse`] adds the verb's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It does not have the verb's form.
    Form,
    /// A name or channel is malformed.
    Name(NameError),
    /// A channel lacks its `#`.
    NoHash(String),
}

/// What a verb's arguments parse to; the input begins right after the verb.
pub type Parsed<'a> = IResult<&'a str, Command<'a>, Fault>;

impl ParseError<&str> for Fault {
    fn from_error_kind(_: &str, _: ErrorKind) -> Self {
        Self::Form
    }

    fn append(_: &str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// The user whom a word names, as in a line; `None` if it is no name, no id, and not both.
pub fn one_user(word: &str) -> Option<Target<'_>> {
    all_consuming(words::user).parse(word).ok().map(|(_, user)| user)
}

/// The command in a line, which is given without its ending; `Ok(None)` for an empty line or one of spaces.
///
/// # Errors
/// [`Rejected`] is what ERR must say; nothing of the line may be executed.
pub fn parse(line: &[u8]) -> Result<Option<Command<'_>>, Rejected> {
    let line = match text::check(line) {
        Ok(line) => line.trim_start_matches(' '),
        Err(error) => return Err(rejected_text(line, error)),
    };
    if line.is_empty() {
        return Ok(None);
    }
    let end = memchr::memchr(b' ', line.as_bytes()).unwrap_or(line.len());
    let (word, arguments) = line.split_at(end);
    let verb = table::find(word).ok_or_else(|| unknown(word))?;
    match (verb.parse)(arguments) {
        Ok((_, command)) => Ok(Some(command)),
        Err(Err::Error(fault) | Err::Failure(fault)) => Err(rejected(verb, fault)),
        Err(Err::Incomplete(_)) => unreachable!("invariant: only complete parsers are used"),
    }
}

fn rejected(verb: &'static Verb, fault: Fault) -> Rejected {
    let refusal = match fault {
        Fault::Form => Refusal::new(Code::BadSyntax, format!("usage: {}, for example: {}", verb.syntax, verb.example)),
        Fault::Name(error) => Refusal::new(Code::BadName, error.to_string()),
        Fault::NoHash(word) => Refusal::new(Code::BadSyntax, format!("a channel begins with #, for example: #{word}")),
    };
    Rejected { verb: verb.name.into(), refusal }
}

fn rejected_text(line: &[u8], error: text::TextError) -> Rejected {
    let word = line.split(|&byte| byte == b' ').find(|word| !word.is_empty()).unwrap_or_default();
    let verb = std::str::from_utf8(word).ok().and_then(table::find).map_or("-", |verb| verb.name);
    Rejected { verb: verb.into(), refusal: Refusal::new(Code::BadText, error.to_string()) }
}

fn unknown(word: &str) -> Rejected {
    let shown: String = word.chars().map(|c| if c == '\t' { '_' } else { c }).take(NAME_CHARS).collect();
    let text = match (foreign::instead(word), table::similar(word)) {
        (Some(line), _) => format!("here that is: {line}. Type HELP for the commands").into(),
        (None, Some(verb)) => format!("did you mean {}? Type HELP for the commands", verb.name).into(),
        (None, None) => "no such command; type HELP for the commands".into(),
    };
    Rejected { verb: shown.into(), refusal: Refusal { code: Code::UnknownCommand, text } }
}

#[cfg(test)]
mod tests {
    use super::{Command, Rejected, parse};
    use crate::wire::Target;

    fn says(line: &str) -> String {
        let Rejected { verb, refusal } = parse(line.as_bytes()).unwrap_err();
        format!("ERR {} {verb} {}", refusal.code, refusal.text)
    }

    #[test]
    fn text_is_the_raw_rest_of_the_line() {
        let target = Target::Name("bob");
        let text = |line| match parse(line) {
            Ok(Some(Command::Msg { text, .. })) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(b"msg  bob  hi  there "), Ok(Some(Command::Msg { key: None, target, text: " hi  there " })));
        assert_eq!(text(b"MSG bob @key is text here"), "@key is text here");
        assert_eq!(text(b"MSG @k nina:8763 #rust"), "#rust");
    }

    #[test]
    fn a_mistake_is_named() {
        assert_eq!(says("SYA #rust oops"), "ERR UNKNOWN_COMMAND SYA did you mean SAY? Type HELP for the commands");
        assert_eq!(says("xyzzy"), "ERR UNKNOWN_COMMAND xyzzy no such command; type HELP for the commands");
        assert_eq!(says("JOIN rust"), "ERR BAD_SYNTAX JOIN a channel begins with #, for example: #rust");
        assert!(says("MSG bob").starts_with("ERR BAD_SYNTAX MSG usage: MSG [@key] target text, for example: MSG "));
        assert!(says("NAME 7up").starts_with("ERR BAD_NAME NAME a name is 1 to 32 letters"));
        assert!(says("LIST #").starts_with("ERR BAD_NAME LIST a channel is # and"));
        assert!(says("MSG bob a\u{7}b").starts_with("ERR BAD_TEXT MSG byte 10 of the line is the control character U+0007"));
        assert!(says("\u{7}").starts_with("ERR BAD_TEXT - "));
    }

    #[test]
    fn blank_lines_are_nothing() {
        assert_eq!((parse(b""), parse(b"   ")), (Ok(None), Ok(None)));
    }
}
