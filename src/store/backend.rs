//! What the store needs from the place where it keeps things: lookups, and writing a batch whole or not at all.
//!
//! A backend knows nothing of meaning: how entries are linked, who holds which key, and what is waste is decided by
//! [`crate::store::Store`], once for all backends. A backend must never show a part of a batch.

use std::sync::Arc;

use crate::event::{Entry, RoomId};
use crate::names::{Seq, UserId};
use crate::state::archive::{Sharer, Used};

pub use crate::store::batch::{Batch, Change, Keys};

/// How an entry is linked into its room. A seq or an `n` of 0 means none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Links {
    /// Its number among the room's shown entries, from 1; 0 for an entry that is not shown.
    pub n: u64,
    /// The room's shown entry before it. For an entry that is not shown: the one before it that is not shown either.
    pub prev: Seq,
    /// The shown entry whose number is `n` without its lowest bit: any entry is found in about 2 log n steps, as in a Fenwick
    /// tree.
    pub skip: Seq,
    /// How many messages the room has had up to and including this entry.
    pub said_n: u64,
    /// The room's newest message before it.
    pub said: Seq,
}

/// An entry with its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The entry.
    pub entry: Entry,
    /// Its links.
    pub links: Links,
    /// Whether its content is damaged, so that only its place in the room is known: its seq and its links. Its event then only
    /// says whether it was a message, and its time means nothing.
    pub is_damaged: bool,
}

impl Record {
    /// A sound one.
    pub fn sound(entry: Entry, links: Links) -> Self {
        Self { entry, links, is_damaged: false }
    }
}

/// The head of a room's chain, from which all its entries are found. All zeros when nothing was ever stored there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// How many shown entries it has had.
    pub n: u64,
    /// The newest of them.
    pub seq: Seq,
    /// How many messages it has had.
    pub said_n: u64,
    /// The newest of them.
    pub said: Seq,
    /// How many messages its owner has read, in an inbox.
    pub read_n: u64,
    /// The newest message that its owner has read, in an inbox.
    pub read: Seq,
    /// The newest entry that is not shown: nobody reads these, but they must be found when the room has ended.
    pub hidden: Seq,
    /// How many bytes of text its unread messages have, in an inbox.
    pub unread_bytes: u64,
    /// How many messages were counted to somebody's share since its owner last read some, in an inbox.
    pub shared: u64,
}

/// A use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// Its message's number among the messages with keys of its sender, from 1.
    pub n: u64,
    /// The message.
    pub used: Used,
}

/// Something that no longer exists and whose rows must be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Waste {
    /// All entries of a room.
    Room(RoomId),
    /// All keys of a sender who is gone.
    Keys(UserId),
    /// A sender's keys that are no longer remembered.
    OldKeys(UserId),
}

/// How much of a room has been deleted already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floor {
    /// How many of its shown entries: the oldest ones.
    pub n: u64,
    /// They are the ones below this seq.
    pub seq: Seq,
}

/// Why a store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room on the disk; nothing of the batch is stored.
    #[error("the disk is full; make room on it, or move the data directory to a larger one")]
    Full,
    /// Something was read that was never written.
    #[error("the store is damaged: {0}; restore it from a backup, or look at it with sqlite3 -readonly")]
    Damaged(String),
    /// Any other failure, such as a failed sync: what is on the disk is unknown.
    #[error("{0}")]
    Failed(String),
}

/// Lookups in the committed entries.
pub trait Look {
    /// The entry with this seq, if it is kept.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError>;

    /// The chain head of a room; all zeros when it has none.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn head(&self, room: RoomId) -> Result<Head, StoreError>;

    /// Below this seq, entries of the room may be missing because they were given up.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn floor(&self, room: RoomId) -> Result<Seq, StoreError>;

    /// The place of an entry of the room that is damaged or missing, as far as it can still be found out, so that the entries
    /// around it can be read: a [damaged](Record::is_damaged) record, or `None`. `is_shown` says in which of the room's chains
    /// it is.
    ///
    /// # Errors
    /// When the store fails.
    fn mend(&self, room: RoomId, seq: Seq, is_shown: bool) -> Result<Option<Record>, StoreError> {
        let _ = (room, seq, is_shown);
        Ok(None)
    }

    /// Whether entries to which damage leaves no way count as given up: readers are shown a gap instead of nothing at all.
    /// Whoever decides by what is stored must not go on.
    fn passes_over_damage(&self) -> bool {
        false
    }
}

/// A place that keeps things. Its answers are about committed entries only.
pub trait Backend: Look + Send + 'static {
    /// After [`StoreError::Full`]: gives back the space that was reserved, so that read marks can still be stored.
    fn give_reserve(&mut self) {}

    /// Reserves that space again; returns whether there was room for it.
    fn take_reserve(&mut self) -> bool {
        true
    }

    /// Whether there is room for more than the reserve, which fits where it was.
    fn has_room(&self) -> bool {
        true
    }

    /// Sets all ids below this one aside for newcomers, beside the entries and without taking room. Returns whether that is
    /// durable. What does not outlive the process needs no care.
    fn set_ids_aside(&mut self, _below: UserId) -> bool {
        true
    }

    /// Every id that was ever set aside is below this one.
    fn ids_aside(&self) -> UserId {
        UserId(0)
    }

    /// The newest seq that was ever committed, 0 when there is none; never goes back.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn last(&self) -> Result<Seq, StoreError>;

    /// The newest entry of a room that is still there; `None` from a backend that does not outlive its process. What is noted beside
    /// the rooms does not count: people leave after the clock has jumped, too, and that they do is not to be believed of it.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn newest(&self) -> Result<Option<Record>, StoreError> {
        Ok(None)
    }

    /// What the sender last used the key for, however long ago.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn key(&self, sender: UserId, key: &str) -> Result<Option<KeyUse>, StoreError>;

    /// How many messages with keys the sender has had.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn key_count(&self, sender: UserId) -> Result<u64, StoreError>;

    /// At most `count` keys of the sender that sort after this one, in order.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn keys_after(&self, sender: UserId, key: &str, count: usize) -> Result<Vec<(Arc<str>, KeyUse)>, StoreError>;

    /// How many messages in the inbox were counted to the sharer; 0 when that is damaged: a share that is given twice harms less
    /// than a server that stops.
    ///
    /// # Errors
    /// When the store fails.
    fn share(&self, owner: UserId, sharer: Sharer) -> Result<u64, StoreError>;

    /// Everybody who has a share of the inbox, in order, and how much of it is used.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn shares(&self, owner: UserId) -> Result<Vec<(Sharer, u64)>, StoreError>;

    /// Gives the durable entries that hold compaction keys to `each`, in the order of seqs.
    ///
    /// # Errors
    /// When the store fails or is damaged, or when `each` fails.
    fn held(&self, each: &mut dyn FnMut(&str, Entry) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// The entries that hold compaction keys in the presence, in the order of seqs.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn present(&self) -> Result<Vec<(String, Entry)>, StoreError>;

    /// Everything that could become waste because its owner is gone: inboxes, and senders of keys.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn owned(&self) -> Result<Vec<Waste>, StoreError>;

    /// All waste that is listed.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn wasted(&self) -> Result<Vec<Waste>, StoreError>;

    /// How much of a piece of waste is deleted; `None` if it is not listed, or no longer.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn deleted_of(&self, waste: Waste) -> Result<Option<Floor>, StoreError>;

    /// How much of a room that goes on is deleted.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn trimmed(&self, room: RoomId) -> Result<Floor, StoreError> {
        let _ = room;
        Ok(Floor::default())
    }

    /// At most `count` rooms after this one, in an order of the backend's own: the rooms of which old entries may be deleted. A
    /// backend that bounds itself has none.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn rooms_after(&self, room: Option<RoomId>, count: usize) -> Result<Vec<RoomId>, StoreError> {
        let _ = (room, count);
        Ok(Vec::new())
    }

    /// The durable entry that holds a compaction key.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn holder(&self, key: &str) -> Result<Option<Seq>, StoreError> {
        let _ = key;
        Ok(None)
    }

    /// Gives all entries to `each`, in the order of seqs.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn each_record(&self, each: &mut dyn FnMut(&Record)) -> Result<(), StoreError>;

    /// Makes all changes of the batch, or after an error none of them. It may take the records and keys out of the batch.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room for it; any other error is the end of the store.
    fn write(&mut self, batch: &mut Batch) -> Result<(), StoreError>;

    /// Makes sure that what was overwritten is nowhere else either, as in a log. Returns false if that must be tried again.
    fn forget_overwritten(&mut self) -> bool {
        true
    }

    /// Syncs and tidies before the end.
    fn close(&mut self) {}
}

/// The range of the paths below `key`: the first path in it, and the first path after it. In ASCII, `/` is followed by `0`.
pub fn below(key: &str) -> (String, String) {
    (format!("{key}/"), format!("{key}0"))
}
