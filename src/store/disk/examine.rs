//! Examining a store from end to end: SQLite's own check, each row's checksum, and whether all that leads from one to another leads there.
//!
//! It only reads, as of one moment, while a server may go on writing. It holds the newest entry of some rooms, and otherwise one row at a
//! time, so that it takes no more memory the larger the store is. It never says what a damaged row contains.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::event::{Entry, RoomId};
use crate::limits::CHAINS_IN_MEMORY;
use crate::names::Seq;
use crate::store::backend::{Head, Links, Look, Record, StoreError, Waste};
use crate::store::chain::Run;
use crate::store::disk::harm::{Harm, Means};
use crate::store::disk::open::{look_into_current, look_into_damaged};
use crate::store::disk::scan::{self, Met};
use crate::store::disk::table::{FLOORS, HEADS, KEY_COUNTS, NEWEST, WASTE};
use crate::store::disk::{row, shares, store_error};
use crate::store::{OpenError, What};

/// SQLite's own check. A few of what it finds say enough.
const FILE_CHECK: &str = "PRAGMA integrity_check(10)";

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Examined {
    /// How many entries.
    pub entries: u64,
    /// How many rooms.
    pub rooms: u64,
    /// How many keys.
    pub keys: u64,
    /// How much is damaged.
    pub harms: u64,
}

/// Hears of an examination.
pub trait Witness {
    /// So many rows will be looked at.
    fn expect(&mut self, rows: u64);
    /// One of them was.
    fn seen(&mut self);
    /// This is damaged.
    fn harm(&mut self, harm: Harm);
}

/// Examines the store in this file.
///
/// # Errors
/// When it cannot be examined: it is none, of another version, or cannot be read. That it is damaged is no error.
pub fn examine(database: &Path, witness: &mut dyn Witness) -> Result<Examined, OpenError> {
    let (store, found) = match look_into_current(database) {
        // What is left of it is worth knowing.
        Err(OpenError::Damaged { found, .. }) => (look_into_damaged(database).ok(), Some(found)),
        opened => (Some(opened?), None),
    };
    let (newest, hurt) = (HashMap::new(), HashSet::new());
    let Some(store) = store else {
        let harm = Harm { what: found.unwrap_or_default(), means: Means::File };
        witness.harm(harm);
        return Ok(Examined { harms: 1, ..Examined::default() });
    };
    let (examined, is_torn, is_spoiled) = (Examined::default(), false, false);
    let mut examiner = Examiner { store: &store, witness, examined, newest, hurt, is_torn, is_spoiled };
    found.into_iter().for_each(|found| examiner.harm(found, Means::File));
    let failed = |error: StoreError| OpenError::Failed { path: database.to_owned(), error: error.to_string() };
    for step in [Examiner::file, Examiner::entries, Examiner::heads, Examiner::state, Examiner::keys, Examiner::small] {
        match step(&mut examiner) {
            // Whatever else it could have found is not to be had, and the file was told of.
            Err(StoreError::Damaged(_)) if examiner.is_spoiled => {}
            Err(StoreError::Damaged(what)) => examiner.harm(what, Means::File),
            done => done.map_err(failed)?,
        }
    }
    Ok(examiner.examined)
}

/// A shown entry: its seq, its links, and whether it is a message.
type Linked = (Seq, Links, bool);

struct Examiner<'a> {
    store: &'a Connection,
    witness: &'a mut dyn Witness,
    examined: Examined,
    /// The newest entry so far of some rooms, which is nearly always the one that the next leads to.
    newest: HashMap<RoomId, Linked>,
    /// Rooms in which an entry is known to be damaged, so that the number of their entries says nothing more.
    hurt: HashSet<RoomId>,
    /// Whether whole pages of entries cannot be read, so that others lead to what is missing.
    is_torn: bool,
    /// Whether it was told that SQLite does not trust the file.
    is_spoiled: bool,
}

impl Examiner<'_> {
    fn harm(&mut self, what: String, means: Means) {
        self.examined.harms += 1;
        self.is_spoiled |= means == Means::File;
        self.witness.harm(Harm { what, means });
    }

    /// What was read, or nothing after it was told that it is damaged.
    fn sound<T>(&mut self, read: Result<T, StoreError>, means: Means) -> Result<Option<T>, StoreError> {
        match read {
            Err(StoreError::Damaged(what)) => {
                self.harm(what, means);
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn file(&mut self) -> Result<(), StoreError> {
        // One of which the end is missing would be told of page by page.
        if self.is_spoiled {
            return Ok(());
        }
        let mut statement = self.store.prepare(FILE_CHECK).map_err(store_error)?;
        let mut found = statement.query([]).map_err(store_error)?;
        while let Some(line) = found.next().map_err(store_error)? {
            let line: String = line.get(0).map_err(store_error)?;
            if line != "ok" {
                self.harm(format!("SQLite's check of the file says: {line}"), Means::File);
            }
        }
        Ok(())
    }

    fn entries(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        // Only for whoever waits: a damaged file does not say.
        if let Ok(count) = store.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)) {
            self.witness.expect(row::unsigned(count));
        }
        scan::entries(store, |met| {
            if !matches!(met, Met::Torn(..)) {
                self.examined.entries += 1;
                self.witness.seen();
            }
            match met {
                Met::Sound(record) => return self.links(record),
                Met::Spoiled(damage, room) => {
                    self.sound(Err::<(), _>(damage), Means::Gap)?;
                    self.hurt.extend(room);
                }
                Met::Torn(first, last) => {
                    self.is_torn = true;
                    self.harm(Met::torn(first, last), Means::Lost);
                }
            }
            Ok(())
        })
    }

    /// Whether an entry leads to those before it in its room.
    fn links(&mut self, record: Record) -> Result<(), StoreError> {
        let Record { entry: Entry { seq, room, event, .. }, links, .. } = record;
        let Some(room) = room else { return Ok(()) };
        let before = match self.newest.get(&room) {
            Some(newest) if links.n > 0 && newest.0 == links.prev => Some(*newest),
            _ => self.before(room, seq, &links)?,
        };
        if links.n == 0 {
            return Ok(());
        }
        let this = (seq, links, event.is_message());
        let is_right = match before {
            Some(before) => follows(&this, &before),
            // The first of all; or what precedes it was given up, or was told of.
            None => links.prev > Seq(0) || links.n == 1,
        };
        if !is_right {
            self.harm(format!("entry {seq} does not follow entry {}, as it says", links.prev), Means::Gap);
            self.hurt.insert(room);
        } else if links.skip > Seq(0) {
            self.skip(room, seq, &links)?;
        }
        if self.newest.len() >= CHAINS_IN_MEMORY {
            self.newest.clear();
        }
        self.newest.insert(room, this);
        Ok(())
    }

    /// The entry of the room that precedes another, if it is there and sound; tells when it is missing.
    fn before(&mut self, room: RoomId, seq: Seq, links: &Links) -> Result<Option<Linked>, StoreError> {
        let Links { n, prev, .. } = *links;
        match self.store.record(prev) {
            // Given up for readers, and kept because the state is loaded from it.
            Ok(Some(Record { links, .. })) if n > 0 && links.n == 0 && prev < self.floor(room)? => Ok(None),
            // Entries that are not shown are in no order: some were shown before.
            Ok(Some(Record { entry, links, .. })) if entry.room == Some(room) && (n == 0 || prev < seq) => {
                Ok(Some((prev, links, entry.event.is_message())))
            }
            Ok(None) if self.is_torn || prev == Seq(0) || prev < self.floor(room)? || self.has_ended(room)? => Ok(None),
            // It was told of, or will be.
            Err(StoreError::Damaged(_)) => Ok(None),
            Ok(_) => {
                self.harm(format!("entry {prev}, which comes before entry {seq}, is missing"), Means::Gap);
                self.hurt.insert(room);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Below this seq, entries of the room were given up. That a row of it is damaged is told of elsewhere.
    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        match self.store.floor(room) {
            Err(StoreError::Damaged(_)) => Ok(Seq(u64::MAX)),
            floor => floor,
        }
    }

    /// Whether the room is being deleted.
    fn has_ended(&self, room: RoomId) -> Result<bool, StoreError> {
        match WASTE.get(self.store, row::waste(Waste::Room(room))) {
            Err(StoreError::Damaged(_)) => Ok(true),
            waste => Ok(waste?.is_some()),
        }
    }

    /// The link by which others are found quickly. After damage it may lead further back than it would have.
    fn skip(&mut self, room: RoomId, seq: Seq, links: &Links) -> Result<(), StoreError> {
        const NUMBER: &str = "SELECT n FROM entries WHERE seq = ? AND room = ?";
        let mut statement = self.store.prepare_cached(NUMBER).map_err(store_error)?;
        let found = statement.query_row([row::signed(links.skip.0), row::room(room)], |row| row.get::<_, i64>(0));
        let leads = match found.optional().map_err(store_error) {
            Ok(Some(n)) => row::unsigned(n) <= links.n & (links.n - 1),
            // It was told of, or will be.
            Err(StoreError::Damaged(_)) => true,
            Err(error) => return Err(error),
            Ok(None) if self.is_torn => true,
            Ok(None) => links.skip < self.floor(room)? || self.hurt.contains(&room) || self.has_ended(room)?,
        };
        if !leads || links.skip > links.prev {
            self.harm(format!("entry {seq} leads to entry {}, which is not where it should be", links.skip), Means::Gap);
            self.hurt.insert(room);
        }
        Ok(())
    }

    /// Whether the chain head of each room says what its entries say.
    fn heads(&mut self) -> Result<(), StoreError> {
        const COUNTED: &str = "SELECT room, count(*), max(n), max(seq), max(said_n) FROM entries
             WHERE n > 0 AND room IS NOT NULL GROUP BY room ORDER BY room";
        let store = self.store;
        let mut statement = store.prepare(COUNTED).map_err(store_error)?;
        let counted = statement.query_map([], |row| {
            let number = |at| row.get(at).map(row::unsigned);
            Ok((row.get::<_, i64>(0)?, Counted { count: number(1)?, n: number(2)?, seq: Seq(number(3)?), said_n: number(4)? }))
        });
        let mut counted = counted.map_err(store_error)?.map(|row| row.map_err(store_error)).peekable();
        let (mut headless, mut is_one_damaged) = (Vec::new(), false);
        HEADS.each(store, |row| {
            let Some((number, numbers)) = self.sound(row, Means::State)? else {
                is_one_damaged = true;
                return Ok(());
            };
            while let Some(before) = counted.next_if(|row| row.as_ref().is_ok_and(|(room, _)| *room < number)) {
                headless.push(before?.0);
            }
            let own = counted.next_if(|row| row.as_ref().map_or(true, |(room, _)| *room == number)).transpose()?;
            self.examined.rooms += 1;
            let counted = own.map(|(_, counted)| counted).unwrap_or_default();
            self.head(row::read_room(number), &row::head(numbers), &counted)
        })?;
        for row in counted {
            headless.push(row?.0);
        }
        // The one that is damaged may be any of these.
        for room in headless.into_iter().filter(|_| !is_one_damaged).map(row::read_room) {
            if !self.hurt.contains(&room) {
                self.harm(format!("nothing leads to the entries of {}", word(room)), Means::Gap);
            }
        }
        Ok(())
    }

    fn head(&mut self, room: RoomId, head: &Head, counted: &Counted) -> Result<(), StoreError> {
        if self.hurt.contains(&room) {
            return Ok(());
        }
        let gone = [FLOORS.get(self.store, row::room(room)), WASTE.get(self.store, row::waste(Waste::Room(room)))];
        // Damaged ones are told of elsewhere.
        let gone = gone.into_iter().filter_map(|row| row.ok().flatten()).map(|[n, _]| row::unsigned(n)).max().unwrap_or(0);
        let left = head.n.saturating_sub(gone);
        let newest = Counted { count: left, n: head.n, seq: head.seq, said_n: head.said_n };
        if left != counted.count || left > 0 && newest != *counted {
            let Counted { count, seq, .. } = counted;
            self.harm(
                format!("{} should have {left} entries up to {}, and has {count} up to {seq}", word(room), head.seq),
                Means::Gap,
            );
        } else if let RoomId::Inbox(_) = room
            && Run::new(self.store, room, *head, What::Messages).bytes((head.said_n, head.said), head.read_n)?
                != head.unread_bytes
        {
            self.harm(format!("how many bytes are unread in {} is wrong", word(room)), Means::Count);
        }
        Ok(())
    }

    /// Whether what the state begins with is there.
    fn state(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        let mut statement = store.prepare("SELECT key, seq FROM state").map_err(store_error)?;
        let mut rows = statement.query([]).map_err(store_error)?;
        while let Some(row) = rows.next().map_err(store_error)? {
            let (key, seq): (String, i64) = (row.get(0).map_err(store_error)?, row.get(1).map_err(store_error)?);
            let holds = match store.record(Seq(row::unsigned(seq))) {
                Ok(Some(Record { entry, .. })) => {
                    entry.event.compaction(entry.room.and_then(RoomId::channel)).hold.as_deref() == Some(&*key)
                }
                Ok(None) | Err(StoreError::Damaged(_)) => false,
                Err(error) => return Err(error),
            };
            if !holds {
                self.harm(format!("entry {seq}, with which {key} of the state begins, is not there or damaged"), Means::State);
            }
        }
        let mut statement = store.prepare(row::SELECT_PRESENCE).map_err(store_error)?;
        let mut rows = statement.query([]).map_err(store_error)?;
        while let Some(row) = rows.next().map_err(store_error)? {
            self.sound(row::read_presence(row).map_err(store_error).and_then(|read| read), Means::State)?;
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        let mut statement = store.prepare(row::SELECT_KEYS).map_err(store_error)?;
        let mut rows = statement.query([]).map_err(store_error)?;
        while let Some(row) = rows.next().map_err(store_error)? {
            self.examined.keys += 1;
            self.sound(row::read_key(row).map_err(store_error).and_then(|read| read), Means::State)?;
        }
        KEY_COUNTS.each(store, |row| self.sound(row, Means::State).map(drop))
    }

    /// The other small tables.
    fn small(&mut self) -> Result<(), StoreError> {
        let store = self.store;
        WASTE.each(store, |row| self.sound(row, Means::State).map(drop))?;
        FLOORS.each(store, |row| self.sound(row, Means::State).map(drop))?;
        NEWEST.each(store, |row| self.sound(row, Means::State).map(drop))?;
        shares::each(store, |row| self.sound(row, Means::Count).map(drop))
    }
}

/// What the entries of a room that are there say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counted {
    count: u64,
    n: u64,
    seq: Seq,
    said_n: u64,
}

/// Whether a shown entry is the next after another.
fn follows(&(seq, links, is_message): &Linked, &(prev, before, was_message): &Linked) -> bool {
    let said = if was_message { prev } else { before.said };
    let (n, said_n) = (before.n + 1, before.said_n + u64::from(is_message));
    prev < seq && before.n > 0 && (links.n, links.said_n, links.said) == (n, said_n, said)
}

fn word(room: RoomId) -> String {
    match room {
        RoomId::Channel(seq) => format!("the channel of entry {seq}"),
        RoomId::Inbox(owner) => format!("the inbox of {owner}"),
    }
}
