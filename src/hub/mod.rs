//! The hub: how the people of this node are told. It holds the recent lines of the rooms that somebody here reads, and reaches
//! the sessions.
//!
//! It is changed in one way only: by what the [replica](crate::replica) tells of each batch ([`Hub::tell`]), from one task, in the
//! order. It knows nothing of who may do what, does no I/O, knows no socket, and queues nothing for a reader: a reader has a
//! [`Cursor`] and is woken. No lock is held across an `.await`, and never two rooms at once.

mod handle;
mod news;
mod room;
mod tail;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use foldhash::HashMap;
use slab::Slab;

use crate::event::RoomId;

pub use handle::{Notice, SessionHandle};
pub use news::{News, Title};
pub use room::{Cursor, Read, Room, Subscription};

/// Bits of a session's number that are its place in the table of sessions; the rest count the sessions.
const PLACE_BITS: u32 = 24;

/// The sessions of this node and the rooms that they read.
pub struct Hub {
    sessions: RwLock<Slab<Arc<SessionHandle>>>,
    /// How many sessions there have been.
    count: AtomicU64,
    /// Only rooms with readers.
    rooms: Mutex<HashMap<RoomId, Arc<Room>>>,
    tails: Tails,
}

/// The memory of all tails together, and the rooms that have one.
#[derive(Debug)]
struct Tails {
    most: u64,
    bytes: AtomicU64,
    /// Those that were listed first are the first to give theirs back.
    rooms: Mutex<VecDeque<Arc<Room>>>,
}

impl Hub {
    /// A hub whose rooms' recent lines take up to `tails` bytes.
    pub fn new(tails: u64) -> Self {
        Self {
            sessions: RwLock::default(),
            count: AtomicU64::new(0),
            rooms: Mutex::default(),
            tails: Tails { most: tails, bytes: AtomicU64::new(0), rooms: Mutex::default() },
        }
    }

    /// A place for a connection. It reads nothing until the order knows of it. [`Hub::release`] gives it back.
    pub fn admit(&self) -> Arc<SessionHandle> {
        // Never 0, which is the node itself.
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut sessions = self.sessions.write().expect("invariant: nothing panics under this lock");
        let entry = sessions.vacant_entry();
        let handle = Arc::new(SessionHandle::new(count << PLACE_BITS | entry.key() as u64));
        Arc::clone(entry.insert(handle))
    }

    fn handle(&self, session: u64) -> Option<Arc<SessionHandle>> {
        let sessions = self.sessions.read().expect("invariant: nothing panics under this lock");
        let place = (session & ((1 << PLACE_BITS) - 1)) as usize;
        sessions.get(place).filter(|handle| handle.number == session).cloned()
    }

    /// The connection has ended: its place is free.
    pub fn release(&self, session: u64) {
        let place = (session & ((1 << PLACE_BITS) - 1)) as usize;
        let mut sessions = self.sessions.write().expect("invariant: nothing panics under this lock");
        if sessions.get(place).is_some_and(|handle| handle.number == session) {
            sessions.remove(place);
        }
    }

    /// Wakes every session: something changed that concerns them all.
    pub fn wake_all(&self) {
        let sessions = self.sessions.read().expect("invariant: nothing panics under this lock");
        sessions.iter().for_each(|(_, handle)| handle.wake());
    }

    /// Gives back the tails of rooms that have been silent for about [`TAIL_QUIET_SECONDS`](crate::limits::TAIL_QUIET_SECONDS),
    /// if this is called twice in that time.
    pub fn sweep_tails(&self) {
        self.tails.rooms().retain(|room| !room.give_back_if_quiet(&self.tails.bytes));
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Arc<Room>>> {
        self.rooms.lock().expect("invariant: nothing panics under this lock")
    }
}

impl Tails {
    fn rooms(&self) -> MutexGuard<'_, VecDeque<Arc<Room>>> {
        self.rooms.lock().expect("invariant: nothing panics under this lock")
    }

    /// Lists a room that has a tail now.
    fn list(&self, room: &Arc<Room>) {
        self.rooms().push_back(Arc::clone(room));
    }

    /// Has rooms give back their tails until all together are within the limit; their readers go on from the store.
    fn keep_within_limit(&self) {
        while self.bytes.load(Ordering::Relaxed) > self.most {
            let Some(room) = self.rooms().pop_front() else { return };
            room.give_back(&self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{Hub, News, Notice, RoomId, Title};
    use crate::event::{Entry, Event, Time};
    use crate::limits::NOTICES;
    use crate::names::{Name, Seq, UserId, Who};

    /// The limit holds for all rooms together, however many they are, and who reads is told by their cursor that they are behind.
    #[test]
    fn the_tails_of_all_rooms_together_stay_within_their_limit() {
        const MOST: u64 = 256 * 1024;
        let hub = Hub::new(MOST);
        let ana = Who { name: Name::new("ana"), id: UserId(1000) };
        let handle = hub.admit();
        let title = Title::Channel(Name::new("rust"));
        let room = |number| RoomId::Channel(Seq(number));
        let begins = |number| News::Begins { session: handle.number, seq: Seq(0), room: room(number), title: title.clone() };
        hub.tell(&mut (1..=50).map(begins).collect());
        for seq in 1..=5_000 {
            let event = Event::Said { from: ana.clone(), key: None, text: "x".repeat(1_000).into() };
            let entry = Entry { seq: Seq(seq), time: Time(0), room: Some(room(1 + seq % 50)), via: None, event };
            hub.tell(&mut vec![News::Happened(entry)]);
            let held = hub.tails.bytes.load(Ordering::Relaxed);
            assert!(held <= MOST, "{held} bytes after {seq} messages");
        }
        let subscriptions = handle.take_notices().into_iter().filter_map(|notice| match notice {
            Notice::Begins(subscription) => Some(subscription),
            _ => None,
        });
        assert!(subscriptions.filter(|subscription| subscription.has_more()).count() == 50);
    }

    /// A peer who takes nothing costs no more than this, whatever its account does elsewhere.
    #[test]
    fn notices_that_nobody_takes_are_bounded() {
        let hub = Hub::new(1 << 20);
        let handle = hub.admit();
        let end = |seq| Notice::Ends(RoomId::Channel(Seq(seq)), super::Cursor { position: 0, seq: Seq(seq) });
        handle.give((1..=NOTICES as u64).map(end));
        assert!(!handle.is_overrun());
        handle.give(std::iter::once(end(0)));
        assert!(handle.is_overrun() && handle.take_notices().is_empty());
    }
}
