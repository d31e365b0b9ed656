//! Telling all facts of a store, as it is at one moment, while a server may go on writing to it. It holds one row at a time, and where
//! rooms of which something was given up begin. It only reads, and owns nothing.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use crate::event::{Entry, RoomId};
use crate::names::{Seq, UserId};
use crate::state::archive::Used;
use crate::store::OpenError;
use crate::store::backend::{Head, KeyUse, Links, Record, StoreError, Waste};
use crate::store::disk::aside::Aside;
use crate::store::disk::open::{look_into_current, look_into_damaged};
use crate::store::disk::scan::{self, Met};
use crate::store::disk::table::{FLOORS, HEADS, KEY_COUNTS, NEWEST, WASTE};
use crate::store::disk::{row, shares, store_error};
use crate::store::fact::{FORM, Fact};

/// Why the facts were not told to the end.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// It is no store that can be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It fails, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody takes them.
    #[error(transparent)]
    Taken(#[from] std::io::Error),
}

/// Takes the facts one by one.
pub trait Listener {
    /// So many entries will follow.
    fn expect(&mut self, entries: u64);

    /// Takes the next fact.
    ///
    /// # Errors
    /// Ends the telling.
    fn take(&mut self, fact: &Fact) -> Result<(), TellError>;

    /// This is damaged and left out, and with it so many entries at most.
    ///
    /// # Errors
    /// Ends the telling.
    fn leave_out(&mut self, damage: StoreError, entries: u64) -> Result<(), TellError>;
}

/// Tells all facts of the store in this file. What has ended, such as a closed channel, is none.
///
/// # Errors
/// [`TellError`], also that of the listener.
pub fn tell(database: &Path, listener: &mut dyn Listener) -> Result<(), TellError> {
    let store = match look_into_current(database) {
        Err(OpenError::Damaged { found, .. }) => {
            listener.leave_out(StoreError::Damaged(found), 0)?;
            look_into_damaged(database)?
        }
        opened => opened?,
    };
    // Only for whoever waits: a damaged file does not say.
    if let Ok(count) = store.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)) {
        listener.expect(row::unsigned(count));
    }
    let ids = database.parent().map_or(UserId(0), Aside::look);
    sound(listener, NEWEST.get(&store, 1))?;
    let newest = scan::newest(&store)?;
    listener.take(&Fact::Begin { form: FORM, linechat: env!("CARGO_PKG_VERSION").to_owned(), newest, ids })?;
    let (ended, begin) = (HashSet::new(), HashMap::new());
    let mut teller = Teller { store: &store, listener, ended, begin, entries: 0, has_whole_state: true };
    teller.prepare()?;
    teller.entries()?;
    teller.trimmed_away()?;
    teller.inboxes()?;
    teller.keys()?;
    let entries = teller.entries;
    listener.take(&Fact::End { entries })
}

struct Teller<'a> {
    store: &'a Connection,
    listener: &'a mut dyn Listener,
    /// What nobody can read any more: it is only not deleted yet.
    ended: HashSet<Waste>,
    /// From which entry on the rooms are kept of which the oldest were given up, and that have not come yet.
    begin: HashMap<RoomId, Seq>,
    entries: u64,
    /// Whether it is known of each entry so far if the state begins with it.
    has_whole_state: bool,
}

/// What a row of a small table says; nothing, after the listener was told, if it is damaged.
fn sound<T>(listener: &mut dyn Listener, row: Result<T, StoreError>) -> Result<Option<T>, TellError> {
    match row {
        Err(damage @ StoreError::Damaged(_)) => listener.leave_out(damage, 0).map(|()| None),
        row => Ok(Some(row?)),
    }
}

impl Teller<'_> {
    fn prepare(&mut self) -> Result<(), TellError> {
        WASTE.each_left(self.store, |row| {
            self.ended.extend(sound(self.listener, row)?.map(|(id, _)| row::read_waste(id)));
            Ok::<_, TellError>(())
        })?;
        FLOORS.each_left(self.store, |row| {
            let floor = sound(self.listener, row)?;
            self.begin.extend(floor.map(|(room, [_, seq])| (row::read_room(room), Seq(row::unsigned(seq)))));
            Ok(())
        })
    }

    fn entries(&mut self) -> Result<(), TellError> {
        scan::entries(self.store, |met| match met {
            Met::Sound(record) => self.entry(record),
            Met::Spoiled(damage, _) => self.listener.leave_out(damage, 1),
            Met::Torn(first, last) => {
                self.listener.leave_out(StoreError::Damaged(Met::torn(first, last)), last.0 - first.0 + 1)
            }
        })
    }

    fn entry(&mut self, record: Record) -> Result<(), TellError> {
        let Record { entry: Entry { seq, time, room, via, event }, links, .. } = record;
        let mut hidden = false;
        if let Some(room) = room {
            if self.ended.contains(&Waste::Room(room)) {
                return Ok(());
            }
            hidden = event.is_linked() && links.n == 0;
            if links.n > 0 && self.begin.get(&room).is_some_and(|begin| seq >= *begin) {
                self.begin.remove(&room);
                let Links { n, prev, said_n, said, .. } = links;
                let said_n = said_n.saturating_sub(u64::from(event.is_message()));
                self.listener.take(&Fact::Trimmed { room, n: n - 1, last: prev, said_n, said })?;
            }
        }
        let holds = match event.compaction(room.and_then(RoomId::channel)).hold {
            Some(key) => self.is_holder(&key, seq)?,
            None => false,
        };
        self.entries += 1;
        self.listener.take(&Fact::Entry { seq, time, room, via, holds, hidden, event })
    }

    /// Whether the state begins with this entry. Where that cannot be read it does not: it may have ended, as a token that was revoked.
    fn is_holder(&mut self, key: &str, seq: Seq) -> Result<bool, TellError> {
        let mut statement = self.store.prepare_cached("SELECT seq FROM state WHERE key = ?").map_err(store_error)?;
        match statement.query_row([key], |row| row.get(0)).optional().map_err(store_error) {
            Err(StoreError::Damaged(found)) => {
                // Once is enough.
                if std::mem::take(&mut self.has_whole_state) {
                    let damage = format!("{found}: what the state begins with cannot all be read");
                    self.listener.leave_out(StoreError::Damaged(damage), 0)?;
                }
                Ok(false)
            }
            holder => Ok(holder?.is_some_and(|holder| Seq(row::unsigned(holder)) == seq)),
        }
    }

    /// Rooms of which nothing is left that readers are shown.
    fn trimmed_away(&mut self) -> Result<(), TellError> {
        let mut rooms: Vec<_> = self.begin.drain().map(|(room, _)| room).collect();
        rooms.sort_unstable();
        for room in rooms.into_iter().filter(|room| !self.ended.contains(&Waste::Room(*room))) {
            let head = sound(self.listener, HEADS.get(self.store, row::room(room)))?;
            if let Some(Head { n, seq: last, said_n, said, .. }) = head.flatten().map(row::head)
                && n > 0
            {
                self.listener.take(&Fact::Trimmed { room, n, last, said_n, said })?;
            }
        }
        Ok(())
    }

    fn inboxes(&mut self) -> Result<(), TellError> {
        HEADS.each_left(self.store, |row| {
            let Some((room, numbers)) = sound(self.listener, row)? else { return Ok(()) };
            let (room, Head { read, shared, .. }) = (row::read_room(room), row::head(numbers));
            let RoomId::Inbox(owner) = room else { return Ok(()) };
            if read == Seq(0) && shared == 0 || self.ended.contains(&Waste::Room(room)) {
                return Ok(());
            }
            let mut kept = Vec::new();
            for (sharer, _) in sound(self.listener, shares::list(self.store, owner))?.unwrap_or_default() {
                // As it counts: one that is damaged is none.
                kept.push((sharer, shares::get(self.store, owner, sharer)?).into());
            }
            self.listener.take(&Fact::Inbox { owner, read, shared, shares: kept })
        })
    }

    fn keys(&mut self) -> Result<(), TellError> {
        let mut last = None;
        // As in the small tables: what is behind a page that cannot be read is read from the other end.
        for (sql, is_back) in [(row::SELECT_KEYS, false), (row::SELECT_KEYS_BACK, true)] {
            let mut statement = self.store.prepare(sql).map_err(store_error)?;
            let mut rows = statement.query([]).map_err(store_error)?;
            let damage = loop {
                let row = match rows.next().map_err(store_error) {
                    Ok(Some(row)) => row::read_key(row).map_err(store_error).and_then(|row| row),
                    Ok(None) => return self.key_counts(),
                    Err(error) => break error,
                };
                let Some((sender, key, found)) = sound(self.listener, row)? else { continue };
                let this = Some((sender, Arc::clone(&key)));
                if is_back && this <= last {
                    return self.key_counts();
                }
                last = if is_back { last } else { this };
                self.key(sender, key, found)?;
            };
            match damage {
                // Told of before.
                StoreError::Damaged(_) if is_back => {}
                damage => drop(sound(self.listener, Err::<(), _>(damage))?),
            }
        }
        self.key_counts()
    }

    fn key(&mut self, sender: UserId, key: Arc<str>, KeyUse { n, used }: KeyUse) -> Result<(), TellError> {
        if self.ended.contains(&Waste::Keys(sender)) {
            return Ok(());
        }
        let Used { seq, time, content } = used;
        self.listener.take(&Fact::Key { sender, key, n, seq, time, content: format!("{content:016x}") })
    }

    fn key_counts(&mut self) -> Result<(), TellError> {
        KEY_COUNTS.each_left(self.store, |row| {
            let Some((sender, [count])) = sound(self.listener, row)? else { return Ok(()) };
            let (sender, count) = (UserId(row::unsigned(sender)), row::unsigned(count));
            if self.ended.contains(&Waste::Keys(sender)) {
                return Ok(());
            }
            self.listener.take(&Fact::Keys { sender, count })
        })
    }
}
