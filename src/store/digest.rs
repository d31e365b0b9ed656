//! A number that is equal for two stores that hold the same, to check that replicas never differ.
//!
//! Waste counts as gone, and so do keys that are no longer remembered, so that it makes no difference how far a store has come
//! with tidying.

use std::collections::HashSet;

use blake2::{Blake2b512, Digest};

use crate::event::{Entry, RoomId};
use crate::names::{Seq, UserId};
use crate::state::archive::Sharer;
use crate::store::Store;
use crate::store::backend::{Backend, Head, Links, StoreError, Waste};

struct Hash(Blake2b512);

impl Hash {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_le_bytes());
    }

    /// Hashes a text after its length, so that moving bytes from one text to the next changes the hash.
    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    fn entry(&mut self, entry: &Entry) {
        let Entry { seq, time, room, via, event } = entry;
        self.number(seq.0);
        self.number(time.0.cast_unsigned());
        match room {
            None => self.number(0),
            Some(RoomId::Inbox(UserId(id))) => [1, *id].iter().for_each(|number| self.number(*number)),
            Some(RoomId::Channel(Seq(seq))) => [2, *seq].iter().for_each(|number| self.number(*number)),
        }
        self.number(via.map_or(u64::MAX, |via| via.0));
        self.text(&serde_json::to_vec(event).expect("invariant: an event has a JSON form"));
    }
}

impl<B: Backend> Store<B> {
    /// A hash of everything committed: entries with their links, keys, what is unread and whose, compaction keys and presence.
    /// Every build computes the same. It reads the whole store. A store in memory and one on disk have the same digest until the one in memory has given
    /// something up, or has tidied away messages with keys.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn digest(&self) -> Result<u64, StoreError> {
        let mut wasted: HashSet<_> = self.backend.wasted()?.into_iter().collect();
        wasted.extend(&self.orphans);
        let mut hash = Hash(Blake2b512::new());
        self.backend.each_record(&mut |record| {
            if record.entry.room.is_none_or(|room| !wasted.contains(&Waste::Room(room))) {
                let Links { n, prev, skip, said_n, said } = record.links;
                hash.entry(&record.entry);
                [n, prev.0, skip.0, said_n, said.0].iter().for_each(|number| hash.number(*number));
            }
        })?;
        let mut owned: Vec<_> = self.backend.owned()?;
        owned.sort_unstable();
        for waste in owned.into_iter().filter(|waste| !wasted.contains(waste)) {
            match waste {
                Waste::Keys(sender) => self.hash_keys(&mut hash, sender)?,
                Waste::Room(RoomId::Inbox(owner)) => self.hash_inbox(&mut hash, owner)?,
                Waste::Room(RoomId::Channel(_)) | Waste::OldKeys(_) => {}
            }
        }
        self.backend.held(&mut |key, entry| {
            hash.text(key.as_bytes());
            hash.number(entry.seq.0);
            Ok(())
        })?;
        for (key, entry) in self.backend.present()? {
            hash.text(key.as_bytes());
            hash.entry(&entry);
        }
        let bytes = hash.0.finalize();
        Ok(u64::from_le_bytes(bytes[..8].try_into().expect("invariant: a hash has 64 bytes")))
    }

    fn hash_keys(&self, hash: &mut Hash, sender: UserId) -> Result<(), StoreError> {
        let count = self.backend.key_count(sender)?;
        [sender.0, count].iter().for_each(|number| hash.number(*number));
        for (key, found) in self.backend.keys_after(sender, "", usize::MAX)? {
            if found.n + self.window(sender) > count {
                hash.text(key.as_bytes());
                let time = found.used.time.0.cast_unsigned();
                [found.n, found.used.seq.0, time, found.used.content].iter().for_each(|number| hash.number(*number));
            }
        }
        Ok(())
    }

    fn hash_inbox(&self, hash: &mut Hash, owner: UserId) -> Result<(), StoreError> {
        let Head { read, unread_bytes, shared, .. } = self.backend.head(RoomId::Inbox(owner))?;
        [owner.0, read.0, unread_bytes, shared].iter().for_each(|number| hash.number(*number));
        for (sharer, count) in self.backend.shares(owner)? {
            let (kind, who) = match sharer {
                Sharer::User(user) => (1, user.0),
                Sharer::Near(near) => (2, u64::from(near)),
            };
            [kind, who, count].iter().for_each(|number| hash.number(*number));
        }
        Ok(())
    }
}
