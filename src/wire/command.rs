//! What a line can ask for. Commands borrow from the line; [`std::fmt::Display`] (in `print.rs`) gives the line back. It owns nothing
//! and must never know what a command does.

use crate::event::{Age, Recipient, Time};
use crate::limits::WAIT_SECONDS;
use crate::names::{Seq, UserId};
use crate::wire::word::Word;

/// The target of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// `8763`
    Id(UserId),
    /// `nina`
    Name(&'a str),
    /// `nina:8763`
    Both(&'a str, UserId),
    /// `#rust`, without its `#`.
    Channel(&'a str),
}

/// A point in a history: before it, or since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// `42`: the message with this number.
    Seq(Seq),
    /// `2h`: so long ago.
    Age(Age),
    /// `2026-11-22T13:00Z`
    Time(Time),
}

/// Which part of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The newest messages.
    Newest,
    /// The oldest that are not read.
    Unread,
    /// The newest messages before it.
    Before(When),
    /// The oldest messages after it.
    Since(When),
}

/// Where somebody waits for messages, or follows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A channel, without its `#`.
    Channel(&'a str),
    /// Their own inbox.
    Inbox,
}

/// Whom a ban is to keep out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Banned<'a> {
    /// A user; never a channel.
    User(Target<'a>),
    /// An address or the beginning of one, such as `192.0.2.0/24`, which is not checked.
    Address(&'a str),
}

/// What TOKEN does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as for `Command`")]
pub enum Token<'a> {
    /// The scopes are as they were typed, set apart by spaces.
    New {
        label: &'a str,
        scopes: Option<&'a str>,
        lasts: Option<Age>,
    },
    List,
    Drop {
        label: &'a str,
    },
}

/// One command. Channels are without their `#`, keys without their `@`. A `user` is never a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table in `verbs` tells what each does; the fields are its arguments")]
pub enum Command<'a> {
    Msg {
        key: Option<&'a str>,
        target: Target<'a>,
        text: &'a str,
    },
    Say {
        key: Option<&'a str>,
        channel: &'a str,
        text: &'a str,
    },
    List {
        channel: Option<&'a str>,
        pattern: Option<&'a str>,
        count: Option<u64>,
        after: Option<Target<'a>>,
    },
    Inbox {
        count: Option<u64>,
    },
    /// Without `upto` it is `ACK *`: everything. Without a channel it is the inbox.
    Ack {
        channel: Option<&'a str>,
        upto: Option<Seq>,
    },
    Create {
        channel: &'a str,
        key: Option<&'a str>,
    },
    Join {
        channel: &'a str,
        key: Option<&'a str>,
        last: Option<u64>,
    },
    Leave {
        channel: &'a str,
    },
    Channels {
        pattern: Option<&'a str>,
        count: Option<u64>,
        after: Option<&'a str>,
    },
    Topic {
        channel: &'a str,
        text: Option<&'a str>,
    },
    History {
        target: Target<'a>,
        count: Option<u64>,
        span: Span,
    },
    /// Without a target it is all that one may read.
    Search {
        target: Option<Target<'a>>,
        words: &'a str,
    },
    Retract {
        seq: Seq,
    },
    Op {
        channel: &'a str,
        user: Target<'a>,
    },
    Deop {
        channel: &'a str,
        user: Target<'a>,
    },
    Give {
        channel: &'a str,
        user: Target<'a>,
    },
    Invite {
        channel: &'a str,
        user: Target<'a>,
    },
    Kick {
        channel: &'a str,
        user: Target<'a>,
        reason: Option<&'a str>,
    },
    Ban {
        channel: &'a str,
        who: Banned<'a>,
        lasts: Option<Age>,
        reason: Option<&'a str>,
    },
    Unban {
        channel: &'a str,
        who: Banned<'a>,
    },
    Bans {
        channel: &'a str,
    },
    Set {
        channel: &'a str,
        option: Option<&'a str>,
        value: Option<&'a str>,
    },
    Close {
        channel: &'a str,
    },
    Name {
        name: &'a str,
    },
    Register {
        code: Option<&'a str>,
        name: &'a str,
        password: &'a str,
    },
    Login {
        name: &'a str,
        password: &'a str,
    },
    LoginToken {
        token: &'a str,
    },
    Passwd {
        old: &'a str,
        new: &'a str,
    },
    Token(Token<'a>),
    Unregister {
        password: &'a str,
    },
    WhoAmI,
    WhoIs {
        user: Target<'a>,
    },
    Away {
        text: Option<&'a str>,
    },
    Ignore {
        user: Target<'a>,
    },
    Unignore {
        user: Target<'a>,
    },
    Ignores,
    Wait {
        place: Option<Place<'a>>,
        since: Option<Seq>,
        seconds: Option<u64>,
    },
    Follow {
        place: Place<'a>,
        since: Option<Seq>,
    },
    Format {
        json: bool,
    },
    Help {
        verb: Option<&'a str>,
    },
    Ping {
        text: Option<&'a str>,
    },
    Caps,
    Quit,
}

impl Command<'_> {
    /// The verb as OK and ERR name it.
    pub fn verb(&self) -> &'static str {
        self.word().name()
    }

    /// The verb's place among all.
    pub const fn word(&self) -> Word {
        match self {
            Self::Msg { .. } => const { Word::of("MSG") },
            Self::Say { .. } => const { Word::of("SAY") },
            Self::List { .. } => const { Word::of("LIST") },
            Self::Inbox { .. } => const { Word::of("INBOX") },
            Self::Ack { .. } => const { Word::of("ACK") },
            Self::Create { .. } => const { Word::of("CREATE") },
            Self::Join { .. } => const { Word::of("JOIN") },
            Self::Leave { .. } => const { Word::of("LEAVE") },
            Self::Channels { .. } => const { Word::of("CHANNELS") },
            Self::Topic { .. } => const { Word::of("TOPIC") },
            Self::History { .. } => const { Word::of("HISTORY") },
            Self::Search { .. } => const { Word::of("SEARCH") },
            Self::Retract { .. } => const { Word::of("RETRACT") },
            Self::Op { .. } => const { Word::of("OP") },
            Self::Deop { .. } => const { Word::of("DEOP") },
            Self::Give { .. } => const { Word::of("GIVE") },
            Self::Invite { .. } => const { Word::of("INVITE") },
            Self::Kick { .. } => const { Word::of("KICK") },
            Self::Ban { .. } => const { Word::of("BAN") },
            Self::Unban { .. } => const { Word::of("UNBAN") },
            Self::Bans { .. } => const { Word::of("BANS") },
            Self::Set { .. } => const { Word::of("SET") },
            Self::Close { .. } => const { Word::of("CLOSE") },
            Self::Name { .. } => const { Word::of("NAME") },
            Self::Register { .. } => const { Word::of("REGISTER") },
            Self::Login { .. } | Self::LoginToken { .. } => const { Word::of("LOGIN") },
            Self::Passwd { .. } => const { Word::of("PASSWD") },
            Self::Token(_) => const { Word::of("TOKEN") },
            Self::Unregister { .. } => const { Word::of("UNREGISTER") },
            Self::WhoAmI => const { Word::of("WHOAMI") },
            Self::WhoIs { .. } => const { Word::of("WHOIS") },
            Self::Away { .. } => const { Word::of("AWAY") },
            Self::Ignore { .. } => const { Word::of("IGNORE") },
            Self::Unignore { .. } => const { Word::of("UNIGNORE") },
            Self::Ignores => const { Word::of("IGNORES") },
            Self::Wait { .. } => const { Word::of("WAIT") },
            Self::Follow { .. } => const { Word::of("FOLLOW") },
            Self::Format { .. } => const { Word::of("FORMAT") },
            Self::Help { .. } => const { Word::of("HELP") },
            Self::Ping { .. } => const { Word::of("PING") },
            Self::Caps => const { Word::of("CAPS") },
            Self::Quit => const { Word::of("QUIT") },
        }
    }
}

impl Command<'_> {
    /// For how many seconds it waits for what has yet to happen, if it waits.
    pub const fn waits(&self) -> Option<u64> {
        match self {
            Self::Wait { seconds: Some(seconds), .. } => Some(*seconds),
            Self::Wait { seconds: None, .. } => Some(WAIT_SECONDS),
            _ => None,
        }
    }
}

impl From<Target<'_>> for Recipient {
    fn from(target: Target<'_>) -> Self {
        match target {
            Target::Id(id) => Self::Id(id),
            Target::Name(name) => Self::Name(name.into()),
            Target::Both(name, id) => Self::Both(name.into(), id),
            Target::Channel(channel) => Self::Channel(channel.into()),
        }
    }
}
