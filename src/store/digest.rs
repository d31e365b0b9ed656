//! A number that is equal for two stores that hold the same, to check that replicas never differ.
//!
//! Waste counts as gone, and so do keys that are no longer remembered, so that it makes no difference how far a store has come
//! with tidying.

use std::collections::HashSet;

use blake2::{Blake2b512, Digest};

use crate::event::{Entry, RoomId};
use crate::limits::KEYS_REMEMBERED;
use crate::names::{Seq, UserId};
use crate::store::Store;
use crate::store::backend::{Backend, Links, StoreError, Waste};

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
    /// A hash of everything committed: entries with their links, keys, compaction keys and presence. Every build computes the
    /// same. It reads the whole store. A store in memory and one on disk have the same digest until the one in memory has given
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
        let mut senders: Vec<_> = self.backend.owned()?;
        senders.sort_unstable();
        for waste in senders {
            if let Waste::Keys(sender) = waste
                && !wasted.contains(&waste)
            {
                let count = self.backend.key_count(sender)?;
                [sender.0, count].iter().for_each(|number| hash.number(*number));
                for (key, found) in self.backend.keys_after(sender, "", usize::MAX)? {
                    if found.n + KEYS_REMEMBERED as u64 > count {
                        hash.text(key.as_bytes());
                        let time = found.used.time.0.cast_unsigned();
                        [found.n, found.used.seq.0, time, found.used.content].iter().for_each(|number| hash.number(*number));
                    }
                }
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
}
