//! Parses a line into a command, with nom. It accepts exactly what `command-line` of `grammar/linechat.abnf` matches, which a
//! test checks.
//!
//! A line that parses allocates nothing. The refusal of one that does not says what its verb expects.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{tag_no_case, take_while, take_while_m_n, take_while1};
use nom::character::complete::char;
use nom::combinator::{eof, map, not, opt, rest, value, verify};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::{preceded, terminated};
use nom::{Err, IResult, Parser};

use crate::code::{Code, Refusal};
use crate::limits::{KEY_CHARS, NAME_CHARS};
use crate::names::{NameError, Seq, UserId, is_channel, is_key, is_name};
use crate::wire::command::{Command, Span, Target};
use crate::wire::text;
use crate::wire::verbs::{self, Verb};

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
    let verb = verbs::find(word).ok_or_else(|| unknown(word))?;
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
    let verb = std::str::from_utf8(word).ok().and_then(verbs::find).map_or("-", |verb| verb.name);
    Rejected { verb: verb.into(), refusal: Refusal::new(Code::BadText, error.to_string()) }
}

fn unknown(word: &str) -> Rejected {
    let shown: String = word.chars().map(|c| if c == '\t' { '_' } else { c }).take(NAME_CHARS).collect();
    let text = match verbs::similar(word) {
        Some(verb) => format!("did you mean {}? Type HELP for the commands", verb.name).into(),
        None => "no such command; type HELP for the commands".into(),
    };
    Rejected { verb: shown.into(), refusal: Refusal { code: Code::UnknownCommand, text } }
}

fn word(input: &str) -> IResult<&str, &str, Fault> {
    take_while1(|c| c != ' ').parse(input)
}

fn fail<T>(fault: Fault) -> Result<T, Err<Fault>> {
    Result::Err(Err::Failure(fault))
}

fn name(input: &str) -> IResult<&str, &str, Fault> {
    let (input, name) = word(input)?;
    if is_name(name) { Ok((input, name)) } else { fail(Fault::Name(NameError::Form)) }
}

fn channel(input: &str) -> IResult<&str, &str, Fault> {
    let (input, word) = word(input)?;
    match word.strip_prefix('#') {
        Some(channel) if is_channel(channel) => Ok((input, channel)),
        None if is_channel(word) => fail(Fault::NoHash(word.to_owned())),
        _ => fail(Fault::Name(NameError::ChannelForm)),
    }
}

fn count(input: &str) -> IResult<&str, u64, Fault> {
    number(4).parse(input)
}

/// A decimal number of 1 to `digits` digits; 19 digits fit into 64 bits.
fn number<'a>(digits: usize) -> impl Parser<&'a str, Output = u64, Error = Fault> {
    map(take_while_m_n(1, digits, |c: char| c.is_ascii_digit()), |text: &str| {
        text.parse().expect("invariant: at most 19 digits fit into a u64")
    })
}

fn seq(input: &str) -> IResult<&str, Seq, Fault> {
    map(number(19), Seq).parse(input)
}

fn target(input: &str) -> IResult<&str, Target<'_>, Fault> {
    let first = input.bytes().next();
    if first == Some(b'#') {
        return map(channel, Target::Channel).parse(input);
    }
    let (input, word) = word(input)?;
    let id = |text| match number(19).parse(text) {
        Ok(("", id)) => Ok(UserId(id)),
        _ => fail(Fault::Form),
    };
    if first.is_some_and(|first| first.is_ascii_digit()) {
        return Ok((input, Target::Id(id(word)?)));
    }
    let (name, both) = match word.split_once(':') {
        Some((name, number)) => (name, Some(id(number)?)),
        None => (word, None),
    };
    if !is_name(name) {
        return fail(Fault::Name(NameError::Form));
    }
    Ok((input, both.map_or(Target::Name(name), |id| Target::Both(name, id))))
}

fn spaces0(input: &str) -> IResult<&str, &str, Fault> {
    take_while(|c| c == ' ').parse(input)
}

fn spaces1(input: &str) -> IResult<&str, &str, Fault> {
    take_while1(|c| c == ' ').parse(input)
}

/// Spaces, then nothing more.
fn end(input: &str) -> IResult<&str, &str, Fault> {
    preceded(spaces0, eof).parse(input)
}

/// Spaces, then the argument.
fn argument<'a, T>(inner: impl Parser<&'a str, Output = T, Error = Fault>) -> impl Parser<&'a str, Output = T, Error = Fault> {
    preceded(spaces1, inner)
}

/// `@key`, if the first argument begins with `@`.
fn message_key(input: &str) -> IResult<&str, Option<&str>, Fault> {
    let (rest, _) = spaces1(input)?;
    match rest.strip_prefix('@') {
        Some(key) => map(verify(word, is_key), Some).parse(key),
        None => Ok((input, None)),
    }
}

/// A channel's key: 1 to 64 visible ASCII characters.
fn channel_key(input: &str) -> IResult<&str, &str, Fault> {
    take_while_m_n(1, KEY_CHARS, |c: char| c.is_ascii_graphic()).parse(input)
}

/// One space, then the raw rest of the line, in which something must be visible.
fn raw(input: &str) -> IResult<&str, &str, Fault> {
    let visible = |text: &str| text.bytes().any(|byte| byte != b' ' && byte != b'\t');
    preceded(char(' '), verify(rest, visible)).parse(input)
}

/// Nothing but spaces, or [`raw`].
fn optional_raw(input: &str) -> IResult<&str, Option<&str>, Fault> {
    alt((value(None, end), map(raw, Some))).parse(input)
}

pub(super) fn msg(input: &str) -> Parsed<'_> {
    map((message_key, argument(target), raw), |(key, target, text)| Command::Msg { key, target, text }).parse(input)
}

pub(super) fn say(input: &str) -> Parsed<'_> {
    map((message_key, argument(channel), raw), |(key, channel, text)| Command::Say { key, channel, text }).parse(input)
}

pub(super) fn list(input: &str) -> Parsed<'_> {
    map(terminated(opt(channel_argument), end), |channel| Command::List { channel }).parse(input)
}

pub(super) fn inbox(input: &str) -> Parsed<'_> {
    map(terminated(opt(argument(count)), end), |count| Command::Inbox { count }).parse(input)
}

pub(super) fn ack(input: &str) -> Parsed<'_> {
    let upto = alt((value(None, char('*')), map(seq, Some)));
    map(terminated(argument(upto), end), |upto| Command::Ack { upto }).parse(input)
}

pub(super) fn create(input: &str) -> Parsed<'_> {
    map(keyed_channel, |(channel, key)| Command::Create { channel, key }).parse(input)
}

pub(super) fn join(input: &str) -> Parsed<'_> {
    map(keyed_channel, |(channel, key)| Command::Join { channel, key }).parse(input)
}

fn keyed_channel(input: &str) -> IResult<&str, (&str, Option<&str>), Fault> {
    terminated((argument(channel), opt(argument(channel_key))), end).parse(input)
}

/// A channel that may be missing; if the line goes on, it must be well-formed.
fn channel_argument(input: &str) -> IResult<&str, &str, Fault> {
    argument(preceded(not(eof), channel)).parse(input)
}

pub(super) fn leave(input: &str) -> Parsed<'_> {
    map(terminated(argument(channel), end), |channel| Command::Leave { channel }).parse(input)
}

pub(super) fn close(input: &str) -> Parsed<'_> {
    map(terminated(argument(channel), end), |channel| Command::Close { channel }).parse(input)
}

pub(super) fn topic(input: &str) -> Parsed<'_> {
    map((argument(channel), optional_raw), |(channel, text)| Command::Topic { channel, text }).parse(input)
}

pub(super) fn history(input: &str) -> Parsed<'_> {
    let before = map(preceded((tag_no_case("before"), spaces1), seq), Span::Before);
    let since = map(preceded((tag_no_case("since"), spaces1), seq), Span::Since);
    let parts = (argument(channel), opt(argument(count)), opt(argument(alt((before, since)))));
    map(terminated(parts, end), |(channel, count, span)| Command::History {
        channel,
        count,
        span: span.unwrap_or(Span::Newest),
    })
    .parse(input)
}

pub(super) fn name_verb(input: &str) -> Parsed<'_> {
    map(terminated(argument(name), end), |name| Command::Name { name }).parse(input)
}

pub(super) fn register(input: &str) -> Parsed<'_> {
    map((argument(name), raw), |(name, password)| Command::Register { name, password }).parse(input)
}

pub(super) fn login(input: &str) -> Parsed<'_> {
    map((argument(name), raw), |(name, password)| Command::Login { name, password }).parse(input)
}

pub(super) fn help(input: &str) -> Parsed<'_> {
    let verb = take_while_m_n(1, NAME_CHARS, |c: char| c.is_ascii_alphabetic());
    map(terminated(opt(argument(verb)), end), |verb| Command::Help { verb }).parse(input)
}

pub(super) fn ping(input: &str) -> Parsed<'_> {
    map(optional_raw, |text| Command::Ping { text }).parse(input)
}

pub(super) fn channels(input: &str) -> Parsed<'_> {
    value(Command::Channels, end).parse(input)
}

pub(super) fn whoami(input: &str) -> Parsed<'_> {
    value(Command::WhoAmI, end).parse(input)
}

pub(super) fn caps(input: &str) -> Parsed<'_> {
    value(Command::Caps, end).parse(input)
}

pub(super) fn quit(input: &str) -> Parsed<'_> {
    value(Command::Quit, end).parse(input)
}

#[cfg(test)]
mod tests {
    use super::{Command, Rejected, Target, parse};

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
