//! The store: it keeps everything durable, and reads it back.
//!
//! It belongs to one replica ([`crate::replica`]), which gives it the entries of each batch in their order ([`Store::put`]) and
//! then commits them together. It never decides who may do what. How an entry is linked into its room, which compaction key it
//! holds, which message used a key, how far an inbox was read: all of that follows from the entries alone. So replicas that
//! were given the same entries store the same.
//!
//! # Contract of every [`Store`]
//!
//! 1. **Whole or not at all.** Everything put since the last commit is stored by [`Store::commit`], as safely as
//!    [`Reader::durability`] says, or dropped by [`Store::rollback`]. After a crash, too, a batch is there whole or not at all.
//! 2. **Only durable events cost the disk.** A batch of ephemeral events writes nothing, unless the store [keeps
//!    presence](Presence) or a guest leaves to whom something was written. Even then it does not wait for a sync.
//! 3. **Loading gives the state** ([`Store::load`]): the newest entry of each compaction key, ordered by seq. Messages are not
//!    loaded, so that loading takes as long as the state is large, however long the history is.
//! 4. **Looking sees everything that was put** ([`crate::state::Archive`]), even before it is committed.
//! 5. **Reading is by room and from a seq**, forward or backward, in time that grows linearly with the page but only with the
//!    logarithm of the room. It sees committed entries only, and a batch whole or not at all. Entries that were given up are
//!    reported ([`Page::gap`]), and so are damaged ones ([`Page::damaged`]), with the sound ones around them. Entries to which
//!    damage leaves no way are a gap too; nothing is ever skipped in silence.
//! 6. **Waste is deleted** ([`Store::tidy`]): the inboxes of guests who have gone, and closed channels, are deleted in small
//!    steps, the oldest entries first, and their space is used again. Somebody who is still reading is told of a gap. Once
//!    everything is deleted, the room is empty, as if it had never existed.
//!    So are entries of a room that goes on, when they are [older, or more](Keep), than the operator wants to keep
//!    ([`Store::trim`]); what an inbox's owner has not read is kept.
//! 7. **Keys are remembered by number** ([`crate::state::Archive::used`]) and not by time: the last
//!    [`KEYS_REMEMBERED`](crate::limits::KEYS_REMEMBERED) of each account, over restarts too, and the last
//!    [`KEYS_REMEMBERED_GUEST`](crate::limits::KEYS_REMEMBERED_GUEST) of a guest. A key is committed with its message or not at
//!    all. **Shares of inboxes** ([`crate::state::Archive::share`]) are, too, and a read mark forgets those of its inbox.
//! 8. **When the disk is full** ([`StoreError::Full`]), [`Store::give_reserve`] gives the reserve back, so that read marks can
//!    still be stored. [`Store::take_reserve`] takes it again once there is room. [`Store::set_ids_aside`] needs no room at
//!    all, so that newcomers can be let in.
//!
//! `tests/store.rs` checks every implementation against this contract.

pub mod backend;
mod batch;
mod chain;
mod digest;
mod disk;
mod fact;
mod heads;
mod inbox;
mod memory;
mod put;
mod tidy;
mod trim;
mod unsay;

use std::future::Future;
use std::pin::Pin;

use crate::event::{Entry, RoomId};
use crate::names::Seq;

pub use backend::{Backend, StoreError};
pub use disk::{Checked, Disk, OpenError, check, compare, copy, copy_ends, copy_path, copy_to, count};
pub use disk::{
    Examined, Harm, Listener, Means, TellError, Witness, aside_path, back_up, compact, database, ends, examine, hold,
};
pub use disk::{
    empty_copy, given_out, is_of_a_store, is_there, keep_ids, make_folder, open as open_disk, probe, put_in_place, replace,
    search_file, set_aside,
};
pub use disk::{take_over, tell};
pub use fact::{FORM, Fact, OneShare};
pub use memory::{Memory, open as open_memory};
pub use put::Store;
pub use trim::Keep;

/// A boxed future, so that a [`Reader`] can be chosen at the start.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What happens to ephemeral events that hold a compaction key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// [`Store::load`] gives them too, and every batch moves [`Store::last`]: for a node whose order goes on while it restarts.
    /// That order keeps everything, so a commit does not wait for the disk.
    Kept,
    /// They are gone with the process, as are the connections to it.
    Forgotten,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the newest entry before this seq, going backward.
    Before(Seq),
    /// With the oldest entry after this seq.
    After(Seq),
    /// With the oldest entry after the inbox's read mark.
    Unread,
}

/// Which entries of a room are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Messages: what HISTORY and INBOX show.
    Messages,
    /// All durable entries that are shown: what a slow reader has missed.
    Everything,
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The room to read.
    pub room: RoomId,
    /// Where to begin, and in which direction.
    pub start: Start,
    /// How many entries at most; 0 only counts.
    pub count: usize,
    /// Which of the room's entries.
    pub what: What,
}

/// Entries of one room, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The seqs of those among them that are damaged and cannot be shown. They count as entries.
    pub damaged: Vec<Seq>,
    /// The first and last seq, both included, of a range that was asked for and in which entries are no longer available.
    pub gap: Option<(Seq, Seq)>,
    /// How many more such entries follow this page, in the direction of reading.
    pub remaining: u64,
}

impl Page {
    /// How many entries it has, the damaged ones included.
    pub fn count(&self) -> usize {
        self.entries.len() + self.damaged.len()
    }

    /// The seq of its first entry, damaged or not.
    pub fn first(&self) -> Option<Seq> {
        self.entries.first().map(|entry| entry.seq).into_iter().chain(self.damaged.first().copied()).min()
    }

    /// Up to where it was read: the seq of its last entry, damaged or not, or else the end of its gap.
    pub fn last(&self) -> Option<Seq> {
        let entry = self.entries.last().map(|entry| entry.seq).max(self.damaged.last().copied());
        entry.or(self.gap.map(|(_, last)| last))
    }

    /// Its entries in order, and in their places the seqs of damaged ones.
    pub fn in_order(&self) -> impl Iterator<Item = Result<&Entry, Seq>> {
        let mut damaged = self.damaged.iter().copied().peekable();
        let mut entries = self.entries.iter().peekable();
        std::iter::from_fn(move || match entries.peek() {
            Some(entry) => match damaged.next_if(|seq| *seq < entry.seq) {
                Some(seq) => Some(Err(seq)),
                None => entries.next().map(Ok),
            },
            None => damaged.next().map(Err),
        })
    }
}

/// Entries of all rooms, in their order: what a follower of the whole store reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretch {
    /// The sound ones.
    pub entries: Vec<Entry>,
    /// Up to here it was read: what is not among the entries up to here is damaged or no longer there.
    pub upto: Seq,
    /// The newest seq that was committed by then.
    pub newest: Seq,
}

/// Reading failed. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// Reads a store while its replica writes to it.
pub trait Reader: Send + Sync {
    /// Reads a page of the committed entries. A room that does not exist, or no longer exists, is empty.
    ///
    /// # Errors
    /// [`ReadError`] when the store is damaged or cannot be read.
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>>;

    /// Reads the committed entries of all rooms after a seq: so many at most, and fewer only if there are no more.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    fn stretch(&self, after: Seq, count: usize) -> Promise<'_, Result<Stretch, ReadError>>;

    /// The committed entries with these seqs, in this order: those that are there and sound.
    ///
    /// # Errors
    /// [`ReadError`] when the store cannot be read.
    fn entries(&self, seqs: Vec<Seq>) -> Promise<'_, Result<Vec<Entry>, ReadError>>;

    /// Of each of these rooms the seq below which everything may have been given up; `None` of those that have ended or never were.
    ///
    /// # Errors
    /// [`ReadError`] when the store is damaged or cannot be read.
    fn floors(&self, rooms: Vec<RoomId>) -> Promise<'_, Result<Vec<Option<Seq>>, ReadError>>;

    /// What committed entries survive: `fsync` (a power loss, on an honest disk) or `memory` (nothing). CAPS shows this word.
    fn durability(&self) -> &'static str;
}
