//! The lines that the server writes. Each function appends one whole line, ending in LF, to a buffer.
//!
//! Texts and names reach this file checked; it writes them raw. `server-line` of `grammar/linechat.abnf` matches every line
//! made here, and every test's client checks that.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

use crate::event::Time;
use crate::names::{Name, Seq, Who};
use crate::wire::code::Refusal;

/// The first word of a line that is neither OK nor ERR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `-`: was asked for; an OK or ERR follows.
    Data,
    /// `*`: just happened.
    Event,
}

impl Mark {
    const fn byte(self) -> u8 {
        match self {
            Self::Data => b'-',
            Self::Event => b'*',
        }
    }
}

/// Where a message went, as its line says it.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// `#rust`
    Channel(&'a Name),
    /// `nina:8763`
    User(&'a Who),
}

impl Display for To<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Channel(name) => write!(f, "#{name}"),
            Self::User(who) => who.fmt(f),
        }
    }
}

/// A time as written on the wire. Made once a batch and not once a line: formatting a time costs more than the rest of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    time: Time,
    text: [u8; 24],
}

impl Stamp {
    /// The stamp of `time`, which lies in the years 0 to 9999.
    pub fn new(time: Time) -> Self {
        let mut text = [b'0'; 24];
        let written = time.to_string();
        let length = written.len().min(text.len());
        text[..length].copy_from_slice(&written.as_bytes()[..length]);
        Self { time, text }
    }

    /// This stamp if it is `time`'s, else the one of `time`.
    #[must_use]
    pub fn at(self, time: Time) -> Self {
        if self.time == time { self } else { Self::new(time) }
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn who(out: &mut Vec<u8>, who: &Who) {
    out.extend_from_slice(who.name.as_str().as_bytes());
    out.push(b':');
    number(out, who.id.0);
}

/// `OK <VERB> <fields>`; `fields` is empty or begins with a space.
pub fn ok(out: &mut Vec<u8>, verb: &str, fields: impl Display) {
    writeln!(out, "OK {verb}{fields}").expect("invariant: writing to memory succeeds");
}

/// `OK MSG <seq> <time> [dup]`, and the same for SAY.
pub fn ok_said(out: &mut Vec<u8>, verb: &str, seq: Seq, stamp: &Stamp, dup: bool) {
    out.extend_from_slice(b"OK ");
    out.extend_from_slice(verb.as_bytes());
    out.push(b' ');
    number(out, seq.0);
    out.push(b' ');
    out.extend_from_slice(&stamp.text);
    out.extend_from_slice(if dup { b" dup\n" } else { b"\n" });
}

/// `ERR <CODE> <VERB> <text>`; `verb` is `-` where the line had none.
pub fn err(out: &mut Vec<u8>, verb: &str, refusal: &Refusal) {
    writeln!(out, "ERR {} {verb} {}", refusal.code, refusal.text).expect("invariant: writing to memory succeeds");
}

/// `- MSG …` or `* MSG <seq> <time> <to> <from> <text>`.
pub fn message(out: &mut Vec<u8>, mark: Mark, seq: Seq, stamp: &Stamp, to: To<'_>, from: &Who, text: &str) {
    out.reserve(text.len() + 96);
    out.push(mark.byte());
    out.extend_from_slice(b" MSG ");
    number(out, seq.0);
    out.push(b' ');
    out.extend_from_slice(&stamp.text);
    out.push(b' ');
    match to {
        To::Channel(name) => {
            out.push(b'#');
            out.extend_from_slice(name.as_str().as_bytes());
        }
        To::User(user) => who(out, user),
    }
    out.push(b' ');
    who(out, from);
    out.push(b' ');
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

fn line(out: &mut Vec<u8>, mark: Mark, rest: std::fmt::Arguments<'_>) {
    out.push(mark.byte());
    writeln!(out, " {rest}").expect("invariant: writing to memory succeeds");
}

/// `* HELLO <software/version> <protocol> <name:id> <hint>`, the first line of every connection.
pub fn hello(out: &mut Vec<u8>, who: &Who) {
    let (version, protocol) = (env!("CARGO_PKG_VERSION"), crate::wire::PROTOCOL);
    line(out, Mark::Event, format_args!("HELLO linechat/{version} {protocol} {who} Type HELP for the commands"));
}

/// `- USER <name:id> <state> <since>`.
pub fn user(out: &mut Vec<u8>, who: &Who, online: bool, since: Time) {
    let state = if online { "online" } else { "offline" };
    line(out, Mark::Data, format_args!("USER {who} {state} {since}"));
}

/// `- CHANNEL <#name> <members> <owner> [topic]`; the owner is `-` when there is none.
pub fn channel(out: &mut Vec<u8>, name: &Name, members: usize, owner: Option<&Who>, topic: Option<&str>) {
    let owner = owner.map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut fields = format!("CHANNEL #{name} {members} {owner}");
    if let Some(topic) = topic {
        write!(fields, " {topic}").expect("invariant: writing to memory succeeds");
    }
    line(out, Mark::Data, format_args!("{fields}"));
}

/// `* JOIN <#channel> <name:id> <time>`.
pub fn joined(out: &mut Vec<u8>, channel: &Name, who: &Who, time: Time) {
    line(out, Mark::Event, format_args!("JOIN #{channel} {who} {time}"));
}

/// `* LEAVE <#channel> <name:id> <time> [reason]`.
pub fn left(out: &mut Vec<u8>, channel: &Name, who: &Who, time: Time, reason: &str) {
    let space = if reason.is_empty() { "" } else { " " };
    line(out, Mark::Event, format_args!("LEAVE #{channel} {who} {time}{space}{reason}"));
}

/// `* NAME <#channel> <old name:id> <new name:id> <time>`.
pub fn renamed(out: &mut Vec<u8>, channel: &Name, old: &Who, new: &Who, time: Time) {
    line(out, Mark::Event, format_args!("NAME #{channel} {old} {new} {time}"));
}

/// `* OWNER <#channel> <name:id> <time>`.
pub fn owner(out: &mut Vec<u8>, channel: &Name, who: &Who, time: Time) {
    line(out, Mark::Event, format_args!("OWNER #{channel} {who} {time}"));
}

/// `* TOPIC <#channel> <name:id> <time> <text>`.
pub fn topic(out: &mut Vec<u8>, channel: &Name, who: &Who, time: Time, text: &str) {
    line(out, Mark::Event, format_args!("TOPIC #{channel} {who} {time} {text}"));
}

/// `* CLOSE <#channel> <name:id> <time>`: the channel is no more.
pub fn closed(out: &mut Vec<u8>, channel: &Name, who: &Who, time: Time) {
    line(out, Mark::Event, format_args!("CLOSE #{channel} {who} {time}"));
}

/// `GAP <room> <first> <last>`: messages with these seqs can no longer be had.
pub fn gap(out: &mut Vec<u8>, mark: Mark, room: To<'_>, first: Seq, last: Seq) {
    line(out, mark, format_args!("GAP {room} {first} {last}"));
}

/// `- HELP <text>`.
pub fn help(out: &mut Vec<u8>, text: impl Display) {
    line(out, Mark::Data, format_args!("HELP {text}"));
}

/// `* SHUTDOWN <text>`: the server stops.
pub fn shutdown(out: &mut Vec<u8>) {
    line(out, Mark::Event, format_args!("SHUTDOWN the server is stopping; everything that was answered OK is kept"));
}

/// `* BYE <text>`: the server closes this connection, and why.
pub fn bye(out: &mut Vec<u8>, reason: impl Display) {
    line(out, Mark::Event, format_args!("BYE {reason}"));
}

#[cfg(test)]
mod tests {
    use super::{Mark, Name, Seq, Stamp, Time, To, Who, message, ok_said};
    use crate::names::UserId;

    #[test]
    fn a_message_is_one_line() {
        let nina = Who { name: Name::new("nina"), id: UserId(8763) };
        let bob = Who { name: Name::new("bob"), id: UserId(7) };
        let stamp = Stamp::new(Time(1_795_352_401_007));
        let mut out = Vec::new();
        message(&mut out, Mark::Event, Seq(42), &stamp, To::Channel(&Name::new("rust")), &bob, "hi  ana ");
        message(&mut out, Mark::Data, Seq(43), &stamp, To::User(&nina), &bob, "x");
        ok_said(&mut out, "MSG", Seq(44), &stamp.at(Time(0)), true);
        let expected = "* MSG 42 2026-11-22T13:00:01.007Z #rust bob:7 hi  ana \n- MSG 43 2026-11-22T13:00:01.007Z nina:8763 bob:7 x\n\
            OK MSG 44 1970-01-01T00:00:00.000Z dup\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
