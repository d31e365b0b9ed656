//! The kinds of events. To add a kind, add a variant here, say in `nature.rs` whether it lasts and is shown, what it does to the
//! compaction keys in [`crate::event::compaction`], and give it a line in [`crate::event::line`]. How it is stored follows from its fields.
//!
//! An event that *lasts* is durable: it is stored as part of the history. An *ephemeral* one is ordered and applied in the same
//! way and changes the state, but is not stored for reading back.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Access, Ban, Ignored, NodeId, Outcast, SessionId, Setting, Time, Unignored};
use crate::names::{Name, Seq, UserId, Who};

/// What happened. The variants and fields are stored as JSON, under their names in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A message, in the room of its entry.
    Said {
        /// Its sender.
        from: Who,
        /// The key that makes the sender's retries safe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
        /// Its text, checked.
        text: Arc<str>,
        /// To whom it counts, in an inbox that is filling up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<Share>,
    },
    /// A message to somebody who ignores its sender, in their inbox: stored like any other, and nobody who reads the inbox is
    /// shown it. To its sender nothing is different.
    Unheard {
        /// Its sender.
        from: Who,
        /// The key that makes the sender's retries safe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
        /// Its text, checked.
        text: Arc<str>,
    },
    /// A message that was retracted, in the place of the [`Event::Said`] that it was: it counts among the messages of its room, so
    /// that all numbers stay as they are, and nobody is shown it. (An [`Event::Unheard`] only loses its text.)
    Unsaid {
        /// Its sender.
        from: UserId,
    },
    /// A message of the room is retracted: from here on its entry is an [`Event::Unsaid`].
    Retracted {
        /// Who has retracted it.
        who: Who,
        /// The message.
        seq: Seq,
        /// Whether its readers are told.
        shown: bool,
        /// How many bytes fewer are unread in an inbox, if it was not read: whether or not this server's disk still has the text. Older
        /// entries do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// A member of the channel has read up to and including this entry.
    Read {
        /// Who.
        by: UserId,
        /// The last entry read.
        upto: Seq,
    },
    /// The owner of the inbox has read up to and including this entry.
    Acked {
        /// Whose inbox.
        by: UserId,
        /// The last message read.
        upto: Seq,
    },
    /// A channel is created. The entry's seq identifies the channel, which is also the entry's room.
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
        /// When they joined.
        since: Time,
        /// The entry by which they joined: the member with the lowest has been there longest.
        rank: Seq,
        /// Whether the membership outlives the connection, as an account's does.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The user is no longer a member.
    Left {
        /// Who.
        who: Who,
        /// Why, if they did not leave by themselves: `disconnected`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
        /// Whether the membership was durable.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The channel has a new owner, or none.
    Owner {
        /// The owner; `None` when nobody was left.
        who: Option<Who>,
        /// Whether this outlives the owner's connection: a guest's ownership does not.
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
    /// The channel has ended.
    Closed {
        /// Who closed it; its founder if it ended by itself.
        who: Who,
    },
    /// The member may run the channel from here on, or may not any more.
    Operator {
        /// Who.
        who: Who,
        /// By whom.
        by: Who,
        /// Whether they may.
        is: bool,
        /// Whether this outlives their connection: a guest's part in a channel does not.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The user was put out of the channel.
    Kicked {
        /// Who.
        who: Who,
        /// By whom.
        by: Who,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Arc<str>>,
        /// Whether the membership was durable.
        lasts: bool,
    },
    /// Somebody is kept out of the channel from here on.
    Banned(Box<Ban>),
    /// They are not any more.
    Unbanned {
        /// Who.
        outcast: Outcast,
        /// How lines name them.
        whom: Arc<str>,
        /// By whom; nobody, if its time was over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Who>,
    },
    /// The user may join the channel, once.
    Invited {
        /// Who.
        who: Who,
        /// By whom.
        by: Who,
        /// The channel, for the line.
        channel: Name,
        /// Whether it outlives their connection.
        lasts: bool,
        /// Whether the members are told.
        shown: bool,
    },
    /// The user is told so, in their inbox.
    Invitation {
        /// Who.
        who: Who,
        /// By whom.
        by: Who,
        /// The channel.
        channel: Name,
    },
    /// The user may not any more: the guest has gone, or the account was removed.
    Uninvited {
        /// Who.
        who: UserId,
        /// Whether the invitation would have lasted.
        lasts: bool,
    },
    /// An option of the channel has this value.
    Set {
        /// Who has set it.
        who: Who,
        /// The option and its value.
        setting: Setting,
    },
    /// The member has spoken in a channel where they must wait before they speak again.
    Spoke {
        /// Who.
        who: UserId,
        /// When, if that was before this entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Time>,
    },
    /// A member has another name.
    Renamed {
        /// The user, by the old name.
        old: Who,
        /// The user, by the new name.
        new: Who,
    },
    /// A member's first connection has come, and stays.
    Online {
        /// Who.
        who: Who,
    },
    /// A member's last connection is gone; they stay a member.
    Offline {
        /// Who.
        who: Who,
    },
    /// A connection has come, as this guest.
    Came {
        /// The connection.
        session: SessionId,
        /// The guest, whose id also identifies the connection.
        who: Who,
        /// The address to which it is counted. Nothing that lasts holds an address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
    },
    /// The channel is counted to this address, from which it was created, until it ends or the server does.
    Counted {
        /// The address.
        address: IpAddr,
    },
    /// The guest of a connection has a new name.
    Named {
        /// The connection.
        session: SessionId,
        /// The guest, by the new name.
        who: Who,
    },
    /// What one user says is not shown to another from here on.
    Ignored(Ignored),
    /// What one user says is shown to another again.
    Unignored(Unignored),
    /// The user is away from here on, and says why; or is back.
    Away {
        /// Who.
        who: UserId,
        /// Why; `None` when they are back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<Arc<str>>,
    },
    /// Somebody who has written to a user who is away was told so.
    ToldAway {
        /// Who is away.
        away: UserId,
        /// Who was told.
        writer: UserId,
    },
    /// The account was there; now it has gone, or it is still there after a long time.
    Seen {
        /// Which.
        who: UserId,
        /// Whether this outlives the server: not when its disk is full.
        lasts: bool,
    },
    /// The guest is an account from here on.
    Registered {
        /// Its name and id.
        who: Who,
        /// The PHC string of its password.
        password: Arc<str>,
    },
    /// The connection belongs to the account from here on; the guest that it was is gone.
    LoggedIn {
        /// The connection.
        session: SessionId,
        /// The guest that it was.
        guest: UserId,
        /// The account.
        account: UserId,
        /// The label of the token, if it was not the password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Name>,
        /// The entry by which the account came, if its channels have yet to be told that it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        untold: Option<Seq>,
    },
    /// The channels of the connection's account have been told that it is here.
    Announced {
        /// The connection.
        session: SessionId,
    },
    /// The connection has ended, and with it the guest, if it was one.
    Went {
        /// The connection.
        session: SessionId,
        /// The guest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<UserId>,
    },
    /// The connection is ended by somebody else, and with it the guest, if it was one: its peer is told why.
    Dismissed {
        /// The connection.
        session: SessionId,
        /// The guest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guest: Option<UserId>,
        /// Why, for whoever is there.
        reason: Arc<str>,
    },
    /// All connections of the node have ended, and these guests with them.
    NodeEnded {
        /// The node.
        node: NodeId,
        /// The guests.
        guests: Vec<UserId>,
    },
    /// A server is one of the nodes from here on.
    Entered {
        /// The node that it is.
        node: NodeId,
        /// Its name.
        name: Arc<str>,
        /// Which entry under this name it is.
        incarnation: u64,
        /// What tells its process from another.
        token: u64,
        /// A hash of the limits by which it decides.
        limits: u64,
        /// Up to which level it knows the features of linechat.
        features: u8,
    },
    /// A batch of an order that many nodes share has been taken.
    Ordered {
        /// The identity of the stream that is the order.
        stream: u64,
        /// The place of the batch in it.
        place: u64,
        /// The checksum of everything in the stream up to there.
        print: u32,
        /// The number of the newest batch of each node, and when it was taken.
        numbers: Vec<(NodeId, u64, Time)>,
        /// Up to which level the features of linechat are in use.
        features: u8,
    },
    /// Who may come in, and as whom, has changed. Boxed, because messages must not pay for what is rare.
    Access(Box<Access>),
    /// The operator tells everybody something.
    Noticed {
        /// What.
        text: Arc<str>,
    },
    /// This id and all before it have been given out.
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

/// A message in an inbox that counts to its sender's share, and to that of the address that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The [address](crate::state::archive::near), if there is one: too few bits of it to tell which it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<u16>,
}
