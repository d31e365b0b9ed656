//! What the writer needs of a place that keeps entries. It knows nothing of order, keys or guards: the writer does.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::event::{Entry, Event, Room};
use crate::names::{Seq, UserId};

/// A run of entries linked from the newest to the oldest: the messages of a room, or those that a user sent with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// A room's messages.
    Room(Room),
    /// A user's messages with keys.
    Keys(UserId),
}

/// How an entry hangs in its chains. A seq of 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Links {
    /// Its number within its room, from 1; 0 for an entry that is no message.
    pub n: u64,
    /// The room's message before it.
    pub prev: Seq,
    /// The room's message whose number is `n` without its lowest bit: any message is found in about 2 log n steps (as in a
    /// Fenwick tree).
    pub skip: Seq,
    /// The sender's message with a key before it; set only when this one has a key.
    pub key_prev: Seq,
}

/// An entry with its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The entry.
    pub entry: Entry,
    /// Its links.
    pub links: Links,
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// How many entries it has had.
    pub n: u64,
    /// The newest.
    pub seq: Seq,
    /// How many its owner has read; for inboxes.
    pub acked_n: u64,
    /// The newest that its owner has read; for inboxes.
    pub acked: Seq,
}

/// What a store may fail with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk; the transaction is rolled back.
    #[error("the disk is full")]
    Full,
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Anything else, a failed sync among it: the state on the disk is unknown.
    #[error("{0}")]
    Failed(String),
}

/// Looking into a store.
pub trait Look {
    /// The entry with this seq; `None` when the store has given it up.
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError>;
    /// The end of a chain; all zeros when it has no entry.
    fn end(&self, chain: Chain) -> Result<End, StoreError>;
}

/// Writing into a store: `begin`, any number of changes, `commit` or `rollback`. Looking sees the changes.
pub trait Store: Look + Send + 'static {
    /// The newest seq, 0 when empty.
    fn last(&self) -> Result<Seq, StoreError>;
    /// All entries that hold a slot, ordered by seq.
    fn state(&self) -> Result<Vec<Entry>, StoreError>;
    /// The entry that holds the slot.
    fn holder(&self, slot: &str) -> Result<Option<Seq>, StoreError>;
    /// Begins a transaction.
    fn begin(&mut self) -> Result<(), StoreError>;
    /// Adds an entry; its seq is higher than all before.
    fn put(&mut self, record: &Record) -> Result<(), StoreError>;
    /// Sets the end of a chain.
    fn set_end(&mut self, chain: Chain, end: End) -> Result<(), StoreError>;
    /// Makes the entry the holder of the slot.
    fn hold(&mut self, slot: &str, seq: Seq) -> Result<(), StoreError>;
    /// Frees the slot and those below it (`slot/…`).
    fn free(&mut self, slot: &str) -> Result<(), StoreError>;
    /// Makes the transaction durable.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// Forgets the transaction.
    fn rollback(&mut self);
    /// After [`StoreError::Full`]: gives back space that was held for this, so that marks can still be stored.
    fn give_reserve(&mut self) {}
    /// Takes that space again; true when there was room for it.
    fn take_reserve(&mut self) -> bool {
        true
    }
    /// Syncs and tidies before the end.
    fn close(&mut self) {}
}

/// What two messages must share to be the same retried message: room and text, as a hash.
pub fn content(room: Option<Room>, event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    room.hash(&mut hasher);
    if let Event::Said { text, .. } = event {
        text.hash(&mut hasher);
    }
    hasher.finish()
}
