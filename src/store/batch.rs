//! A batch: everything that a backend writes together or not at all.
//!
//! It belongs to the store until the backend has written it. It knows nothing of how a backend does that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Entry, RoomId};
use crate::names::{Seq, UserId};
use crate::store::backend::{Floor, Head, KeyUse, Record, Waste};
use crate::store::inbox::Shares;

/// A change other than storing entries and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This entry of the batch holds the compaction key; no presence holds it any more.
    Hold(String, Entry),
    /// Nobody holds the compaction key or one below it, presence included.
    Free(String),
    /// This entry, which is kept nowhere else, holds the compaction key in the presence.
    HoldPresence(String, Entry),
    /// No presence holds the compaction key or one below it.
    FreePresence(String),
    /// All presence is forgotten.
    ForgetPresence,
    /// The room has this chain head now.
    Head(RoomId, Head),
    /// The sender has had this many messages with keys.
    KeyCount(UserId, u64),
    /// This is waste from now on; nothing changes if it was listed already.
    Waste(Waste),
    /// This much of the waste is deleted.
    Gone(Waste, Floor),
    /// Deletes the entry.
    Delete(Seq),
    /// Stores the record in place of the one with its seq.
    Relink(Record),
    /// This much of a room that goes on is deleted.
    Trimmed(RoomId, Floor),
    /// Deletes the chain head of a room that has no entries any more, and all shares of it.
    DeleteHead(RoomId),
    /// Deletes the use of a key.
    DeleteKey(UserId, Arc<str>),
    /// Deletes the key count of a sender who has no keys any more.
    DeleteKeyCount(UserId),
    /// Takes this off the list: all of it is deleted.
    DeleteWaste(Waste),
}

/// Keys and their uses, by sender.
pub type Keys = BTreeMap<UserId, BTreeMap<Arc<str>, KeyUse>>;

/// Changes that are made together or not at all: entries, keys and shares first, then what is unsaid, then the rest in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// Entries to store, their seqs rising and higher than all before.
    pub records: Vec<Record>,
    /// Uses of keys to store; a new use of a key replaces the old one.
    pub keys: Keys,
    /// Shares of inboxes that have changed.
    pub shares: Shares,
    /// Messages that were retracted: what is stored in place of each of them, by its seq. It may be one of these records.
    pub unsaid: BTreeMap<Seq, Record>,
    /// Everything else.
    pub changes: Vec<Change>,
    /// The newest seq seen, even if nothing of it is stored; 0 for none.
    pub newest: Seq,
    /// Whether something in it is durable, so that it must be synced before the commit returns.
    pub lasts: bool,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.keys.is_empty() && self.changes.is_empty() && self.newest == Seq(0)
    }

    /// Forgets everything, but keeps the memory for the next batch.
    pub fn clear(&mut self) {
        self.records.clear();
        if !self.keys.is_empty() {
            // Even an empty map costs something to clear.
            self.keys.clear();
        }
        self.shares.clear();
        if !self.unsaid.is_empty() {
            self.unsaid.clear();
        }
        self.changes.clear();
        (self.newest, self.lasts) = (Seq(0), false);
    }

    /// The entry with this seq as it will be, if it is one of these or changed.
    pub fn record(&self, seq: Seq) -> Option<&Record> {
        if let Some(record) = self.unsaid.get(&seq) {
            return Some(record);
        }
        let at = self.records.binary_search_by_key(&seq, |record| record.entry.seq).ok()?;
        self.records.get(at)
    }
}
