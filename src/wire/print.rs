//! Commands to lines: what [`crate::wire::parse()`] makes of a printed command is the command again.
//!
//! The menu and the load generator write their lines this way. It owns nothing, and must never check what it prints.

use std::fmt;

use crate::wire::command::{Banned, Command, Place, Span, Target, Token, When};

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

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seq(seq) => seq.fmt(f),
            Self::Age(age) => age.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(channel) => write!(f, "#{channel}"),
            Self::Inbox => f.write_str("inbox"),
        }
    }
}

impl fmt::Display for Banned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Address(address) => f.write_str(address),
        }
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::New { label, scopes, lasts } => {
                write!(f, "NEW {label}")?;
                optional(f, " ", scopes)?;
                optional(f, " for ", lasts)
            }
            Self::List => f.write_str("LIST"),
            Self::Drop { label } => write!(f, "DROP {label}"),
        }
    }
}

fn optional(f: &mut fmt::Formatter<'_>, before: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, "{before}{value}"))
}

impl Span {
    fn write(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => Ok(()),
            Self::Unread => f.write_str(" unread"),
            Self::Before(when) => write!(f, " before {when}"),
            Self::Since(when) => write!(f, " since {when}"),
        }
    }
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
            Self::List { channel, pattern, count, after } => {
                optional(f, " #", channel)?;
                optional(f, " ", pattern)?;
                optional(f, " ", count)?;
                optional(f, " after ", after)
            }
            Self::Channels { pattern, count, after } => {
                optional(f, " #", pattern)?;
                optional(f, " ", count)?;
                optional(f, " after #", after)
            }
            Self::Inbox { count } => optional(f, " ", count),
            Self::Ack { channel, upto } => {
                optional(f, " #", channel)?;
                match upto {
                    Some(upto) => write!(f, " {upto}"),
                    None => f.write_str(" *"),
                }
            }
            Self::Create { channel, key } => {
                write!(f, " #{channel}")?;
                optional(f, " ", key)
            }
            Self::Join { channel, key, last } => {
                write!(f, " #{channel}")?;
                optional(f, " ", key)?;
                optional(f, " last ", last)
            }
            Self::Leave { channel } | Self::Close { channel } | Self::Bans { channel } => write!(f, " #{channel}"),
            Self::Topic { channel, text } => {
                write!(f, " #{channel}")?;
                optional(f, " ", text)
            }
            Self::History { target, count, span } => {
                write!(f, " {target}")?;
                optional(f, " ", count)?;
                span.write(f)
            }
            Self::Search { target: Some(target), words } => write!(f, " {target} {words}"),
            Self::Search { target: None, words } => write!(f, " * {words}"),
            Self::Retract { seq } => write!(f, " {seq}"),
            Self::WhoIs { user } | Self::Ignore { user } | Self::Unignore { user } => write!(f, " {user}"),
            Self::Away { text } | Self::Ping { text } => optional(f, " ", text),
            Self::Wait { place, since, seconds } => {
                optional(f, " ", place)?;
                optional(f, " since ", since)?;
                optional(f, " ", seconds)
            }
            Self::Follow { place, since } => {
                write!(f, " {place}")?;
                optional(f, " since ", since)
            }
            Self::Format { json } => f.write_str(if json { " json" } else { " text" }),
            Self::Help { verb } => optional(f, " ", verb),
            Self::WhoAmI | Self::Ignores | Self::Caps | Self::Quit => Ok(()),
            _ => self.write_of_channel(f),
        }
    }
}

impl Command<'_> {
    /// The arguments of what those in charge of a channel do.
    fn write_of_channel(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Op { channel, user }
            | Self::Deop { channel, user }
            | Self::Give { channel, user }
            | Self::Invite { channel, user } => write!(f, " #{channel} {user}"),
            Self::Kick { channel, user, reason } => {
                write!(f, " #{channel} {user}")?;
                optional(f, " ", reason)
            }
            Self::Ban { channel, who, lasts, reason } => {
                write!(f, " #{channel} {who}")?;
                optional(f, " for ", lasts)?;
                optional(f, " ", reason)
            }
            Self::Unban { channel, who } => write!(f, " #{channel} {who}"),
            Self::Set { channel, option, value } => {
                write!(f, " #{channel}")?;
                optional(f, " ", option)?;
                optional(f, " ", value)
            }
            _ => self.write_of_account(f),
        }
    }

    /// The arguments of what concerns who somebody is.
    fn write_of_account(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Name { name } => write!(f, " {name}"),
            Self::Register { code, name, password } => {
                optional(f, " @", code)?;
                write!(f, " {name} {password}")
            }
            Self::Login { name, password } => write!(f, " {name} {password}"),
            Self::LoginToken { token } => write!(f, " {token}"),
            Self::Passwd { old, new } => write!(f, " {old} -> {new}"),
            Self::Token(token) => write!(f, " {token}"),
            Self::Unregister { password } => write!(f, " {password}"),
            _ => unreachable!("invariant: {} is printed elsewhere", self.verb()),
        }
    }
}
