//! The keys that make a retry safe: the last 4,096 of each sender, by number and not by time.
//!
//! Kept in memory for the senders that use them, and read again from the chain of their keyed messages when they are not.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{Event, Outcome, Time};
use crate::journal::store::{Chain, Look, Record, StoreError, content};
use crate::limits::{KEYS_IN_MEMORY, KEYS_REMEMBERED};
use crate::names::{Seq, UserId};

#[derive(Debug, Clone, Copy)]
struct Use {
    seq: Seq,
    time: Time,
    content: u64,
}

#[derive(Debug, Default)]
struct Window {
    uses: HashMap<Arc<str>, Use>,
    order: VecDeque<Arc<str>>,
}

impl Window {
    fn add(&mut self, key: Arc<str>, used: Use) {
        self.uses.insert(Arc::clone(&key), used);
        self.order.push_back(key);
        if self.order.len() > KEYS_REMEMBERED {
            let oldest = self.order.pop_front().expect("invariant: the window is not empty");
            self.uses.remove(&oldest);
        }
    }

    fn load(look: &impl Look, sender: UserId) -> Result<Self, StoreError> {
        let mut found = Vec::new();
        let mut next = look.end(Chain::Keys(sender))?.seq;
        while found.len() < KEYS_REMEMBERED
            && let Some(Record { entry, links }) = (next != Seq(0)).then(|| look.record(next)).transpose()?.flatten()
        {
            if let Event::Said { key: Some(key), .. } = &entry.event {
                let used = Use { seq: entry.seq, time: entry.time, content: content(entry.room, &entry.event) };
                found.push((Arc::clone(key), used));
            }
            next = links.key_prev;
        }
        let mut window = Self::default();
        found.into_iter().rev().for_each(|(key, used)| window.add(key, used));
        Ok(window)
    }
}

/// The windows of all senders.
#[derive(Debug, Default)]
pub struct Keys {
    windows: HashMap<UserId, Window>,
    held: usize,
}

impl Keys {
    /// What was stored under the key before, if anything: a duplicate, or another message.
    pub fn used(
        &mut self,
        look: &impl Look,
        sender: UserId,
        key: &Arc<str>,
        content: u64,
    ) -> Result<Option<Outcome>, StoreError> {
        if !self.windows.contains_key(&sender) {
            if self.held > KEYS_IN_MEMORY {
                self.windows.clear();
                self.held = 0;
            }
            let window = Window::load(look, sender)?;
            self.held += window.order.len();
            self.windows.insert(sender, window);
        }
        Ok(self.windows[&sender].uses.get(key).map(|used| {
            if used.content == content {
                Outcome::Duplicate { seq: used.seq, time: used.time }
            } else {
                Outcome::KeyReused(used.seq)
            }
        }))
    }

    /// Remembers a key that [`Keys::used`] did not find.
    pub fn add(&mut self, sender: UserId, key: Arc<str>, seq: Seq, time: Time, content: u64) {
        let window = self.windows.get_mut(&sender).expect("invariant: a key is looked up before it is added");
        let before = window.order.len();
        window.add(key, Use { seq, time, content });
        self.held += window.order.len() - before;
    }
}
