//! The store: what must last, and reading it back.
//!
//! It belongs to one replica ([`crate::replica`]), which gives it the entries of each batch in their order ([`Store::put`]) and
//! then commits them together. It decides nothing of who may do what. How an entry hangs in its room, which compaction key it
//! holds, which message used a key, how far an inbox was read: all of that follows from the entries alone, so that replicas
//! that were given the same entries hold the same.
//!
//! # Contract of every [`Store`]
//!
//! 1. **Whole or not at all.** What was put since the last commit is there after [`Store::commit`], as safe as
//!    [`Reader::durability`] says, or is wholly gone after [`Store::rollback`]. After a crash a batch is there whole, or not at all.
//! 2. **Only what lasts costs the disk.** A batch of ephemeral events writes nothing, unless the store [keeps presence](Presence)
//!    or a guest goes to whom something was written; and then it waits for no sync.
//! 3. **Loading gives the state** ([`Store::load`]): of each compaction key the newest entry, ordered by seq, and no messages, so
//!    that its length is that of the state and not of the past.
//! 4. **Looking sees what was put** ([`crate::state::Archive`]): also what is not committed yet.
//! 5. **Reading is by room and from a seq**, forward or backward, in time that grows with the page and only with the logarithm of
//!    the room; it sees what is committed, and a batch whole or not at all. What was given up is said ([`Page::gap`]); what is
//!    damaged is an error, never skipped.
//! 6. **What is no more goes** ([`Store::tidy`]): the inboxes of guests who have gone and the channels that were closed are
//!    deleted in small steps, the oldest entries first, and their space is used again. A reader who is still at it is told a
//!    gap; once all is deleted, the room is empty, as one that never was.
//! 7. **Keys are remembered by number** ([`crate::state::Archive::used`]): the last
//!    [`KEYS_REMEMBERED`](crate::limits::KEYS_REMEMBERED) of each sender, over restarts too. A key is committed with its message
//!    or not at all.
//! 8. **When the disk is full** ([`StoreError::Full`]) the reserve is given back ([`Store::give_reserve`]), so that read marks can
//!    still be stored, and taken again when there is room ([`Store::take_reserve`]).
//!
//! `tests/store.rs` holds every implementation to this contract.

mod backend;
mod chain;
mod digest;
mod disk;
mod memory;
mod put;
mod tidy;
mod tips;

use std::future::Future;
use std::pin::Pin;

use crate::event::{Entry, RoomId};
use crate::names::Seq;

pub use backend::{Backend, StoreError};
pub use disk::{Disk, OpenError, open as open_disk};
pub use memory::{Memory, open as open_memory};
pub use put::Store;

/// A boxed future, so that a [`Reader`] can be chosen at the start.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What becomes of ephemeral events that hold a compaction key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// They are part of what [`Store::load`] gives, and every batch moves [`Store::last`]: for replicas that outlive each other.
    Kept,
    /// They are gone with the process: those who were connected to it are so too.
    Forgotten,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the newest before this seq, going backward.
    Before(Seq),
    /// With the oldest after this seq.
    After(Seq),
    /// With the oldest after the inbox's read mark.
    Unread,
}

/// Which entries of a room are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Messages: what HISTORY and INBOX show.
    Messages,
    /// All that last and are shown: what a reader who was slow has missed.
    Everything,
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// From which room.
    pub room: RoomId,
    /// From where on.
    pub start: Start,
    /// How many at most; 0 only counts.
    pub count: usize,
    /// Which of its entries.
    pub what: What,
}

/// Entries of one room, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The first and last seq between which entries were asked for that can no longer be had.
    pub gap: Option<(Seq, Seq)>,
    /// How many of those asked for lie further in the direction of the reading.
    pub remaining: u64,
}

/// Reading failed; the text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// Reads a store beside the replica that writes it.
pub trait Reader: Send + Sync {
    /// Reads a page of what is committed. A room that is not there, or not any more, is empty.
    ///
    /// # Errors
    /// [`ReadError`] when the store is damaged or cannot be read.
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>>;

    /// What a commit has survived: `fsync` (power loss, on an honest disk) or `memory` (nothing).
    fn durability(&self) -> &'static str;
}
