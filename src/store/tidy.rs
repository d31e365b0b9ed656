//! Loading the state when a store's run begins, and deleting waste in small steps.
//!
//! Each step is a transaction of its own with a bounded number of rows, so that no message waits for long. What a crash has
//! left without an owner is found when the state is loaded.

use std::collections::HashSet;
use std::sync::Arc;

use crate::clock;
use crate::event::{Entry, Event, RoomId};
use crate::limits::TIDIED_AT_ONCE;
use crate::names::{Seq, UserId};
use crate::store::backend::{Backend, Change, Floor, StoreError, Waste};
use crate::store::chain::{Run, linked_hidden};
use crate::store::trim::Keeping;
use crate::store::{Presence, Store, What};

/// What a piece of waste costs besides its rows, counted in rows: looking it up, and taking it off the list.
pub(super) const PIECE: usize = TIDIED_AT_ONCE / 64;

impl<B: Backend> Store<B> {
    /// Whether there is room for more than the reserve.
    pub fn has_room(&self) -> bool {
        self.backend.has_room()
    }

    /// Whether there may be something to [tidy](Store::tidy) or to [trim](Store::trim).
    pub fn is_untidy(&self) -> bool {
        let has_waste = !self.due.is_empty() || !self.resting.is_empty() || !self.orphans.is_empty();
        has_waste || self.has_unsaid || !self.keep.is_everything()
    }

    /// Gives the state to `each`: the newest entry of each compaction key, in the order of seqs. Call it once, before anything
    /// is put.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn load(&mut self, each: &mut dyn FnMut(&Entry)) -> Result<(), StoreError> {
        let mut present = self.backend.present()?;
        let forgotten = self.presence == Presence::Forgotten && !present.is_empty();
        if forgotten {
            present.clear();
        }
        let (accounts, keep) = (&mut self.accounts, &mut self.keep);
        let covering: HashSet<_> = present.iter().map(|(key, _)| key.clone()).collect();
        let mut present = present.into_iter().peekable();
        self.backend.held(&mut |key, entry| {
            if entry.event.compaction(entry.room.and_then(RoomId::channel)).hold.as_deref() != Some(key) {
                return Err(StoreError::Damaged(format!("{key} is not held by entry {}", entry.seq)));
            }
            while let Some((_, before)) = present.next_if(|(_, present)| present.seq < entry.seq) {
                each(&before);
            }
            if let Event::Registered { who, .. } = &entry.event {
                accounts.insert(who.id);
            }
            keep.change(Keeping::changes(std::iter::once(&entry)));
            // A presence is newer than the durable entry under the same key.
            if !covering.contains(key) {
                each(&entry);
            }
            Ok(())
        })?;
        present.for_each(|(_, entry)| each(&entry));
        self.own()?;
        self.due.extend(self.backend.wasted()?);
        if forgotten {
            self.batch.changes.push(Change::ForgetPresence);
            match self.commit() {
                // It is tried again at the next start.
                Ok(()) | Err(StoreError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Finds what guests own. Where presence is kept the guests still exist; otherwise all of it is waste.
    fn own(&mut self) -> Result<(), StoreError> {
        let accounts = &self.accounts;
        let owner = |waste: &Waste| match waste {
            Waste::Room(RoomId::Inbox(owner)) | Waste::Keys(owner) | Waste::OldKeys(owner) => Some(*owner),
            Waste::Room(RoomId::Channel(_)) => None,
        };
        let of_guests =
            self.backend.owned()?.into_iter().filter(|waste| owner(waste).is_some_and(|id| !accounts.contains(&id)));
        match self.presence {
            Presence::Kept => self.owned.extend(of_guests),
            Presence::Forgotten => self.orphans.extend(of_guests),
        }
        Ok(())
    }

    /// Deletes a little of the waste; returns whether there may be more that is not [left alone](Store::leave_rooms_for). Call
    /// it between batches: once one has begun, it does nothing.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room even for that: it can be tried again later. Any other error is the end of the
    /// store.
    pub fn tidy(&mut self) -> Result<bool, StoreError> {
        if !self.batch.is_empty() {
            return Ok(self.is_untidy());
        }
        self.forget_unsaid();
        let step = self.tidy_some().and_then(|finished| {
            let is_step = !self.batch.is_empty();
            self.commit().map(|()| (finished, is_step))
        });
        match step {
            Ok((finished, is_step)) => {
                self.due.drain(..finished);
                Ok(is_step || !self.due.is_empty() || !self.orphans.is_empty())
            }
            Err(error) => {
                self.rollback();
                self.swept = None;
                Err(error)
            }
        }
    }

    /// Puts the deletions of one step into the batch; returns how many of the pieces that are due will be gone by it.
    fn tidy_some(&mut self) -> Result<usize, StoreError> {
        // If this fails, they are found again at the next start.
        let orphans = self.orphans.split_off(self.orphans.len().saturating_sub(TIDIED_AT_ONCE));
        if !orphans.is_empty() {
            self.batch.changes.extend(orphans.into_iter().map(Change::Waste));
            return Ok(0);
        }
        let now = clock::now();
        while let Some((_, room)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.due.push_back(Waste::Room(room));
        }
        let (mut left, mut finished) = (TIDIED_AT_ONCE, 0);
        for waste in self.due.iter().take(TIDIED_AT_ONCE).copied().collect::<Vec<_>>() {
            if left == 0 {
                break;
            }
            let tidied = match (waste, self.backend.deleted_of(waste)?) {
                // Listed twice, it is gone by now.
                (_, None) => Ok(0),
                (Waste::Room(room), Some(floor)) => self.tidy_room(room, floor, left),
                (Waste::Keys(sender), Some(_)) => self.tidy_keys(sender, left),
                (Waste::OldKeys(sender), Some(_)) => self.tidy_old_keys(sender),
            };
            let deleted = match tidied {
                // The rest of it stays until the next start, which tries again. Nothing of this piece is in the batch.
                Err(StoreError::Damaged(error)) => {
                    tracing::error!(%error, "waste is damaged, and stays in the store");
                    finished += 1;
                    continue;
                }
                tidied => tidied?,
            };
            left = left.saturating_sub(deleted + PIECE);
            let is_gone =
                deleted == 0 || matches!(self.batch.changes.last(), Some(Change::DeleteWaste(gone)) if *gone == waste);
            if !is_gone {
                break;
            }
            finished += 1;
        }
        Ok(finished)
    }

    /// Deletes up to `most` entries of a room, first the ones that are not shown and then the oldest; returns how many.
    fn tidy_room(&mut self, room: RoomId, floor: Floor, most: usize) -> Result<usize, StoreError> {
        let trimmed = self.backend.trimmed(room)?;
        let floor = Floor { n: floor.n.max(trimmed.n), seq: floor.seq.max(trimmed.seq) };
        let mut head = self.heads.head(&self.backend, room)?;
        let mut hidden = Vec::new();
        while head.hidden > Seq(0) && hidden.len() < most {
            hidden.push(head.hidden);
            // A store in memory may have given it up, and everything older with it.
            head.hidden = linked_hidden(&self.backend, room, head.hidden)?.map_or(Seq(0), |record| record.links.prev);
        }
        let mut deleted = hidden.len();
        let run = Run::new(&self.backend, room, head, What::Everything);
        let (mut gone, mut seqs) = (floor.n, Vec::new());
        if gone < head.n && deleted < most {
            (seqs, gone) = run.oldest(floor.n, (most - deleted) as u64)?;
        }
        deleted += seqs.len();
        self.batch.changes.extend(hidden.into_iter().map(Change::Delete));
        let below = seqs.first().map_or(floor.seq, |newest| Seq(newest.0 + 1));
        self.batch.changes.extend(seqs.into_iter().map(Change::Delete));
        if head.hidden == Seq(0) && gone >= head.n {
            self.heads.remove_room(room);
            self.batch.changes.extend([Change::DeleteHead(room), Change::DeleteWaste(Waste::Room(room))]);
        } else {
            self.heads.change(&self.backend, room)?.head.hidden = head.hidden;
            self.batch.changes.push(Change::Gone(Waste::Room(room), Floor { n: gone, seq: below }));
        }
        Ok(deleted)
    }

    /// Deletes up to `most` keys of a sender who is gone; returns how many.
    fn tidy_keys(&mut self, sender: UserId, most: usize) -> Result<usize, StoreError> {
        let keys = self.backend.keys_after(sender, "", most)?;
        let deleted = keys.len();
        self.batch.changes.extend(keys.into_iter().map(|(key, _)| Change::DeleteKey(sender, key)));
        if deleted < most {
            self.heads.remove_count(sender);
            self.batch.changes.extend([Change::DeleteKeyCount(sender), Change::DeleteWaste(Waste::Keys(sender))]);
        }
        Ok(deleted)
    }

    /// Searches some of a sender's keys for old ones and deletes those; returns how many keys it looked at.
    fn tidy_old_keys(&mut self, sender: UserId) -> Result<usize, StoreError> {
        let from = match self.swept.take() {
            Some((swept, key)) if swept == sender => key,
            _ => Arc::from(""),
        };
        let old = self.heads.count(&self.backend, sender)?.saturating_sub(self.window(sender));
        let keys = self.backend.keys_after(sender, &from, TIDIED_AT_ONCE)?;
        let looked_at = keys.len();
        self.swept = keys.last().map(|(key, _)| (sender, Arc::clone(key)));
        let are_old = keys.into_iter().filter(|(_, used)| used.n <= old);
        self.batch.changes.extend(are_old.map(|(key, _)| Change::DeleteKey(sender, key)));
        if looked_at < TIDIED_AT_ONCE {
            self.swept = None;
            self.batch.changes.push(Change::DeleteWaste(Waste::OldKeys(sender)));
        }
        Ok(looked_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Entry, Event, RoomId};
    use crate::event::Time;
    use crate::names::{Name, Seq, UserId, Who};
    use crate::store::{Presence, open_memory};

    /// Whoever is still reading a channel that was closed can read on for a while.
    #[tokio::test(start_paused = true)]
    async fn what_has_ended_rests_before_it_is_deleted() {
        let (mut store, _) = open_memory(1 << 20, Presence::Forgotten);
        store.leave_rooms_for(Duration::from_secs(60));
        assert!(!store.is_untidy(), "there is nothing to do");
        let who = Who { name: Name::new("ana"), id: UserId(1000) };
        let events = [
            Event::Created { channel: Name::new("rust"), owner: who.clone(), key: None },
            Event::Said { from: who.clone(), key: None, text: "hi".into(), share: None },
            Event::Closed { who },
        ];
        for (seq, event) in (1..).map(Seq).zip(events) {
            let entry = Entry { seq, time: Time(0), room: Some(RoomId::Channel(Seq(1))), via: None, event };
            store.put(&entry).expect("there is room");
        }
        store.commit().expect("there is room");
        assert!(!store.tidy().expect("it is whole"), "not yet");
        assert!(store.is_untidy(), "but later");
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(store.tidy().expect("it is whole"));
        while store.tidy().expect("it is whole") {}
        assert!(!store.is_untidy());
    }
}
