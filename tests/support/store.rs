//! A journal for a test or benchmark, driven one call at a time and without a server.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::sync::Arc;

use linechat::event::{Done, Draft, Entry, Event, Guard, Outcome, Room};
use linechat::journal::{self, Fed, Feed, Journal, OpenError, Page, Query, ReadError, Span};
use linechat::names::{Name, Seq, UserId, Who};
use tokio::runtime::Runtime;

/// A journal that is open, and what it fed before it was live.
pub struct Store {
    runtime: Runtime,
    journal: Arc<dyn Journal>,
    feed: Feed,
    state: Vec<Entry>,
}

/// Why a journal is not there.
#[derive(Debug)]
pub enum Refused {
    Open(OpenError),
    Failed(String),
}

impl Store {
    /// In memory, keeping about this many bytes.
    pub fn memory(bytes: u64) -> Self {
        Self::start(|| Ok(journal::open_memory(bytes))).expect("memory is always there")
    }

    /// On the disk.
    pub fn disk(directory: &Path) -> Result<Self, Refused> {
        Self::start(|| journal::open_disk(directory))
    }

    fn start(open: impl FnOnce() -> Result<Arc<dyn Journal>, OpenError>) -> Result<Self, Refused> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let opened = runtime.block_on(async { open() }).map_err(Refused::Open)?;
        let mut feed = opened.feed();
        let mut state = Vec::new();
        loop {
            match runtime.block_on(feed.recv()) {
                Some(Fed::State(entries)) => state.extend(entries),
                Some(Fed::Live) => return Ok(Self { runtime, journal: opened, feed, state }),
                Some(Fed::Failed(why)) => {
                    drop(feed);
                    runtime.block_on(opened.close());
                    return Err(Refused::Failed(why));
                }
                other => panic!("before the feed is live there is only state, and not {other:?}"),
            }
        }
    }

    /// What was fed before it was live.
    pub fn state(&self) -> &[Entry] {
        &self.state
    }

    /// Appends and waits for the outcomes, one for each draft, or why the journal cannot go on.
    pub fn try_append(&mut self, drafts: Vec<Draft>) -> Result<Vec<Done>, String> {
        self.pump(vec![drafts])
    }

    /// Appends and waits for the outcomes, one for each draft.
    pub fn append(&mut self, drafts: Vec<Draft>) -> Vec<Outcome> {
        self.try_append(drafts).expect("the journal goes on").into_iter().map(|done| done.outcome).collect()
    }

    /// Appends one draft.
    pub fn one(&mut self, draft: Draft) -> Outcome {
        self.append(vec![draft]).pop().expect("one draft has one outcome")
    }

    /// Appends one draft that is stored.
    pub fn commit(&mut self, draft: Draft) -> Entry {
        match self.one(draft) {
            Outcome::Committed(entry) => entry,
            other => panic!("not stored: {other:?}"),
        }
    }

    /// Appends batch after batch without waiting in between, and gives all outcomes in the order of the feed.
    pub fn pump(&mut self, batches: Vec<Vec<Draft>>) -> Result<Vec<Done>, String> {
        let Self { runtime, journal, feed, .. } = self;
        let due = batches.iter().map(Vec::len).sum();
        let sending = async {
            for batch in batches {
                if journal.append(batch).await.is_err() {
                    break;
                }
            }
        };
        let receiving = async {
            let mut outcomes = Vec::with_capacity(due);
            while outcomes.len() < due {
                match feed.recv().await {
                    Some(Fed::Done(done)) => outcomes.extend(done),
                    Some(Fed::Failed(why)) => return Err(why),
                    other => return Err(format!("no outcome but {other:?}")),
                }
            }
            Ok(outcomes)
        };
        runtime.block_on(async { tokio::join!(sending, receiving).1 })
    }

    /// Reads a page.
    pub fn try_read(&self, room: Room, span: Span, count: usize) -> Result<Page, ReadError> {
        self.runtime.block_on(self.journal.read(Query { room, span, count }))
    }

    /// Reads a page of a store that is whole.
    pub fn read(&self, room: Room, span: Span, count: usize) -> Page {
        self.try_read(room, span, count).expect("the store is whole")
    }

    /// The journal itself, and the runtime in which it is used.
    pub fn parts(&mut self) -> (&Runtime, &Arc<dyn Journal>, &mut Feed) {
        (&self.runtime, &self.journal, &mut self.feed)
    }

    /// Closes it as a server does.
    pub fn close(self) {
        self.runtime.block_on(self.journal.close());
    }
}

/// The writer is a thread of its own, and a test that goes on to overwrite the files must not meet it still at work.
impl Drop for Store {
    fn drop(&mut self) {
        // Nobody reads the outcomes any more, so that the writer must not wait to give them.
        self.feed.close();
        self.runtime.block_on(self.journal.close());
    }
}

/// The inbox of a user.
pub fn inbox(id: u64) -> Room {
    Room::Inbox(UserId(id))
}

/// A channel.
pub fn channel(seq: u64) -> Room {
    Room::Channel(Seq(seq))
}

/// The user with this id.
pub fn user(id: u64) -> Who {
    Who { name: Name::new(&format!("u{id}")), id: UserId(id) }
}

/// A draft that nobody waits for.
pub fn draft(room: Option<Room>, event: Event) -> Draft {
    Draft { room, event, guard: Guard::None, origin: None }
}

/// A message.
pub fn said(room: Room, from: u64, text: &str) -> Draft {
    draft(Some(room), Event::Said { from: user(from), text: text.into(), key: None, via: UserId(from) })
}

/// A message with a key.
pub fn keyed(room: Room, from: u64, key: &str, text: &str) -> Draft {
    draft(Some(room), Event::Said { from: user(from), text: text.into(), key: Some(key.into()), via: UserId(from) })
}

/// A mark.
pub fn acked(id: u64, upto: u64) -> Draft {
    draft(Some(inbox(id)), Event::Acked { by: UserId(id), upto: Seq(upto) })
}

/// The draft with a guard.
pub fn guarded(mut draft: Draft, guard: Guard) -> Draft {
    draft.guard = guard;
    draft
}

/// The text of a message.
pub fn text(entry: &Entry) -> &str {
    match &entry.event {
        Event::Said { text, .. } => text,
        other => panic!("no message: {other:?}"),
    }
}

/// Fills the closed store in this directory with so many messages of 64 bytes: in a hundred channels that are there, and in the
/// inbox of an account.
pub fn fill(directory: &Path, messages: u64) {
    const BATCH: u64 = 1000;
    let mut store = Store::disk(directory).expect("the store opens");
    let account = 1 << 40;
    store.commit(draft(None, Event::Registered { who: user(account), password: "$argon2id$".into() }));
    let mut rooms = vec![inbox(account)];
    for number in 0..100 {
        let event = Event::Created { channel: Name::new(&format!("room{number}")), owner: user(account), key: None };
        rooms.push(channel(store.commit(draft(None, event)).seq.0));
    }
    let text = "A message of sixty-four bytes, which is what a person types, ok.";
    let one = |number: u64| said(rooms[(number % 101) as usize], account + number % 50, text);
    for start in (0..messages).step_by(100 * BATCH as usize) {
        let end = messages.min(start + 100 * BATCH);
        let batches = (start..end).step_by(BATCH as usize).map(|at| (at..end.min(at + BATCH)).map(one).collect());
        store.pump(batches.collect()).expect("the journal goes on");
    }
    store.close();
}
