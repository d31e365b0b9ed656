//! What a session, or the node itself, may propose to the order, and what it hears back.
//!
//! A proposal says what its user wants, as it was typed. Who that user is, and whether they may do it, is decided when it is
//! ordered. Anything expensive (a password's hash) or from outside is computed before and carried along.

use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;

use crate::code::Refusal;
use crate::event::{Absence, Act, RoomId, Scope, Setting, Time, Unwanted};
use crate::names::{Name, Seq, UserId, Who};

/// One life of a server among those that share an order, from its entry to its end: a server that enters again is another node.
/// A server that has its order to itself is node 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

/// One connection of one node. Number 0 is the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SessionId {
    /// Its node.
    pub node: NodeId,
    /// Its number on this node, which no other connection of this run has had.
    pub number: u64,
}

/// Who proposes, and so who gets the completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub session: SessionId,
    /// The session's number for the proposal.
    pub tag: u64,
}

/// What somebody wants, before it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Who proposes it.
    pub origin: Origin,
    /// What they want.
    pub request: Request,
}

impl Proposal {
    /// What a node itself wants: no connection is told what becomes of it.
    pub const fn of_node(node: NodeId, request: Request) -> Self {
        Self { origin: Origin { session: SessionId { node, number: 0 }, tag: 0 }, request }
    }

    /// The connection by which it happens: it is not shown the lines.
    pub fn via(&self) -> SessionId {
        match self.request {
            Request::Announce(session) => session,
            _ => self.origin.session,
        }
    }
}

/// Proposals in the one order, with the time at which the order took them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The order's time.
    pub time: Time,
    /// Where it comes from, in an order that many nodes share.
    pub slot: Option<Slot>,
    /// In their order.
    pub proposals: Vec<Proposal>,
}

/// How far a stream was read, and what was read: two who have read the same have the same print, and others almost certainly not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Read {
    /// The place up to which it was read; 0 before the first.
    pub place: u64,
    /// A checksum of everything up to there.
    pub print: u32,
}

/// Where a batch comes from, in an order that many nodes share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// The identity of the stream that is the order; another stream is another order.
    pub stream: u64,
    /// The place of the batch in the stream, from 1. Places only rise.
    pub place: u64,
    /// The node that sent it. Whoever enters is from then on the node with the number of that place.
    pub node: NodeId,
    /// Its number among the batches of that node, from 1; 0 for its entry. Only the number after the last one counts, so that a
    /// batch that was sent again, or arrives too late, comes to nothing.
    pub number: u64,
    /// The checksum of everything in the stream up to this place, as this node has read it.
    pub print: u32,
    /// What the node that sent it had read by then.
    pub seen: Read,
}

/// The target of a message, as it was typed. Most names are short enough to need no allocation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Recipient {
    /// `8763`
    Id(UserId),
    /// `nina`
    Name(CompactString),
    /// `nina:8763`
    Both(CompactString, UserId),
    /// `#rust`, without its `#`.
    Channel(CompactString),
}

/// What can be proposed. Names and channels are as they were typed, channels without their `#`. Frames number the variants: what is new
/// comes last, and no field is added to an old one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Request {
    /// To be connected, as a guest.
    Come {
        /// The address to which the connection is counted; none, and it has no share by address.
        address: Option<IpAddr>,
    },
    /// To take this name.
    Name(Name),
    /// To become an account of this name, with the PHC string of its password, and the hash of the invitation's code, if one was
    /// given.
    Register(Name, Arc<str>, Option<Arc<str>>),
    /// To become the account of this name. The session has verified the password against this hash, which must still be the
    /// account's.
    LogIn(Name, Arc<str>),
    /// To create a channel of this name, with the PHC string of the key needed to join it, if any.
    Create(Name, Option<Arc<str>>),
    /// To join the channel, and what is known of the key that was given.
    Join(Name, Key),
    /// To leave the channel.
    Leave(Name),
    /// To say something.
    Say {
        /// Where.
        to: Recipient,
        /// The key for safe retries.
        key: Option<Arc<str>>,
        /// What.
        text: Arc<str>,
    },
    /// To mark the inbox as read up to and including this seq.
    Ack(Seq),
    /// To mark the channel as read up to and including this seq.
    AckIn(Name, Seq),
    /// To retract a message: where it is, and who said it, as the session has found it. Servers propose it that know features of level
    /// 1 only; the others propose [`Request::Unsay`].
    Retract {
        /// The message.
        seq: Seq,
        /// Its room.
        room: RoomId,
        /// Who said it.
        from: UserId,
    },
    /// To set the channel's topic.
    Topic(Name, Arc<str>),
    /// To close the channel.
    Close(Name),
    /// To make a member of the channel an operator, or one no longer.
    Op(Name, Recipient, bool),
    /// To give the channel to another member.
    Give(Name, Recipient),
    /// To let a user in, once.
    Invite(Name, Recipient),
    /// To put a member out of the channel, and why.
    Kick(Name, Recipient, Option<Arc<str>>),
    /// To keep somebody out of the channel.
    Ban {
        /// The channel.
        channel: Name,
        /// Whom.
        who: Unwanted,
        /// For how many seconds, if not for good.
        seconds: Option<u64>,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// To end a ban.
    Unban(Name, Unwanted),
    /// To set an option of the channel.
    Set(Name, Setting),
    /// To be shown nothing more of what this user says.
    Ignore(Recipient),
    /// To be shown it again.
    Unignore(Recipient),
    /// To be away, and why; or to be back.
    Away(Option<Arc<str>>),
    /// By a node: to give the channel of an owner who has been away for long to another.
    Succeed(Seq, UserId),
    /// To be gone: the connection has ended.
    Go,
    /// To become the account whose token has this hash.
    LogInToken(Arc<str>),
    /// To have a token.
    NewToken {
        /// How its owner calls it.
        label: Name,
        /// Its hash.
        hash: Arc<str>,
        /// What it is for; `None` for all but what needs the password.
        scopes: Option<Vec<Scope>>,
        /// For how long; for ever, if nothing is said.
        seconds: Option<u64>,
    },
    /// To end the token of this label.
    DropToken(Name),
    /// To change the password of which the session has verified the first PHC string, which must still be the account's, to that of
    /// the second.
    SetPassword(Arc<str>, Arc<str>),
    /// To remove the account, whose password the session has verified against this hash.
    Unregister(Arc<str>),
    /// By a node: to end the connections of tokens that have expired.
    Lapse,
    /// By the operator of a node.
    Operate {
        /// Who that is on their machine.
        by: Arc<str>,
        /// What.
        act: Act,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// By a node: to end the channel (the first seq), which has had neither owner nor members since an entry (the second) for
    /// long enough.
    Expire(Seq, Seq),
    /// By a node: to note that this account is still here.
    See(UserId),
    /// By a node: to note that a node has ended, with all its connections, if its newest batch still is the one of this number.
    EndNode(NodeId, u64),
    /// By a node: to say what its state was after the batch at this place.
    Vouch {
        /// The place.
        place: u64,
        /// The digest of its state.
        digest: u64,
    },
    /// By a server: to be one of the nodes that share the order.
    Enter {
        /// The name that its operator has given it; an earlier node of this name ends.
        name: Arc<str>,
        /// Higher than at any earlier entry under this name.
        incarnation: u64,
        /// Drawn at random by the process: two that go by one name are told apart by it.
        token: u64,
        /// A hash of the limits that decide: nodes that decided differently would not stay equal.
        limits: u64,
        /// Up to which level it knows the features of linechat.
        features: u8,
    },
    /// To retract a message, as the session has found it. It needs features of level 2.
    Unsay {
        /// The message.
        seq: Seq,
        /// Its room.
        room: RoomId,
        /// Who said it.
        from: UserId,
        /// How many bytes of it count as unread in an inbox until its owner has read it.
        bytes: u64,
        /// Whether it was said to somebody who did not ignore its sender.
        was_heard: bool,
    },
    /// By a node: to tell an account's channels that it is here, if this connection of it has been here for long enough. It needs
    /// features of level 3.
    Announce(SessionId),
}

impl Request {
    /// Whether it adds to what is kept, and so is refused when there is no room: all others must go on, such as read marks, and that
    /// somebody comes or goes.
    pub fn adds(&self) -> bool {
        matches!(
            self,
            Self::Say { .. }
                | Self::Topic(..)
                | Self::Create(..)
                | Self::Register(..)
                | Self::Invite(..)
                | Self::Ban { .. }
                | Self::Set(..)
                | Self::Ignore(_)
                | Self::NewToken { .. }
                | Self::SetPassword(..)
        )
    }
}

/// What was given as the key of a channel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Key {
    /// None.
    Missing,
    /// A key that is not the channel's.
    Wrong,
    /// The key that has this hash.
    Verified(Arc<str>),
}

/// The result of an accepted proposal, for its OK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done, and there is nothing more to say.
    Done,
    /// Who they are now.
    Who(Who),
    /// The account, and how many unread messages it has.
    LoggedIn(Who, u64),
    /// The channel's name, in its own spelling.
    Channel(Name),
    /// The channel, and whom it was about, as lines name them.
    About(Name, String),
    /// The channel that they are in now, and its number of members.
    Joined(Name, u64),
    /// The message is stored.
    Said {
        /// Its number.
        seq: Seq,
        /// Its time.
        time: Time,
        /// Whether it was stored before, under the same key.
        dup: bool,
    },
    /// The message is stored, and its recipient is away, of which its sender is told for the first time.
    SaidAway {
        /// Its number.
        seq: Seq,
        /// Its time.
        time: Time,
        /// Who is away, and why.
        absence: Box<Absence>,
    },
    /// Where the read mark is now.
    Acked(Seq),
    /// Where the read mark in this channel is now.
    AckedIn(Name, Seq),
    /// What else its OK says.
    Text(Arc<str>),
}

/// The outcome of the proposal with this tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The session's number for the proposal.
    pub tag: u64,
    /// What its OK says, or why it was refused. Its changes are stored by then.
    pub result: Result<Answer, Refusal>,
    /// How many lines it came to for the members of channels: what it cost the others.
    pub told: u64,
}

impl Completion {
    /// Whether rooms can begin or end with it, so that it is told in its place among the events: what follows in the same batch
    /// comes after its OK. The many others are told at the end of their batch, which wakes their sessions once.
    pub fn has_place(&self) -> bool {
        let is_plain = |answer: &Answer| {
            matches!(answer, Answer::Said { .. } | Answer::SaidAway { .. } | Answer::Acked(_) | Answer::AckedIn(..))
        };
        self.result.as_ref().is_ok_and(|answer| !is_plain(answer))
    }
}
