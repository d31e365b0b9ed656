//! The store as its replica sees it: what an entry means for the store, committing entries in batches, and looking things up.
//!
//! It owns the batch that is not committed yet, which users are accounts, and a cache of chain heads and key counts; everything
//! else is its backend's. It must never decide whether an entry is allowed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashSet, HashSetExt};
use tokio::time::Instant;

use crate::clock;
use crate::event::{Access, Compaction, Entry, Event, RoomId, Time};
use crate::limits::{KEYS_REMEMBERED, KEYS_REMEMBERED_GUEST};
use crate::names::{Seq, UserId};
use crate::state::archive::{Archive, Inbox, Sharer, Used, content};
use crate::store::backend::{Backend, Batch, Change, Head, KeyUse, Links, Look, Record, StoreError, Waste};
use crate::store::chain::Run;
use crate::store::heads::ChainHeads;
use crate::store::trim::Keeping;
use crate::store::{Presence, What};

/// Keeps everything durable in a backend. The contract is in the documentation of [`crate::store`].
#[derive(Debug)]
pub struct Store<B> {
    pub(super) backend: B,
    pub(super) presence: Presence,
    pub(super) batch: Batch,
    pub(super) heads: ChainHeads,
    /// What has been stored for users in this run and becomes waste when they go. Users who were never written to are not in
    /// it, so that they cost nothing to forget. At most an inbox and keys for each account and guest.
    pub(super) owned: HashSet<Waste>,
    /// Who is an account, so that more of their keys are remembered. As many as the operator allows.
    pub(super) accounts: HashSet<UserId>,
    /// What a crash has left without an owner, and is not in the backend's list of waste yet.
    pub(super) orphans: Vec<Waste>,
    /// What can be deleted now, the oldest first.
    pub(super) due: VecDeque<Waste>,
    /// How long a room that has ended is left alone for those who still read it.
    rest: Duration,
    /// The rooms that are left alone now, and until when, the first of these first.
    pub(super) resting: VecDeque<(Instant, RoomId)>,
    /// How far a sender's keys have been searched for old ones.
    pub(super) swept: Option<(UserId, Arc<str>)>,
    /// What is kept of rooms that go on.
    pub(super) keep: Keeping,
    /// Up to which room they were looked at, and when this begins anew.
    pub(super) trimmed: (Option<RoomId>, Option<Instant>),
    /// The message that was looked up last in an inbox, and its number: a read mark is looked up once to decide it and again to
    /// put it.
    sought: Option<(RoomId, Seq, u64)>,
    /// Whether a message was retracted, and something of it may still be beside the entries.
    pub(super) has_unsaid: bool,
}

/// Everything that was put: the batch, and beneath it the committed entries.
pub(super) struct Seen<'a, B>(pub(super) &'a B, pub(super) &'a Batch);

impl<B: Backend> Look for Seen<'_, B> {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        match self.1.record(seq) {
            Some(record) => Ok(Some(record.clone())),
            None => self.0.record(seq),
        }
    }

    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        self.0.head(room)
    }

    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        self.0.floor(room)
    }

    fn mend(&self, room: RoomId, seq: Seq, is_shown: bool) -> Result<Option<Record>, StoreError> {
        self.0.mend(room, seq, is_shown)
    }
}

impl<B: Backend> Store<B> {
    /// A store that keeps everything in this backend. [`Store::load`] comes first.
    pub fn new(backend: B, presence: Presence) -> Self {
        Self {
            backend,
            presence,
            batch: Batch::default(),
            heads: ChainHeads::default(),
            owned: HashSet::new(),
            accounts: HashSet::new(),
            orphans: Vec::new(),
            due: VecDeque::new(),
            rest: Duration::ZERO,
            resting: VecDeque::new(),
            swept: None,
            keep: Keeping::default(),
            trimmed: (None, None),
            sought: None,
            has_unsaid: false,
        }
    }

    /// Sets how long rooms that have ended are left alone, for those who still read them; zero until it is called. After a
    /// restart nobody reads them.
    pub fn leave_rooms_for(&mut self, rest: Duration) {
        self.rest = rest;
    }

    /// What happens to ephemeral events.
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// The newest seq that was ever stored or is in the batch, 0 when there is none. It never goes back, not even over
    /// restarts.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn last(&self) -> Result<Seq, StoreError> {
        let put = self.batch.records.last().map_or(Seq(0), |record| record.entry.seq);
        Ok(self.backend.last()?.max(put).max(self.batch.newest))
    }

    /// When the newest entry of a room that is still there was stored, if there is one and it is sound.
    ///
    /// # Errors
    /// When the store fails.
    pub fn newest_time(&self) -> Result<Option<Time>, StoreError> {
        match self.backend.newest() {
            Ok(record) => Ok(record.map(|record| record.entry.time)),
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds an entry to the batch; its seq must be higher than all before. Of an ephemeral entry only what presence needs is
    /// kept.
    ///
    /// # Errors
    /// When the store fails or is damaged; then the batch must be [rolled back](Store::rollback).
    pub fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.waste(entry);
        if let Event::Registered { who, .. } = &entry.event {
            self.register(who.id)?;
        }
        let lasts = entry.event.lasts();
        if !lasts && self.presence == Presence::Forgotten {
            return Ok(());
        }
        let Compaction { hold, free } = entry.event.compaction(entry.room.and_then(RoomId::channel));
        if let (true, Event::Seen { .. }, Some(key)) = (lasts, &entry.event, &hold) {
            // Nobody reads of the last time but one, and it has no room with which it would go.
            self.batch.changes.extend(self.backend.holder(key)?.map(Change::Delete));
        }
        let changes = &mut self.batch.changes;
        if lasts {
            changes.extend(free.map(Change::Free));
            changes.extend(hold.map(|key| Change::Hold(key, entry.clone())));
            let links = self.link(entry)?;
            self.batch.records.push(Record::sound(entry.clone(), links));
            self.batch.lasts = true;
        } else {
            changes.extend(free.map(Change::FreePresence));
            changes.extend(hold.map(|key| Change::HoldPresence(key, entry.clone())));
            self.batch.newest = entry.seq;
        }
        Ok(())
    }

    /// Links a durable entry into its room.
    fn link(&mut self, entry: &Entry) -> Result<Links, StoreError> {
        let Some(room) = entry.room else { return Ok(Links::default()) };
        match (&entry.event, room) {
            (Event::Said { from, key: Some(key), text, .. } | Event::Unheard { from, key: Some(key), text }, _) => {
                let used = Used { seq: entry.seq, time: entry.time, content: content(room, text) };
                self.use_key(from.id, key, used)?;
            }
            (Event::Acked { upto, .. }, RoomId::Inbox(owner)) => self.mark(owner, *upto)?,
            (Event::Retracted { seq, bytes, .. }, _) => self.unsay(room, *seq, *bytes)?,
            _ => {}
        }
        if let (Event::Said { from, share: Some(share), .. }, RoomId::Inbox(owner)) = (&entry.event, room) {
            self.count_share(owner, from.id, *share)?;
        }
        let chain = self.heads.change(&self.backend, room)?;
        if let RoomId::Inbox(_) = room {
            if chain.head.n == 0 && chain.head.hidden == Seq(0) {
                self.owned.insert(Waste::Room(room));
            }
            if let Event::Said { text, .. } = &entry.event {
                chain.head.unread_bytes += text.len() as u64;
            }
        }
        Ok(if entry.event.is_linked() { chain.link(entry.seq, entry.event.is_message()) } else { chain.hide(entry.seq) })
    }

    /// How many of a sender's keys are remembered.
    pub(super) fn window(&self, sender: UserId) -> u64 {
        (if self.accounts.contains(&sender) { KEYS_REMEMBERED } else { KEYS_REMEMBERED_GUEST }) as u64
    }

    /// The guest is an account from here on. Its keys keep the guest's window, so that none that was forgotten, and perhaps
    /// deleted, is remembered again: they become that much older than what comes.
    fn register(&mut self, guest: UserId) -> Result<(), StoreError> {
        self.accounts.insert(guest);
        self.heads.count_more(&self.backend, guest, (KEYS_REMEMBERED - KEYS_REMEMBERED_GUEST) as u64)
    }

    fn use_key(&mut self, sender: UserId, key: &Arc<str>, used: Used) -> Result<(), StoreError> {
        let n = self.heads.count_one(&self.backend, sender)?;
        self.batch.keys.entry(sender).or_default().insert(Arc::clone(key), KeyUse { n, used });
        if n == 1 {
            self.owned.insert(Waste::Keys(sender));
        }
        let window = self.window(sender);
        // When the first window is full, none of its keys is old yet.
        if n > window && n.is_multiple_of(window) {
            self.batch.changes.push(Change::Waste(Waste::OldKeys(sender)));
        }
        Ok(())
    }

    /// Marks as waste whatever ends with this entry.
    fn waste(&mut self, entry: &Entry) {
        let mut waste = |waste| self.batch.changes.push(Change::Waste(waste));
        let gone = match &entry.event {
            Event::Closed { .. } => return entry.room.into_iter().for_each(|room| waste(Waste::Room(room))),
            Event::Went { guest: Some(guest), .. }
            | Event::Dismissed { guest: Some(guest), .. }
            | Event::LoggedIn { guest, .. } => std::slice::from_ref(guest),
            Event::NodeEnded { guests, .. } => guests,
            Event::Access(access) => {
                // What an account had may be from an earlier run, of which nobody has kept a list.
                if let Access::Unregistered { who } = &**access {
                    [Waste::Room(RoomId::Inbox(who.id)), Waste::Keys(who.id)].into_iter().for_each(waste);
                }
                return;
            }
            _ => return,
        };
        for &guest in gone {
            for owned in [Waste::Room(RoomId::Inbox(guest)), Waste::Keys(guest)] {
                if self.owned.contains(&owned) {
                    waste(owned);
                }
            }
        }
    }

    /// Whether something in the batch is durable, so that a commit has to wait for the disk.
    pub fn lasts(&self) -> bool {
        self.batch.lasts
    }

    /// Stores the batch; if anything in it is durable, as safely as [`Reader::durability`](crate::store::Reader::durability)
    /// says. An empty batch costs nothing.
    ///
    /// # Errors
    /// The whole batch is dropped. After [`StoreError::Full`] it can be put and committed again; any other error is the end of
    /// the store.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.heads.settle(&mut self.batch.changes);
        let kept = Keeping::changes(self.batch.records.iter().map(|record| &record.entry));
        if let Err(error) = self.backend.write(&mut self.batch) {
            self.rollback();
            return Err(error);
        }
        for change in self.batch.changes.drain(..) {
            if let Change::Waste(waste) = change {
                self.owned.remove(&waste);
                if let Waste::Keys(gone) = waste {
                    self.accounts.remove(&gone);
                }
                match waste {
                    Waste::Room(room) if !self.rest.is_zero() => self.resting.push_back((clock::now() + self.rest, room)),
                    waste => self.due.push_back(waste),
                }
            }
        }
        self.keep.change(kept);
        self.has_unsaid |= !self.batch.unsaid.is_empty();
        self.batch.clear();
        Ok(())
    }

    /// Forgets the batch.
    pub fn rollback(&mut self) {
        for record in &self.batch.records {
            if let Event::Registered { who, .. } = &record.entry.event {
                self.accounts.remove(&who.id);
            }
        }
        self.batch.clear();
        (self.heads, self.sought) = (ChainHeads::default(), None);
    }

    /// After [`StoreError::Full`]: gives the reserve back, so that read marks can still be stored.
    pub fn give_reserve(&mut self) {
        self.backend.give_reserve();
    }

    /// Takes the reserve again; returns whether there was room for it.
    pub fn take_reserve(&mut self) -> bool {
        self.backend.take_reserve()
    }

    /// Sets all ids below this one aside for newcomers on a disk that has no room at all; returns whether that is durable.
    pub fn set_ids_aside(&mut self, below: UserId) -> bool {
        self.backend.set_ids_aside(below)
    }

    /// Every id that was ever set aside is below this one.
    pub fn ids_aside(&self) -> UserId {
        self.backend.ids_aside()
    }

    /// Forgets the batch, syncs, and makes the store as small as possible.
    pub fn close(&mut self) {
        self.rollback();
        self.backend.close();
    }

    /// The newest message of the room at or before `seq`, and its number.
    pub(super) fn until(&mut self, room: RoomId, seq: Seq) -> Result<(u64, Seq), StoreError> {
        if let Some((sought, found, number)) = self.sought
            && (sought, found) == (room, seq)
        {
            return Ok((number, found));
        }
        let head = self.heads.head(&self.backend, room)?;
        let (number, found) = Run::new(&Seen(&self.backend, &self.batch), room, head, What::Messages).newest_until(seq)?;
        self.sought = Some((room, found, number));
        Ok((number, found))
    }
}

impl<B: Backend> Archive for Store<B> {
    type Error = StoreError;

    fn inbox(&mut self, owner: UserId) -> Result<Inbox, StoreError> {
        let Head { said_n, said, read_n, read, unread_bytes, .. } = self.heads.head(&self.backend, RoomId::Inbox(owner))?;
        Ok(Inbox { count: said_n, newest: said, read_count: read_n, read, unread_bytes })
    }

    fn newest_in(&mut self, channel: Seq) -> Result<Seq, StoreError> {
        Ok(self.heads.head(&self.backend, RoomId::Channel(channel))?.said)
    }

    fn newest_until(&mut self, owner: UserId, seq: Seq) -> Result<Seq, StoreError> {
        Ok(self.until(RoomId::Inbox(owner), seq)?.1)
    }

    fn share(&mut self, owner: UserId, sharer: Sharer) -> Result<u64, StoreError> {
        self.share_of(owner, sharer)
    }

    fn used(&mut self, sender: UserId, key: &str, window: usize) -> Result<Option<Used>, StoreError> {
        let count = self.heads.count(&self.backend, sender)?;
        let found = match self.batch.keys.get(&sender).and_then(|keys| keys.get(key)) {
            Some(found) => Some(*found),
            None => self.backend.key(sender, key)?,
        };
        let is_remembered = |found: &KeyUse| found.n + window as u64 > count;
        Ok(found.filter(is_remembered).map(|found| found.used))
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Event, Presence, Seq, UserId};
    use crate::event::{SessionId, Time};
    use crate::names::{Name, Who};
    use crate::store::open_memory;

    /// People come and go in the batch of a message, before and after it, and it must be synced all the same.
    #[test]
    fn a_batch_with_anything_durable_is_synced_whatever_comes_after_it() {
        let who = Who { name: Name::new("ana"), id: UserId(1000) };
        let session = SessionId { node: crate::event::NodeId(1), number: 1 };
        let came = Event::Came { session, who: who.clone(), address: None };
        let said = Event::Said { from: who, key: None, text: "hi".into(), share: None };
        for presence in [Presence::Forgotten, Presence::Kept] {
            let (mut store, _) = open_memory(1 << 20, presence);
            let mut put = |seq, event: &Event| {
                let room = event.is_message().then_some(crate::event::RoomId::Inbox(UserId(1000)));
                store
                    .put(&Entry { seq: Seq(seq), time: Time(0), room, via: None, event: event.clone() })
                    .expect("memory is there");
                store.batch.lasts
            };
            assert_eq!([put(1, &came), put(2, &said), put(3, &came)], [false, true, true]);
            store.commit().expect("memory is there");
            assert!(!store.batch.lasts);
        }
    }
}
