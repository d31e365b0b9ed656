//! Deleting what the operator does not want to keep for ever, from rooms that go on, in small steps.
//!
//! Always the oldest shown entries of a room go first, so that what is left has no holes. Those that still hold a compaction key
//! move to the chain of entries that are not shown: they are gone for readers, but the state can still be loaded.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock;
use crate::event::{Entry, Event, Kept, RoomId, Setting, Time};
use crate::limits::{DAY_MILLISECONDS, Limits, NONE, TIDIED_AT_ONCE, TRIM_SECONDS, TRIMMED_AT_ONCE};
use crate::names::Seq;
use crate::store::backend::{Backend, Change, Floor, Head, Record, StoreError, Waste};
use crate::store::chain::{Run, linked};
use crate::store::tidy::PIECE;
use crate::store::{Store, What};

/// What is kept of a room. Whatever exceeds either of these is deleted; without both, everything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// For how many milliseconds.
    pub age: Option<u64>,
    /// How many messages: of a channel, or read ones of an inbox.
    pub count: Option<u64>,
}

impl Keep {
    /// What these limits ask for.
    pub fn of(limits: &Limits) -> Self {
        let set = |limit: u64| Some(limit).filter(|limit| *limit != NONE);
        Self { age: set(limits.keep_days).map(|days| days * DAY_MILLISECONDS.unsigned_abs()), count: set(limits.keep_messages) }
    }

    fn is_too_much(self, head: &Head, room: RoomId, record: &Record, now: Time) -> bool {
        let newest = if let RoomId::Inbox(_) = room { head.read_n } else { head.said_n };
        if let RoomId::Inbox(_) = room
            && record.entry.seq > head.read
        {
            return false;
        }
        let age = u64::try_from(now.0.saturating_sub(record.entry.time.0)).unwrap_or(0);
        // The time of a damaged entry is not known: it goes with the ones around it.
        let is_old = self.age.is_some_and(|most| record.is_damaged || age > most);
        is_old || self.count.is_some_and(|most| record.links.said_n.saturating_add(most) <= newest)
    }
}

/// What is kept of all rooms, and what their owners want to keep of some channels beside that.
#[derive(Debug, Default)]
pub struct Keeping {
    all: Keep,
    /// Only those of which not all is kept.
    channels: BTreeMap<Seq, Kept>,
}

impl Keeping {
    /// Whether everything is kept.
    pub fn is_everything(&self) -> bool {
        self.all == Keep::default() && self.channels.is_empty()
    }

    /// What these entries change of it.
    pub fn changes<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<(Seq, Kept)> {
        let change = |entry: &Entry| {
            let channel = entry.room.and_then(RoomId::channel)?;
            match &entry.event {
                Event::Set { setting: Setting::Keep(kept), .. } => Some((channel, *kept)),
                Event::Closed { .. } => Some((channel, Kept::All)),
                _ => None,
            }
        };
        entries.filter_map(change).collect()
    }

    /// Takes such changes.
    pub fn change(&mut self, changes: Vec<(Seq, Kept)>) {
        for (channel, kept) in changes {
            match kept {
                Kept::All => drop(self.channels.remove(&channel)),
                some => drop(self.channels.insert(channel, some)),
            }
        }
    }

    /// What is kept of a room: whichever is less.
    fn of(&self, room: RoomId) -> Keep {
        let least = |all: Option<u64>, own| Some(all.map_or(own, |all| all.min(own)));
        match room.channel().and_then(|channel| self.channels.get(&channel)) {
            Some(Kept::Seconds(seconds)) => Keep { age: least(self.all.age, seconds.saturating_mul(1000)), ..self.all },
            Some(Kept::Messages(count)) => Keep { count: least(self.all.count, *count), ..self.all },
            Some(Kept::All) | None => self.all,
        }
    }
}

impl<B: Backend> Store<B> {
    /// Sets what is kept of all rooms; everything until it is called. All rooms are looked at anew.
    pub fn keep_only(&mut self, keep: Keep) {
        (self.keep.all, self.trimmed) = (keep, (None, None));
    }

    /// Deletes a little of what need not be kept; returns whether there may be more. Call it between batches: once one has
    /// begun, it does nothing.
    ///
    /// # Errors
    /// As [`Store::tidy`].
    pub fn trim(&mut self, now: Time) -> Result<bool, StoreError> {
        let is_resting = self.trimmed.1.is_some_and(|again| clock::now() < again);
        if self.keep.is_everything() || is_resting || !self.batch.is_empty() {
            return Ok(false);
        }
        let step = self.trim_some(now).and_then(|until| self.commit().map(|()| until));
        match step {
            Ok(Some(until)) => {
                self.trimmed = (until, None);
                Ok(true)
            }
            Ok(None) => {
                self.trimmed = (None, Some(clock::now() + Duration::from_secs(TRIM_SECONDS)));
                Ok(false)
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    /// Puts the deletions of one step into the batch; returns up to which room it is done then, `None` after the last of all.
    fn trim_some(&mut self, now: Time) -> Result<Option<Option<RoomId>>, StoreError> {
        let mut until = self.trimmed.0;
        let rooms = self.backend.rooms_after(until, TRIMMED_AT_ONCE)?;
        if rooms.is_empty() {
            return Ok(None);
        }
        let mut left = TIDIED_AT_ONCE;
        for room in rooms {
            let deleted = match self.trim_room(room, left, now) {
                Err(StoreError::Damaged(error)) => {
                    tracing::error!(%error, ?room, "what need not be kept is damaged, and stays in the store");
                    0
                }
                deleted => deleted?,
            };
            if deleted == left {
                // There may be more in it.
                break;
            }
            left = left.saturating_sub(deleted + PIECE);
            until = Some(room);
            if left == 0 {
                break;
            }
        }
        Ok(Some(until))
    }

    /// Deletes up to `most` entries of a room; returns how many.
    fn trim_room(&mut self, room: RoomId, most: usize, now: Time) -> Result<usize, StoreError> {
        // Closed, it is deleted as waste.
        if self.backend.deleted_of(Waste::Room(room))?.is_some() {
            return Ok(0);
        }
        let keep = self.keep.of(room);
        if keep == Keep::default() {
            return Ok(0);
        }
        let (head, floor) = (self.backend.head(room)?, self.backend.trimmed(room)?);
        if floor.n >= head.n || !self.is_oldest_too_much(room, keep, head, floor, now)? {
            return Ok(0);
        }
        let (seqs, _) = Run::new(&self.backend, room, head, What::Everything).oldest(floor.n, most as u64)?;
        let mut records = Vec::with_capacity(seqs.len());
        for seq in seqs.into_iter().rev() {
            match linked(&self.backend, room, seq)? {
                Some(record) if keep.is_too_much(&head, room, &record, now) => records.push(record),
                _ => break,
            }
        }
        let deleted = records.len();
        let Some(floor) = records.last().map(|last| Floor { n: last.links.n, seq: Seq(last.entry.seq.0 + 1) }) else {
            return Ok(0);
        };
        // Whatever can fail comes before the first change.
        let mut held = Vec::with_capacity(deleted);
        for Record { entry, is_damaged, .. } in &records {
            let key = entry.event.compaction(room.channel()).hold.filter(|_| !is_damaged);
            held.push(key.map_or(Ok(None), |key| self.backend.holder(&key))? == Some(entry.seq));
        }
        for (mut record, is_held) in records.into_iter().zip(held) {
            let seq = record.entry.seq;
            if is_held {
                record.links = self.heads.change(&self.backend, room)?.hide(seq);
                self.batch.changes.push(Change::Relink(record));
            } else {
                self.batch.changes.push(Change::Delete(seq));
            }
        }
        self.batch.changes.push(Change::Trimmed(room, floor));
        Ok(deleted)
    }

    fn is_oldest_too_much(&self, room: RoomId, keep: Keep, head: Head, floor: Floor, now: Time) -> Result<bool, StoreError> {
        let (seqs, _) = Run::new(&self.backend, room, head, What::Everything).oldest(floor.n, 1)?;
        let Some(&oldest) = seqs.first() else { return Ok(false) };
        Ok(linked(&self.backend, room, oldest)?.is_some_and(|record| keep.is_too_much(&head, room, &record, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::Keep;
    use crate::limits::{Limits, NONE};

    #[test]
    fn days_are_days() {
        let keep = |keep_days, keep_messages| Keep::of(&Limits { keep_days, keep_messages, ..Limits::default() });
        assert_eq!(keep(2, NONE), Keep { age: Some(172_800_000), count: None });
        assert_eq!(keep(NONE, 5), Keep { age: None, count: Some(5) });
    }
}
