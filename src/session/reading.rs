//! What a session reads: its inbox and its channels, each from a cursor of its own; and whom it does not hear there.
//!
//! Only the session's task touches it. Notices say which rooms these are, in the order of the events.

use std::sync::Arc;

use crate::event::RoomId;
use crate::hub::{Cursor, Ears, Gathered, Ignores, Ignoring, Read, Room, SessionHandle, Subscription, Title};
use crate::limits::FOLLOW_BYTES;
use crate::names::{Seq, UserId, fold};

/// Which of the rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those whose reading ends.
    Ending,
}

/// A room whose news must first be read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// The room's index in [`Reading`].
    pub index: usize,
    /// Every entry after this one is in memory.
    pub floor: Seq,
    /// The newest ephemeral entry that can no longer be shown.
    pub lost: Seq,
}

/// Whether these are one channel to their reader, who knows it by its name.
fn is_same_channel(one: &Room, other: &Room) -> bool {
    let (Title::Channel(first), Title::Channel(second)) = (one.title(), other.title()) else { return false };
    one.id == other.id || fold(first.as_str()) == fold(second.as_str())
}

/// The rooms that a session reads, and where it is in each.
#[derive(Debug, Default)]
pub struct Reading {
    rooms: Vec<Subscription>,
    /// How many of them have an end.
    ending: usize,
    /// The index of the room whose news is gathered first.
    next: usize,
    /// Whom its user ignores; most ignore nobody, and have none.
    ignoring: Option<Box<Ignoring>>,
}

impl Reading {
    /// Begins to read a room.
    pub fn begin(&mut self, subscription: Subscription) {
        // Most read their inbox and one channel, and there are many thousands of them.
        self.rooms.reserve_exact(1);
        self.rooms.push(subscription);
    }

    /// Sets where the reading of a room ends.
    pub fn end(&mut self, room: RoomId, at: Cursor) {
        let is_it = |subscription: &Subscription| subscription.room.id == room && subscription.end.is_none();
        let Some(index) = self.rooms.iter().position(is_it) else { return };
        self.rooms[index].end = Some(at);
        if self.rooms[index].is_over() {
            self.rooms.remove(index);
        } else {
            self.ending += 1;
        }
    }

    /// Forgets the channels that are not to be kept.
    pub fn keep_channels(&mut self, is_kept: impl Fn(Seq) -> bool) {
        self.rooms.retain(|subscription| match subscription.room.id {
            RoomId::Channel(channel) => is_kept(channel),
            RoomId::Inbox(_) => true,
        });
        self.ending = self.rooms.iter().filter(|subscription| subscription.end.is_some()).count();
    }

    /// How many rooms there are that were left and not yet read to their ends.
    pub fn ending(&self) -> usize {
        self.ending
    }

    /// Whether there is something to read in these rooms, or one of them to [drop](Self::drop_ended). Takes no lock.
    pub fn has_news(&self, which: Which) -> bool {
        self.ending > 0 || (which == Which::All && self.rooms.iter().any(Subscription::has_more))
    }

    /// Forgets the rooms that were read to their ends.
    pub fn drop_ended(&mut self) {
        if self.ending > 0 {
            self.rooms.retain(|subscription| !subscription.is_over());
            self.ending = self.rooms.iter().filter(|subscription| subscription.end.is_some()).count();
        }
    }

    /// The room with this index, and what the connection `me` is shown there.
    pub fn room(&mut self, index: usize, me: UserId) -> (&mut Subscription, Ears<'_>) {
        (&mut self.rooms[index], Ears { me, ignoring: self.ignoring.as_deref() })
    }

    /// Notes that whom its user ignores has changed with this entry.
    pub fn ignore(&mut self, change: &Ignores, seq: Seq) {
        let mut ignoring = self.ignoring.take().unwrap_or_default();
        ignoring.change(change, seq);
        self.ignoring = Some(ignoring).filter(|ignoring| !ignoring.is_empty());
    }

    /// Whom its user ignores, if there is anybody.
    pub fn ignoring(&self) -> Option<&Ignoring> {
        self.ignoring.as_deref()
    }

    /// Up to which entry this user's inbox was read.
    pub fn inbox_read(&self, owner: UserId) -> Option<Seq> {
        let inbox = self.rooms.iter().rfind(|subscription| subscription.room.id == RoomId::Inbox(owner));
        inbox.map(|subscription| subscription.cursor.seq)
    }

    /// Up to which entry a room was read, if it is read and goes on.
    pub fn cursor_in(&self, room: RoomId) -> Option<Seq> {
        let is_it = |subscription: &&Subscription| subscription.room.id == room && subscription.end.is_none();
        self.rooms.iter().find(is_it).map(|subscription| subscription.cursor.seq)
    }

    /// Whether the room is read, and its reading has no end yet.
    pub fn goes_on(&self, room: RoomId) -> bool {
        self.rooms.iter().any(|subscription| subscription.room.id == room && subscription.end.is_none())
    }

    /// Shows again what came after this entry, as to a reader who has paused since.
    pub fn go_back(&mut self, room: RoomId, seq: Seq) {
        self.ignoring.iter_mut().for_each(|ignoring| ignoring.hear_none());
        let subscription =
            self.rooms.iter_mut().find(|subscription| subscription.room.id == room && subscription.end.is_none());
        subscription.into_iter().for_each(|subscription| subscription.go_back(seq));
    }

    /// Each room with the position where it ends now. A channel that was left and joined again may be two of them.
    pub fn ends(&self) -> Vec<(Arc<Room>, u64)> {
        self.rooms.iter().map(|subscription| (Arc::clone(&subscription.room), subscription.end_now())).collect()
    }

    /// The same of the rooms whose reading goes on: of all of them, or of this one.
    pub fn live_ends(&self, only: Option<RoomId>) -> Vec<(Arc<Room>, u64)> {
        let is_asked = |room: &Room| only.is_none_or(|only| only == room.id);
        let live = self.rooms.iter().filter(|subscription| subscription.end.is_none() && is_asked(&subscription.room));
        live.map(|subscription| (Arc::clone(&subscription.room), subscription.end_now())).collect()
    }

    /// Whether one of these rooms is still read, but not up to its position here.
    pub fn is_before(&self, ends: &[(Arc<Room>, u64)]) -> bool {
        let is_before = |subscription: &Subscription| {
            let reached = subscription.cursor.position;
            let most = subscription.end.map_or(u64::MAX, |end| end.position);
            ends.iter().any(|(room, end)| Arc::ptr_eq(room, &subscription.room) && reached < (*end).min(most))
        };
        self.rooms.iter().any(is_before)
    }

    /// A channel that was left and joined again, or closed and created again under its name, is read to its first end first.
    fn is_asked(&self, which: Which, index: usize) -> bool {
        let Subscription { room, end, .. } = &self.rooms[index];
        let precedes = |first: &Subscription| first.end.is_some() && is_same_channel(&first.room, room);
        (which == Which::All || end.is_some()) && !self.rooms[..index].iter().any(precedes)
    }

    /// Copies news from these rooms to `buffer`, except what the connection `me` caused. It goes on with the room where the last
    /// call ended, so that a busy room starves no other. Returns a room whose news must first be read from the store, if it
    /// meets one.
    pub fn gather(&mut self, which: Which, me: UserId, handle: &SessionHandle, buffer: &mut Gathered) -> Option<Behind> {
        let count = self.rooms.len();
        let ears = Ears { me, ignoring: self.ignoring.as_deref() };
        for step in 0..count {
            let index = (self.next + step) % count;
            let is_asked = self.ending == 0 || self.is_asked(which, index);
            let subscription = &mut self.rooms[index];
            let read = if is_asked && subscription.has_more() {
                subscription.read(ears, handle, FOLLOW_BYTES, buffer)
            } else {
                Read::UpToDate
            };
            if let Read::Behind { floor, lost } = read {
                self.next = index + 1;
                return Some(Behind { index, floor, lost });
            }
            if buffer.bytes.len() >= FOLLOW_BYTES {
                self.next = index + 1;
                return None;
            }
        }
        None
    }
}
