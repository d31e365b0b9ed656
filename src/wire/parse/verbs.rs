//! The arguments of each verb; the input begins right after the verb. Each accepts what the grammar's rule of that name matches.

use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case, take_while_m_n};
use nom::character::complete::char;
use nom::combinator::{eof, map, not, opt, peek, recognize, success, value, verify};
use nom::multi::separated_list1;
use nom::sequence::{preceded, terminated};
use nom::{Err, Parser};

use crate::limits::NAME_CHARS;
use crate::names::{is_channel, is_name};
use crate::wire::command::{Banned, Command, Span, Target, Token};
use crate::wire::parse::words::{
    Part, age, argument, banned, channel, channel_key, channel_pattern, count, end, label, message_key, name, named,
    optional_raw, pattern, place, raw, seq, soft, spaces1, target, user, when, word,
};
use crate::wire::parse::{Fault, Parsed};

pub fn msg(input: &str) -> Parsed<'_> {
    map((message_key, argument(target), raw), |(key, target, text)| Command::Msg { key, target, text }).parse(input)
}

pub fn say(input: &str) -> Parsed<'_> {
    map((message_key, argument(channel), raw), |(key, channel, text)| Command::Say { key, channel, text }).parse(input)
}

/// What [`paged`] finds, each of which may be missing.
type Paged<P, A> = (Option<P>, Option<u64>, Option<A>);

/// A pattern, a number of lines, and after whom to go on, each of which may be missing; then the end.
fn paged<'a, P, A>(
    mut pattern: impl FnMut(&'a str) -> Part<'a, P>,
    mut after: impl FnMut(&'a str) -> Part<'a, A>,
) -> impl FnMut(&'a str) -> Part<'a, Paged<P, A>> {
    move |input| {
        let mut rest = |input| {
            let after = opt(soft(named("after", &mut after)));
            terminated((opt(soft(argument(count))), after), end).parse(input)
        };
        // `after` may be a pattern, too.
        if let Ok((input, pattern)) = soft(argument(&mut pattern)).parse(input)
            && let Ok((input, (count, after))) = rest(input)
        {
            return Ok((input, (Some(pattern), count, after)));
        }
        rest(input).map(|(input, (count, after))| (input, (None, count, after)))
    }
}

pub fn list(input: &str) -> Parsed<'_> {
    let (input, channel) = match input.trim_start_matches(' ') {
        rest if rest.starts_with('#') && rest.len() < input.len() => map(argument(channel), Some).parse(input)?,
        _ => (input, None),
    };
    map(paged(pattern, user), |(pattern, count, after)| Command::List { channel, pattern, count, after }).parse(input)
}

pub fn channels(input: &str) -> Parsed<'_> {
    map(paged(channel_pattern, channel), |(pattern, count, after)| Command::Channels { pattern, count, after }).parse(input)
}

pub fn inbox(input: &str) -> Parsed<'_> {
    map(terminated(opt(argument(count)), end), |count| Command::Inbox { count }).parse(input)
}

pub fn ack(input: &str) -> Parsed<'_> {
    let upto = alt((value(None, char('*')), map(seq, Some)));
    let parts = (opt(argument(preceded(peek(char('#')), channel))), argument(upto));
    map(terminated(parts, end), |(channel, upto)| Command::Ack { channel, upto }).parse(input)
}

pub fn create(input: &str) -> Parsed<'_> {
    let parts = (argument(channel), opt(argument(channel_key)));
    map(terminated(parts, end), |(channel, key)| Command::Create { channel, key }).parse(input)
}

pub fn join(input: &str) -> Parsed<'_> {
    let (input, channel) = argument(channel).parse(input)?;
    let last = || map(named("last", count), Some);
    let keyed = terminated((map(argument(channel_key), Some), last()), end);
    let open = terminated((success(None), last()), end);
    let plain = terminated((opt(argument(channel_key)), success(None)), end);
    map(alt((keyed, open, plain)), |(key, last)| Command::Join { channel, key, last }).parse(input)
}

pub fn leave(input: &str) -> Parsed<'_> {
    map(terminated(argument(channel), end), |channel| Command::Leave { channel }).parse(input)
}

pub fn close(input: &str) -> Parsed<'_> {
    map(terminated(argument(channel), end), |channel| Command::Close { channel }).parse(input)
}

pub fn topic(input: &str) -> Parsed<'_> {
    map((argument(channel), optional_raw), |(channel, text)| Command::Topic { channel, text }).parse(input)
}

pub fn history(input: &str) -> Parsed<'_> {
    let unread = value(Span::Unread, preceded(spaces1, tag_no_case("unread")));
    let span = alt((unread, map(named("before", when), Span::Before), map(named("since", when), Span::Since)));
    let parts = (argument(target), opt(argument(count)), opt(span));
    map(terminated(parts, end), |(target, count, span)| Command::History { target, count, span: span.unwrap_or(Span::Newest) })
        .parse(input)
}

pub fn search(input: &str) -> Parsed<'_> {
    let target = alt((value(None, char('*')), map(target, Some)));
    map((argument(target), raw), |(target, words)| Command::Search { target, words }).parse(input)
}

pub fn retract(input: &str) -> Parsed<'_> {
    map(terminated(argument(seq), end), |seq| Command::Retract { seq }).parse(input)
}

/// A channel and a user.
fn member(input: &str) -> Part<'_, (&str, Target<'_>)> {
    (argument(channel), argument(user)).parse(input)
}

pub fn op(input: &str) -> Parsed<'_> {
    map(terminated(member, end), |(channel, user)| Command::Op { channel, user }).parse(input)
}

pub fn deop(input: &str) -> Parsed<'_> {
    map(terminated(member, end), |(channel, user)| Command::Deop { channel, user }).parse(input)
}

pub fn give(input: &str) -> Parsed<'_> {
    map(terminated(member, end), |(channel, user)| Command::Give { channel, user }).parse(input)
}

pub fn invite(input: &str) -> Parsed<'_> {
    map(terminated(member, end), |(channel, user)| Command::Invite { channel, user }).parse(input)
}

pub fn kick(input: &str) -> Parsed<'_> {
    map((member, optional_raw), |((channel, user), reason)| Command::Kick { channel, user, reason }).parse(input)
}

fn outcast(input: &str) -> Part<'_, (&str, Banned<'_>)> {
    (argument(channel), argument(banned)).parse(input)
}

pub fn ban(input: &str) -> Parsed<'_> {
    let (input, (channel, who)) = outcast(input)?;
    let timed = (map(named("for", age), Some), optional_raw);
    let for_good = (success(None), optional_raw);
    map(alt((timed, for_good)), |(lasts, reason)| Command::Ban { channel, who, lasts, reason }).parse(input)
}

pub fn unban(input: &str) -> Parsed<'_> {
    map(terminated(outcast, end), |(channel, who)| Command::Unban { channel, who }).parse(input)
}

pub fn bans(input: &str) -> Parsed<'_> {
    map(terminated(argument(channel), end), |channel| Command::Bans { channel }).parse(input)
}

pub fn set(input: &str) -> Parsed<'_> {
    let option = (argument(label), opt(argument(channel_key)));
    map(terminated((argument(channel), opt(option)), end), |(channel, option)| {
        let (option, value) = option.map_or((None, None), |(option, value)| (Some(option), value));
        Command::Set { channel, option, value }
    })
    .parse(input)
}

pub fn name_verb(input: &str) -> Parsed<'_> {
    map(terminated(argument(name), end), |name| Command::Name { name }).parse(input)
}

pub fn register(input: &str) -> Parsed<'_> {
    map((message_key, argument(name), raw), |(code, name, password)| Command::Register { code, name, password }).parse(input)
}

pub fn login(input: &str) -> Parsed<'_> {
    let secret = take_while_m_n(32, 32, |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c));
    let token = recognize((tag("lct_"), secret));
    let token = map(terminated(argument(token), end), |token| Command::LoginToken { token });
    alt((token, map((argument(name), raw), |(name, password)| Command::Login { name, password }))).parse(input)
}

/// Two passwords, set apart by the first ` -> ` that has one on either side.
pub fn passwd(input: &str) -> Parsed<'_> {
    const ARROW: &str = " -> ";
    let apart = input.match_indices(ARROW).find_map(|(at, _)| {
        let (old, new) = (raw(&input[..at]).ok()?.1, raw(&input[at + ARROW.len() - 1..]).ok()?.1);
        Some(Command::Passwd { old, new })
    });
    apart.map(|command| ("", command)).ok_or(Err::Error(Fault::Form))
}

fn scope(input: &str) -> Part<'_, &str> {
    let is_scope = |word: &str| {
        let what = word.split_once(':');
        match what {
            Some(("read", of)) => of == "*" || of.strip_prefix('#').is_some_and(is_channel),
            Some(("say", of)) => of == "*" || of.strip_prefix('#').map_or_else(|| is_name(of), is_channel),
            _ => word == "inbox",
        }
    };
    verify(word, is_scope).parse(input)
}

pub fn token(input: &str) -> Parsed<'_> {
    let scopes = recognize(separated_list1(spaces1, scope));
    let new = (argument(label), opt(argument(scopes)), opt(named("for", age)));
    let new = map(preceded(tag_no_case("new"), new), |(label, scopes, lasts)| Token::New { label, scopes, lasts });
    let drop = map(preceded(tag_no_case("drop"), argument(label)), |label| Token::Drop { label });
    map(terminated(argument(alt((new, value(Token::List, tag_no_case("list")), drop))), end), Command::Token).parse(input)
}

pub fn unregister(input: &str) -> Parsed<'_> {
    map(raw, |password| Command::Unregister { password }).parse(input)
}

pub fn whois(input: &str) -> Parsed<'_> {
    map(terminated(argument(user), end), |user| Command::WhoIs { user }).parse(input)
}

pub fn away(input: &str) -> Parsed<'_> {
    map(optional_raw, |text| Command::Away { text }).parse(input)
}

pub fn ignore(input: &str) -> Parsed<'_> {
    map(terminated(argument(user), end), |user| Command::Ignore { user }).parse(input)
}

pub fn unignore(input: &str) -> Parsed<'_> {
    map(terminated(argument(user), end), |user| Command::Unignore { user }).parse(input)
}

pub fn ignores(input: &str) -> Parsed<'_> {
    value(Command::Ignores, end).parse(input)
}

pub fn wait(input: &str) -> Parsed<'_> {
    let place = argument(preceded(not(alt((eof, recognize(count), tag_no_case("since ")))), place));
    let parts = (opt(place), opt(named("since", seq)), opt(argument(count)));
    map(terminated(parts, end), |(place, since, seconds)| Command::Wait { place, since, seconds }).parse(input)
}

pub fn follow(input: &str) -> Parsed<'_> {
    let parts = (argument(place), opt(named("since", seq)));
    map(terminated(parts, end), |(place, since)| Command::Follow { place, since }).parse(input)
}

pub fn format(input: &str) -> Parsed<'_> {
    let form = alt((value(true, tag_no_case("json")), value(false, tag_no_case("text"))));
    map(terminated(argument(form), end), |json| Command::Format { json }).parse(input)
}

pub fn help(input: &str) -> Parsed<'_> {
    let verb = take_while_m_n(1, NAME_CHARS, |c: char| c.is_ascii_alphabetic());
    map(terminated(opt(argument(verb)), end), |verb| Command::Help { verb }).parse(input)
}

pub fn ping(input: &str) -> Parsed<'_> {
    map(optional_raw, |text| Command::Ping { text }).parse(input)
}

pub fn whoami(input: &str) -> Parsed<'_> {
    value(Command::WhoAmI, end).parse(input)
}

pub fn caps(input: &str) -> Parsed<'_> {
    value(Command::Caps, end).parse(input)
}

pub fn quit(input: &str) -> Parsed<'_> {
    value(Command::Quit, end).parse(input)
}
