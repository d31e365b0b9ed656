//! A store that ends with its process: for tests, benchmarks, and servers that must leave no trace.
//!
//! It keeps the newest entries up to a number of bytes; readers of older ones are told of a gap. A key is remembered no longer
//! than its message is kept, so that keys too are bounded by those bytes. Compaction keys and heads are never given up.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, RwLock, RwLockReadGuard};

use foldhash::HashMap;

use crate::event::{Entry, Event, RoomId};
use crate::names::{Seq, UserId};
use crate::state::archive::Sharer;
use crate::store::backend::{Backend, Batch, Change, Floor, Head, KeyUse, Keys, Look, Record, StoreError, Waste, below};
use crate::store::{Page, Presence, Promise, Query, ReadError, Reader, Store, Stretch, chain};

/// About how many bytes a record costs besides its text.
const RECORD_BYTES: u64 = 256;
/// About how many bytes more its key costs, besides the key's text.
const KEY_BYTES: u64 = 128;
/// How many records are kept and given up together: a single queue of records would be copied whole each time it doubles.
const CHUNK: usize = 64;

#[derive(Debug)]
struct Chunk {
    /// The seq that its first record had when it was added, even if that record has been deleted since.
    first: Seq,
    records: Vec<Record>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By seq.
    chunks: VecDeque<Chunk>,
    bytes: u64,
    last: Seq,
    heads: HashMap<RoomId, Head>,
    keys: Keys,
    key_counts: HashMap<UserId, u64>,
    shares: BTreeMap<UserId, BTreeMap<Sharer, u64>>,
    state: BTreeMap<String, Entry>,
    presence: BTreeMap<String, Entry>,
    waste: BTreeMap<Waste, Floor>,
}

/// The backend in memory.
#[derive(Debug)]
pub struct Memory {
    kept: Arc<RwLock<Kept>>,
    most_bytes: u64,
}

struct MemoryReader(Arc<RwLock<Kept>>);

/// A store in memory that keeps about `most_bytes` bytes of entries, and its reader.
pub fn open(most_bytes: u64, presence: Presence) -> (Store<Memory>, Arc<dyn Reader>) {
    let memory = Memory::new(most_bytes);
    let reader = memory.reader();
    (Store::new(memory, presence), reader)
}

fn cost(record: &Record) -> u64 {
    let bytes = match &record.entry.event {
        Event::Said { text, key, .. } | Event::Unheard { text, key, .. } => {
            text.len() as u64 + key.as_ref().map_or(0, |key| KEY_BYTES + key.len() as u64)
        }
        Event::Topic { text, .. } => text.len() as u64,
        _ => 0,
    };
    RECORD_BYTES + bytes
}

fn free(held: &mut BTreeMap<String, Entry>, key: &str) {
    let (first, after) = below(key);
    held.remove(key);
    held.extract_if(first..after, |_, _| true).for_each(drop);
}

fn by_seq(held: &BTreeMap<String, Entry>) -> Vec<(String, Entry)> {
    let mut held: Vec<_> = held.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect();
    held.sort_by_key(|(_, entry)| entry.seq);
    held
}

impl Kept {
    /// The index of the chunk to which a seq belongs.
    fn chunk(&self, seq: Seq) -> Option<usize> {
        self.chunks.partition_point(|chunk| chunk.first <= seq).checked_sub(1)
    }

    /// Everything below this seq was given up.
    fn given_up(&self) -> Seq {
        self.chunks.front().map_or(Seq(0), |chunk| chunk.first)
    }

    fn push(&mut self, record: Record, most_bytes: u64) {
        self.bytes += cost(&record);
        self.last = record.entry.seq;
        match self.chunks.back_mut() {
            Some(chunk) if chunk.records.len() < CHUNK => chunk.records.push(record),
            _ => {
                let mut records = Vec::with_capacity(CHUNK);
                let first = record.entry.seq;
                records.push(record);
                self.bytes += RECORD_BYTES;
                self.chunks.push_back(Chunk { first, records });
            }
        }
        // The newest chunk stays, however large it is: it holds what was put just now.
        while self.bytes > most_bytes
            && self.chunks.len() > 1
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= RECORD_BYTES;
            oldest.records.iter().for_each(|record| self.forget(record));
        }
    }

    /// Forgets what a removed record has left behind.
    fn forget(&mut self, record: &Record) {
        self.bytes -= cost(record);
        if let Event::Said { from, key: Some(key), .. } | Event::Unheard { from, key: Some(key), .. } = &record.entry.event
            && let Some(keys) = self.keys.get_mut(&from.id)
            && keys.get(key).is_some_and(|found| found.used.seq == record.entry.seq)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.keys.remove(&from.id);
            }
        }
    }

    fn delete(&mut self, seq: Seq) {
        let Some(chunk) = self.chunk(seq) else { return };
        let records = &mut self.chunks[chunk].records;
        let Ok(at) = records.binary_search_by_key(&seq, |record| record.entry.seq) else { return };
        let record = records.remove(at);
        if records.len() <= records.capacity() / 2 {
            records.shrink_to_fit();
        }
        self.forget(&record);
    }

    /// Puts a record in the place of the one with its seq, if that is kept.
    fn replace(&mut self, record: Record) {
        let Some(chunk) = self.chunk(record.entry.seq) else { return };
        let records = &mut self.chunks[chunk].records;
        let Ok(at) = records.binary_search_by_key(&record.entry.seq, |record| record.entry.seq) else { return };
        self.bytes = self.bytes - cost(&records[at]) + cost(&record);
        records[at] = record;
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Hold(key, entry) => {
                self.state.insert(key.clone(), entry.clone());
                self.presence.remove(key);
            }
            Change::Free(key) => [&mut self.state, &mut self.presence].into_iter().for_each(|held| free(held, key)),
            Change::HoldPresence(key, entry) => drop(self.presence.insert(key.clone(), entry.clone())),
            Change::FreePresence(key) => free(&mut self.presence, key),
            Change::ForgetPresence => self.presence.clear(),
            Change::Head(room, head) => drop(self.heads.insert(*room, *head)),
            Change::KeyCount(sender, count) => drop(self.key_counts.insert(*sender, *count)),
            Change::Waste(waste) => drop(self.waste.entry(*waste).or_default()),
            Change::Gone(waste, floor) => drop(self.waste.insert(*waste, *floor)),
            Change::Delete(seq) => self.delete(*seq),
            // It bounds itself and is never trimmed.
            Change::Relink(_) | Change::Trimmed(..) => {}
            Change::DeleteHead(room) => {
                self.heads.remove(room);
                if let RoomId::Inbox(owner) = room {
                    self.shares.remove(owner);
                }
            }
            Change::DeleteKey(sender, key) => drop(self.keys.get_mut(sender).and_then(|keys| keys.remove(key))),
            Change::DeleteKeyCount(sender) => {
                self.keys.remove(sender);
                self.key_counts.remove(sender);
            }
            Change::DeleteWaste(waste) => drop(self.waste.remove(waste)),
        }
    }
}

impl Look for Kept {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        let records = self.chunk(seq).map_or(&[][..], |chunk| &self.chunks[chunk].records);
        Ok(records.binary_search_by_key(&seq, |record| record.entry.seq).ok().map(|at| records[at].clone()))
    }

    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        Ok(self.heads.get(&room).copied().unwrap_or_default())
    }

    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        let wasted = self.waste.get(&Waste::Room(room)).map_or(Seq(0), |floor| floor.seq);
        Ok(self.given_up().max(wasted))
    }
}

impl Memory {
    /// An empty one that keeps about `most_bytes` bytes of entries.
    pub fn new(most_bytes: u64) -> Self {
        Self { kept: Arc::default(), most_bytes }
    }

    /// Reads what is committed here.
    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(MemoryReader(Arc::clone(&self.kept)))
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().expect("invariant: nothing panics under this lock")
    }
}

impl Look for Memory {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        self.read().record(seq)
    }

    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        self.read().head(room)
    }

    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        self.read().floor(room)
    }
}

impl Backend for Memory {
    fn last(&self) -> Result<Seq, StoreError> {
        Ok(self.read().last)
    }

    fn key(&self, sender: UserId, key: &str) -> Result<Option<KeyUse>, StoreError> {
        Ok(self.read().keys.get(&sender).and_then(|keys| keys.get(key)).copied())
    }

    fn key_count(&self, sender: UserId) -> Result<u64, StoreError> {
        Ok(self.read().key_counts.get(&sender).copied().unwrap_or_default())
    }

    fn keys_after(&self, sender: UserId, key: &str, count: usize) -> Result<Vec<(Arc<str>, KeyUse)>, StoreError> {
        let kept = self.read();
        let Some(keys) = kept.keys.get(&sender) else { return Ok(Vec::new()) };
        let after = keys.range::<str, _>((Bound::Excluded(key), Bound::Unbounded));
        Ok(after.take(count).map(|(key, found)| (Arc::clone(key), *found)).collect())
    }

    fn share(&self, owner: UserId, sharer: Sharer) -> Result<u64, StoreError> {
        Ok(self.read().shares.get(&owner).and_then(|shares| shares.get(&sharer)).copied().unwrap_or_default())
    }

    fn shares(&self, owner: UserId) -> Result<Vec<(Sharer, u64)>, StoreError> {
        let kept = self.read();
        Ok(kept.shares.get(&owner).into_iter().flatten().map(|(sharer, count)| (*sharer, *count)).collect())
    }

    fn held(&self, each: &mut dyn FnMut(&str, Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let held = by_seq(&self.read().state);
        held.into_iter().try_for_each(|(key, entry)| each(&key, entry))
    }

    fn present(&self) -> Result<Vec<(String, Entry)>, StoreError> {
        Ok(by_seq(&self.read().presence))
    }

    fn owned(&self) -> Result<Vec<Waste>, StoreError> {
        let kept = self.read();
        let inboxes = kept.heads.keys().filter(|room| room.channel().is_none()).map(|&room| Waste::Room(room));
        Ok(inboxes.chain(kept.key_counts.keys().map(|&sender| Waste::Keys(sender))).collect())
    }

    fn wasted(&self) -> Result<Vec<Waste>, StoreError> {
        Ok(self.read().waste.keys().copied().collect())
    }

    fn deleted_of(&self, waste: Waste) -> Result<Option<Floor>, StoreError> {
        Ok(self.read().waste.get(&waste).copied())
    }

    fn holder(&self, key: &str) -> Result<Option<Seq>, StoreError> {
        Ok(self.read().state.get(key).map(|entry| entry.seq))
    }

    fn each_record(&self, each: &mut dyn FnMut(&Record)) -> Result<(), StoreError> {
        self.read().chunks.iter().flat_map(|chunk| &chunk.records).for_each(each);
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut kept = self.kept.write().expect("invariant: nothing panics under this lock");
        // Keys go in before their messages: those may push each other out, and their keys with them.
        while let Some((sender, keys)) = batch.keys.pop_first() {
            kept.keys.entry(sender).or_default().extend(keys);
        }
        for record in batch.records.drain(..) {
            kept.push(record, self.most_bytes);
        }
        while let Some((_, record)) = batch.unsaid.pop_first() {
            kept.replace(record);
        }
        for owner in &batch.shares.forgotten {
            kept.shares.remove(owner);
        }
        for (&(owner, sharer), &count) in &batch.shares.counted {
            kept.shares.entry(owner).or_default().insert(sharer, count);
        }
        for change in &batch.changes {
            kept.change(change);
        }
        kept.last = kept.last.max(batch.newest);
        Ok(())
    }
}

impl Reader for MemoryReader {
    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>> {
        let kept = self.0.read().expect("invariant: nothing panics under this lock");
        let page = chain::read(&*kept, query).map_err(|error| ReadError(error.to_string()));
        Box::pin(std::future::ready(page))
    }

    fn stretch(&self, after: Seq, count: usize) -> Promise<'_, Result<Stretch, ReadError>> {
        let kept = self.0.read().expect("invariant: nothing panics under this lock");
        let first = kept.chunk(Seq(after.0.saturating_add(1))).unwrap_or(0);
        let records = kept.chunks.range(first..).flat_map(|chunk| &chunk.records);
        let entries: Vec<_> =
            records.map(|record| &record.entry).filter(|entry| entry.seq > after).take(count).cloned().collect();
        let (newest, last) = (kept.last, entries.last().map_or(after, |entry| entry.seq));
        let upto = if entries.len() < count { newest.max(after) } else { last };
        Box::pin(std::future::ready(Ok(Stretch { entries, upto, newest })))
    }

    fn entries(&self, seqs: Vec<Seq>) -> Promise<'_, Result<Vec<Entry>, ReadError>> {
        let kept = self.0.read().expect("invariant: nothing panics under this lock");
        let found = seqs.into_iter().filter_map(|seq| kept.record(seq).transpose());
        let entries = found.map(|record| record.map(|record| record.entry)).collect::<Result<_, _>>();
        Box::pin(std::future::ready(entries.map_err(|error| ReadError(error.to_string()))))
    }

    fn floors(&self, rooms: Vec<RoomId>) -> Promise<'_, Result<Vec<Option<Seq>>, ReadError>> {
        let kept = self.0.read().expect("invariant: nothing panics under this lock");
        let has_ended = |room: RoomId| !kept.heads.contains_key(&room) || kept.waste.contains_key(&Waste::Room(room));
        let floor = |room| if has_ended(room) { Ok(None) } else { kept.floor(room).map(Some) };
        let floors = rooms.into_iter().map(floor).collect::<Result<_, _>>();
        Box::pin(std::future::ready(floors.map_err(|error| ReadError(error.to_string()))))
    }

    fn durability(&self) -> &'static str {
        "memory"
    }
}
