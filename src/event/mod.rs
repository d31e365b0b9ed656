//! The vocabulary of the one order: what can be proposed ([`mod@proposal`]), what can happen ([`mod@kind`]), and in which room.
//!
//! Values only: no I/O, no rules about who may do what. [`crate::state`] decides which events follow from a proposal, and
//! everything else follows from the events.

pub mod access;
pub mod act;
pub mod age;
pub mod compaction;
pub mod government;
pub mod kind;
pub mod line;
mod nature;
pub mod presence;
pub mod proposal;
pub mod scope;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::{Seq, UserId};

pub use access::Access;
pub use act::{Act, Barred};
pub use age::{AGE_DIGITS, Age};
pub use compaction::Compaction;
pub use government::{Ban, Kept, Outcast, Setting, Unwanted, network};
pub use kind::{Event, Share};
pub use line::{Mark, Stamp, To};
pub use presence::{Absence, Ignored, Unignored};
pub use proposal::{Answer, Batch, Completion, NodeId, Origin, Proposal, Read, Recipient, Request, SessionId, Slot};
pub use scope::{Needs, Rights, Scope};

/// A sequence of entries: a channel, or one user's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RoomId {
    /// One user's inbox.
    Inbox(UserId),
    /// A channel, identified by the seq of the entry that created it. A channel created later under the same name is another
    /// room.
    Channel(Seq),
}

/// Milliseconds since 1970-01-01 UTC. Never used for order; [`Seq`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

/// One thing that happened, in its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// When the order took its proposal.
    pub time: Time,
    /// The room that it belongs to, if any.
    pub room: Option<RoomId>,
    /// The connection that caused it, by the id from its HELLO. It is not shown the entry: its OK is the echo.
    pub via: Option<UserId>,
    /// What happened.
    pub event: Event,
}

/// Whether what holds until then, or for good, holds at this time.
pub fn holds(until: Option<Time>, now: Time) -> bool {
    until.is_none_or(|until| now < until)
}

impl RoomId {
    /// Where the acts of the operator are noted. Seqs begin with 1, so no channel is this one; nobody joins it.
    pub const OPERATOR: Self = Self::Channel(Seq(0));

    /// The seq of the channel; `None` for an inbox.
    pub fn channel(self) -> Option<Seq> {
        match self {
            Self::Channel(seq) => Some(seq),
            Self::Inbox(_) => None,
        }
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC with milliseconds: `2026-11-22T13:00:01.007Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{stamp:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn times_are_rfc_3339_with_three_digits() {
        assert_eq!(Time(1_795_352_401_007).to_string(), "2026-11-22T13:00:01.007Z");
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
