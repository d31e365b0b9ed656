//! The journal: the one durable, ordered record of everything that changed.
//!
//! # Contract of every [`Journal`]
//!
//! 1. **Order.** Entries are numbered by a [`Seq`] that only grows, also over restarts. Drafts given to one [`Journal::append`]
//!    are committed together and in their order; two appends of one caller keep their order.
//! 2. **Durability.** An [`Outcome::Committed`](crate::event::Outcome::Committed) is fed only after the entry is as safe as [`Journal::durability`] says. After a
//!    crash an entry that was fed is there, whole, and one that was not fed is there whole or not at all.
//! 3. **One outcome for each draft**, in the order of the appends, whatever happens to it.
//! 4. **Safe retries.** A message whose key its sender used for the same message before is not stored again: its outcome is
//!    [`Duplicate`](crate::event::Outcome::Duplicate) with the first one's seq and time; for another message it is [`KeyReused`](crate::event::Outcome::KeyReused). The last
//!    [`KEYS_REMEMBERED`](crate::limits::KEYS_REMEMBERED) keys of each sender are remembered, over restarts too. A key is
//!    committed with its message or not at all.
//! 5. **Nothing is overwritten by surprise.** A draft guarded by [`Vacant`](crate::event::Guard::Vacant) is not stored when another entry holds its
//!    slot (an account's name, a channel's name); one guarded by [`Unread`](crate::event::Guard::Unread) is not when its inbox holds that many.
//!    What happens to a channel is stored only while that very channel has its name.
//! 6. **Marks only move forward.** An [`Event::Acked`](crate::event::Event::Acked) is clamped to the newest message of its
//!    inbox; one that moves nothing is not stored.
//! 7. **The feed is everything.** It begins with the entries that make up the state ([`Fed::State`]): of each slot only the
//!    newest, ordered by seq, and no messages, so that its length is that of the state and not of the past. After
//!    [`Fed::Live`] come the outcomes of all appends, also other nodes'.
//! 8. **Reading is by room and from a seq**, forward or backward, in time that grows with the page and only with the logarithm
//!    of the room. What was given up is said ([`Page::gap`]); what is damaged is an error, never skipped.
//! 9. **When the store is full** new entries are refused ([`StoreFull`](crate::event::Outcome::StoreFull)) except marks; reading and marks go on, and
//!    everything is taken again by itself soon after there is room.
//!
//! `tests/journal.rs` holds every implementation to this contract.

mod chain;
mod disk;
mod keys;
mod local;
mod memory;
mod slot;
mod store;
mod writer;

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;

use crate::event::{Done, Draft, Entry, Room};
use crate::names::Seq;

pub use disk::{OpenError, open as open_disk};
pub use memory::open as open_memory;

/// A boxed future, so that a [`Journal`] can be chosen at the start.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the journal tells the hub; see the contract's point 7.
pub type Feed = mpsc::Receiver<Fed>;

/// One message of the feed.
#[derive(Debug)]
pub enum Fed {
    /// Entries of the state, in the order of their seqs.
    State(Vec<Entry>),
    /// The state is complete; what follows happens now.
    Live,
    /// Outcomes of drafts that were committed together.
    Done(Vec<Done>),
    /// The journal cannot go on, and why; the process must end so that the next start recovers.
    Failed(String),
}

/// Which messages of a room to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The newest before this seq.
    Before(Seq),
    /// The oldest after this seq.
    After(Seq),
    /// The oldest after the inbox's mark.
    Unread,
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// From which room.
    pub room: Room,
    /// Which of its messages.
    pub span: Span,
    /// How many at most; 0 only counts.
    pub count: usize,
}

/// Messages of one room, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The messages.
    pub entries: Vec<Entry>,
    /// The first and last seq between which messages were asked for that can no longer be had.
    pub gap: Option<(Seq, Seq)>,
    /// Messages that lie further in the direction of the reading.
    pub remaining: u64,
}

/// The journal is closed or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal is closed")]
pub struct Closed;

/// Reading failed; the text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

/// The seam between linechat and what keeps its entries; the contract is in the documentation of this module.
pub trait Journal: Send + Sync {
    /// Queues `drafts`; waits while the queue is full. Their outcomes come through the feed.
    ///
    /// # Errors
    /// [`Closed`] after [`Journal::close`] or a failure; nothing was queued.
    fn append(&self, drafts: Vec<Draft>) -> Promise<'_, Result<(), Closed>>;

    /// Reads a page of a room.
    ///
    /// # Errors
    /// [`ReadError`] when the store is damaged or cannot be read.
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>>;

    /// The feed. There is one; whoever asks first has it.
    ///
    /// # Panics
    /// When it is asked for twice.
    fn feed(&self) -> Feed;

    /// Takes no more drafts, commits those that are queued, feeds their outcomes, syncs, and gives the store back.
    fn close(&self) -> Promise<'_, ()>;

    /// What a fed outcome has survived: `fsync` (power loss, on an honest disk) or `memory` (nothing).
    fn durability(&self) -> &'static str;
}
