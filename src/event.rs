//! What can happen, as the journal records it, and where.
//!
//! Values only: no I/O, no rules about who may do what. The hub's state is what these events make of it.

use std::fmt;
use std::sync::Arc;

use crate::names::{Name, Seq, UserId, Who};

/// A place that holds an ordered run of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Room {
    /// One user's inbox.
    Inbox(UserId),
    /// A channel, named by the seq of the entry that created it: one created later under the same name is another room.
    Channel(Seq),
}

/// In a draft, the channel that the draft before it in the same append creates: that one has no seq yet.
pub const NEW_CHANNEL: Room = Room::Channel(Seq(0));

/// Milliseconds since 1970-01-01 UTC, by the server's clock. Never used for order: that is [`Seq`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub i64);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message, in the room of its entry.
    Said {
        /// Its sender.
        from: Who,
        /// Its text, checked.
        text: Arc<str>,
        /// The sender's key for safe retries.
        key: Option<Arc<str>>,
        /// The connection it came by, called by the id that its HELLO gave: that one is not shown its own messages.
        via: UserId,
    },
    /// The owner of the inbox has read up to and including `upto`.
    Acked {
        /// Whose inbox.
        by: UserId,
        /// The last entry read.
        upto: Seq,
    },
    /// An account, with the PHC string of its password.
    Registered {
        /// Its name and id.
        who: Who,
        /// The password's hash as a PHC string.
        password: Arc<str>,
    },
    /// A channel; the entry's seq is its identity.
    Created {
        /// Its name.
        channel: Name,
        /// Its first owner.
        owner: Who,
        /// The hash of the key needed to join, as a PHC string.
        key: Option<Arc<str>>,
    },
    /// Something that happened to the channel of the entry's room.
    Channel {
        /// Its name.
        channel: Name,
        /// Who did it or to whom it happened, as the change says.
        who: Who,
        /// What.
        change: Change,
    },
    /// Ids below `below` may be given out.
    Ids {
        /// The first id that may not.
        below: UserId,
    },
}

/// What can happen to a channel after its creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The account joined.
    Joined,
    /// The account left.
    Left,
    /// The user became its owner.
    Owner,
    /// The user set its topic.
    Topic(Arc<str>),
    /// The user closed it. An owner that is no more closes it when it ended by itself.
    Closed,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// When it was committed.
    pub time: Time,
    /// The room it belongs to; `None` for accounts and ids, and for a channel's creation, whose seq names the room.
    pub room: Option<Room>,
    /// What happened.
    pub event: Event,
}

/// Who waits for a draft's outcome: carried through unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The connection.
    pub session: u64,
    /// Its number for the draft.
    pub tag: u64,
}

/// On which condition a draft is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Always.
    None,
    /// Only when no entry holds its slot.
    Vacant,
    /// Only when its inbox holds fewer unread messages than this.
    Unread(u64),
}

/// An entry that is not committed yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The room of the entry.
    pub room: Option<Room>,
    /// What is to happen.
    pub event: Event,
    /// On which condition.
    pub guard: Guard,
    /// Who waits for the outcome.
    pub origin: Option<Origin>,
}

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is this entry now.
    Committed(Entry),
    /// The same message was stored before, under the same key.
    Duplicate {
        /// Its seq then.
        seq: Seq,
        /// Its time then.
        time: Time,
    },
    /// The key was used for another message; nothing was stored.
    KeyReused(Seq),
    /// Another entry holds the slot; nothing was stored.
    Occupied,
    /// The inbox holds as many unread messages as the guard allows; nothing was stored.
    Full,
    /// The mark was there already, or further.
    Unmoved(Seq),
    /// The store is full; nothing was stored.
    StoreFull,
}

/// A draft's outcome, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// As the draft gave it.
    pub origin: Option<Origin>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Room {
    /// The channel's seq, of a channel.
    pub fn channel(self) -> Option<Seq> {
        match self {
            Self::Channel(seq) => Some(seq),
            Self::Inbox(_) => None,
        }
    }
}

impl Time {
    /// Now, by the server's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_millisecond())
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
