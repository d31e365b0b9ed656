//! The store on a disk: SQLite in WAL mode. A commit with durable entries uses `synchronous=FULL` and returns after the sync.
//!
//! It is one directory, owned through the lock on its file `lock`. It holds `journal.db` (and SQLite's `-wal` and `-shm`), and
//! `reserve`: space that is given back when the disk is full, so that read marks can still be stored, and `ids`, which lets
//! newcomers in when not even that is left. `replaced.db` is what a restored backup has taken the place of. `search.db` beside it is not the store's: it can be removed. To look inside: `sqlite3
//! -readonly journal.db`. Nothing here decides order or meaning; [`Store`](super::Store) does.

mod aside;
mod begin;
mod check;
mod copy;
mod damage;
mod error;
mod examine;
mod facts;
mod files;
mod harm;
mod log;
mod mend;
mod open;
mod reader;
mod row;
mod scan;
mod shares;
mod table;
mod upgrade;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, OptionalExtension, params};

use crate::event::{Entry, RoomId};
use crate::limits::BALLAST_BYTES;
use crate::names::{Seq, UserId};
use crate::state::archive::Sharer;
use crate::store::backend::{Backend, Batch, Change, Floor, Head, KeyUse, Look, Record, StoreError, Waste, below};
use aside::Aside;
use damage::Damage;
use error::{is_full, store_error};
use log::Log;
use reader::Watched;
use table::{FLOORS, HEADS, KEY_COUNTS, NEWEST, UNSAID, WASTE};

pub use check::{Checked, check, compare, count};
pub use copy::{aside_path, back_up, compact, copy, copy_ends, copy_path, copy_to, database, empty_copy, ends};
pub use copy::{given_out, is_of_a_store, is_there, keep_ids, probe, put_in_place, replace, set_aside, take_over};
pub use examine::{Examined, Witness, examine};
pub use facts::{Listener, TellError, tell};
pub use files::{make_folder, search_file};
pub use harm::{Harm, Means};
pub use open::{OpenError, hold, open};

/// How many rows one statement inserts: running a statement costs about as much as a row.
const ROWS: usize = 16;
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| row::insert_sql(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| row::insert_sql(ROWS));

/// The backend on a disk.
#[derive(Debug)]
pub struct Disk {
    connection: Connection,
    /// Whether a commit with durable entries waits for the disk: not where the order keeps everything.
    waits: bool,
    /// Whether a commit waits for the disk now.
    is_full_sync: bool,
    /// A buffer for events as JSON.
    json: Vec<u8>,
    reserve: PathBuf,
    ids: Aside,
    log: Log,
    damage: Arc<Damage>,
    /// Held for as long as the store is open.
    _lock: File,
}

fn run(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).map_err(store_error)?;
    Ok(())
}

/// The newest seq that was ever committed, 0 when there is none.
fn newest(connection: &Connection) -> Result<Seq, StoreError> {
    let last = connection.query_row("SELECT coalesce(max(seq), 0) FROM entries", [], |row| row.get(0));
    let newest = NEWEST.get(connection, 1)?.map_or(0, |[newest]| newest);
    Ok(Seq(row::unsigned(newest.max(last.map_err(store_error)?))))
}

impl Look for Connection {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        let mut statement = self.prepare_cached(row::SELECT).map_err(store_error)?;
        statement.query_row([row::sought(seq.0)], row::read).optional().map_err(store_error)?.transpose()
    }

    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        Ok(HEADS.get(self, row::room(room))?.map_or(Head::default(), row::head))
    }

    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        let wasted = WASTE.get(self, row::waste(Waste::Room(room)))?.map_or(0, |[_, seq]| seq);
        let trimmed = FLOORS.get(self, row::room(room))?.map_or(0, |[_, seq]| seq);
        Ok(Seq(row::unsigned(wasted.max(trimmed))))
    }
}

impl Look for Disk {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        self.connection.record(seq)
    }

    fn head(&self, room: RoomId) -> Result<Head, StoreError> {
        self.connection.head(room)
    }

    fn floor(&self, room: RoomId) -> Result<Seq, StoreError> {
        self.connection.floor(room)
    }

    fn mend(&self, room: RoomId, seq: Seq, is_shown: bool) -> Result<Option<Record>, StoreError> {
        Watched(&self.connection, &self.damage).mend(room, seq, is_shown)
    }
}

impl Disk {
    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        run(&self.connection, sql, parameters)
    }

    /// Batches without durable entries need not wait for the disk.
    fn sync_fully(&mut self, fully: bool) -> Result<(), StoreError> {
        if self.is_full_sync != fully {
            let sql = if fully { "PRAGMA synchronous=FULL" } else { "PRAGMA synchronous=NORMAL" };
            self.connection.execute_batch(sql).map_err(store_error)?;
            self.is_full_sync = fully;
        }
        Ok(())
    }

    fn insert(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let (many, rest) = records.as_chunks::<ROWS>();
        let many = many.iter().map(|records| (&*INSERT_MANY, &records[..]));
        for (sql, records) in many.chain(rest.chunks(1).map(|record| (&*INSERT_ONE, record))) {
            let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
            row::insert(&mut statement, records, &mut self.json).map_err(store_error)?;
        }
        Ok(())
    }

    fn replace(&mut self, record: &Record) -> Result<(), StoreError> {
        self.run("DELETE FROM entries WHERE seq = ?", [row::signed(record.entry.seq.0)])?;
        self.insert(std::slice::from_ref(record))
    }

    fn use_key(&self, sender: UserId, key: &str, found: &KeyUse) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO keys (sender, key, n, seq, time, content, sum) VALUES (?, ?, ?, ?, ?, ?, ?)";
        let KeyUse { n, used } = found;
        let (n, seq, content) = (row::signed(*n), row::signed(used.seq.0), used.content.cast_signed());
        let sum = row::sum_key(sender, key, found);
        self.run(sql, params![row::signed(sender.0), key, n, seq, used.time.0, content, sum])
    }

    fn free_presence(&self, key: &str) -> Result<(), StoreError> {
        let (first, after) = below(key);
        self.run("DELETE FROM presence WHERE key = ? OR (key >= ? AND key < ?)", params![key, first, after])
    }

    fn free(&self, key: &str) -> Result<(), StoreError> {
        let (first, after) = below(key);
        self.run("DELETE FROM state WHERE key = ? OR (key >= ? AND key < ?)", params![key, first, after])?;
        self.free_presence(key)
    }

    fn change(&mut self, change: &Change) -> Result<(), StoreError> {
        let connection = &self.connection;
        match change {
            Change::Hold(key, entry) => {
                self.run("INSERT OR REPLACE INTO state (key, seq) VALUES (?, ?)", params![key, row::signed(entry.seq.0)])?;
                self.run("DELETE FROM presence WHERE key = ?", [key])
            }
            Change::Free(key) => self.free(key),
            Change::HoldPresence(key, entry) => {
                let mut statement = connection.prepare_cached(row::INSERT_PRESENCE).map_err(store_error)?;
                row::insert_presence(&mut statement, key, entry, &mut self.json).map_err(store_error)
            }
            Change::FreePresence(key) => self.free_presence(key),
            Change::ForgetPresence => self.run("DELETE FROM presence", []),
            Change::Head(room, head) => HEADS.set(connection, row::room(*room), row::head_numbers(head)),
            Change::KeyCount(sender, count) => KEY_COUNTS.set(connection, row::signed(sender.0), [row::signed(*count)]),
            Change::Waste(waste) => WASTE.add(connection, row::waste(*waste), [0, 0]),
            Change::Gone(waste, Floor { n, seq }) => {
                WASTE.set(connection, row::waste(*waste), [row::signed(*n), row::signed(seq.0)])
            }
            Change::Delete(seq) => self.run("DELETE FROM entries WHERE seq = ?", [row::signed(seq.0)]),
            Change::Relink(record) => self.replace(record),
            Change::Trimmed(room, Floor { n, seq }) => {
                FLOORS.set(connection, row::room(*room), [row::signed(*n), row::signed(seq.0)])
            }
            Change::DeleteHead(room) => {
                FLOORS.delete(connection, row::room(*room))?;
                if let RoomId::Inbox(owner) = room {
                    shares::forget(connection, *owner)?;
                }
                HEADS.delete(connection, row::room(*room))
            }
            Change::DeleteKey(sender, key) => {
                self.run("DELETE FROM keys WHERE sender = ? AND key = ?", params![row::signed(sender.0), key])
            }
            Change::DeleteKeyCount(sender) => KEY_COUNTS.delete(connection, row::signed(sender.0)),
            Change::DeleteWaste(waste) => WASTE.delete(connection, row::waste(*waste)),
        }
    }

    fn write_all(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.insert(&batch.records)?;
        for (sender, keys) in &batch.keys {
            keys.iter().try_for_each(|(key, found)| self.use_key(*sender, key, found))?;
        }
        shares::write(&self.connection, &batch.shares)?;
        if !batch.unsaid.is_empty() {
            batch.unsaid.values().try_for_each(|record| self.replace(record))?;
            NEWEST.set(&self.connection, UNSAID, [0])?;
        }
        let deletes = batch.changes.iter().any(|change| matches!(change, Change::Delete(_)));
        let newest = if deletes { self.last()? } else { Seq(0) }.max(batch.newest);
        if newest > Seq(0) {
            NEWEST.set(&self.connection, 1, [row::signed(newest.0)])?;
        }
        batch.changes.iter().try_for_each(|change| self.change(change))
    }
}

impl Backend for Disk {
    fn last(&self) -> Result<Seq, StoreError> {
        newest(&self.connection)
    }

    fn key(&self, sender: UserId, key: &str) -> Result<Option<KeyUse>, StoreError> {
        // As in the small tables: if a key is not found, its neighbours are checked for damage.
        const UNTIL: &str = "SELECT sender, key, n, seq, time, content, sum FROM keys WHERE (sender, key) <= (?, ?)
             ORDER BY sender DESC, key DESC LIMIT 1";
        const AFTER: &str = "SELECT sender, key, n, seq, time, content, sum FROM keys WHERE (sender, key) > (?, ?)
             ORDER BY sender, key LIMIT 1";
        let one = |sql| {
            let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
            let found = statement.query_row(params![row::signed(sender.0), key], row::read_key);
            found.optional().map_err(store_error)?.transpose()
        };
        match one(UNTIL)? {
            Some((whose, which, found)) if (whose, &*which) == (sender, key) => Ok(Some(found)),
            _ => one(AFTER).map(|_| None),
        }
    }

    fn newest(&self) -> Result<Option<Record>, StoreError> {
        let sql = "SELECT seq FROM entries WHERE room IS NOT NULL ORDER BY seq DESC LIMIT 1";
        let seq = self.connection.query_row(sql, [], |row| row.get(0)).optional();
        seq.map_err(store_error)?.map_or(Ok(None), |seq| self.record(Seq(row::unsigned(seq))))
    }

    fn key_count(&self, sender: UserId) -> Result<u64, StoreError> {
        Ok(KEY_COUNTS.get(&self.connection, row::signed(sender.0))?.map_or(0, |[count]| row::unsigned(count)))
    }

    fn keys_after(&self, sender: UserId, key: &str, count: usize) -> Result<Vec<(Arc<str>, KeyUse)>, StoreError> {
        let sql = "SELECT sender, key, n, seq, time, content, sum FROM keys WHERE sender = ? AND key > ? ORDER BY key LIMIT ?";
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![row::signed(sender.0), key, count], row::read_key).map_err(store_error)?;
        rows.map(|row| row.map_err(store_error)?.map(|(_, key, found)| (key, found))).collect()
    }

    fn share(&self, owner: UserId, sharer: Sharer) -> Result<u64, StoreError> {
        shares::get(&self.connection, owner, sharer)
    }

    fn shares(&self, owner: UserId) -> Result<Vec<(Sharer, u64)>, StoreError> {
        shares::list(&self.connection, owner)
    }

    fn held(&self, each: &mut dyn FnMut(&str, Entry) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare("SELECT key, seq FROM state ORDER BY seq").map_err(store_error)?;
        let holders = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).map_err(store_error)?;
        for holder in holders {
            let (key, seq) = holder.map_err(store_error)?;
            let missing = || StoreError::Damaged(format!("entry {seq}, which holds {key}, is missing"));
            let record = self.record(Seq(row::unsigned(seq)))?.ok_or_else(missing)?;
            each(&key, record.entry)?;
        }
        Ok(())
    }

    fn present(&self) -> Result<Vec<(String, Entry)>, StoreError> {
        let mut statement = self.connection.prepare(row::SELECT_PRESENCE).map_err(store_error)?;
        let rows = statement.query_map([], row::read_presence).map_err(store_error)?;
        rows.map(|row| row.map_err(store_error)?).collect()
    }

    fn owned(&self) -> Result<Vec<Waste>, StoreError> {
        let heads = HEADS.list(&self.connection, usize::MAX)?.into_iter().map(|(room, _)| row::read_room(room));
        let inboxes = heads.filter(|room| room.channel().is_none()).map(Waste::Room);
        let senders = KEY_COUNTS.list(&self.connection, usize::MAX)?;
        Ok(inboxes.chain(senders.into_iter().map(|(sender, _)| Waste::Keys(UserId(row::unsigned(sender))))).collect())
    }

    fn wasted(&self) -> Result<Vec<Waste>, StoreError> {
        let rows = WASTE.list(&self.connection, usize::MAX)?.into_iter();
        Ok(rows.map(|(waste, _)| row::read_waste(waste)).collect())
    }

    fn deleted_of(&self, waste: Waste) -> Result<Option<Floor>, StoreError> {
        let found = WASTE.get(&self.connection, row::waste(waste))?;
        Ok(found.map(|[n, seq]| Floor { n: row::unsigned(n), seq: Seq(row::unsigned(seq)) }))
    }

    fn trimmed(&self, room: RoomId) -> Result<Floor, StoreError> {
        let floor = FLOORS.get(&self.connection, row::room(room))?;
        Ok(floor.map_or(Floor::default(), |[n, seq]| Floor { n: row::unsigned(n), seq: Seq(row::unsigned(seq)) }))
    }

    fn rooms_after(&self, room: Option<RoomId>, count: usize) -> Result<Vec<RoomId>, StoreError> {
        let heads = HEADS.list_after(&self.connection, room.map_or(i64::MIN, row::room), count)?;
        Ok(heads.into_iter().map(|(room, _)| row::read_room(room)).collect())
    }

    fn holder(&self, key: &str) -> Result<Option<Seq>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT seq FROM state WHERE key = ?").map_err(store_error)?;
        let holder = statement.query_row([key], |row| row.get(0)).optional().map_err(store_error)?;
        Ok(holder.map(|seq| Seq(row::unsigned(seq))))
    }

    fn each_record(&self, each: &mut dyn FnMut(&Record)) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(row::SELECT_ALL).map_err(store_error)?;
        let rows = statement.query_map([], row::read).map_err(store_error)?;
        for record in rows {
            each(&record.map_err(store_error)??);
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        self.sync_fully(batch.lasts && self.waits)?;
        self.run("BEGIN IMMEDIATE", [])?;
        let written = self.write_all(batch).and_then(|()| self.run("COMMIT", []));
        if written.is_err() && !self.connection.is_autocommit() {
            // If this fails, SQLite has rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        self.log.watch(&self.connection);
        written
    }

    fn give_reserve(&mut self) {
        let _ = std::fs::remove_file(&self.reserve);
        // This space lets the write-ahead log be folded into the database and start over, so that read marks do not need more
        // of it. If it cannot be folded, the rest of the space is still there for marks.
        self.log.fold(&self.connection);
    }

    fn take_reserve(&mut self) -> bool {
        if std::fs::metadata(&self.reserve).is_ok_and(|metadata| metadata.len() == BALLAST_BYTES) {
            return true;
        }
        // The part of the log that read marks have filled since then becomes free, too, once it is folded.
        self.log.fold(&self.connection);
        let taken = files::make_reserve(&self.reserve).is_ok();
        if !taken {
            let _ = std::fs::remove_file(&self.reserve);
        }
        taken
    }

    fn has_room(&self) -> bool {
        files::room_beside(&self.reserve).is_some_and(|free| free >= BALLAST_BYTES)
    }

    fn set_ids_aside(&mut self, below: UserId) -> bool {
        self.ids.set(below)
    }

    fn ids_aside(&self) -> UserId {
        self.ids.below()
    }

    fn forget_overwritten(&mut self) -> bool {
        self.log.fold_if_due(&self.connection) && NEWEST.delete(&self.connection, UNSAID).is_ok()
    }

    fn close(&mut self) {
        if !self.log.fold(&self.connection) {
            tracing::warn!("the store's log was not emptied, because another program reads the store; nothing is lost");
        }
    }
}
