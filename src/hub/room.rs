//! A room as the people of this node read it: its recent lines, and the sessions that read them.
//!
//! The lock is held for a push, a copy, or waking the readers; nobody waits for a reader.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::event::{Entry, Event, Mark, RoomId};
use crate::hub::handle::SessionHandle;
use crate::hub::news::Title;
use crate::hub::tail::{Ears, Gathered, Tail};
use crate::limits::{AWAITED_BYTES, TAIL_BYTES};
use crate::names::Seq;

/// How far a reader has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The position in the room's lines, in bytes from when somebody here began to read it; 0 is before all of them.
    pub position: u64,
    /// The newest entry read.
    pub seq: Seq,
}

/// The result of reading from a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// There is no more.
    UpToDate,
    /// There is more.
    More,
    /// The next entries are not in memory: read the store after the cursor's seq, move that seq on, and try again.
    Behind {
        /// Every entry after this one is in memory.
        floor: Seq,
        /// The newest ephemeral entry that can no longer be shown.
        lost: Seq,
    },
}

/// A session's subscription to a room.
#[derive(Debug)]
pub struct Subscription {
    /// The room.
    pub room: Arc<Room>,
    /// How far its session has read.
    pub cursor: Cursor,
    /// Where its reading ends, once that is known.
    pub end: Option<Cursor>,
    /// Since which entry it has been behind, if it is: ephemeral entries after that one may be missing.
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
    /// Whether the room is in the hub's list of rooms with a tail.
    is_listed: bool,
}

impl Subscription {
    /// Whether there is something to read. Takes no lock.
    pub fn has_more(&self) -> bool {
        match self.end {
            Some(end) => self.cursor.position < end.position,
            None => self.cursor.position != self.room.end.load(Ordering::Acquire),
        }
    }

    /// Whether the reading has ended and everything was read.
    pub fn is_over(&self) -> bool {
        self.end.is_some() && !self.has_more()
    }

    /// The position where the room ends now, or where the reading does.
    pub fn end_now(&self) -> u64 {
        self.end.map_or_else(|| self.room.end.load(Ordering::Acquire), |end| end.position)
    }

    /// Reads from this entry on again, as somebody who has read nothing since.
    pub fn go_back(&mut self, seq: Seq) {
        if seq < self.cursor.seq {
            self.cursor = Cursor { position: 0, seq };
        }
    }

    /// Copies whole lines after the cursor to `out` until that holds about `budget` bytes, except those that its reader does not
    /// hear. `reader` is the handle: while it has yet to learn where its reading of some room ends, nothing is copied
    /// from a room that may be the one.
    pub fn read(&mut self, ears: Ears<'_>, reader: &SessionHandle, budget: usize, out: &mut Gathered) -> Read {
        let mut inner = self.room.inner();
        if self.end.is_none() && reader.has_ends() {
            return Read::UpToDate;
        }
        let until = self.end.map_or(u64::MAX, |end| end.position);
        let read = inner.tail.read(&mut self.cursor, until, ears, budget, out);
        // The only reader of an inbox has read everything, and the store has it all for whoever begins to read now. A channel
        // also has ephemeral entries.
        if read == Read::UpToDate && inner.readers.len() == 1 && self.room.id.channel().is_none() {
            inner.tail.rewind();
        }
        read
    }
}

impl Room {
    /// A room that will be told every entry after this one.
    pub(super) fn new(id: RoomId, title: Title, seq: Seq) -> Self {
        // Most rooms are inboxes with one session that reads them.
        let (tail, readers) = (Tail::after(seq), Vec::with_capacity(1));
        let end = AtomicU64::new(tail.end());
        let inner = Inner { title, tail, readers, held: 0, touched: false, is_listed: false };
        Self { id, end, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("invariant: nothing panics under this lock")
    }

    /// Lets a session read the entries after `seq`; `None` for a session that reads here already.
    pub(super) fn attach(self: &Arc<Self>, handle: &Arc<SessionHandle>, seq: Seq) -> Option<Subscription> {
        let mut inner = self.inner();
        let place = inner.readers.binary_search_by_key(&handle.number, |reader| reader.number).err()?;
        inner.readers.insert(place, Arc::clone(handle));
        let cursor = Cursor { position: inner.tail.end(), seq };
        drop(inner);
        Some(Subscription { room: Arc::clone(self), cursor, end: None, behind_since: None })
    }

    /// Ends what [`Room::attach`] began. Returns the session and where the room ends now, if it was reading, and whether nobody
    /// reads here any more.
    pub(super) fn detach(&self, session: u64) -> (Option<(Arc<SessionHandle>, Cursor)>, bool) {
        let mut inner = self.inner();
        let place = inner.readers.binary_search_by_key(&session, |reader| reader.number).ok();
        let left = place.map(|place| (inner.readers.remove(place), inner.tail.cursor()));
        left.iter().for_each(|(reader, _)| reader.will_end());
        (left, inner.readers.is_empty())
    }

    /// Ends everybody's reading; returns the sessions, and where the room ends now.
    pub(super) fn detach_all(&self) -> (Vec<Arc<SessionHandle>>, Cursor) {
        let mut inner = self.inner();
        inner.readers.iter().for_each(|reader| reader.will_end());
        (std::mem::take(&mut inner.readers), inner.tail.cursor())
    }

    pub(super) fn retitle(&self, title: Title) {
        self.inner().title = title;
    }

    /// How the room is named now.
    pub fn title(&self) -> Title {
        self.inner().title.clone()
    }

    /// Adds an entry's line; returns whether the room must be listed from now on. `total` counts the memory of all tails.
    pub(super) fn push(&self, total: &AtomicU64, entry: &Entry) -> bool {
        let mut locked = self.inner();
        let inner = &mut *locked;
        let to = inner.title.to();
        if let Event::Retracted { seq, shown, .. } = entry.event {
            inner.tail.blank(seq);
            if !shown {
                return false;
            }
        }
        inner.tail.push(entry, |line| {
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

    /// Gives the tail back if nothing was pushed since the last call; returns whether the room must be taken off the list.
    pub(super) fn give_back_if_quiet(&self, total: &AtomicU64) -> bool {
        let mut inner = self.inner();
        let was_touched = std::mem::take(&mut inner.touched);
        // A small tail is kept for a session that is busy with a command: ephemeral entries are kept nowhere else.
        let is_awaited = inner.tail.held() <= AWAITED_BYTES && inner.readers.iter().any(|reader| reader.is_woken());
        if !was_touched && !is_awaited {
            inner.tail.give_up_all();
            inner.account(total);
        }
        inner.is_listed = inner.held > 0;
        !inner.is_listed
    }

    /// Gives the tail back; the room must be taken off the list.
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
