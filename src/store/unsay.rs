//! Retracting a message: its text goes, and its place in its room stays, so that every link, number and key is still right.
//!
//! It owns nothing. It must never refuse a retraction: what need not or cannot be rewritten is left as it is.

use crate::event::{Entry, Event, RoomId};
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
        let (left, bytes) = match &record.entry.event {
            Event::Said { from, text, .. } => (Event::Unsaid { from: from.id }, text.len() as u64),
            // It is none of the messages that count, and stays none.
            Event::Unheard { from, key, .. } => (Event::Unheard { from: from.clone(), key: key.clone(), text: "".into() }, 0),
            _ => return Ok(()),
        };
        if let RoomId::Inbox(_) = room
            && seq > self.heads.head(&self.backend, room)?.read
        {
            let head = &mut self.heads.change(&self.backend, room)?.head;
            head.unread_bytes = head.unread_bytes.saturating_sub(bytes);
        }
        let entry = Entry { event: left, ..record.entry };
        self.batch.unsaid.insert(seq, Record { entry, ..record });
        Ok(())
    }

    /// After a retraction: makes the backend forget what it has beside the entries. Returns whether it must be tried again.
    pub(super) fn forget_unsaid(&mut self) -> bool {
        self.has_unsaid = self.has_unsaid && !self.backend.forget_overwritten();
        self.has_unsaid
    }
}
