//! What each command needs of a token with which its connection has logged in. Every command is here, and the compiler sees to it.
//!
//! It owns nothing, and must never look at who asks.

use crate::event::Needs;
use crate::wire::command::{Command, Place, Target};

impl<'a> Command<'a> {
    /// What it needs of a token. Where a message goes is known only once its target was looked up, so that is for the decision.
    pub const fn needs(&self) -> Needs<'a> {
        match *self {
            Self::WhoAmI
            | Self::Help { .. }
            | Self::Ping { .. }
            | Self::Caps
            | Self::Format { .. }
            | Self::Quit
            | Self::Msg { .. } => Needs::Nothing,
            Self::Say { channel, .. } => Needs::SayIn(channel),
            Self::List { channel: Some(channel), .. }
            | Self::Ack { channel: Some(channel), .. }
            | Self::Join { channel, .. }
            | Self::Topic { channel, text: None }
            | Self::History { target: Target::Channel(channel), .. }
            | Self::Search { target: Some(Target::Channel(channel)), .. }
            | Self::Wait { place: Some(Place::Channel(channel)), .. }
            | Self::Follow { place: Place::Channel(channel), .. } => Needs::Read(channel),
            Self::Inbox { .. }
            | Self::Ack { channel: None, .. }
            | Self::History { .. }
            | Self::Search { target: Some(_), .. }
            | Self::Wait { place: Some(Place::Inbox), .. }
            | Self::Follow { place: Place::Inbox, .. } => Needs::Inbox,
            Self::List { channel: None, .. }
            | Self::Channels { .. }
            | Self::Create { .. }
            | Self::Leave { .. }
            | Self::Topic { text: Some(_), .. }
            | Self::Search { target: None, .. }
            | Self::Wait { place: None, .. }
            | Self::Retract { .. }
            | Self::Op { .. }
            | Self::Deop { .. }
            | Self::Give { .. }
            | Self::Invite { .. }
            | Self::Kick { .. }
            | Self::Ban { .. }
            | Self::Unban { .. }
            | Self::Bans { .. }
            | Self::Set { .. }
            | Self::Close { .. }
            | Self::Name { .. }
            | Self::WhoIs { .. }
            | Self::Away { .. }
            | Self::Ignore { .. }
            | Self::Unignore { .. }
            | Self::Ignores => Needs::Everything,
            Self::Register { .. }
            | Self::Login { .. }
            | Self::LoginToken { .. }
            | Self::Passwd { .. }
            | Self::Token(_)
            | Self::Unregister { .. } => Needs::Password,
        }
    }
}
