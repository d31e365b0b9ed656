//! A room, as this node's people read it: its recent lines, and the sessions that read them.
//!
//! The lock is held for a push, a copy, or waking the readers; nobody waits for a reader.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Entry, Mark, RoomId, To};
use crate::hub::handle::SessionHandle;
use crate::hub::news::Title;
use crate::hub::tail::Tail;
use crate::limits::TAIL_BYTES;
use crate::names::{Seq, UserId};

/// Memory of a quiet tail that is kept while somebody who was woken has not looked yet.
const AWAITED_BYTES: u64 = 8 * 1024;

/// How far a reader has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// In the room's lines.
    pub position: u64,
    /// The newest entry read.
    pub seq: Seq,
}

/// What reading from a room came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// There is no more.
    UpToDate,
    /// There is more.
    More,
    /// What comes next is not in memory: read the store after the cursor's seq, move that on, and try again.
    Behind {
        /// Everything after this is in memory.
        floor: Seq,
        /// The newest ephemeral entry that is nowhere any more.
        lost: Seq,
    },
}

/// A session's reading of a room.
#[derive(Debug)]
pub struct Subscription {
    /// The room.
    pub room: Arc<Room>,
    /// How far its session has read.
    pub cursor: Cursor,
    /// Where its reading ends, once that is known.
    pub end: Option<Cursor>,
    /// Since which entry it has been behind, where it is: ephemeral entries may be missing from there on.
    pub behind_since: Option<Seq>,
}

/// One room: its title, its recent lines, and who reads them here.
#[derive(Debug)]
pub struct Room {
    /// Which room.
    pub id: RoomId,
    end: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    title: Title,
    tail: Tail,
    /// Ordered by their numbers.
    readers: Vec<Arc<SessionHandle>>,
    held: u64,
    touched: bool,
    /// Whether the room is among those that have a tail.
    is_listed: bool,
}

impl Subscription {
    /// Whether there is something to read. Costs no lock.
    pub fn has_more(&self) -> bool {
        match self.end {
            Some(end) => self.cursor.position < end.position,
            None => self.cursor.position != self.room.end.load(Ordering::Acquire),
        }
    }

    /// Whether everything was read that will ever be.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && !self.has_more()
    }

    /// Where the room ends now, or the reading.
    pub fn end_now(&self) -> u64 {
        self.end.map_or_else(|| self.room.end.load(Ordering::Acquire), |end| end.position)
    }

    /// Copies whole lines after the cursor to `out` until there are about `budget` bytes, all but those caused by `me`.
    pub fn read(&mut self, me: UserId, budget: usize, out: &mut Vec<u8>) -> Read {
        let mut inner = self.room.inner();
        let until = self.end.map_or(u64::MAX, |end| end.position);
        let read = inner.tail.read(&mut self.cursor, until, me, budget, out);
        // What is in an inbox is in the store, too: who begins to read meanwhile finds it. A channel has more than messages.
        if read == Read::UpToDate && inner.readers.len() == 1 && self.room.id.channel().is_none() {
            inner.tail.rewind();
        }
        read
    }
}

impl Room {
    pub(super) fn new(id: RoomId, title: Title) -> Self {
        // Most rooms are inboxes, which one session reads.
        let readers = Vec::with_capacity(1);
        let inner = Inner { title, tail: Tail::default(), readers, held: 0, touched: false, is_listed: false };
        Self { id, end: AtomicU64::new(0), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("invariant: nothing panics under this lock")
    }

    /// Lets a session read what comes after the entry `seq`; `None` for one that reads here already.
    pub(super) fn attach(self: &Arc<Self>, handle: &Arc<SessionHandle>, seq: Seq) -> Option<Subscription> {
        let mut inner = self.inner();
        let place = inner.readers.binary_search_by_key(&handle.number, |reader| reader.number).err()?;
        inner.readers.insert(place, Arc::clone(handle));
        let cursor = Cursor { position: inner.tail.end(), seq };
        drop(inner);
        Some(Subscription { room: Arc::clone(self), cursor, end: None, behind_since: None })
    }

    /// Ends what [`Room::attach`] began: the session, with where the room ends now, and whether nobody reads here any more.
    pub(super) fn detach(&self, session: u64) -> (Option<(Arc<SessionHandle>, Cursor)>, bool) {
        let mut inner = self.inner();
        let place = inner.readers.binary_search_by_key(&session, |reader| reader.number).ok();
        let left = place.map(|place| (inner.readers.remove(place), inner.tail.cursor()));
        (left, inner.readers.is_empty())
    }

    /// Ends everybody's reading.
    pub(super) fn detach_all(&self) -> (Vec<Arc<SessionHandle>>, Cursor) {
        let mut inner = self.inner();
        (std::mem::take(&mut inner.readers), inner.tail.cursor())
    }

    pub(super) fn retitle(&self, title: Title) {
        self.inner().title = title;
    }

    /// How the room is called.
    pub fn title(&self) -> Title {
        self.inner().title.clone()
    }

    /// Adds an entry's line; returns whether the room must be listed from now on. `total` counts the memory of all tails.
    pub(super) fn push(&self, total: &AtomicU64, entry: &Entry) -> bool {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let to = match &inner.title {
            Title::Channel(name) => To::Channel(name),
            Title::Inbox(who) => To::User(who),
        };
        inner.tail.push(entry.seq, entry.via, entry.event.lasts(), |line| {
            entry.event.write_line(line, Mark::Event, entry.seq, entry.time, to);
        });
        if inner.tail.end() - inner.tail.first() > TAIL_BYTES as u64 {
            inner.tail.give_up_to(TAIL_BYTES / 2);
        }
        inner.touched = true;
        inner.account(total);
        self.end.store(inner.tail.end(), Ordering::Release);
        inner.held > 0 && !std::mem::replace(&mut inner.is_listed, true)
    }

    /// Gives the tail back if nothing was pushed since the last call; returns whether the room is to be listed no more.
    pub(super) fn give_back_if_quiet(&self, total: &AtomicU64) -> bool {
        let mut inner = self.inner();
        let was_touched = std::mem::take(&mut inner.touched);
        // A little is kept for a session that is busy with a command: what is ephemeral is nowhere else.
        let is_awaited = inner.tail.held() <= AWAITED_BYTES && inner.readers.iter().any(|reader| reader.is_woken());
        if !was_touched && !is_awaited {
            inner.tail.give_up_all();
            inner.account(total);
        }
        inner.is_listed = inner.held > 0;
        !inner.is_listed
    }

    /// Gives the tail back; the room is listed no more.
    pub(super) fn give_back(&self, total: &AtomicU64) {
        let mut inner = self.inner();
        inner.tail.give_up_all();
        inner.account(total);
        inner.is_listed = false;
    }

    /// Wakes every reader.
    pub fn wake(&self) {
        for reader in &self.inner().readers {
            reader.wake();
        }
    }
}

impl Inner {
    fn account(&mut self, total: &AtomicU64) {
        let held = self.tail.held();
        if held >= self.held {
            total.fetch_add(held - self.held, Ordering::Relaxed);
        } else {
            total.fetch_sub(self.held - held, Ordering::Relaxed);
        }
        self.held = held;
    }
}
