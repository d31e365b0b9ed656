//! What a session reads: its inbox and its channels, each from a cursor of its own.
//!
//! Only the session's task touches it. Notices say which rooms these are, in the order of the events.

use crate::event::RoomId;
use crate::hub::{Cursor, Read, Subscription};
use crate::limits::FOLLOW_BYTES;
use crate::names::{Seq, UserId};

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

/// The rooms that a session reads, and where it is in each.
#[derive(Debug, Default)]
pub struct Reading {
    rooms: Vec<Subscription>,
    /// The index of the room whose news is gathered first.
    next: usize,
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
        let ending = self.rooms.iter_mut().find(|subscription| subscription.room.id == room && subscription.end.is_none());
        if let Some(subscription) = ending {
            subscription.end = Some(at);
        }
    }

    /// How many rooms these are, including ones that were left but not yet read to their ends.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is something to read, or a room to [drop](Self::drop_ended). Takes no lock.
    pub fn has_news(&self) -> bool {
        self.rooms.iter().any(|subscription| subscription.end.is_some() || subscription.has_more())
    }

    /// Whether there are rooms whose end has not been read yet.
    pub fn has_ending(&self) -> bool {
        self.rooms.iter().any(|subscription| subscription.end.is_some())
    }

    /// Forgets the rooms that were read to their ends.
    pub fn drop_ended(&mut self) {
        if self.has_ending() {
            self.rooms.retain(|subscription| !subscription.is_over());
        }
    }

    /// The room with this index.
    pub fn room(&mut self, index: usize) -> &mut Subscription {
        &mut self.rooms[index]
    }

    /// Each room with the position where it ends now.
    pub fn ends(&self) -> Vec<(RoomId, u64)> {
        self.rooms.iter().map(|subscription| (subscription.room.id, subscription.end_now())).collect()
    }

    /// Whether one of these rooms is still read, but not up to its position here.
    pub fn is_before(&self, ends: &[(RoomId, u64)]) -> bool {
        let reached = |subscription: &Subscription| {
            ends.iter().all(|(room, end)| *room != subscription.room.id || subscription.cursor.position >= *end)
        };
        !self.rooms.iter().all(reached)
    }

    /// Copies news from the rooms to `buffer`, except what the connection `me` caused. It goes on with the room where the last
    /// call ended, so that a busy room starves no other. Returns a room whose news must first be read from the store, if it
    /// meets one.
    pub fn gather(&mut self, me: UserId, buffer: &mut Vec<u8>) -> Option<Behind> {
        let count = self.rooms.len();
        for step in 0..count {
            let index = (self.next + step) % count;
            let subscription = &mut self.rooms[index];
            let read = if subscription.has_more() { subscription.read(me, FOLLOW_BYTES, buffer) } else { Read::UpToDate };
            if let Read::Behind { floor, lost } = read {
                self.next = index + 1;
                return Some(Behind { index, floor, lost });
            }
            if buffer.len() >= FOLLOW_BYTES {
                self.next = index + 1;
                return None;
            }
        }
        None
    }
}
