//! The hub: how the people of this node get their news. It holds the recent lines of the rooms that somebody here reads, and
//! reaches the sessions.
//!
//! Which rooms a session reads, and what is in them, changes in one way only: by the news of each batch that the
//! [replica](crate::replica) tells ([`Hub::tell`]), from one task, in the one order. The hub knows nothing of who may do what,
//! does no I/O, and knows no sockets. It queues no lines for a reader: a reader has a [`Cursor`] and is woken. No lock is held
//! across an `.await`, and no two rooms are locked at once.

mod handle;
mod ignoring;
mod news;
mod room;
mod tail;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use foldhash::HashMap;
use slab::Slab;

use crate::event::{Completion, RoomId};
use crate::limits::{FEWER_TAILS_SIXTEENTHS, LEAST_TAILS_SIXTEENTHS, Limits};
use crate::names::Seq;

pub use handle::{Notice, SessionHandle};
pub use ignoring::{Ignores, Ignoring};
pub use news::{News, Title};
pub use room::{Cursor, Read, Room, Subscription};
pub use tail::{Ears, Gathered};

/// How many low bits of a session's number are its place in the table of sessions; the others count the sessions.
const PLACE_BITS: u32 = 24;

/// The sessions of this node and the rooms that they read.
pub struct Hub {
    sessions: RwLock<Slab<Arc<SessionHandle>>>,
    /// How many sessions there have been.
    count: AtomicU64,
    /// Bytes that all sessions buffer.
    held: AtomicU64,
    /// Only the rooms that have readers.
    rooms: Mutex<HashMap<RoomId, Arc<Room>>>,
    tails: Tails,
    told: Mutex<Told>,
}

/// How far the hub was told what has happened, and who waits until it is told more: each session once.
#[derive(Debug, Default)]
struct Told {
    upto: Seq,
    waiting: BTreeMap<u64, Arc<SessionHandle>>,
}

/// The memory of all tails together, and the rooms that have a tail.
#[derive(Debug)]
struct Tails {
    most: u64,
    /// How much they may be together with what the sessions buffer.
    most_with_held: u64,
    /// How much they may be, however much the sessions buffer.
    least: u64,
    bytes: AtomicU64,
    /// The rooms that were listed first give their tails back first.
    rooms: Mutex<VecDeque<Arc<Room>>>,
}

impl Hub {
    /// A hub whose tails together take about as many bytes as these limits allow at most, and fewer when the sessions buffer
    /// much.
    pub fn new(limits: &Limits) -> Self {
        let tails = Tails {
            most: limits.tails_bytes,
            most_with_held: limits.buffered_sixteenths(FEWER_TAILS_SIXTEENTHS),
            least: limits.buffered_sixteenths(LEAST_TAILS_SIXTEENTHS),
            bytes: AtomicU64::new(0),
            rooms: Mutex::default(),
        };
        Self {
            sessions: RwLock::default(),
            count: AtomicU64::new(0),
            held: AtomicU64::new(0),
            rooms: Mutex::default(),
            tails,
            told: Mutex::default(),
        }
    }

    /// Admits a connection and returns its handle. The connection reads nothing until the order knows of it. Call
    /// [`Hub::release`] when it has ended.
    pub fn admit(&self) -> Arc<SessionHandle> {
        // Never 0, which stands for the node itself.
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

    /// Frees the place of a connection that has ended.
    pub fn release(&self, session: u64) {
        let place = (session & ((1 << PLACE_BITS) - 1)) as usize;
        let mut sessions = self.sessions.write().expect("invariant: nothing panics under this lock");
        if sessions.get(place).is_some_and(|handle| handle.number == session) {
            self.hold(&sessions.remove(place), 0);
        }
    }

    /// Notes that a session buffers so many bytes now. Only the session's own task calls it, until it is released.
    pub fn hold(&self, handle: &SessionHandle, bytes: u64) {
        let before = handle.held.load(Ordering::Relaxed);
        if bytes == before {
            return;
        }
        handle.held.store(bytes, Ordering::Relaxed);
        if bytes > before {
            self.held.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.held.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    /// All bytes that are buffered for people: those of the sessions, and the tails.
    pub fn buffered(&self) -> u64 {
        self.held.load(Ordering::Relaxed) + self.tails.bytes.load(Ordering::Relaxed)
    }

    /// The connections that left something when this was called last and have taken nothing since, with the bytes that each
    /// buffers.
    pub fn deaf(&self) -> Vec<(u64, u64)> {
        let sessions = self.sessions.read().expect("invariant: nothing panics under this lock");
        let deaf = sessions.iter().filter(|(_, handle)| handle.takes_nothing());
        deaf.map(|(_, handle)| (handle.number, handle.held.load(Ordering::Relaxed))).collect()
    }

    /// Ends a connection without a word, if there still is one with this number.
    pub fn cut_off(&self, session: u64) {
        if let Some(handle) = self.handle(session) {
            handle.cut_off();
        }
    }

    /// Gives a session a completion beside the news of batches: its proposal was never ordered, or nobody knows.
    pub fn complete(&self, session: u64, completion: Completion) {
        if let Some(handle) = self.handle(session) {
            handle.give(std::iter::once(Notice::Completed(completion)));
        }
    }

    /// Whether it was told everything up to this entry. What is committed is told a moment later.
    pub fn has_told(&self, seq: Seq) -> bool {
        self.told().upto >= seq
    }

    /// The same; if not, the session will be woken when it was told more.
    pub fn has_told_or_wakes(&self, seq: Seq, session: &Arc<SessionHandle>) -> bool {
        let mut told = self.told();
        if told.upto >= seq {
            return true;
        }
        told.waiting.insert(session.number, Arc::clone(session));
        false
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("invariant: nothing panics under this lock")
    }

    /// Wakes every session, because something that concerns them all has changed.
    pub fn wake_all(&self) {
        let sessions = self.sessions.read().expect("invariant: nothing panics under this lock");
        sessions.iter().for_each(|(_, handle)| handle.wake());
    }

    /// Gives every session a notice.
    fn give_all(&self, notice: impl Fn() -> Notice) {
        let sessions = self.sessions.read().expect("invariant: nothing panics under this lock");
        sessions.iter().for_each(|(_, handle)| handle.give(std::iter::once(notice())));
    }

    /// Gives back the tails of rooms that have had no new line since the last call, and others that there is no memory for. It
    /// is called once a second.
    pub fn sweep_tails(&self) {
        self.tails.rooms().retain(|room| !room.give_back_if_quiet(&self.tails.bytes));
        self.keep_tails_within_limit();
    }

    fn keep_tails_within_limit(&self) {
        self.tails.keep_within_limit(self.held.load(Ordering::Relaxed));
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomId, Arc<Room>>> {
        self.rooms.lock().expect("invariant: nothing panics under this lock")
    }
}

impl Tails {
    fn rooms(&self) -> MutexGuard<'_, VecDeque<Arc<Room>>> {
        self.rooms.lock().expect("invariant: nothing panics under this lock")
    }

    /// Adds a room that has a tail now to the list.
    fn list(&self, room: &Arc<Room>) {
        self.rooms().push_back(Arc::clone(room));
    }

    /// Makes rooms give back their tails until all tails together are within the limit, where the sessions buffer `held` bytes.
    /// Their readers go on from the store.
    fn keep_within_limit(&self, held: u64) {
        let most = self.most_with_held.saturating_sub(held).max(self.least).min(self.most);
        while self.bytes.load(Ordering::Relaxed) > most {
            let Some(room) = self.rooms().pop_front() else { return };
            room.give_back(&self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::{Ears, Gathered, Hub, News, Notice, RoomId, Title};
    use crate::event::{Entry, Event, Time};
    use crate::limits::{Limits, NOTICES};
    use crate::names::{Name, Seq, UserId, Who};

    /// The limit holds for all rooms together, however many there are, and readers learn from their cursors that they are
    /// behind.
    #[test]
    fn the_tails_of_all_rooms_together_stay_within_their_limit() {
        const MOST: u64 = 256 * 1024;
        let hub = Hub::new(&Limits { tails_bytes: MOST, ..Limits::default() });
        let ana = Who { name: Name::new("ana"), id: UserId(1000) };
        let handle = hub.admit();
        let title = Title::Channel(Name::new("rust"));
        let room = |number| RoomId::Channel(Seq(number));
        let begins = |number| News::Begins { session: handle.number, seq: Seq(0), room: room(number), title: title.clone() };
        hub.tell(&mut (1..=50).map(begins).collect());
        for seq in 1..=5_000 {
            let event = Event::Said { from: ana.clone(), key: None, text: "x".repeat(1_000).into(), share: None };
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

    /// What the sessions buffer comes out of the tails, but never all of it.
    #[test]
    fn tails_get_smaller_when_the_sessions_buffer_much_and_grow_again() {
        const MIB: u64 = 1024 * 1024;
        let hub = Hub::new(&Limits { tails_bytes: 4 * MIB, buffered_bytes: 16 * MIB, ..Limits::default() });
        let handle = hub.admit();
        let title = Title::Channel(Name::new("rust"));
        let room = |number| RoomId::Channel(Seq(number));
        let begins = |number| News::Begins { session: handle.number, seq: Seq(0), room: room(number), title: title.clone() };
        hub.tell(&mut (1..=50).map(begins).collect());
        let ana = Who { name: Name::new("ana"), id: UserId(1000) };
        let mut talked = 0;
        let mut talk = |held| {
            hub.hold(&handle, held);
            for _ in 0..5_000 {
                talked += 1;
                let event = Event::Said { from: ana.clone(), key: None, text: "x".repeat(1_000).into(), share: None };
                let entry = Entry { seq: Seq(talked), time: Time(0), room: Some(room(1 + talked % 50)), via: None, event };
                hub.tell(&mut vec![News::Happened(entry)]);
            }
            hub.tails.bytes.load(Ordering::Relaxed)
        };
        assert!((3 * MIB..=4 * MIB).contains(&talk(8 * MIB)), "there is room for all");
        assert!((MIB..=2 * MIB).contains(&talk(10 * MIB)), "three quarters are 12 MiB");
        assert!((MIB / 2..=MIB).contains(&talk(20 * MIB)), "a sixteenth is always theirs");
        assert!(talk(0) > 3 * MIB);
        // Nobody need say anything.
        hub.hold(&handle, 20 * MIB);
        hub.sweep_tails();
        assert!(hub.tails.bytes.load(Ordering::Relaxed) <= MIB);
    }

    /// A session that is busy when its reading ends reads nothing from behind the end, whenever it learns of it.
    #[test]
    fn nothing_is_read_from_behind_an_end_that_is_not_known_yet() {
        let hub = Hub::new(&Limits::default());
        let handle = hub.admit();
        let room = RoomId::Channel(Seq(1));
        let who = Who { name: Name::new("ana"), id: UserId(1000) };
        let topic = |seq, text: &str| {
            let event = Event::Topic { who: who.clone(), text: text.into() };
            News::Happened(Entry { seq: Seq(seq), time: Time(0), room: Some(room), via: None, event })
        };
        let session = handle.number;
        let begins = News::Begins { session, seq: Seq(1), room, title: Title::Channel(Name::new("rust")) };
        hub.tell(&mut vec![begins]);
        let Some(Notice::Begins(mut subscription)) = handle.take_notices().pop() else { panic!("it begins to read") };
        hub.tell(&mut vec![topic(2, "before"), News::Ends { session, room, seq: Seq(2) }, topic(3, "behind")]);
        let mut read = Gathered::default();
        let _ = subscription.read(Ears { me: UserId(0), ignoring: None }, &handle, 4096, &mut read);
        assert!(read.bytes.is_empty(), "it has still to learn where its reading ends");
        let Some(Notice::Ends(_, end)) = handle.take_notices().pop() else { panic!("it learns that") };
        handle.has_ended();
        subscription.end = Some(end);
        let _ = subscription.read(Ears { me: UserId(0), ignoring: None }, &handle, 4096, &mut read);
        assert!(read.bytes.ends_with(b" before\n") && subscription.is_over(), "{}", String::from_utf8_lossy(&read.bytes));
    }

    /// Whoever takes something now and then is not deaf, however much waits.
    #[test]
    fn deaf_is_who_takes_nothing_from_one_look_to_the_next() {
        let hub = Hub::new(&Limits::default());
        let (ana, bob) = (hub.admit(), hub.admit());
        hub.hold(&bob, 7);
        ana.leaves_some();
        bob.leaves_some();
        assert_eq!(hub.deaf(), []);
        ana.leaves_some();
        assert_eq!(hub.deaf(), [(bob.number, 7)]);
        ana.takes_all();
        assert_eq!(hub.deaf(), [(bob.number, 7)]);
        bob.takes_all();
        assert_eq!(hub.deaf(), []);
    }

    /// The notices of a peer who takes nothing are bounded, whatever its account does elsewhere.
    #[test]
    fn notices_that_nobody_takes_are_bounded() {
        let hub = Hub::new(&Limits::default());
        let handle = hub.admit();
        let end = |seq| Notice::Ends(RoomId::Channel(Seq(seq)), super::Cursor { position: 0, seq: Seq(seq) });
        handle.give((1..=NOTICES as u64).map(end));
        assert!(!handle.is_overrun());
        handle.give(std::iter::once(end(0)));
        assert!(handle.is_overrun() && handle.take_notices().is_empty());
        // Whoever is too far behind loses them, and that is not forgotten.
        let handle = hub.admit();
        assert!(handle.take_notices_unless(true).is_some_and(|notices| notices.is_empty()));
        handle.give(std::iter::once(end(1)));
        assert!(handle.take_notices_unless(true).is_none() && handle.take_notices_unless(false).is_none());
    }
}
