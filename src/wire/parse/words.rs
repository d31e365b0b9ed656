//! The parts of a line: names, targets, numbers, times, texts. Each accepts what the grammar's rule of that name matches, and no
//! more. Nothing here knows a verb.

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while, take_while_m_n, take_while1};
use nom::character::complete::{char, one_of, satisfy};
use nom::combinator::{eof, map, map_opt, opt, peek, recognize, rest, value, verify};
use nom::sequence::{preceded, terminated};
use nom::{Err, IResult, Parser};

use crate::event::{AGE_DIGITS, Age, Time};
use crate::limits::{KEY_CHARS, NAME_CHARS};
use crate::names::{NameError, Seq, UserId, is_channel, is_key, is_name};
use crate::wire::command::{Banned, Place, Target, When};
use crate::wire::parse::Fault;

/// A part of a line, and what is left of it.
pub type Part<'a, T> = IResult<&'a str, T, Fault>;

pub fn word(input: &str) -> Part<'_, &str> {
    take_while1(|c| c != ' ').parse(input)
}

pub fn fail<T>(fault: Fault) -> Result<T, Err<Fault>> {
    Result::Err(Err::Failure(fault))
}

pub fn name(input: &str) -> Part<'_, &str> {
    let (input, name) = word(input)?;
    if is_name(name) { Ok((input, name)) } else { fail(Fault::Name(NameError::Form)) }
}

pub fn channel(input: &str) -> Part<'_, &str> {
    let (input, word) = word(input)?;
    match word.strip_prefix('#') {
        Some(channel) if is_channel(channel) => Ok((input, channel)),
        None if is_channel(word) => fail(Fault::NoHash(word.to_owned())),
        _ => fail(Fault::Name(NameError::ChannelForm)),
    }
}

pub fn count(input: &str) -> Part<'_, u64> {
    number(4).parse(input)
}

/// A decimal number of 1 to `digits` digits; 19 digits fit into 64 bits.
pub fn number<'a>(digits: usize) -> impl Parser<&'a str, Output = u64, Error = Fault> {
    map(take_while_m_n(1, digits, |c: char| c.is_ascii_digit()), |text: &str| {
        text.parse().expect("invariant: at most 19 digits fit into a u64")
    })
}

pub fn seq(input: &str) -> Part<'_, Seq> {
    map(number(19), Seq).parse(input)
}

pub fn target(input: &str) -> Part<'_, Target<'_>> {
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

pub fn spaces0(input: &str) -> Part<'_, &str> {
    take_while(|c| c == ' ').parse(input)
}

pub fn spaces1(input: &str) -> Part<'_, &str> {
    take_while1(|c| c == ' ').parse(input)
}

/// Spaces, then nothing more.
pub fn end(input: &str) -> Part<'_, &str> {
    preceded(spaces0, eof).parse(input)
}

/// Spaces, then the argument.
pub fn argument<'a, T>(
    inner: impl Parser<&'a str, Output = T, Error = Fault>,
) -> impl Parser<&'a str, Output = T, Error = Fault> {
    preceded(spaces1, inner)
}

/// `@key`, if the first argument begins with `@`.
pub fn message_key(input: &str) -> Part<'_, Option<&str>> {
    let (rest, _) = spaces1(input)?;
    match rest.strip_prefix('@') {
        Some(key) => map(verify(word, is_key), Some).parse(key),
        None => Ok((input, None)),
    }
}

/// A channel's key: 1 to 64 visible ASCII characters, and not a second channel, which somebody meant to join too.
pub fn channel_key(input: &str) -> Part<'_, &str> {
    verify(take_while_m_n(1, KEY_CHARS, |c: char| c.is_ascii_graphic()), |key: &str| !key.starts_with('#')).parse(input)
}

/// One space, then the raw rest of the line, in which something must be visible.
pub fn raw(input: &str) -> Part<'_, &str> {
    let visible = |text: &str| text.bytes().any(|byte| byte != b' ' && byte != b'\t');
    preceded(char(' '), verify(rest, visible)).parse(input)
}

/// Nothing but spaces, or [`raw`].
pub fn optional_raw(input: &str) -> Part<'_, Option<&str>> {
    alt((value(None, end), map(raw, Some))).parse(input)
}

/// An argument that is optional because another may stand in its place: what is wrong with it is not told.
pub fn soft<'a, T>(mut inner: impl Parser<&'a str, Output = T, Error = Fault>) -> impl FnMut(&'a str) -> Part<'a, T> {
    move |input| {
        inner.parse(input).map_err(|error| match error {
            Err::Failure(fault) => Err::Error(fault),
            other => other,
        })
    }
}

/// A word of the grammar, in capitals or not, and the argument that follows it.
pub fn named<'a, T>(
    word: &'static str,
    inner: impl Parser<&'a str, Output = T, Error = Fault>,
) -> impl Parser<&'a str, Output = T, Error = Fault> {
    preceded((spaces1, tag_no_case(word)), argument(inner))
}

/// A target that is a user.
pub fn user(input: &str) -> Part<'_, Target<'_>> {
    if input.starts_with('#') {
        return fail(Fault::Form);
    }
    target(input)
}

/// A user, or something like an address.
pub fn banned(input: &str) -> Part<'_, Banned<'_>> {
    alt((map(soft(user), Banned::User), map(soft(address), Banned::Address), map(user, Banned::User))).parse(input)
}

/// What may be an address or the beginning of one. Whether it is one is for whoever uses it to say.
fn address(input: &str) -> Part<'_, &str> {
    let digits = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
    let bits = (char('/'), take_while_m_n(1, 3, |c: char| c.is_ascii_digit()));
    terminated(recognize((take_while_m_n(1, 45, digits), opt(bits))), peek(alt((eof, tag(" "))))).parse(input)
}

/// The name of a label or an option: as of a channel, without its `#`.
pub fn label(input: &str) -> Part<'_, &str> {
    verify(word, is_channel).parse(input)
}

/// A name in which `*` and `?` stand for others.
pub fn pattern(input: &str) -> Part<'_, &str> {
    let starts = |text: &str| text.starts_with(|c: char| !c.is_ascii_digit() && c != '_' && c != '-' && c != '.');
    verify(glob, starts).parse(input)
}

/// The same of a channel, with its `#` or without.
pub fn channel_pattern(input: &str) -> Part<'_, &str> {
    alt((preceded(char('#'), glob), pattern)).parse(input)
}

fn glob(input: &str) -> Part<'_, &str> {
    let is_part = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "_-.*?".contains(c);
    verify(word, |text: &str| text.chars().all(is_part) && text.chars().count() <= NAME_CHARS).parse(input)
}

/// `inbox`, or a channel.
pub fn place(input: &str) -> Part<'_, Place<'_>> {
    let inbox = verify(word, |word: &str| word.eq_ignore_ascii_case("inbox"));
    alt((value(Place::Inbox, inbox), map(channel, Place::Channel))).parse(input)
}

/// `30s`, `5m`, `2h`, `3d` or `1w`.
pub fn age(input: &str) -> Part<'_, Age> {
    let written = recognize((number(AGE_DIGITS), satisfy(|c| c.is_ascii_alphabetic())));
    map_opt(written, |written: &str| written.parse().ok()).parse(input)
}

/// A seq, an age, or a time.
pub fn when(input: &str) -> Part<'_, When> {
    let ends = || peek(alt((eof, tag(" "))));
    let time = map(terminated(soft(time), ends()), When::Time);
    let age = map(terminated(age, ends()), When::Age);
    alt((time, age, map(seq, When::Seq))).parse(input)
}

/// `2026-11-22`, with a time of day in UTC or without. A day that its month does not have is so many days after the month's first.
fn time(input: &str) -> Part<'_, Time> {
    let within = |digits, range: std::ops::RangeInclusive<u64>| verify(exactly(digits), move |n| range.contains(n));
    let date = (exactly(4), preceded(char('-'), within(2, 1..=12)), preceded(char('-'), within(2, 1..=31)));
    let seconds =
        (preceded(char(':'), within(2, 0..=59)), map(opt(preceded(char('.'), exactly(3))), Option::unwrap_or_default));
    let clock = (
        preceded(one_of("Tt"), within(2, 0..=23)),
        preceded(char(':'), within(2, 0..=59)),
        terminated(map(opt(seconds), Option::unwrap_or_default), one_of("Zz")),
    );
    map_opt((date, opt(clock)), |((year, month, day), clock)| {
        let first = jiff::civil::date(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1);
        let start = first.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
        let (hour, minute, (second, millis)) = clock.unwrap_or_default();
        let since = (((day - 1) * 24 + hour) * 60 + minute) * 60 + second;
        Some(Time(start + i64::try_from(since * 1000 + millis).ok()?))
    })
    .parse(input)
}

/// A number of exactly so many digits.
fn exactly<'a>(digits: usize) -> impl Parser<&'a str, Output = u64, Error = Fault> {
    map(take_while_m_n(digits, digits, |c: char| c.is_ascii_digit()), |text: &str| {
        text.parse().expect("invariant: a few digits are a number")
    })
}
