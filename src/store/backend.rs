//! What the store needs of a place that keeps things: looking, and writing a batch whole or not at all.
//!
//! A backend knows nothing of meaning: how entries hang together, which key is held by whom and what is no more is decided by
//! [`crate::store::Store`], once for all of them. A backend must never show a part of a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Entry, RoomId};
use crate::names::{Seq, UserId};
use crate::state::archive::Used;

/// How an entry hangs in its room. A seq of 0 is none, and so is an `n` of 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Links {
    /// Its number among the room's shown entries, from 1; 0 for an entry that is not shown.
    pub n: u64,
    /// The room's shown entry before it; of one that is not shown, the one before it that is not shown either.
    pub prev: Seq,
    /// The shown entry whose number is `n` without its lowest bit: any is found in about 2 log n steps (as in a Fenwick tree).
    pub skip: Seq,
    /// How many messages the room has had with this entry, itself included.
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
}

/// The newest end of a room, from which all of it is found. All zeros when nothing of it was ever stored.
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
    /// How many messages its owner has read; for inboxes.
    pub read_n: u64,
    /// The newest message that its owner has read; for inboxes.
    pub read: Seq,
    /// The newest entry that is not shown: nobody reads these, but they must be found when the room is no more.
    pub hidden: Seq,
}

/// A use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The how manieth message with a key of its sender it was, from 1.
    pub n: u64,
    /// The message.
    pub used: Used,
}

/// Something that is no more, and whose rows must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Waste {
    /// All entries of a room.
    Room(RoomId),
    /// All keys of a sender who is gone.
    Keys(UserId),
    /// A sender's keys before the last [`KEYS_REMEMBERED`](crate::limits::KEYS_REMEMBERED).
    OldKeys(UserId),
}

/// How much of a wasted room is gone already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Floor {
    /// So many of its shown entries, the oldest.
    pub n: u64,
    /// They lie below this seq, and all others do not.
    pub seq: Seq,
}

/// A change beside the entries themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The entry, which is among the batch's, holds the compaction key; no presence has it any more.
    Hold(String, Entry),
    /// Nobody holds the compaction key or one below it, presence included.
    Free(String),
    /// The entry, which is kept nowhere else, holds the compaction key in the presence.
    HoldPresence(String, Entry),
    /// No presence has the compaction key or one below it.
    FreePresence(String),
    /// There is no presence at all.
    ForgetPresence,
    /// The room ends here.
    Head(RoomId, Head),
    /// The sender has had so many messages with keys.
    KeyCount(UserId, u64),
    /// This is waste from here on; if it was listed already, nothing changes.
    Waste(Waste),
    /// This waste is gone so far.
    Gone(Waste, Floor),
    /// The entry goes.
    Delete(Seq),
    /// The room goes, which has no entries any more.
    DeleteHead(RoomId),
    /// The use of a key goes.
    DeleteKey(UserId, Arc<str>),
    /// The sender goes, who has no keys any more.
    DeleteKeyCount(UserId),
    /// This waste is gone.
    DeleteWaste(Waste),
}

/// Keys and their uses, by sender.
pub type Keys = BTreeMap<UserId, BTreeMap<Arc<str>, KeyUse>>;

/// Changes that are made together or not at all: entries and keys first, then the rest in its order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Entries to store, their seqs rising and higher than all before.
    pub records: Vec<Record>,
    /// Uses of keys to store; a key that was used before is used anew.
    pub keys: Keys,
    /// The rest.
    pub changes: Vec<Change>,
    /// A seq up to which all was seen, though nothing of it may be stored; 0 for none.
    pub newest: Seq,
    /// Whether it must be as safe as it can be before the commit returns.
    pub lasts: bool,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.keys.is_empty() && self.changes.is_empty() && self.newest == Seq(0)
    }

    /// Forgets everything; memory is kept for the next batch.
    pub fn clear(&mut self) {
        self.records.clear();
        if !self.keys.is_empty() {
            // Even an empty map costs something to clear.
            self.keys.clear();
        }
        self.changes.clear();
        (self.newest, self.lasts) = (Seq(0), false);
    }

    /// The entry with this seq, if it is one of these.
    pub fn record(&self, seq: Seq) -> Option<&Record> {
        let at = self.records.binary_search_by_key(&seq, |record| record.entry.seq).ok()?;
        self.records.get(at)
    }
}

/// What a store may fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk; nothing of the batch is stored.
    #[error("the disk is full; make room on it, or move the data directory to a larger one")]
    Full,
    /// What was read is not what was written.
    #[error("the store is damaged: {0}; restore it from a backup, or look at it with sqlite3 -readonly")]
    Damaged(String),
    /// Anything else, a failed sync among it: the state on the disk is unknown.
    #[error("{0}")]
    Failed(String),
}

/// Looking at what is committed.
pub trait Look {
    /// The entry with this seq, if it is there.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError>;

    /// The end of a room; all zeros when it has none.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn head(&self, room: RoomId) -> Result<Head, StoreError>;

    /// Below this seq, entries of the room may be missing because they were given up.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn floor(&self, room: RoomId) -> Result<Seq, StoreError>;
}

/// A place that keeps things. All it says is of what is committed.
pub trait Backend: Look + Send + 'static {
    /// After [`StoreError::Full`]: gives back space that was held for this, so that marks can still be stored.
    fn give_reserve(&mut self) {}

    /// Takes that space again; true when there was room for it.
    fn take_reserve(&mut self) -> bool {
        true
    }

    /// The newest seq that was ever committed, 0 when there is none; never goes back.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn last(&self) -> Result<Seq, StoreError>;

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

    /// At most `count` keys of the sender that come after this one, in their order.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn keys_after(&self, sender: UserId, key: &str, count: usize) -> Result<Vec<(Arc<str>, KeyUse)>, StoreError>;

    /// Gives the entries that hold compaction keys and last, by seq.
    ///
    /// # Errors
    /// When the store fails or is damaged, or `each` says so.
    fn held(&self, each: &mut dyn FnMut(&str, Entry) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// The entries that hold compaction keys in the presence, by seq.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn present(&self) -> Result<Vec<(String, Entry)>, StoreError>;

    /// Everything that could become waste because its owner is gone: inboxes, and senders of keys.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn owned(&self) -> Result<Vec<Waste>, StoreError>;

    /// At most `count` pieces of waste, and how much of each is gone.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn wasted(&self, count: usize) -> Result<Vec<(Waste, Floor)>, StoreError>;

    /// Gives all entries that are there, by seq.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    fn each_record(&self, each: &mut dyn FnMut(&Record)) -> Result<(), StoreError>;

    /// Makes all changes of the batch, from which it may take records and keys. After an error none of them is made.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room for it; anything else is the end of the store.
    fn write(&mut self, batch: &mut Batch) -> Result<(), StoreError>;

    /// Syncs and tidies before the end.
    fn close(&mut self) {}
}

/// The first path after all that lie below `key`, and the first of those: `/` is followed by `0`.
pub fn below(key: &str) -> (String, String) {
    (format!("{key}/"), format!("{key}0"))
}
