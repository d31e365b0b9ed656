//! The chain heads and key counts that the store keeps in memory. All of them can be read again from the backend.
//!
//! Changes stay here until they are settled into a batch: a batch writes each head once, however often it has changed.

use std::collections::hash_map::Entry;

use foldhash::HashMap;

use crate::event::RoomId;
use crate::limits::CHAINS_IN_MEMORY;
use crate::names::{Seq, UserId};
use crate::store::backend::{Backend, Change, Head, Links, Look, StoreError};
use crate::store::chain::linked;

/// The number of the entry to which the `skip` link of entry number `n` leads.
const fn skipped(n: u64) -> u64 {
    n & n.wrapping_sub(1)
}

/// The end of a room.
#[derive(Debug, Default)]
pub struct ChainHead {
    /// As it will be stored.
    pub head: Head,
    /// The newest entry and all that are reached from it by `skip` links, with their numbers; the newest last.
    path: Vec<(u64, Seq)>,
    changed: bool,
}

impl ChainHead {
    fn load(look: &impl Look, room: RoomId) -> Result<Self, StoreError> {
        let head = look.head(room)?;
        let mut path = Vec::new();
        let mut next = head.seq;
        loop {
            match linked(look, room, next) {
                Ok(Some(record)) if record.links.skip < next => {
                    path.push((record.links.n, next));
                    next = record.links.skip;
                }
                // A shorter path costs later readers steps, but nobody is kept from writing.
                Ok(_) | Err(StoreError::Damaged(_)) => break,
                Err(error) => return Err(error),
            }
        }
        if path.is_empty() && head.n > 0 {
            path.push((head.n, head.seq));
        }
        path.reverse();
        Ok(Self { head, path, changed: false })
    }

    /// Lets the room go on after entries that are no longer there.
    pub fn begin_after(&mut self, head: Head) {
        (self.head, self.path) = (head, vec![(head.n, head.seq)]);
    }

    /// Appends a shown entry; returns its links.
    pub fn link(&mut self, seq: Seq, is_message: bool) -> Links {
        let Head { n, seq: prev, said_n, said, .. } = self.head;
        let (n, said_n) = (n + 1, said_n + u64::from(is_message));
        while self.path.last().is_some_and(|&(older, _)| older > skipped(n)) {
            self.path.pop();
        }
        let skip = self.path.last().map_or(Seq(0), |&(_, seq)| seq);
        self.path.push((n, seq));
        self.head = Head { n, seq, said_n, said: if is_message { seq } else { said }, ..self.head };
        Links { n, prev, skip, said_n, said }
    }

    /// Appends an entry that is not shown; returns its links.
    pub fn hide(&mut self, seq: Seq) -> Links {
        Links { prev: std::mem::replace(&mut self.head.hidden, seq), ..Links::default() }
    }
}

/// The chain heads and key counts in memory.
#[derive(Debug, Default)]
pub struct ChainHeads {
    heads: HashMap<RoomId, ChainHead>,
    changed: Vec<RoomId>,
    counts: HashMap<UserId, u64>,
    counted: Vec<UserId>,
}

impl ChainHeads {
    /// The end of a room.
    pub fn head(&mut self, look: &impl Look, room: RoomId) -> Result<Head, StoreError> {
        match self.heads.entry(room) {
            Entry::Occupied(chain) => Ok(chain.get().head),
            Entry::Vacant(place) => Ok(place.insert(ChainHead::load(look, room)?).head),
        }
    }

    /// The chain head of a room, to be changed.
    pub fn change(&mut self, look: &impl Look, room: RoomId) -> Result<&mut ChainHead, StoreError> {
        let chain = match self.heads.entry(room) {
            Entry::Occupied(chain) => chain.into_mut(),
            Entry::Vacant(place) => place.insert(ChainHead::load(look, room)?),
        };
        if !std::mem::replace(&mut chain.changed, true) {
            self.changed.push(room);
        }
        Ok(chain)
    }

    /// How many messages with keys the sender has had.
    pub fn count(&mut self, backend: &impl Backend, sender: UserId) -> Result<u64, StoreError> {
        match self.counts.entry(sender) {
            Entry::Occupied(count) => Ok(*count.get()),
            Entry::Vacant(place) => Ok(*place.insert(backend.key_count(sender)?)),
        }
    }

    /// Counts one more message with a key; returns how many there are now.
    pub fn count_one(&mut self, backend: &impl Backend, sender: UserId) -> Result<u64, StoreError> {
        let count = self.count(backend, sender)? + 1;
        self.counts.insert(sender, count);
        self.counted.push(sender);
        Ok(count)
    }

    /// Counts so many more, of a sender who has had some; nothing for the others.
    pub fn count_more(&mut self, backend: &impl Backend, sender: UserId, more: u64) -> Result<(), StoreError> {
        let count = self.count(backend, sender)?;
        if count > 0 {
            self.counts.insert(sender, count + more);
            self.counted.push(sender);
        }
        Ok(())
    }

    /// Forgets a room that no longer exists.
    pub fn remove_room(&mut self, room: RoomId) {
        self.heads.remove(&room);
    }

    /// Forgets a sender who no longer exists.
    pub fn remove_count(&mut self, sender: UserId) {
        self.counts.remove(&sender);
    }

    /// Adds what has changed to a batch's changes, and forgets everything when there is too much of it.
    pub fn settle(&mut self, changes: &mut Vec<Change>) {
        for room in self.changed.drain(..) {
            // One that is not here was removed after it had changed.
            if let Some(chain) = self.heads.get_mut(&room) {
                chain.changed = false;
                changes.push(Change::Head(room, chain.head));
            }
        }
        self.counted.sort_unstable();
        self.counted.dedup();
        for sender in self.counted.drain(..) {
            if let Some(&count) = self.counts.get(&sender) {
                changes.push(Change::KeyCount(sender, count));
            }
        }
        if self.heads.len() > CHAINS_IN_MEMORY {
            self.heads.clear();
        }
        if self.counts.len() > CHAINS_IN_MEMORY {
            self.counts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHAINS_IN_MEMORY, ChainHeads};
    use crate::event::RoomId;
    use crate::names::UserId;
    use crate::store::Memory;

    #[test]
    fn so_many_heads_and_counts_stay_in_memory_and_no_more() {
        let (mut heads, store) = (ChainHeads::default(), Memory::new(1 << 20));
        let mut use_both = |ids: std::ops::Range<u64>| {
            for id in ids.map(UserId) {
                heads.count_one(&store, id).expect("memory is there");
                heads.change(&store, RoomId::Inbox(id)).expect("memory is there");
            }
            heads.settle(&mut Vec::new());
            (heads.heads.len(), heads.counts.len())
        };
        let most = CHAINS_IN_MEMORY as u64;
        assert_eq!(use_both(0..most), (CHAINS_IN_MEMORY, CHAINS_IN_MEMORY));
        assert_eq!(use_both(most..most + 1), (0, 0));
    }
}
