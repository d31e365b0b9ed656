//! The writer: the one place where drafts become entries. It alone decides order, links, keys, guards and marks.
//!
//! One writer drains the queue into one transaction, commits once, and feeds the batch: the more that waits, the less each
//! costs. It owns the store; nobody else writes. A failed commit other than a full disk ends it, and with it the process.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::event::{Done, Draft, Entry, Event, Guard, NEW_CHANNEL, Outcome, Room, Time};
use crate::journal::Fed;
use crate::journal::chain::{Tips, at_or_before};
use crate::journal::keys::Keys;
use crate::journal::slot::{self, Claim};
use crate::journal::store::{Chain, Links, Record, Store, StoreError, content};
use crate::limits::{COMMIT_ENTRIES, KEYS_IN_MEMORY};
use crate::names::Seq;

/// Where the writer runs.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// In a task, for a store that never blocks.
    Task,
    /// In a thread of its own, for one that waits for the disk.
    Thread,
}

impl Place {
    /// Whoever is ready may add to a batch before it is committed: what a commit costs beside its entries is shared by more of
    /// them. Where the sessions run on the same core, that is a quarter of the throughput (a channel of 100, disk and memory).
    async fn let_others_go_first(self) {
        match self {
            Self::Task => tokio::task::yield_now().await,
            Self::Thread => std::thread::yield_now(),
        }
    }
}

/// Turns of the others that a batch may fill for, as long as each adds to it; where they are busy with other things, one may take
/// milliseconds.
const FILLING_TURNS: usize = 8;
/// How often a full disk is asked whether there is room again.
const ROOM_CHECK: Duration = Duration::from_secs(1);
/// Entries of the state fed at a time.
const STATE_CHUNK: usize = 1024;

/// The writer's state; all but the store can be read again from the store.
struct Writer<S> {
    store: S,
    last: Seq,
    tips: Tips,
    keys: Keys,
    full_since: Option<Instant>,
    /// The channel that the draft before this one created.
    created: Option<Seq>,
}

/// Feeds the state, then commits what comes through `queue` until `closing` is cancelled and the queue is empty.
pub async fn run<S: Store>(
    store: S,
    mut queue: mpsc::Receiver<Vec<Draft>>,
    feed: mpsc::Sender<Fed>,
    closing: CancellationToken,
    place: Place,
) {
    let mut writer =
        Writer { store, last: Seq(0), tips: Tips::default(), keys: Keys::new(KEYS_IN_MEMORY), full_since: None, created: None };
    let failed = match writer.boot(&feed).await {
        Ok(()) => writer.serve(&mut queue, &feed, &closing, place).await.err(),
        Err(error) => Some(error),
    };
    match failed {
        // Whoever reads the feed ends the process; nobody reading it any more means that it is ending already. Nothing is
        // tidied: of a store that has failed, no more is written than was.
        Some(error) => drop(feed.send(Fed::Failed(error.to_string())).await),
        None => writer.store.close(),
    }
}

impl<S: Store> Writer<S> {
    async fn boot(&mut self, feed: &mpsc::Sender<Fed>) -> Result<(), StoreError> {
        self.last = self.store.last()?;
        let mut state = self.store.state()?.into_iter().peekable();
        while state.peek().is_some() {
            let _ = feed.send(Fed::State(state.by_ref().take(STATE_CHUNK).collect())).await;
        }
        let _ = feed.send(Fed::Live).await;
        Ok(())
    }

    async fn serve(
        &mut self,
        queue: &mut mpsc::Receiver<Vec<Draft>>,
        feed: &mpsc::Sender<Fed>,
        closing: &CancellationToken,
        place: Place,
    ) -> Result<(), StoreError> {
        loop {
            let first = tokio::select! {
                biased;
                () = closing.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                first = queue.recv() => first,
            };
            let Some(mut batch) = first else { return Ok(()) };
            for _ in 0..FILLING_TURNS {
                let before = batch.len();
                place.let_others_go_first().await;
                while batch.len() < COMMIT_ENTRIES
                    && let Ok(more) = queue.try_recv()
                {
                    batch.extend(more);
                }
                if batch.len() == before {
                    break;
                }
            }
            let done = self.commit(batch)?;
            if feed.send(Fed::Done(done)).await.is_err() {
                return Ok(());
            }
        }
    }

    fn commit(&mut self, batch: Vec<Draft>) -> Result<Vec<Done>, StoreError> {
        if self.full_since.is_some_and(|since| since.elapsed() >= ROOM_CHECK) {
            self.full_since = if self.store.take_reserve() { None } else { Some(Instant::now()) };
        }
        match self.transaction(&batch) {
            Err(StoreError::Full) => {
                self.full_since = Some(Instant::now());
                self.store.give_reserve();
                // Once more without the messages; where there is no room even for marks, everything is refused.
                match self.transaction(&batch) {
                    Err(StoreError::Full) => Ok(batch.iter().map(|draft| done(draft, Outcome::StoreFull)).collect()),
                    other => other,
                }
            }
            other => other,
        }
    }

    fn transaction(&mut self, batch: &[Draft]) -> Result<Vec<Done>, StoreError> {
        let last = self.last;
        let time = Time::now();
        let attempt = self.attempt(batch, time);
        if attempt.is_err() {
            self.store.rollback();
            (self.last, self.tips, self.keys, self.created) = (last, Tips::default(), Keys::new(KEYS_IN_MEMORY), None);
        }
        attempt
    }

    fn attempt(&mut self, batch: &[Draft], time: Time) -> Result<Vec<Done>, StoreError> {
        self.store.begin()?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for draft in batch {
            let outcome = self.judge(draft, time)?;
            outcomes.push(done(draft, outcome));
        }
        let store = &mut self.store;
        self.tips.settle(|chain, end| store.set_end(chain, end))?;
        store.commit()?;
        Ok(outcomes)
    }

    fn judge(&mut self, draft: &Draft, time: Time) -> Result<Outcome, StoreError> {
        match &draft.event {
            Event::Acked { upto, .. } => self.ack(draft, *upto, time),
            Event::Said { .. } => self.say(draft, time),
            _ if self.full_since.is_some() => Ok(Outcome::StoreFull),
            _ => self.change(draft, time),
        }
    }

    fn change(&mut self, draft: &Draft, time: Time) -> Result<Outcome, StoreError> {
        let created = self.created.take();
        let claim = Claim::of(&draft.event).expect("invariant: what is neither message nor mark is state");
        if draft.guard == Guard::Vacant && self.store.holder(claim.slot())?.is_some() {
            return Ok(Outcome::Occupied);
        }
        let mut room = draft.room;
        if let Event::Channel { channel, .. } = &draft.event {
            let wanted = if room == Some(NEW_CHANNEL) { created } else { room.and_then(Room::channel) };
            // Slots go by name: what was meant for a channel that is no more must not change the one that has its name now.
            if wanted.is_none() || self.store.holder(&slot::channel(channel))? != wanted {
                return Ok(Outcome::Occupied);
            }
            room = wanted.map(Room::Channel);
            self.created = created;
        }
        let entry = self.put(room, draft.event.clone(), Links::default(), time)?;
        match claim {
            Claim::Hold(slot) => self.store.hold(&slot, entry.seq)?,
            Claim::Free(slot) => self.store.free(&slot)?,
        }
        if let Event::Created { .. } = draft.event {
            self.created = Some(entry.seq);
        }
        Ok(Outcome::Committed(entry))
    }

    fn say(&mut self, draft: &Draft, time: Time) -> Result<Outcome, StoreError> {
        let Event::Said { from, key, .. } = &draft.event else { unreachable!("invariant: only messages come here") };
        let room = draft.room.expect("invariant: a message has a room");
        let key = key.as_ref().map(|key| self.keys.key(from.id, key, content(draft.room, &draft.event)));
        if let Some(key) = key
            && let Some(outcome) = self.keys.used(&self.store, &mut self.tips, key)?
        {
            return Ok(outcome);
        }
        if self.full_since.is_some() {
            return Ok(Outcome::StoreFull);
        }
        let seq = Seq(self.last.0 + 1);
        let tip = self.tips.tip(&self.store, Chain::Room(room))?;
        if let Guard::Unread(most) = draft.guard
            && tip.end.n - tip.end.acked_n >= most
        {
            return Ok(Outcome::Full);
        }
        let mut links = tip.link(seq);
        if let Some(key) = key {
            links.key_prev = self.tips.tip(&self.store, Chain::Keys(from.id))?.hang(seq);
            self.keys.add(key, seq, time);
        }
        Ok(Outcome::Committed(self.put(draft.room, draft.event.clone(), links, time)?))
    }

    fn ack(&mut self, draft: &Draft, upto: Seq, time: Time) -> Result<Outcome, StoreError> {
        let Event::Acked { by, .. } = draft.event else { unreachable!("invariant: only marks come here") };
        let chain = Chain::Room(draft.room.expect("invariant: a mark has a room"));
        let end = self.tips.tip(&self.store, chain)?.end;
        let (n, seq) = if upto <= end.acked { (0, Seq(0)) } else { at_or_before(&self.store, chain, end, upto)? };
        if n <= end.acked_n {
            return Ok(Outcome::Unmoved(end.acked));
        }
        self.tips.tip(&self.store, chain)?.mark(n, seq);
        Ok(Outcome::Committed(self.put(draft.room, Event::Acked { by, upto: seq }, Links::default(), time)?))
    }

    fn put(&mut self, room: Option<Room>, event: Event, links: Links, time: Time) -> Result<Entry, StoreError> {
        self.last = Seq(self.last.0 + 1);
        let entry = Entry { seq: self.last, time, room, event };
        let record = Record { entry, links };
        self.store.put(&record)?;
        Ok(record.entry)
    }
}

fn done(draft: &Draft, outcome: Outcome) -> Done {
    Done { origin: draft.origin, outcome }
}
