//! The keys that make a retry safe: the last 4,096 of each sender, by number and not by time.
//!
//! Kept in memory for the senders that use them, and read again from the chain of their keyed messages when they are not.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::event::{Event, Outcome, Time};
use crate::journal::chain::Tips;
use crate::journal::store::{Chain, Look, Record, StoreError, content};
use crate::limits::KEYS_REMEMBERED;
use crate::names::{Seq, UserId};

/// A key with its message. Of the key's text only a hash is kept, which nobody outside can aim at.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    sender: UserId,
    text: u64,
    content: u64,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    seq: Seq,
    time: Time,
    content: u64,
}

#[derive(Debug, Default)]
struct Window {
    uses: HashMap<u64, Use>,
    order: VecDeque<u64>,
}

impl Window {
    fn add(&mut self, text: u64, used: Use) {
        self.uses.insert(text, used);
        self.order.push_back(text);
        if self.order.len() > KEYS_REMEMBERED {
            let oldest = self.order.pop_front().expect("invariant: the window is not empty");
            self.uses.remove(&oldest);
        }
    }

    /// What it costs, in keys: none is free.
    fn cost(&self) -> usize {
        1 + self.order.len()
    }
}

/// The windows of all senders.
#[derive(Debug)]
pub struct Keys {
    windows: HashMap<UserId, Window>,
    /// The senders that have a window, in no order.
    senders: Vec<UserId>,
    cost: usize,
    most: usize,
    hasher: RandomState,
}

impl Keys {
    /// No windows yet; holds about `most` keys at a time.
    pub fn new(most: usize) -> Self {
        Self { windows: HashMap::new(), senders: Vec::new(), cost: 0, most, hasher: RandomState::new() }
    }

    /// The key `text` of `sender` for a message of this content.
    pub fn key(&self, sender: UserId, text: &Arc<str>, content: u64) -> Key {
        Key { sender, text: self.hasher.hash_one(text), content }
    }

    /// What was stored under the key before, if anything: a duplicate, or another message.
    pub fn used(&mut self, look: &impl Look, tips: &mut Tips, key: Key) -> Result<Option<Outcome>, StoreError> {
        let Key { sender, text, content } = key;
        let window = match self.windows.get(&sender) {
            Some(window) => window,
            None => {
                let window = self.load(look, tips, sender)?;
                self.make_room();
                self.cost += window.cost();
                self.senders.push(sender);
                self.windows.entry(sender).or_insert(window)
            }
        };
        Ok(window.uses.get(&text).map(|used| {
            if used.content == content {
                Outcome::Duplicate { seq: used.seq, time: used.time }
            } else {
                Outcome::KeyReused(used.seq)
            }
        }))
    }

    /// Remembers a key that [`Keys::used`] has just not found.
    pub fn add(&mut self, key: Key, seq: Seq, time: Time) {
        let Key { sender, text, content } = key;
        let window = self.windows.get_mut(&sender).expect("invariant: a key is looked up before it is added");
        self.cost -= window.cost();
        window.add(text, Use { seq, time, content });
        self.cost += window.cost();
        self.make_room();
    }

    /// The window as the store has it. The end of the chain is the writer's own: that of the store is older within a commit.
    fn load(&self, look: &impl Look, tips: &mut Tips, sender: UserId) -> Result<Window, StoreError> {
        let mut found = Vec::new();
        let mut next = tips.tip(look, Chain::Keys(sender))?.end.seq;
        while found.len() < KEYS_REMEMBERED
            && let Some(Record { entry, links }) = (next != Seq(0)).then(|| look.record(next)).transpose()?.flatten()
        {
            let (Event::Said { key: Some(key), .. }, true) = (&entry.event, links.key_prev < next) else {
                return Err(StoreError::Damaged(format!("entry {next} is linked as a message with a key")));
            };
            let used = Use { seq: entry.seq, time: entry.time, content: content(entry.room, &entry.event) };
            found.push((self.hasher.hash_one(key), used));
            next = links.key_prev;
        }
        let mut window = Window::default();
        found.into_iter().rev().for_each(|(text, used)| window.add(text, used));
        Ok(window)
    }

    /// Forgets windows while there are too many. Which ones is left to chance: to forget the least used ones would make many
    /// senders that take turns read theirs again each time.
    fn make_room(&mut self) {
        while self.cost > self.most {
            let chance = self.hasher.hash_one(self.cost) as usize % self.senders.len();
            let sender = self.senders.swap_remove(chance);
            let window = self.windows.remove(&sender).expect("invariant: each sender in the list has a window");
            self.cost -= window.cost();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Chain, Event, Keys, Look, Outcome, Record, Seq, StoreError, Time, Tips, UserId, content};
    use crate::event::{Entry, Room};
    use crate::journal::store::{End, Links};
    use crate::names::{Name, Who};

    /// A store in the middle of a commit: it has the entries already, and not yet the ends of their chains.
    #[derive(Default)]
    struct Uncommitted(Vec<Record>);

    impl Look for Uncommitted {
        fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
            Ok(self.0.get(seq.0 as usize - 1).cloned())
        }

        fn end(&self, _: Chain) -> Result<End, StoreError> {
            Ok(End::default())
        }
    }

    #[test]
    fn what_is_put_out_of_memory_within_a_commit_is_still_known() {
        let (mut store, mut tips, mut keys) = (Uncommitted::default(), Tips::default(), Keys::new(30));
        let mut try_one = |sender: u64, number: u64| {
            let (text, room): (Arc<str>, _) = (format!("{number}").into(), Some(Room::Channel(Seq(1))));
            let from = Who { name: Name::new("a"), id: UserId(sender) };
            let event = Event::Said { from, text: "x".into(), key: Some(Arc::clone(&text)), via: UserId(1) };
            let key = keys.key(UserId(sender), &text, content(room, &event));
            if let Some(outcome) = keys.used(&store, &mut tips, key).unwrap() {
                return Some(outcome);
            }
            let seq = Seq(store.0.len() as u64 + 1);
            let key_prev = tips.tip(&store, Chain::Keys(UserId(sender))).unwrap().hang(seq);
            store.0.push(Record {
                entry: Entry { seq, time: Time(7), room, event },
                links: Links { key_prev, ..Links::default() },
            });
            keys.add(key, seq, Time(7));
            assert!(keys.cost <= 30 + 11, "{}", keys.cost);
            None
        };
        for number in 0..10 {
            assert!((1..=20).all(|sender| try_one(sender, number).is_none()));
        }
        for number in 0..10 {
            for sender in 1..=20 {
                let seq = Seq(number * 20 + sender);
                assert_eq!(try_one(sender, number), Some(Outcome::Duplicate { seq, time: Time(7) }));
            }
        }
    }
}
