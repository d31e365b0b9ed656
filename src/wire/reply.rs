//! The lines with which the server answers, greets and says goodbye. Each function appends one whole line, ending in LF, to a
//! buffer. The lines of events are in [`crate::event::line`].
//!
//! Texts and names were checked before they get here, and are written raw. `server-line` of `grammar/linechat.abnf` matches
//! every line made here, and every test's client checks that.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

use crate::code::Refusal;
use crate::event::line::{number, write_who};
use crate::event::{Absence, Mark, Stamp, Time, To};
use crate::names::{Name, Seq, Who};

/// `OK <VERB> <fields>`; `fields` is empty or begins with a space.
pub fn ok(out: &mut Vec<u8>, verb: &str, fields: impl Display) {
    writeln!(out, "OK {verb}{fields}").expect("invariant: writing to memory succeeds");
}

/// `OK MSG <seq> <time> [dup]`, and the same for SAY.
pub fn ok_said(out: &mut Vec<u8>, verb: &str, seq: Seq, time: Time, dup: bool) {
    out.extend_from_slice(b"OK ");
    out.extend_from_slice(verb.as_bytes());
    out.push(b' ');
    number(out, seq.0);
    out.push(b' ');
    out.extend_from_slice(Stamp::of(time).bytes());
    out.extend_from_slice(if dup { b" dup\n" } else { b"\n" });
}

/// `ERR <CODE> <VERB> <text>`; `verb` is `-` if the line had none.
pub fn err(out: &mut Vec<u8>, verb: &str, refusal: &Refusal) {
    writeln!(out, "ERR {} {verb} {}", refusal.code, refusal.text).expect("invariant: writing to memory succeeds");
}

fn line(out: &mut Vec<u8>, mark: Mark, rest: std::fmt::Arguments<'_>) {
    out.push(mark.byte());
    writeln!(out, " {rest}").expect("invariant: writing to memory succeeds");
}

/// `* HELLO <software/version> <protocol> <name:id> <hint>`, the first line of every connection.
pub fn hello(out: &mut Vec<u8>, who: &Who) {
    out.extend_from_slice(concat!("* HELLO linechat/", env!("CARGO_PKG_VERSION"), " ").as_bytes());
    number(out, crate::wire::PROTOCOL.into());
    out.push(b' ');
    write_who(out, who);
    out.extend_from_slice(b" Type HELP for the commands\n");
}

/// `- USER <name:id> <state> <since> [text]`.
pub fn user(out: &mut Vec<u8>, who: &Who, state: &str, since: Time, text: Option<&str>) {
    let text = text.map(|text| format!(" {text}")).unwrap_or_default();
    line(out, Mark::Data, format_args!("USER {who} {state} {since}{text}"));
}

/// `* AWAY <name:id> <since> <text>`: to somebody who writes to them.
pub fn away(out: &mut Vec<u8>, Absence { who, since, text }: &Absence) {
    line(out, Mark::Event, format_args!("AWAY {who} {since} {text}"));
}

/// `- IGNORED <name:id> <since>`.
pub fn ignored(out: &mut Vec<u8>, who: &Who, since: Time) {
    line(out, Mark::Data, format_args!("IGNORED {who} {since}"));
}

/// `- CHANNEL <#name> <members> <owner> [topic]`; the owner is `-` when there is none.
pub fn channel(out: &mut Vec<u8>, name: &Name, members: u64, owner: Option<&Who>, topic: Option<&str>) {
    let owner = owner.map_or_else(|| "-".to_owned(), ToString::to_string);
    let mut fields = format!("CHANNEL #{name} {members} {owner}");
    if let Some(topic) = topic {
        write!(fields, " {topic}").expect("invariant: writing to memory succeeds");
    }
    line(out, Mark::Data, format_args!("{fields}"));
}

/// `- OPTION <#channel> <option> <value>`.
pub fn option(out: &mut Vec<u8>, channel: &Name, option: &str, value: &str) {
    line(out, Mark::Data, format_args!("OPTION #{channel} {option} {value}"));
}

/// `- BAN <#channel> <who> <by> <since> <until|-> [reason]`; `fields` are those of a ban.
pub fn ban(out: &mut Vec<u8>, channel: &Name, fields: &str) {
    line(out, Mark::Data, format_args!("BAN #{channel} {fields}"));
}

/// `- UNREAD <#channel> <n> <seq>`: so many messages after that one are not read.
pub fn unread(out: &mut Vec<u8>, channel: &Name, count: u64, read: Seq) {
    line(out, Mark::Data, format_args!("UNREAD #{channel} {count} {read}"));
}

/// `GAP <room> <first> <last>`: messages from the first to the last seq are no longer available.
pub fn gap(out: &mut Vec<u8>, mark: Mark, room: To<'_>, first: Seq, last: Seq) {
    line(out, mark, format_args!("GAP {room} {first} {last}"));
}

/// `* MISSED <#channel> <first> <last>`: arrivals, departures and new names from the first to the last seq are not shown.
pub fn missed(out: &mut Vec<u8>, room: To<'_>, first: Seq, last: Seq) {
    line(out, Mark::Event, format_args!("MISSED {room} {first} {last}"));
}

/// `- TOKEN <label> <made> <until> <scopes>`; `-` when it does not expire, `*` when it may do all but change the account.
pub fn token(out: &mut Vec<u8>, label: &Name, made: Time, until: Option<Time>, scopes: &str) {
    let until = until.map_or_else(|| "-".to_owned(), |until| until.to_string());
    line(out, Mark::Data, format_args!("TOKEN {label} {made} {until} {scopes}"));
}

/// `- HELP <text>`.
pub fn help(out: &mut Vec<u8>, text: impl Display) {
    line(out, Mark::Data, format_args!("HELP {text}"));
}

/// `* SHUTDOWN <text>`: the server is stopping.
pub fn shutdown(out: &mut Vec<u8>) {
    line(out, Mark::Event, format_args!("SHUTDOWN the server is stopping; everything that was answered OK is kept"));
}

/// `* NOTICE <time> <text>`: the operator tells everybody something.
pub fn notice(out: &mut Vec<u8>, time: Time, text: &str) {
    line(out, Mark::Event, format_args!("NOTICE {time} {text}"));
}

/// `* BYE <text>`: why the server closes this connection.
pub fn bye(out: &mut Vec<u8>, reason: impl Display) {
    line(out, Mark::Event, format_args!("BYE {reason}"));
}

#[cfg(test)]
mod tests {
    use super::{Seq, Time, ok_said};

    #[test]
    fn a_retry_that_was_stored_before_says_so() {
        let mut out = Vec::new();
        ok_said(&mut out, "MSG", Seq(44), Time(0), true);
        ok_said(&mut out, "SAY", Seq(45), Time(0), false);
        let expected = "OK MSG 44 1970-01-01T00:00:00.000Z dup\nOK SAY 45 1970-01-01T00:00:00.000Z\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
