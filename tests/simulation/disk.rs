//! A simulated disk: it is full at times, fails, and outlives the process that wrote to it. What is committed is kept by the real
//! store in memory; this must never know what an entry means, but for what a full disk has room for.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use linechat::event::{Entry, Event, RoomId};
use linechat::names::{Seq, UserId};
use linechat::state::archive::Sharer;
use linechat::store::backend::{Batch, Floor, Head, KeyUse, Look, Record, Waste};
use linechat::store::{Backend, Memory, StoreError};
use tokio::time::Instant;

use super::chance::Chance;
use super::fate::{Death, Fate, Lie};

/// What is on the disk.
pub type Platter = Arc<Mutex<Memory>>;

/// The disk as one life of the server sees it.
pub struct Disk {
    platter: Platter,
    fate: Arc<Fate>,
    chance: Chance,
    writes: usize,
    full_until: Instant,
    /// How many more batches without messages a full disk takes.
    reserve: usize,
    /// Whether it only says that it writes.
    is_losing: bool,
}

impl Disk {
    /// The disk with what is on it.
    pub fn new(platter: Platter, fate: Arc<Fate>, chance: Chance) -> Self {
        Self { platter, fate, chance, writes: 0, full_until: Instant::now(), reserve: 0, is_losing: false }
    }

    fn platter(&self) -> MutexGuard<'_, Memory> {
        self.platter.lock().expect("nothing panics under this lock")
    }

    fn is_full(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.full_until && !self.fate.is_calm() && self.chance.below(150) == 0 {
            self.full_until = now + Duration::from_millis(self.chance.below(4000) as u64);
        }
        now < self.full_until && !self.fate.is_calm()
    }

    /// From now on nothing is written, and soon a crash shows it.
    fn lose(&mut self) {
        if !std::mem::replace(&mut self.is_losing, true) {
            let fate = Arc::clone(&self.fate);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                fate.crash();
            });
        }
    }

    fn store(&self, batch: &mut Batch) -> Result<(), StoreError> {
        self.platter().write(batch)
    }
}

fn failed() -> StoreError {
    StoreError::Failed("the simulated disk has failed".to_owned())
}

impl Look for Disk {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        self.platter().record(seq)
    }
    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        self.platter().head(room)
    }
    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        self.platter().floor(room)
    }
}

impl Backend for Disk {
    fn give_reserve(&mut self) {
        self.reserve = 1 + self.chance.below(8);
    }

    fn take_reserve(&mut self) -> bool {
        self.reserve = 0;
        !self.is_full()
    }

    fn last(&self) -> Result<Seq, StoreError> {
        self.platter().last()
    }

    fn key(&self, sender: UserId, key: &str) -> Result<Option<KeyUse>, StoreError> {
        self.platter().key(sender, key)
    }

    fn key_count(&self, sender: UserId) -> Result<u64, StoreError> {
        self.platter().key_count(sender)
    }

    fn keys_after(&self, sender: UserId, key: &str, count: usize) -> Result<Vec<(Arc<str>, KeyUse)>, StoreError> {
        self.platter().keys_after(sender, key, count)
    }

    fn share(&self, owner: UserId, sharer: Sharer) -> Result<u64, StoreError> {
        self.platter().share(owner, sharer)
    }

    fn shares(&self, owner: UserId) -> Result<Vec<(Sharer, u64)>, StoreError> {
        self.platter().shares(owner)
    }

    fn held(&self, each: &mut dyn FnMut(&str, Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.platter().held(each)
    }

    fn present(&self) -> Result<Vec<(String, Entry)>, StoreError> {
        self.platter().present()
    }

    fn owned(&self) -> Result<Vec<Waste>, StoreError> {
        self.platter().owned()
    }

    fn wasted(&self) -> Result<Vec<Waste>, StoreError> {
        self.platter().wasted()
    }

    fn deleted_of(&self, waste: Waste) -> Result<Option<Floor>, StoreError> {
        self.platter().deleted_of(waste)
    }

    fn each_record(&self, each: &mut dyn FnMut(&Record)) -> Result<(), StoreError> {
        self.platter().each_record(each)
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if self.fate.is_over() {
            return Err(failed());
        }
        if self.is_full() {
            let has_messages = batch.records.iter().any(|record| matches!(record.entry.event, Event::Said { .. }));
            if has_messages || self.reserve == 0 {
                return Err(StoreError::Full);
            }
            self.reserve -= 1;
        }
        if self.fate.tells(Lie::HidesFailure) {
            return Ok(());
        }
        if self.is_losing || self.fate.tells(Lie::LosesWrites) {
            self.lose();
            return Ok(());
        }
        self.writes += usize::from(!self.fate.is_calm());
        match self.fate.death {
            Death::BeforeWrite(at) if at == self.writes => {
                self.fate.crash();
                Err(failed())
            }
            Death::AfterWrite(at) if at == self.writes => {
                self.store(batch)?;
                self.fate.crash();
                Ok(())
            }
            Death::Fails(at) if at == self.writes => {
                self.fate.ending();
                Err(failed())
            }
            Death::FailsLate(at) if at == self.writes => {
                self.store(batch)?;
                self.fate.ending();
                Err(failed())
            }
            _ => self.store(batch),
        }
    }
}
