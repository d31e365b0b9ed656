//! The facts of a store, one after another: what an export writes and an import brings back.
//!
//! Entries come in their order, and each says whether the state still begins with it. How they are linked does not: they are linked
//! again, so that a store that was damaged becomes one that is sound and holds what was left. What entries do not say, such as which
//! keys were used, follows them. Nothing here knows how facts are written down, or decides whether they are allowed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Entry, Event, RoomId, Time};
use crate::names::{Seq, UserId};
use crate::state::archive::{Sharer, Used};
use crate::store::Store;
use crate::store::backend::{Backend, Change, Floor, Head, KeyUse, Links, Record, StoreError};

/// The form of the facts; raised whenever an older linechat could not bring them back.
pub const FORM: u32 = 1;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The first.
    Begin {
        /// See [`FORM`].
        form: u32,
        /// Who has told the facts.
        linechat: String,
        /// The newest seq that was ever given out.
        newest: Seq,
        /// Ids below this one were given out while the disk was full.
        ids: UserId,
    },
    /// The oldest entries of a room were given up, before any that follows.
    Trimmed {
        /// The room.
        #[serde(with = "room")]
        room: RoomId,
        /// How many that its readers were shown.
        n: u64,
        /// The newest of them.
        last: Seq,
        /// How many of them were messages.
        said_n: u64,
        /// The newest of these.
        said: Seq,
    },
    /// An entry; seqs rise.
    Entry {
        /// Its number.
        seq: Seq,
        /// Its time, in milliseconds since 1970.
        time: Time,
        /// Its room.
        #[serde(default, with = "some_room", skip_serializing_if = "Option::is_none")]
        room: Option<RoomId>,
        /// The connection that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<UserId>,
        /// Whether the state begins with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        holds: bool,
        /// Whether it was given up for readers, and only the state still needs it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hidden: bool,
        /// What happened.
        event: Event,
    },
    /// What was read in an inbox, and who has left how much in it.
    Inbox {
        /// Whose.
        owner: UserId,
        /// The newest message that was read.
        read: Seq,
        /// How many unread messages were counted to a share.
        shared: u64,
        /// The shares.
        shares: Vec<OneShare>,
    },
    /// A key that is remembered.
    Key {
        /// Who has used it.
        sender: UserId,
        /// The key.
        key: Arc<str>,
        /// The number of its message among those of the sender that have keys.
        n: u64,
        /// The message.
        seq: Seq,
        /// Its time.
        time: Time,
        /// A hash of what it said, in hexadecimal digits: not every program reads large numbers exactly.
        content: String,
    },
    /// How many messages with keys somebody has had.
    Keys {
        /// Who.
        sender: UserId,
        /// How many.
        count: u64,
    },
    /// The last: without it something is missing.
    End {
        /// How many entries there were.
        entries: u64,
    },
}

/// What somebody has left unread in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OneShare {
    /// A sender, and how many messages.
    User(UserId, u64),
    /// All from one address, and how many messages.
    Near(u16, u64),
}

impl From<(Sharer, u64)> for OneShare {
    fn from((sharer, count): (Sharer, u64)) -> Self {
        match sharer {
            Sharer::User(user) => Self::User(user, count),
            Sharer::Near(near) => Self::Near(near, count),
        }
    }
}

impl From<&OneShare> for (Sharer, u64) {
    fn from(share: &OneShare) -> Self {
        match *share {
            OneShare::User(user, count) => (Sharer::User(user), count),
            OneShare::Near(near, count) => (Sharer::Near(near), count),
        }
    }
}

/// A room as a word: `channel:4` or `inbox:1000`.
mod room {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::event::RoomId;
    use crate::names::{Seq, UserId};

    pub fn word(room: RoomId) -> String {
        match room {
            RoomId::Channel(seq) => format!("channel:{seq}"),
            RoomId::Inbox(owner) => format!("inbox:{owner}"),
        }
    }

    pub fn read(word: &str) -> Result<RoomId, String> {
        let room = word.split_once(':').and_then(|(kind, number)| match (kind, number.parse().ok()?) {
            ("channel", number) => Some(RoomId::Channel(Seq(number))),
            ("inbox", number) => Some(RoomId::Inbox(UserId(number))),
            _ => None,
        });
        room.ok_or_else(|| format!("'{word}' is no room"))
    }

    pub fn serialize<S: Serializer>(room: &RoomId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&word(*room))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RoomId, D::Error> {
        read(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

mod some_room {
    use serde::{Deserializer, Serializer};

    use super::room;
    use crate::event::RoomId;

    pub fn serialize<S: Serializer>(some: &Option<RoomId>, to: S) -> Result<S::Ok, S::Error> {
        match some {
            Some(it) => room::serialize(it, to),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RoomId>, D::Error> {
        room::deserialize(from).map(Some)
    }
}

impl<B: Backend> Store<B> {
    /// Adds a fact to the batch of a store that was empty; call it with all of them, in their order, and commit now and then.
    ///
    /// # Errors
    /// When the store fails, or when the fact cannot follow those before it.
    pub fn bring_back(&mut self, fact: &Fact) -> Result<(), StoreError> {
        match fact {
            Fact::Begin { newest, ids, .. } => {
                self.batch.newest = *newest;
                if ids.0 > 0 && !self.backend.set_ids_aside(*ids) {
                    return Err(StoreError::Full);
                }
            }
            &Fact::Trimmed { room, n, last, said_n, said } => {
                let chain = self.heads.change(&self.backend, room)?;
                chain.begin_after(Head { n, seq: last, said_n, said, ..chain.head });
                self.batch.changes.push(Change::Trimmed(room, Floor { n, seq: Seq(last.0 + 1) }));
            }
            Fact::Entry { seq, time, room, via, holds, hidden, event } => {
                let entry = Entry { seq: *seq, time: *time, room: *room, via: *via, event: event.clone() };
                self.bring_back_entry(entry, *holds, *hidden)?;
            }
            Fact::Inbox { owner, read, shared, shares } => self.bring_back_inbox(*owner, *read, *shared, shares)?,
            Fact::Key { sender, key, n, seq, time, content } => {
                let wrong = |_| StoreError::Damaged(format!("'{content}' is no hash"));
                let content = u64::from_str_radix(content, 16).map_err(wrong)?;
                let used = Used { seq: *seq, time: *time, content };
                self.batch.keys.entry(*sender).or_default().insert(Arc::clone(key), KeyUse { n: *n, used });
            }
            Fact::Keys { sender, count } => self.batch.changes.push(Change::KeyCount(*sender, *count)),
            Fact::End { .. } => {}
        }
        Ok(())
    }

    /// Takes these seqs and ids as given out, as they were by another store whose place this one takes: nobody is to get them again.
    ///
    /// # Errors
    /// When the store fails or has no room for it.
    pub fn go_on_after(&mut self, newest: Seq, ids: UserId) -> Result<(), StoreError> {
        self.batch.newest = newest.max(self.last()?);
        self.commit()?;
        if self.backend.set_ids_aside(ids.max(self.backend.ids_aside())) { Ok(()) } else { Err(StoreError::Full) }
    }

    fn bring_back_entry(&mut self, entry: Entry, holds: bool, hidden: bool) -> Result<(), StoreError> {
        if !entry.event.lasts() {
            return Err(StoreError::Damaged(format!("entry {} is of a kind that is not stored", entry.seq)));
        }
        if holds {
            let key = entry.event.compaction(entry.room.and_then(RoomId::channel)).hold;
            let key = key.ok_or_else(|| StoreError::Damaged(format!("the state cannot begin with entry {}", entry.seq)))?;
            self.batch.changes.push(Change::Hold(key, entry.clone()));
        }
        let mut links = Links::default();
        if let Some(room) = entry.room {
            let chain = self.heads.change(&self.backend, room)?;
            if let (RoomId::Inbox(_), Event::Said { text, .. }) = (room, &entry.event) {
                chain.head.unread_bytes += text.len() as u64;
            }
            let is_linked = entry.event.is_linked() && !hidden;
            links = if is_linked { chain.link(entry.seq, entry.event.is_message()) } else { chain.hide(entry.seq) };
        }
        self.batch.records.push(Record::sound(entry, links));
        self.batch.lasts = true;
        Ok(())
    }

    fn bring_back_inbox(&mut self, owner: UserId, read: Seq, shared: u64, shares: &[OneShare]) -> Result<(), StoreError> {
        // What was given up in it is looked up among what is committed.
        if !self.batch.records.is_empty() {
            self.commit()?;
        }
        self.mark(owner, read)?;
        self.heads.change(&self.backend, RoomId::Inbox(owner))?.head.shared = shared;
        self.batch.shares.counted.extend(shares.iter().map(|share| {
            let (sharer, count) = share.into();
            ((owner, sharer), count)
        }));
        // A batch with nothing but that counts as empty.
        self.batch.newest = self.batch.newest.max(self.backend.last()?);
        Ok(())
    }
}
