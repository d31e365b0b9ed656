//! A journal that is gone with its process: for tests, benchmarks, and servers that must leave no trace.
//!
//! It keeps the newest messages up to a number of bytes; readers of older ones are told a gap.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::event::{Change, Entry, Event};
use crate::journal::local::{Local, Reader};
use crate::journal::slot;
use crate::journal::store::{Chain, End, Look, Record, Store, StoreError};
use crate::journal::writer::Place;
use crate::journal::{Journal, Page, Promise, Query, ReadError, chain};
use crate::names::Seq;

/// What a record costs beside its text, about.
const RECORD_BYTES: u64 = 256;
/// Records that are kept and given up together: one queue of all of them would be copied whole whenever it doubles.
const CHUNK: usize = 64;

#[derive(Debug, Default)]
struct Kept {
    /// Without holes: the record with seq `s` is the one numbered `s - first`. All but the last chunk are full.
    chunks: VecDeque<Vec<Record>>,
    first: u64,
    bytes: u64,
    ends: HashMap<Chain, End>,
    /// Holders of slots; unlike messages they are never given up.
    slots: BTreeMap<String, Entry>,
}

struct Memory {
    kept: Arc<RwLock<Kept>>,
    most_bytes: u64,
}

struct MemoryReader(Arc<RwLock<Kept>>);

/// A journal in memory that keeps up to `most_bytes` of messages.
///
/// # Panics
/// Outside a tokio runtime.
pub fn open(most_bytes: u64) -> Arc<dyn Journal> {
    let kept = Arc::new(RwLock::new(Kept { first: 1, ..Kept::default() }));
    let store = Memory { kept: Arc::clone(&kept), most_bytes };
    Arc::new(Local::start(store, MemoryReader(kept), Place::Task).expect("invariant: a task can always be started"))
}

fn cost(record: &Record) -> u64 {
    match &record.entry.event {
        Event::Said { text, .. } | Event::Channel { change: Change::Topic(text), .. } => RECORD_BYTES + text.len() as u64,
        _ => RECORD_BYTES,
    }
}

impl Look for Kept {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        let at = seq.0.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        Ok(at.and_then(|at| self.chunks.get(at / CHUNK)?.get(at % CHUNK)).cloned())
    }

    fn end(&self, chain: Chain) -> Result<End, StoreError> {
        Ok(self.ends.get(&chain).copied().unwrap_or_default())
    }
}

impl Memory {
    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().expect("invariant: nothing panics under this lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().expect("invariant: nothing panics under this lock")
    }
}

impl Look for Memory {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        self.read().record(seq)
    }

    fn end(&self, chain: Chain) -> Result<End, StoreError> {
        self.read().end(chain)
    }
}

impl Store for Memory {
    fn last(&self) -> Result<Seq, StoreError> {
        let kept = self.read();
        let count = kept.chunks.iter().map(Vec::len).sum::<usize>();
        Ok(Seq(kept.first + count as u64 - 1))
    }

    fn state(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<_> = self.read().slots.values().cloned().collect();
        entries.sort_by_key(|entry| entry.seq);
        Ok(entries)
    }

    fn holder(&self, slot: &str) -> Result<Option<Seq>, StoreError> {
        Ok(self.read().slots.get(slot).map(|entry| entry.seq))
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn put(&mut self, record: &Record) -> Result<(), StoreError> {
        let mut kept = self.write();
        kept.bytes += cost(record);
        if kept.chunks.back().is_none_or(|chunk| chunk.len() == CHUNK) {
            kept.chunks.push_back(Vec::with_capacity(CHUNK));
        }
        kept.chunks.back_mut().expect("invariant: it was made").push(record.clone());
        // The newest chunk stays, whatever it takes: in it is what was put just now.
        while kept.bytes > self.most_bytes
            && kept.chunks.len() > 1
            && let Some(oldest) = kept.chunks.pop_front()
        {
            kept.bytes -= oldest.iter().map(cost).sum::<u64>();
            kept.first += oldest.len() as u64;
        }
        Ok(())
    }

    fn set_end(&mut self, chain: Chain, end: End) -> Result<(), StoreError> {
        self.write().ends.insert(chain, end);
        Ok(())
    }

    fn hold(&mut self, slot: &str, seq: Seq) -> Result<(), StoreError> {
        let mut kept = self.write();
        let record = kept.record(seq)?.ok_or_else(|| StoreError::Failed("memory-journal is too small".into()))?;
        kept.slots.insert(slot.to_owned(), record.entry);
        Ok(())
    }

    fn free(&mut self, slot: &str) -> Result<(), StoreError> {
        let (first, after) = slot::below(slot);
        let mut kept = self.write();
        kept.slots.remove(slot);
        kept.slots.extract_if(first..after, |_, _| true).for_each(drop);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn rollback(&mut self) {}
}

impl Reader for MemoryReader {
    const DURABILITY: &'static str = "memory";

    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>> {
        let kept = self.0.read().expect("invariant: nothing panics under this lock");
        let page = chain::read(&*kept, query).map_err(|error| ReadError(error.to_string()));
        Box::pin(std::future::ready(page))
    }
}
