//! The line that the readers of a room are shown for an event, live (`*`) or asked for (`-`).
//!
//! Texts and names were checked before they became events, and are written raw. `event-line` of `grammar/linechat.abnf` matches
//! every line made here.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::Write;

use crate::event::{Event, Time};
use crate::names::{Name, Seq, Who};

/// The first word of a line that is neither OK nor ERR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `-`: this was asked for; an OK or ERR follows.
    Data,
    /// `*`: this has just happened.
    Event,
}

/// A room, as a line names it for its readers.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// `#rust`
    Channel(&'a Name),
    /// `nina:8763`
    User(&'a Who),
}

/// A time as written on the wire. It is formatted once for a batch and not for each line: formatting a time costs more than the
/// rest of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    time: Time,
    text: [u8; 24],
}

thread_local! {
    static LAST: Cell<Stamp> = Cell::new(Stamp::new(Time(0)));
}

impl Mark {
    /// The word as its single byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Data => b'-',
            Self::Event => b'*',
        }
    }
}

impl Display for To<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(name) => write!(f, "#{name}"),
            Self::User(who) => who.fmt(f),
        }
    }
}

impl Stamp {
    fn new(time: Time) -> Self {
        let mut text = [b'0'; 24];
        let written = time.to_string();
        let length = written.len().min(text.len());
        text[..length].copy_from_slice(&written.as_bytes()[..length]);
        Self { time, text }
    }

    /// The stamp of `time`, which must lie in the years 0 to 9999. All entries of a batch have the same time, so each thread
    /// keeps its last stamp.
    pub fn of(time: Time) -> Self {
        LAST.with(|last| {
            let stamp = last.get();
            if stamp.time == time {
                return stamp;
            }
            let stamp = Self::new(time);
            last.set(stamp);
            stamp
        })
    }

    /// The stamp as 24 ASCII characters.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }
}

/// Appends a number in decimal.
pub fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `name:id`.
pub fn write_who(out: &mut Vec<u8>, who: &Who) {
    out.extend_from_slice(who.name.as_str().as_bytes());
    out.push(b':');
    number(out, who.id.0);
}

impl Event {
    /// Appends the line of this event, ending in LF, as readers of the room `to` see it. Appends nothing for an event that is
    /// not shown.
    pub fn write_line(&self, out: &mut Vec<u8>, mark: Mark, seq: Seq, time: Time, to: To<'_>) {
        if !self.is_shown() {
            return;
        }
        let mut line = |rest: fmt::Arguments<'_>| {
            out.push(mark.byte());
            writeln!(out, " {rest}").expect("invariant: writing to memory succeeds");
        };
        match self {
            Self::Said { from, text, .. } => write_message(out, mark, seq, time, to, from, text),
            Self::Joined { who, .. } | Self::Online { who } => line(format_args!("JOIN {to} {who} {time}")),
            Self::Left { who, reason: None, .. } => line(format_args!("LEAVE {to} {who} {time}")),
            Self::Left { who, reason: Some(reason), .. } => line(format_args!("LEAVE {to} {who} {time} {reason}")),
            Self::Offline { who } => line(format_args!("LEAVE {to} {who} {time} offline")),
            Self::Renamed { old, new } => line(format_args!("NAME {to} {old} {new} {time}")),
            Self::Owner { who: Some(who), .. } => line(format_args!("OWNER {to} {who} {time}")),
            Self::Topic { who, text } => line(format_args!("TOPIC {to} {who} {time} {text}")),
            Self::Operator { who, by, is: true, .. } => line(format_args!("OP {to} {who} {by} {time}")),
            Self::Operator { who, by, is: false, .. } => line(format_args!("DEOP {to} {who} {by} {time}")),
            Self::Kicked { who, by, reason: None, .. } => line(format_args!("KICK {to} {who} {by} {time}")),
            Self::Kicked { who, by, reason: Some(reason), .. } => line(format_args!("KICK {to} {who} {by} {time} {reason}")),
            Self::Banned(ban) => line(format_args!("BAN {to} {}", ban.fields())),
            Self::Unbanned { whom, by: Some(by), .. } => line(format_args!("UNBAN {to} {whom} {by} {time}")),
            Self::Invited { who, by, channel, .. } | Self::Invitation { who, by, channel } => {
                line(format_args!("INVITE #{channel} {who} {by} {time}"));
            }
            Self::Set { who, setting } => line(format_args!("SET {to} {who} {time} {} {setting}", setting.option())),
            Self::Closed { who } => line(format_args!("CLOSE {to} {who} {time}")),
            Self::Retracted { who, seq, .. } => line(format_args!("RETRACT {to} {seq} {who} {time}")),
            _ => {}
        }
    }
}

/// `MSG <seq> <time> <to> <from> <text>`, the one line that must be cheap to write.
fn write_message(out: &mut Vec<u8>, mark: Mark, seq: Seq, time: Time, to: To<'_>, from: &Who, text: &str) {
    out.reserve(text.len() + 96);
    out.push(mark.byte());
    out.extend_from_slice(b" MSG ");
    number(out, seq.0);
    out.push(b' ');
    out.extend_from_slice(Stamp::of(time).bytes());
    out.push(b' ');
    match to {
        To::Channel(name) => {
            out.push(b'#');
            out.extend_from_slice(name.as_str().as_bytes());
        }
        To::User(user) => write_who(out, user),
    }
    out.push(b' ');
    write_who(out, from);
    out.push(b' ');
    out.extend_from_slice(text.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::{Event, Mark, Name, Seq, Time, To, Who};
    use crate::names::UserId;

    #[test]
    fn a_message_is_one_line() {
        let nina = Who { name: Name::new("nina"), id: UserId(8763) };
        let from = Who { name: Name::new("bob"), id: UserId(7) };
        let mut out = Vec::new();
        let said = |text: &str| Event::Said { from: from.clone(), text: text.into(), key: None, share: None };
        let time = Time(1_795_352_401_007);
        said("hi  ana ").write_line(&mut out, Mark::Event, Seq(42), time, To::Channel(&Name::new("rust")));
        said("x").write_line(&mut out, Mark::Data, Seq(43), time, To::User(&nina));
        let expected =
            "* MSG 42 2026-11-22T13:00:01.007Z #rust bob:7 hi  ana \n- MSG 43 2026-11-22T13:00:01.007Z nina:8763 bob:7 x\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
