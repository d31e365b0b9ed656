//! The kinds of events. A new kind is a variant here, with its compaction key and whether it lasts, and its line in
//! [`crate::event::line`]; how it is stored follows from its fields.
//!
//! An event that *lasts* is stored and part of the history. An *ephemeral* one is ordered and applied like it, and part of the
//! state while it lasts; it is not stored for reading back.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{NodeId, SessionId, Time};
use crate::names::{Name, Seq, UserId, Who};

/// What happened. The names of the variants and fields, in lower case, are the stored form (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A message, in the room of its entry.
    Said {
        /// Its sender.
        from: Who,
        /// The sender's key for safe retries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
        /// Its text, checked.
        text: Arc<str>,
    },
    /// The owner of the inbox has read up to and including this entry.
    Acked {
        /// Whose inbox.
        by: UserId,
        /// The last message read.
        upto: Seq,
    },
    /// A channel; the entry's seq is its identity, and its own room.
    Created {
        /// Its name.
        channel: Name,
        /// Its first owner.
        owner: Who,
        /// The hash of the key needed to join, as a PHC string.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
    },
    /// The user is a member of the channel from here on.
    Joined {
        /// Who.
        who: Who,
        /// Since when.
        since: Time,
        /// The entry by which they came: whose is lowest has been there longest.
        rank: Seq,
        /// Whether the membership outlives its connection: an account's does.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The user is no member any more.
    Left {
        /// Who.
        who: Who,
        /// Why, where it was not their wish: `disconnected`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
        /// Whether the membership was one that lasts.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The channel has passed to this user.
    Owner {
        /// To whom; to nobody when there was nobody left.
        who: Option<Who>,
        /// Whether that outlives a connection: a guest's ownership does not.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The user has set the channel's topic.
    Topic {
        /// Who.
        who: Who,
        /// The topic.
        text: Arc<str>,
    },
    /// The channel is no more.
    Closed {
        /// Who closed it; its founder where it ended by itself.
        who: Who,
    },
    /// A member has another name.
    Renamed {
        /// The user as they were called.
        old: Who,
        /// And as they are called now.
        new: Who,
    },
    /// A member's first connection is here.
    Online {
        /// Who.
        who: Who,
    },
    /// A member's last connection is gone; they stay a member.
    Offline {
        /// Who.
        who: Who,
    },
    /// A connection, and the guest that it is.
    Came {
        /// The connection.
        session: SessionId,
        /// The guest, whose id is the connection's too.
        who: Who,
    },
    /// The guest of a connection has this name now.
    Named {
        /// The connection.
        session: SessionId,
        /// The guest, by the new name.
        who: Who,
    },
    /// The guest is an account from here on, with the PHC string of its password.
    Registered {
        /// Its name and id.
        who: Who,
        /// The password's hash.
        password: Arc<str>,
    },
    /// The connection is the account's from here on; what it was as a guest is no more.
    LoggedIn {
        /// The connection.
        session: SessionId,
        /// The guest that it was.
        guest: UserId,
        /// The account.
        account: UserId,
    },
    /// The connection has ended, and the guest, if it was one.
    Went {
        /// The connection.
        session: SessionId,
        /// The guest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<UserId>,
    },
    /// All connections of the node have ended, and these guests with them.
    NodeEnded {
        /// The node.
        node: NodeId,
        /// The guests.
        guests: Vec<UserId>,
    },
    /// This id has been given out, and all before it.
    Given {
        /// The newest.
        id: UserId,
    },
    /// Ids below this one may be given out.
    Ids {
        /// The first that may not.
        below: UserId,
    },
}

/// What an event does to the compaction keys. The newest entry that holds a key stands for all before it, so that the state can
/// be read without the past. A key is a path; to free it frees all below it too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compaction {
    /// The key that the entry holds from now on.
    pub hold: Option<String>,
    /// The key that nobody holds any more.
    pub free: Option<String>,
}

fn hold(key: String) -> Compaction {
    Compaction { hold: Some(key), free: None }
}

fn free(key: String) -> Compaction {
    Compaction { hold: None, free: Some(key) }
}

fn session(SessionId { node, number }: &SessionId) -> String {
    format!("s/{}/{number}", node.0)
}

impl Event {
    /// Whether it is stored for reading back; else it is ephemeral.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Joined { lasts, .. } | Self::Left { lasts, .. } | Self::Owner { lasts, .. } => *lasts,
            Self::Said { .. }
            | Self::Acked { .. }
            | Self::Created { .. }
            | Self::Topic { .. }
            | Self::Closed { .. }
            | Self::Registered { .. }
            | Self::Ids { .. } => true,
            Self::Renamed { .. }
            | Self::Online { .. }
            | Self::Offline { .. }
            | Self::Came { .. }
            | Self::Named { .. }
            | Self::LoggedIn { .. }
            | Self::Went { .. }
            | Self::NodeEnded { .. }
            | Self::Given { .. } => false,
        }
    }

    /// Whether those who read its room are shown a line.
    pub fn is_shown(&self) -> bool {
        match self {
            Self::Joined { shown, .. } | Self::Left { shown, .. } | Self::Owner { shown, .. } => *shown,
            Self::Said { .. }
            | Self::Topic { .. }
            | Self::Closed { .. }
            | Self::Renamed { .. }
            | Self::Online { .. }
            | Self::Offline { .. } => true,
            _ => false,
        }
    }

    /// Whether it is a message: what HISTORY and INBOX show and count.
    pub fn is_message(&self) -> bool {
        matches!(self, Self::Said { .. })
    }

    /// What an entry with this event does to the compaction keys; `channel` is that of its room.
    pub fn compaction(&self, channel: Option<Seq>) -> Compaction {
        let below = |rest: fmt::Arguments<'_>| channel.map(|channel| format!("c/{channel}{rest}")).unwrap_or_default();
        match self {
            Self::Created { .. } => hold(below(format_args!(""))),
            Self::Joined { who, .. } => hold(below(format_args!("/m/{}", who.id))),
            Self::Left { who, .. } => free(below(format_args!("/m/{}", who.id))),
            Self::Owner { .. } => hold(below(format_args!("/o"))),
            Self::Topic { .. } => hold(below(format_args!("/t"))),
            Self::Closed { .. } => free(below(format_args!(""))),
            Self::Registered { who, .. } => hold(format!("a/{}", who.id)),
            Self::Ids { .. } => hold("ids".to_owned()),
            Self::Given { .. } => hold("given".to_owned()),
            Self::Came { session: it, .. } => hold(session(it)),
            Self::Named { session: it, .. } => hold(session(it) + "/n"),
            Self::LoggedIn { session: it, .. } => Compaction { hold: Some(session(it) + "/l"), free: Some(session(it) + "/n") },
            Self::Went { session: it, .. } => free(session(it)),
            Self::NodeEnded { node, .. } => free(format!("s/{}", node.0)),
            Self::Said { .. } | Self::Acked { .. } | Self::Renamed { .. } | Self::Online { .. } | Self::Offline { .. } => {
                Compaction::default()
            }
        }
    }
}
