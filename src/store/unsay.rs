//! Retracting a message: its text goes, and its place in its room stays, so that every link, number and key is still right.
//!
//! It owns nothing. It must never refuse a retraction: what need not or cannot be rewritten is left as it is.

use crate::event::{Entry, Event, RoomId};
use crate::names::Seq;
use crate::store::Store;
use crate::store::backend::{Backend, Look, Record, StoreError};
use crate::store::put::Seen;

impl<B: Backend> Store<B> {
    /// Puts what is left of a message of this room in its place. It had so many bytes, if that is known.
    pub(super) fn unsay(&mut self, room: RoomId, seq: Seq, bytes: Option<u64>) -> Result<(), StoreError> {
        let record = match Seen(&self.backend, &self.batch).record(seq) {
            Ok(Some(record)) if record.entry.room == Some(room) => record,
            // It was given up, or it is damaged and is shown to nobody. It has counted, and counts no more: here as everywhere.
            Ok(_) | Err(StoreError::Damaged(_)) => return self.no_longer_unread(room, seq, bytes.unwrap_or(0)),
            Err(error) => return Err(error),
        };
        let left = match &record.entry.event {
            Event::Said { from, text, .. } => {
                self.no_longer_unread(room, seq, text.len() as u64)?;
                Event::Unsaid { from: from.id }
            }
            // It is none of the messages that count, and stays none.
            Event::Unheard { from, key, .. } => Event::Unheard { from: from.clone(), key: key.clone(), text: "".into() },
            _ => return Ok(()),
        };
        let entry = Entry { event: left, ..record.entry };
        self.batch.unsaid.insert(seq, Record { entry, ..record });
        Ok(())
    }

    /// So many bytes of an inbox are unread no longer, if its owner has not read them.
    fn no_longer_unread(&mut self, room: RoomId, seq: Seq, bytes: u64) -> Result<(), StoreError> {
        if bytes > 0 && room.channel().is_none() && seq > self.heads.head(&self.backend, room)?.read {
            let head = &mut self.heads.change(&self.backend, room)?.head;
            head.unread_bytes = head.unread_bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// After a retraction: makes the backend forget what it has beside the entries. Returns whether it must be tried again.
    pub(super) fn forget_unsaid(&mut self) -> bool {
        self.has_unsaid = self.has_unsaid && !self.backend.forget_overwritten();
        self.has_unsaid
    }
}
