//! What a line can ask for. Commands borrow from the line; [`std::fmt::Display`] gives the line back.

use std::fmt;

use crate::names::{Seq, UserId};

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

/// Which part of a channel's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The newest messages.
    Newest,
    /// The newest messages before the seq.
    Before(Seq),
    /// The oldest messages after the seq.
    Since(Seq),
}

/// One command. Channels are without their `#`, keys without their `@`.
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
    },
    Inbox {
        count: Option<u64>,
    },
    /// `None` is `ACK *`: everything.
    Ack {
        upto: Option<Seq>,
    },
    Create {
        channel: &'a str,
        key: Option<&'a str>,
    },
    Join {
        channel: &'a str,
        key: Option<&'a str>,
    },
    Leave {
        channel: &'a str,
    },
    Channels,
    Topic {
        channel: &'a str,
        text: Option<&'a str>,
    },
    History {
        channel: &'a str,
        count: Option<u64>,
        span: Span,
    },
    Close {
        channel: &'a str,
    },
    Name {
        name: &'a str,
    },
    Register {
        name: &'a str,
        password: &'a str,
    },
    Login {
        name: &'a str,
        password: &'a str,
    },
    WhoAmI,
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
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Msg { .. } => "MSG",
            Self::Say { .. } => "SAY",
            Self::List { .. } => "LIST",
            Self::Inbox { .. } => "INBOX",
            Self::Ack { .. } => "ACK",
            Self::Create { .. } => "CREATE",
            Self::Join { .. } => "JOIN",
            Self::Leave { .. } => "LEAVE",
            Self::Channels => "CHANNELS",
            Self::Topic { .. } => "TOPIC",
            Self::History { .. } => "HISTORY",
            Self::Close { .. } => "CLOSE",
            Self::Name { .. } => "NAME",
            Self::Register { .. } => "REGISTER",
            Self::Login { .. } => "LOGIN",
            Self::WhoAmI => "WHOAMI",
            Self::Help { .. } => "HELP",
            Self::Ping { .. } => "PING",
            Self::Caps => "CAPS",
            Self::Quit => "QUIT",
        }
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
            Self::Both(name, id) => write!(f, "{name}:{id}"),
            Self::Channel(channel) => write!(f, "#{channel}"),
        }
    }
}

fn optional(f: &mut fmt::Formatter<'_>, before: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, "{before}{value}"))
}

impl fmt::Display for Command<'_> {
    /// The line, without its ending, that parses to this command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())?;
        match *self {
            Self::Msg { key, target, text } => {
                optional(f, " @", key)?;
                write!(f, " {target} {text}")
            }
            Self::Say { key, channel, text } => {
                optional(f, " @", key)?;
                write!(f, " #{channel} {text}")
            }
            Self::List { channel } => optional(f, " #", channel),
            Self::Inbox { count } => optional(f, " ", count),
            Self::Ack { upto: Some(seq) } => write!(f, " {seq}"),
            Self::Ack { upto: None } => f.write_str(" *"),
            Self::Create { channel, key } | Self::Join { channel, key } => {
                write!(f, " #{channel}")?;
                optional(f, " ", key)
            }
            Self::Leave { channel } | Self::Close { channel } => write!(f, " #{channel}"),
            Self::Topic { channel, text } => {
                write!(f, " #{channel}")?;
                optional(f, " ", text)
            }
            Self::History { channel, count, span } => {
                write!(f, " #{channel}")?;
                optional(f, " ", count)?;
                match span {
                    Span::Newest => Ok(()),
                    Span::Before(seq) => write!(f, " before {seq}"),
                    Span::Since(seq) => write!(f, " since {seq}"),
                }
            }
            Self::Name { name } => write!(f, " {name}"),
            Self::Register { name, password } | Self::Login { name, password } => write!(f, " {name} {password}"),
            Self::Help { verb } => optional(f, " ", verb),
            Self::Ping { text } => optional(f, " ", text),
            Self::Channels | Self::WhoAmI | Self::Caps | Self::Quit => Ok(()),
        }
    }
}
