//! The hub: who is online, which channels there are, and the recent lines of every room.
//!
//! It is changed in two ways only: by applying what the journal has committed ([`Hub::settle`]), and by sessions that come,
//! rename themselves and go (presence, which is not durable). Views are short and synchronous; no lock is held across an
//! `.await`, and never two rooms at once (order: directory, channel, room). It does no I/O, knows no socket, and queues nothing
//! for a reader: a reader has a [`Cursor`] and is woken.

mod apply;
mod channel;
mod directory;
mod presence;
mod room;
mod tail;
mod wake;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use slab::Slab;

use crate::event::Time;
use crate::limits::Limits;
use crate::names::{Name, Seq, Who};

pub use channel::{Channel, Closing, Listed, Membership};
pub use directory::Account;
pub use presence::{NameTaken, NoIds, Seated, Succession};
pub use room::{Attached, Cursor, Read, Room};
pub use wake::{Seat, Verdict};

use directory::Directory;

/// What happened in a room, for whoever makes its line.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are those of the event's line")]
pub enum Happening<'a> {
    Said { seq: Seq, time: Time, place: Place<'a>, from: &'a Who, text: &'a str },
    Joined { channel: &'a Name, who: &'a Who, time: Time },
    Left { channel: &'a Name, who: &'a Who, time: Time, reason: &'a str },
    Renamed { channel: &'a Name, old: &'a Who, new: &'a Who, time: Time },
    Owner { channel: &'a Name, who: &'a Who, time: Time },
    Topic { channel: &'a Name, who: &'a Who, time: Time, text: &'a str },
}

/// Where something was said.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// In the channel of this name.
    Channel(&'a Name),
    /// Into this user's inbox.
    Inbox(&'a Who),
}

/// Makes the line of what happened: the hub keeps lines and does not know their form. Appends one line, ending in LF.
pub type Render = fn(&mut Vec<u8>, Happening<'_>);

/// See the module.
pub struct Hub {
    limits: Arc<Limits>,
    render: Render,
    directory: RwLock<Directory>,
    seats: RwLock<Slab<Arc<Seat>>>,
    sittings: AtomicU64,
    /// The newest entry that was applied: everything up to it is in the rooms.
    applied: AtomicU64,
    live: AtomicBool,
    tails: Arc<TailBudget>,
}

/// The memory of all tails together, and the rooms that have one.
#[derive(Debug, Default)]
struct TailBudget {
    bytes: AtomicU64,
    rooms: Mutex<Vec<Arc<Room>>>,
}

impl Hub {
    /// An empty hub, to be filled by [`Hub::replay`].
    pub fn new(limits: Arc<Limits>, render: Render) -> Self {
        Self {
            limits,
            render,
            directory: RwLock::default(),
            seats: RwLock::default(),
            sittings: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            live: AtomicBool::new(false),
            tails: Arc::default(),
        }
    }

    /// The newest entry whose effects are visible here.
    pub fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::Acquire))
    }

    /// Wakes every session: something changed that concerns them all.
    pub fn wake_all(&self) {
        let seats = self.seats.read().expect("invariant: nothing panics under this lock");
        seats.iter().for_each(|(_, seat)| seat.mark());
    }

    /// Gives back the tails of rooms that have been silent for about [`TAIL_QUIET_SECONDS`](crate::limits::TAIL_QUIET_SECONDS),
    /// if this is called twice in that time.
    pub fn sweep_tails(&self) {
        let mut rooms = self.tails.rooms.lock().expect("invariant: nothing panics under this lock");
        rooms.retain(|room| !room.give_back_if_quiet(&self.tails.bytes));
    }

    /// Whether the replay is over.
    fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().expect("invariant: nothing panics under this lock")
    }

    fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().expect("invariant: nothing panics under this lock")
    }

    /// Adds a line to a room's tail. Whoever calls it wakes the room afterwards.
    fn push(&self, room: &Arc<Room>, seq: Option<Seq>, by: Option<u64>, happening: Happening<'_>) {
        let began = room.push(&self.tails.bytes, self.limits.tails_bytes, seq, by, |line| (self.render)(line, happening));
        if began {
            self.tails.rooms.lock().expect("invariant: nothing panics under this lock").push(Arc::clone(room));
        }
    }

    /// A line that is no message, shown at once.
    fn announce(&self, room: &Arc<Room>, by: Option<u64>, happening: Happening<'_>) {
        self.push(room, None, by, happening);
        room.wake();
    }

    /// A cursor for a reader who has seen everything up to now.
    fn now(&self, room: &Room) -> Cursor {
        room.end(self.applied())
    }
}
