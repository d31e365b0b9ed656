//! What the operator may do. Whether there is such a user, channel or ban is decided like everything else.
//!
//! Values only. Secrets are hashed before they come here.

use std::fmt;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::event::Recipient;
use crate::names::{Name, UserId};

/// Whom the operator bans from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Barred {
    /// All who connect from there.
    Network(IpNet),
    /// An account, as it was typed.
    User(Recipient),
}

/// An act of the operator. Users and channels are as they were typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// To end this one connection, known by the id from its HELLO.
    DisconnectOne(UserId),
    /// To end all connections of a user.
    Disconnect(Recipient),
    /// To keep somebody out, for so many seconds if it is not for ever, and to end their connections.
    Ban(Barred, Option<u64>),
    /// To let them in again.
    Unban(Barred),
    /// To give an account another password, of which this is the PHC string, and to end its connections.
    Reset(Recipient, Arc<str>),
    /// To remove an account.
    Remove(Recipient),
    /// To close a channel.
    Close(Name),
    /// To give a channel to one of its members.
    Give(Name, Recipient),
    /// To tell everybody something.
    Notice(Arc<str>),
    /// To let people register by the code that has this hash, for so many seconds and so often.
    Invite {
        /// The hash of the code.
        hash: Arc<str>,
        /// For how long.
        seconds: Option<u64>,
        /// How often.
        uses: u32,
    },
}

impl Act {
    /// The word for it, as it is typed and noted.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::DisconnectOne(_) | Self::Disconnect(_) => "DISCONNECT",
            Self::Ban(..) => "BAN",
            Self::Unban(_) => "UNBAN",
            Self::Reset(..) => "RESET",
            Self::Remove(_) => "REMOVE",
            Self::Close(_) => "CLOSE",
            Self::Give(..) => "GIVE",
            Self::Notice(_) => "NOTICE",
            Self::Invite { .. } => "INVITE",
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Both(name, id) => write!(f, "{name}:{id}"),
            Self::Channel(name) => write!(f, "#{name}"),
        }
    }
}
