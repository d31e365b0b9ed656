//! Retracting a message: its text goes, and its place in its room stays, so that every link, number and key is still right.
//!
//! It owns nothing. It must never refuse a retraction: what need not or cannot be rewritten is left as it is.

use crate::event::{Event, RoomId};
use crate::names::Seq;
use crate::store::Store;
use crate::store::backend::{Backend, Look, Record, StoreError};
use crate::store::put::Seen;

impl<B: Backend> Store<B> {
    /// Puts what is left of a message of this room in its place.
    pub(super) fn unsay(&mut self, room: RoomId, seq: Seq) -> Result<(), StoreError> {
        let record = match Seen(&self.backend, &self.batch).record(seq) {
            Ok(Some(record)) if record.entry.room == Some(room) => record,
            // It was given up, or it is damaged and is shown to nobody.
            Ok(_) | Err(StoreError::Damaged(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Event::Said { from, text, .. } = &record.entry.event else { return Ok(()) };
        let (from, bytes) = (from.id, text.len() as u64);
        if let RoomId::Inbox(_) = room
            && seq > self.heads.head(&self.backend, room)?.read
        {
            let head = &mut self.heads.change(&self.backend, room)?.head;
            head.unread_bytes = head.unread_bytes.saturating_sub(bytes);
        }
        let mut left: Record = record;
        left.entry.event = Event::Unsaid { from };
        self.batch.unsaid.insert(seq, left);
        Ok(())
    }

    /// After a retraction: makes the backend forget what it has beside the entries. Returns whether it must be tried again.
    pub(super) fn forget_unsaid(&mut self) -> bool {
        self.has_unsaid = self.has_unsaid && !self.backend.forget_overwritten();
        self.has_unsaid
    }
}
