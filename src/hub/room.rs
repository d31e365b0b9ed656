//! A room: its recent lines, and the seats that read it.
//!
//! The lock is held for a push, a copy, or waking the seats; nobody waits for a reader.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use slab::Slab;

use crate::event;
use crate::hub::tail::Tail;
use crate::hub::wake::Seat;
use crate::limits::TAIL_BYTES;
use crate::names::Seq;

/// Memory of a quiet tail that is kept while somebody who was woken has not looked yet.
const AWAITED_BYTES: u64 = 8 * 1024;

/// How far a reader has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// In the room's lines.
    pub position: u64,
    /// The newest message read.
    pub seq: Seq,
}

/// What reading from a room came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// There is no more.
    UpToDate,
    /// There is more.
    More,
    /// What comes next is not in memory: read the journal after the cursor's seq, move that on, and try again.
    Behind,
}

/// A seat's place in a room.
#[derive(Debug)]
pub struct Attached {
    /// The room.
    pub room: Arc<Room>,
    /// How far its session has read.
    pub cursor: Cursor,
    slot: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Room {
    /// Which room.
    pub id: event::Room,
    end: AtomicU64,
    closed: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tail: Tail,
    seats: Slab<Arc<Seat>>,
    held: u64,
    touched: bool,
    /// Whether the room is among those that are swept.
    is_listed: bool,
}

impl Room {
    pub(super) fn new(id: event::Room) -> Self {
        // Most rooms are inboxes, which one session reads.
        let inner = Inner { seats: Slab::with_capacity(1), ..Inner::default() };
        Self { id, end: AtomicU64::new(0), closed: AtomicBool::new(false), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("invariant: nothing panics under this lock")
    }

    /// Lets a seat be woken by the room. Detach what this returns, or the seat is held for ever.
    pub fn attach(self: &Arc<Self>, seat: Arc<Seat>, cursor: Cursor) -> Attached {
        let slot = self.inner().seats.insert(seat);
        Attached { room: Arc::clone(self), cursor, slot }
    }

    /// Ends what [`Room::attach`] began.
    pub fn detach(attached: &Attached) {
        attached.room.inner().seats.remove(attached.slot);
    }

    /// The cursor of a reader who has seen everything so far; `applied` is the newest entry that is in its room.
    pub(super) fn end(&self, applied: Seq) -> Cursor {
        let inner = self.inner();
        Cursor { position: inner.tail.end(), seq: applied.max(inner.tail.newest()) }
    }

    /// The position after its last line. Costs no lock.
    pub fn end_now(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Whether the cursor has something to read. Costs no lock.
    pub fn has_more(&self, cursor: &Cursor) -> bool {
        self.end_now() != cursor.position
    }

    /// Copies whole lines after the cursor to `out` until there are about `budget` bytes, all but those caused by `me`.
    pub fn read(&self, cursor: &mut Cursor, me: u64, budget: usize, out: &mut Vec<u8>) -> Read {
        let mut inner = self.inner();
        let read = inner.tail.read(cursor, me, budget, out);
        // What is in an inbox is in the journal, too: who sits down there meanwhile finds it. A channel has more than messages.
        if read == Read::UpToDate && inner.seats.len() == 1 && self.id.channel().is_none() {
            inner.tail.rewind();
        }
        read
    }

    /// Whether nothing more will ever be said here.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Adds a line; returns whether the room must be swept from now on. `total` counts the memory of all tails.
    pub(super) fn push(
        &self,
        total: &AtomicU64,
        most: u64,
        seq: Option<Seq>,
        by: Option<u64>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let mut inner = self.inner();
        if inner.seats.is_empty() {
            inner.tail.pass(seq);
        } else {
            inner.tail.push(seq, by, write);
            let all = total.load(Ordering::Relaxed);
            let share = if all > most { TAIL_BYTES / 16 } else { TAIL_BYTES };
            if inner.tail.end() - inner.tail.first() > share as u64 {
                inner.tail.give_up_to(share / 2);
            }
        }
        inner.touched = true;
        inner.account(total);
        self.end.store(inner.tail.end(), Ordering::Release);
        inner.held > 0 && !std::mem::replace(&mut inner.is_listed, true)
    }

    /// Gives the tail back if nothing was pushed since the last call; returns whether the room need not be swept any more.
    pub(super) fn give_back_if_quiet(&self, total: &AtomicU64) -> bool {
        let mut inner = self.inner();
        let was_touched = std::mem::take(&mut inner.touched);
        // A little is kept for a session that is busy with a command: who came and went is nowhere else.
        let is_awaited = inner.tail.held() <= AWAITED_BYTES && inner.seats.iter().any(|(_, seat)| seat.is_marked());
        if !was_touched && !is_awaited {
            inner.tail.give_up_all();
            inner.account(total);
        }
        inner.is_listed = inner.held > 0;
        !inner.is_listed
    }

    /// Wakes every seat.
    pub fn wake(&self) {
        for (_, seat) in &self.inner().seats {
            seat.mark();
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
