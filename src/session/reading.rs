//! What a session reads: its inbox and its channels, each from a cursor of its own.
//!
//! Only the session's task touches it. Which rooms these are is told by notices, in the order in which it was decided.

use crate::event::RoomId;
use crate::hub::{Cursor, Read, Subscription};
use crate::limits::FOLLOW_BYTES;
use crate::names::{Seq, UserId};

/// A room whose news must be read from the store first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Which of the rooms.
    pub index: usize,
    /// Everything after this is in memory.
    pub floor: Seq,
    /// The newest ephemeral entry that is nowhere any more.
    pub lost: Seq,
}

/// The rooms that a session reads, and where it is in each.
#[derive(Debug, Default)]
pub struct Reading {
    rooms: Vec<Subscription>,
    /// The room whose news is looked at first.
    next: usize,
}

impl Reading {
    /// The session reads this room from now on.
    pub fn begin(&mut self, subscription: Subscription) {
        // Most read their inbox and one channel, and there are many thousands of them.
        self.rooms.reserve_exact(1);
        self.rooms.push(subscription);
    }

    /// The session reads this room up to there.
    pub fn end(&mut self, room: RoomId, at: Cursor) {
        let ending = self.rooms.iter_mut().find(|subscription| subscription.room.id == room && subscription.end.is_none());
        if let Some(subscription) = ending {
            subscription.end = Some(at);
        }
    }

    /// How many rooms these are, those that were left and are not read to their ends included.
    pub fn count(&self) -> usize {
        self.rooms.len()
    }

    /// Whether there is something to read, or a room that was read to its end. Costs no lock.
    pub fn has_news(&self) -> bool {
        self.rooms.iter().any(|subscription| subscription.end.is_some() || subscription.has_more())
    }

    /// Whether there are rooms whose end has not been read yet.
    pub fn has_ending(&self) -> bool {
        self.rooms.iter().any(|subscription| subscription.end.is_some())
    }

    /// Stops reading the rooms that were read to their ends.
    pub fn drop_ended(&mut self) {
        if self.has_ending() {
            self.rooms.retain(|subscription| !subscription.is_over());
        }
    }

    /// The room with this index.
    pub fn room(&mut self, index: usize) -> &mut Subscription {
        &mut self.rooms[index]
    }

    /// Where each room ends now.
    pub fn ends(&self) -> Vec<(RoomId, u64)> {
        self.rooms.iter().map(|subscription| (subscription.room.id, subscription.end_now())).collect()
    }

    /// Whether a room that is still read has not been read up to there.
    pub fn is_before(&self, ends: &[(RoomId, u64)]) -> bool {
        let reached = |subscription: &Subscription| {
            ends.iter().all(|(room, end)| *room != subscription.room.id || subscription.cursor.position >= *end)
        };
        !self.rooms.iter().all(reached)
    }

    /// Copies news from the rooms to `buffer`, all but what `me` caused, beginning where the last time ended, so that a busy room
    /// starves no other. Returns the room whose news must be read from the store first.
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
