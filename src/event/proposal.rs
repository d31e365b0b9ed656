//! What a session, or the node itself, may propose to the order, and what it hears back.
//!
//! A proposal says what its user wants, as it was typed; who that user is, and whether they may, is decided where it is ordered.
//! What is dear (a password's hash) or comes from outside is made before and carried along.

use std::sync::Arc;

use compact_str::CompactString;

use crate::code::Refusal;
use crate::event::Time;
use crate::names::{Name, Seq, UserId, Who};

/// One server among those that share an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

/// One connection of one node. Number 0 is the node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct SessionId {
    /// Its node.
    pub node: NodeId,
    /// Its number there, which no other connection of this run has had.
    pub number: u64,
}

/// Who proposes, and who waits for what it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub session: SessionId,
    /// The connection's number for the proposal.
    pub tag: u64,
}

/// What somebody wants, not decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Who proposes it.
    pub origin: Origin,
    /// What they want.
    pub request: Request,
}

/// Proposals in the one order, with the time at which the order took them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// The order's time.
    pub time: Time,
    /// In their order.
    pub proposals: Vec<Proposal>,
}

/// To whom a message goes, as it was typed. Most names are so short that they need no memory of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What can be wanted. Names and channels are as they were typed, channels without their `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// To be connected, as a guest.
    Come,
    /// To be called so.
    Name(Name),
    /// To become an account of this name; the password is a PHC string.
    Register(Name, Arc<str>),
    /// To become the account of this name, whose password is the one that has this hash: the proposer has verified it.
    LogIn(Name, Arc<str>),
    /// A channel of this name; a PHC string of the key needed to join it.
    Create(Name, Option<Arc<str>>),
    /// To join the channel. Where a key was given, whether it is the one that has this hash.
    Join(Name, Key),
    /// To leave it.
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
    /// To have read up to and including this seq.
    Ack(Seq),
    /// To set its topic.
    Topic(Name, Arc<str>),
    /// To end it.
    Close(Name),
    /// To be gone: the connection has ended.
    Go,
    /// By a node: the channel with this seq has been without owner and members since this entry, for long enough.
    Expire(Seq, Seq),
    /// By a node: that node has ended, and with it all its connections.
    EndNode(NodeId),
}

/// What was given as the key of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// None.
    Missing,
    /// One that is not the channel's.
    Wrong,
    /// The one that has this hash.
    Verified(Arc<str>),
}

/// What a proposal that was accepted came to, for its OK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done, and there is nothing to say of it.
    Done,
    /// Who they are now.
    Who(Who),
    /// The account, and how many messages it has not read.
    LoggedIn(Who, u64),
    /// The channel's name as it is written.
    Channel(Name),
    /// The channel that they are in, and its number of members.
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
    /// Where the read mark is now.
    Acked(Seq),
}

/// What the proposal with this tag came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The session's number for the proposal.
    pub tag: u64,
    /// What its OK says, or why it was refused. What it changed is stored.
    pub result: Result<Answer, Refusal>,
}
