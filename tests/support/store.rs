//! A store for a test or benchmark, driven one call at a time and without a replica: seqs and times are given here.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::sync::Arc;

use argon2::PasswordHasher;
use linechat::event::{Entry, Event, NodeId, RoomId, SessionId, Share, Time};
use linechat::limits::KEYS_REMEMBERED;
use linechat::names::{Name, Seq, UserId, Who};
use linechat::state::archive::{Archive, Inbox, Sharer, Used};
use linechat::store::{self, Backend, Keep, OpenError, Page, Presence, Query, ReadError, Reader, Start, StoreError, What};
use tokio::runtime::Runtime;

/// An entry without its place in the order.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its room; for a channel that is created now, none.
    pub room: Option<RoomId>,
    pub via: Option<UserId>,
    pub event: Event,
}

/// What a store can do, whatever its backend is.
pub trait Driven: Archive<Error = StoreError> + Send {
    fn last(&self) -> Result<Seq, StoreError>;
    fn load(&mut self, each: &mut dyn FnMut(&Entry)) -> Result<(), StoreError>;
    fn put(&mut self, entry: &Entry) -> Result<(), StoreError>;
    fn commit(&mut self) -> Result<(), StoreError>;
    fn rollback(&mut self);
    fn give_reserve(&mut self);
    fn take_reserve(&mut self) -> bool;
    fn tidy(&mut self) -> Result<bool, StoreError>;
    fn keep_only(&mut self, keep: Keep);
    fn trim(&mut self, now: Time) -> Result<bool, StoreError>;
    fn digest(&self) -> Result<u64, StoreError>;
    fn close(&mut self);
}

impl<B: Backend> Driven for store::Store<B> {
    fn last(&self) -> Result<Seq, StoreError> {
        store::Store::last(self)
    }
    fn load(&mut self, each: &mut dyn FnMut(&Entry)) -> Result<(), StoreError> {
        store::Store::load(self, each)
    }
    fn put(&mut self, entry: &Entry) -> Result<(), StoreError> {
        store::Store::put(self, entry)
    }
    fn commit(&mut self) -> Result<(), StoreError> {
        store::Store::commit(self)
    }
    fn rollback(&mut self) {
        store::Store::rollback(self);
    }
    fn give_reserve(&mut self) {
        store::Store::give_reserve(self);
    }
    fn take_reserve(&mut self) -> bool {
        store::Store::take_reserve(self)
    }
    fn tidy(&mut self) -> Result<bool, StoreError> {
        store::Store::tidy(self)
    }
    fn keep_only(&mut self, keep: Keep) {
        store::Store::keep_only(self, keep);
    }
    fn trim(&mut self, now: Time) -> Result<bool, StoreError> {
        store::Store::trim(self, now)
    }
    fn digest(&self) -> Result<u64, StoreError> {
        store::Store::digest(self)
    }
    fn close(&mut self) {
        store::Store::close(self);
    }
}

/// A store that is open and loaded.
pub struct Store {
    runtime: Runtime,
    /// The store itself.
    pub driven: Box<dyn Driven>,
    reader: Arc<dyn Reader>,
    state: Vec<Entry>,
    next: Seq,
}

/// Why a store is not there.
#[derive(Debug)]
pub enum Refused {
    Open(OpenError),
    Load(StoreError),
}

impl Store {
    /// In memory, keeping about this many bytes, and no presence.
    pub fn memory(bytes: u64) -> Self {
        Self::memory_with(bytes, Presence::Forgotten)
    }

    /// In memory, keeping about this many bytes.
    pub fn memory_with(bytes: u64, presence: Presence) -> Self {
        let (store, reader) = store::open_memory(bytes, presence);
        Self::load(store, reader).expect("memory is always there")
    }

    /// On the disk, without presence.
    pub fn disk(directory: &Path) -> Result<Self, Refused> {
        Self::disk_with(directory, Presence::Forgotten)
    }

    /// On the disk.
    pub fn disk_with(directory: &Path, presence: Presence) -> Result<Self, Refused> {
        let (store, reader) = store::open_disk(directory, presence).map_err(Refused::Open)?;
        Self::load(store, reader).map_err(Refused::Load)
    }

    fn load<B: Backend>(store: store::Store<B>, reader: Arc<dyn Reader>) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let mut store = Self { runtime, driven: Box::new(store), reader, state: Vec::new(), next: Seq(0) };
        let state = &mut store.state;
        store.driven.load(&mut |entry| state.push(entry.clone()))?;
        store.next = Seq(store.driven.last()?.0 + 1);
        Ok(store)
    }

    /// What it was loaded with.
    pub fn state(&self) -> &[Entry] {
        &self.state
    }

    /// Puts one entry, which takes the next seq.
    pub fn try_put(&mut self, draft: Draft) -> Result<Entry, StoreError> {
        let Draft { mut room, via, event } = draft;
        let seq = self.next;
        if let Event::Created { .. } = event {
            room = Some(RoomId::Channel(seq));
        }
        let time = Time(1_700_000_000_000 + seq.0.cast_signed());
        let entry = Entry { seq, time, room, via, event };
        self.driven.put(&entry)?;
        self.next = Seq(seq.0 + 1);
        Ok(entry)
    }

    /// Puts and commits together. After an error nothing has happened.
    pub fn try_append(&mut self, drafts: Vec<Draft>) -> Result<Vec<Entry>, StoreError> {
        let next = self.next;
        let entries: Result<_, _> = drafts.into_iter().map(|draft| self.try_put(draft)).collect();
        let result = entries.and_then(|entries| self.driven.commit().map(|()| entries));
        if result.is_err() {
            self.driven.rollback();
            self.next = next;
        }
        result
    }

    /// The same, of a store that is whole and has room.
    pub fn append(&mut self, drafts: Vec<Draft>) -> Vec<Entry> {
        self.try_append(drafts).expect("the store goes on")
    }

    /// Puts one entry and commits it.
    pub fn commit(&mut self, draft: Draft) -> Entry {
        self.append(vec![draft]).pop().expect("one draft is one entry")
    }

    /// Skips a seq, as an entry does that is stored nowhere.
    pub fn skip(&mut self) {
        self.next = Seq(self.next.0 + 1);
    }

    /// Marks an inbox as read up to and including this seq, as a decision does; the mark where it has moved.
    pub fn ack(&mut self, id: u64, upto: u64) -> Option<Seq> {
        let owner = UserId(id);
        let upto = self.driven.newest_until(owner, Seq(upto)).expect("the store is whole");
        if upto <= self.inbox(id).read {
            return None;
        }
        self.commit(acked(id, upto.0));
        Some(upto)
    }

    /// How much an inbox holds.
    pub fn inbox(&mut self, id: u64) -> Inbox {
        self.driven.inbox(UserId(id)).expect("the store is whole")
    }

    /// What an account used a key for.
    pub fn used(&mut self, sender: u64, key: &str) -> Option<Used> {
        self.used_of_last(KEYS_REMEMBERED, sender, key)
    }

    /// What one of a sender's last keys was used for.
    pub fn used_of_last(&mut self, window: usize, sender: u64, key: &str) -> Option<Used> {
        self.driven.used(UserId(sender), key, window).expect("the store is whole")
    }

    /// How much of a share of an inbox is used.
    pub fn share(&mut self, owner: u64, sharer: Sharer) -> u64 {
        self.driven.share(UserId(owner), sharer).expect("the store is whole")
    }

    /// Tidies to the end; says how many steps that took.
    pub fn tidy(&mut self) -> u64 {
        let mut steps = 0;
        while self.driven.tidy().expect("the store is whole") {
            steps += 1;
        }
        steps
    }

    /// Reads a page of messages, or of everything.
    pub fn try_read(&self, room: RoomId, start: Start, count: usize, what: What) -> Result<Page, ReadError> {
        self.runtime.block_on(self.reader.read(Query { room, start, count, what }))
    }

    /// Reads a page of messages of a store that is whole.
    pub fn read(&self, room: RoomId, start: Start, count: usize) -> Page {
        self.try_read(room, start, count, What::Messages).expect("the store is whole")
    }

    /// The texts of all messages of a room.
    pub fn texts(&self, room: RoomId) -> Vec<String> {
        self.read(room, Start::After(Seq(0)), 1 << 30).entries.iter().map(|entry| text(entry).to_owned()).collect()
    }

    /// The entries with these seqs that are there and sound.
    pub fn entries(&self, seqs: Vec<Seq>) -> Vec<Entry> {
        self.runtime.block_on(self.reader.entries(seqs)).expect("the store can be read")
    }

    /// What its reader says that commits survive.
    pub fn durability(&self) -> &'static str {
        self.reader.durability()
    }

    /// The runtime and the reader in it, beside the store.
    pub fn parts(&mut self) -> (&Runtime, &Arc<dyn Reader>, &mut Box<dyn Driven>) {
        (&self.runtime, &self.reader, &mut self.driven)
    }

    /// Closes it as a server does.
    pub fn close(mut self) {
        self.driven.close();
    }
}

/// The inbox of a user.
pub fn inbox(id: u64) -> RoomId {
    RoomId::Inbox(UserId(id))
}

/// A channel.
pub fn channel(seq: u64) -> RoomId {
    RoomId::Channel(Seq(seq))
}

/// The user with this id.
pub fn user(id: u64) -> Who {
    Who { name: Name::new(&format!("u{id}")), id: UserId(id) }
}

/// A connection.
pub fn session(number: u64) -> SessionId {
    SessionId { node: NodeId(1), number }
}

/// An entry that no connection caused.
pub fn draft(room: Option<RoomId>, event: Event) -> Draft {
    Draft { room, via: None, event }
}

/// A message.
pub fn said(room: RoomId, from: u64, text: &str) -> Draft {
    Draft { room: Some(room), via: Some(UserId(from)), event: spoken(from, None, text) }
}

/// A message with a key.
pub fn keyed(room: RoomId, from: u64, key: &str, text: &str) -> Draft {
    Draft { room: Some(room), via: Some(UserId(from)), event: spoken(from, Some(key), text) }
}

fn spoken(from: u64, key: Option<&str>, text: &str) -> Event {
    Event::Said { from: user(from), text: text.into(), key: key.map(Into::into), share: None }
}

/// A message that counts to its sender's share of an inbox, and to an address's.
pub fn shared(room: RoomId, from: u64, near: Option<u16>, text: &str) -> Draft {
    let event = Event::Said { from: user(from), text: text.into(), key: None, share: Some(Share { near }) };
    Draft { room: Some(room), via: Some(UserId(from)), event }
}

/// A mark.
pub fn acked(id: u64, upto: u64) -> Draft {
    draft(Some(inbox(id)), Event::Acked { by: UserId(id), upto: Seq(upto) })
}

/// A new channel.
pub fn created(name: &str, owner: u64) -> Draft {
    draft(None, Event::Created { channel: Name::new(name), owner: user(owner), key: Some("$phc".into()) })
}

/// The end of a channel.
pub fn closed(channel: u64) -> Draft {
    draft(Some(self::channel(channel)), Event::Closed { who: user(1) })
}

/// A new topic.
pub fn topic(room: RoomId, text: &str) -> Draft {
    draft(Some(room), Event::Topic { who: user(1), text: text.into() })
}

/// A new member.
pub fn joined(room: RoomId, id: u64, lasts: bool, shown: bool) -> Draft {
    draft(Some(room), Event::Joined { who: user(id), since: Time(0), rank: Seq(1), lasts, shown })
}

/// A member less.
pub fn left(room: RoomId, id: u64, lasts: bool, shown: bool) -> Draft {
    draft(Some(room), Event::Left { who: user(id), reason: None, lasts, shown })
}

/// A new owner.
pub fn owner(room: RoomId, id: u64, lasts: bool) -> Draft {
    draft(Some(room), Event::Owner { who: Some(user(id)), lasts, shown: true })
}

/// A new account.
pub fn registered(id: u64) -> Draft {
    draft(None, Event::Registered { who: user(id), password: "$argon2id$v=19$m=19456,t=2,p=1$x".into() })
}

/// A guest and their connection, of the same number.
pub fn came(id: u64) -> Draft {
    draft(None, Event::Came { session: session(id), who: user(id), address: None })
}

/// They are gone.
pub fn went(id: u64) -> Draft {
    draft(None, Event::Went { session: session(id), guest: Some(UserId(id)) })
}

/// Ids below this one may be given out.
pub fn ids(below: u64) -> Draft {
    draft(None, Event::Ids { below: UserId(below) })
}

/// The text of a message.
pub fn text(entry: &Entry) -> &str {
    match &entry.event {
        Event::Said { text, .. } => text,
        other => panic!("no message: {other:?}"),
    }
}

/// Makes accounts in the closed store in this directory, whose password is cheap to check: many people who log in again and
/// again should not be what a test waits for.
pub fn accounts<'a>(directory: &Path, password: &str, names: impl Iterator<Item = &'a str>) {
    let cheap = argon2::Params::new(8, 1, 1, None).expect("these are the least");
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash: Arc<str> = argon.hash_password(password.as_bytes()).expect("it can be hashed").to_string().into();
    let registered = |(number, name)| {
        let who = Who { name: Name::new(name), id: UserId(1000 + number) };
        draft(None, Event::Registered { who, password: Arc::clone(&hash) })
    };
    let mut store = Store::disk(directory).expect("the store opens");
    let drafts: Vec<_> = (0_u64..).zip(names).map(registered).collect();
    let below = ids(1000 + drafts.len() as u64);
    store.append(drafts);
    store.commit(below);
    store.close();
}

/// Fills the closed store in this directory with so many messages of 64 bytes: in a hundred channels that are there, and in the
/// inbox of an account.
pub fn fill(directory: &Path, messages: u64) {
    const BATCH: u64 = 1000;
    let mut store = Store::disk(directory).expect("the store opens");
    let account = 1 << 40;
    store.commit(registered(account));
    let mut rooms = vec![inbox(account)];
    for number in 0..100 {
        rooms.push(channel(store.commit(created(&format!("room{number}"), account)).seq.0));
    }
    let text = "A message of sixty-four bytes, which is what a person types, ok.";
    let one = |number: u64| said(rooms[(number % 101) as usize], account + number % 50, text);
    for start in (0..messages).step_by(BATCH as usize) {
        store.append((start..messages.min(start + BATCH)).map(one).collect());
    }
    store.close();
}
