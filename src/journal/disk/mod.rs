//! The journal on a disk: SQLite in WAL mode with `synchronous=FULL`, so that a commit returns after the sync.
//!
//! One directory, owned through the lock on its file `lock`: `journal.db` (and SQLite's `-wal` and `-shm`), and `reserve`, space
//! that is given back when the disk is full so that marks can still be stored. To look inside: `sqlite3 -readonly journal.db`.
//! Nothing here decides order or meaning; that is the [`writer`](super::writer)'s.

mod open;
mod row;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use rusqlite::{Connection, ErrorCode, OptionalExtension, ffi, params};
use tokio::sync::Semaphore;

use crate::event::Entry;
use crate::journal::local::Reader;
use crate::journal::slot::{self, Claim};
use crate::journal::store::{Chain, End, Look, Record, Store, StoreError};
use crate::journal::{Page, Promise, Query, ReadError, chain};
use crate::limits::BALLAST_BYTES;
use crate::names::Seq;

pub use open::{OpenError, open};

/// Rows that are inserted by one statement: a statement costs about as much as a row.
const ROWS: usize = 16;
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| row::insert_sql(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| row::insert_sql(ROWS));

struct Disk {
    connection: Connection,
    /// Put, and not inserted yet.
    pending: Vec<Record>,
    reserve: PathBuf,
    log: PathBuf,
    /// Held for as long as the store is open.
    _lock: File,
}

struct DiskReader {
    connections: Arc<Mutex<Vec<Connection>>>,
    /// Held by the work and not by whoever waits for it: a connection is back before its turn is, even where nobody waits any more.
    turns: Arc<Semaphore>,
}

fn store_error(error: rusqlite::Error) -> StoreError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
    if matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)) {
        return StoreError::Damaged(error.to_string());
    }
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE) {
        // No room for the index of the write-ahead log.
        return StoreError::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Failed(format!("the disk failed: {error}")),
    }
}

impl Look for Connection {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        let mut statement = self.prepare_cached(row::SELECT).map_err(store_error)?;
        let row = statement.query_row([row::signed(seq.0)], row::read).optional().map_err(store_error)?;
        match row {
            Some(record) => record.map(Some),
            None if seq == Seq(0) => Ok(None),
            None => Err(StoreError::Damaged(format!("entry {seq} is missing"))),
        }
    }

    fn end(&self, chain: Chain) -> Result<End, StoreError> {
        let mut statement =
            self.prepare_cached("SELECT n, seq, acked_n, acked, sum FROM ends WHERE chain = ?").map_err(store_error)?;
        let end = statement.query_row([row::chain(chain)], |row| row::read_end(chain, row)).optional().map_err(store_error)?;
        end.unwrap_or(Ok(End::default()))
    }
}

impl Look for Disk {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        match self.pending.iter().find(|record| record.entry.seq == seq) {
            Some(record) => Ok(Some(record.clone())),
            None => self.connection.record(seq),
        }
    }

    fn end(&self, chain: Chain) -> Result<End, StoreError> {
        self.connection.end(chain)
    }
}

impl Disk {
    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).map_err(store_error)?;
        Ok(())
    }

    fn insert_pending(&mut self) -> Result<(), StoreError> {
        for records in self.pending.chunks(if self.pending.len() == ROWS { ROWS } else { 1 }) {
            let sql = if records.len() == ROWS { &*INSERT_MANY } else { &*INSERT_ONE };
            let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
            row::insert(&mut statement, records).map_err(store_error)?;
        }
        self.pending.clear();
        Ok(())
    }

    /// Writes what is in the write-ahead log into the database, and empties it.
    fn fold_log(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
    }
}

impl Store for Disk {
    fn last(&self) -> Result<Seq, StoreError> {
        let last = self.connection.query_row("SELECT coalesce(max(seq), 0) FROM entries", [], |row| row.get::<_, i64>(0));
        last.map(|seq| Seq(row::unsigned(seq))).map_err(store_error)
    }

    fn state(&self) -> Result<Vec<Entry>, StoreError> {
        let mut statement = self.connection.prepare("SELECT slot, seq FROM state ORDER BY seq").map_err(store_error)?;
        let holders = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, Seq(row::unsigned(row.get(1)?)))))
            .map_err(store_error)?;
        let mut entries = Vec::new();
        for holder in holders {
            let (slot, seq) = holder.map_err(store_error)?;
            let record = self.record(seq)?;
            let held = record.filter(|record| Claim::of(&record.entry.event) == Some(Claim::Hold(slot.clone())));
            entries.push(held.ok_or_else(|| StoreError::Damaged(format!("{slot} is not held by entry {seq}")))?.entry);
        }
        Ok(entries)
    }

    fn holder(&self, slot: &str) -> Result<Option<Seq>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT seq FROM state WHERE slot = ?").map_err(store_error)?;
        statement.query_row([slot], |row| Ok(Seq(row::unsigned(row.get(0)?)))).optional().map_err(store_error)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.run("BEGIN IMMEDIATE", [])
    }

    fn put(&mut self, record: &Record) -> Result<(), StoreError> {
        self.pending.push(record.clone());
        if self.pending.len() == ROWS { self.insert_pending() } else { Ok(()) }
    }

    fn set_end(&mut self, chain: Chain, end: End) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO ends (chain, n, seq, acked_n, acked, sum) VALUES (?, ?, ?, ?, ?, ?)";
        let [n, seq, acked_n, acked] = row::end(end);
        self.run(sql, params![row::chain(chain), n, seq, acked_n, acked, row::sum_end(chain, end)])
    }

    fn hold(&mut self, slot: &str, seq: Seq) -> Result<(), StoreError> {
        self.run("INSERT OR REPLACE INTO state (slot, seq) VALUES (?, ?)", params![slot, row::signed(seq.0)])
    }

    fn free(&mut self, slot: &str) -> Result<(), StoreError> {
        let (first, after) = slot::below(slot);
        self.run("DELETE FROM state WHERE slot = ? OR (slot >= ? AND slot < ?)", params![slot, first, after])
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.insert_pending()?;
        self.run("COMMIT", [])?;
        // SQLite begins its log again by itself in a moment without readers. Where there never is one, the log would grow
        // for ever, and past what the reserve can make room for: this waits for the readers of now, and later ones wait not.
        if std::fs::metadata(&self.log).is_ok_and(|log| log.len() > BALLAST_BYTES) {
            let _ = self.fold_log();
        }
        Ok(())
    }

    fn rollback(&mut self) {
        self.pending.clear();
        if !self.connection.is_autocommit() {
            // SQLite has rolled back by itself where this fails.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn give_reserve(&mut self) {
        let _ = std::fs::remove_file(&self.reserve);
        // With that space the write-ahead log fits into the database, and can begin again: marks need no more of it then. Where
        // it does not fit, what is left of the space is for marks all the same.
        let _ = self.fold_log();
    }

    fn take_reserve(&mut self) -> bool {
        if std::fs::metadata(&self.reserve).is_ok_and(|metadata| metadata.len() == BALLAST_BYTES) {
            return true;
        }
        // What marks have added to the log since then is room too, once it lies in the database.
        let _ = self.fold_log();
        let write = || {
            let mut file = File::create(&self.reserve)?;
            for _ in 0..BALLAST_BYTES / 4096 {
                file.write_all(&[0xa5; 4096])?;
            }
            file.sync_all()
        };
        let taken = write().is_ok();
        if !taken {
            let _ = std::fs::remove_file(&self.reserve);
        }
        taken
    }

    fn close(&mut self) {
        if let Err(error) = self.fold_log() {
            tracing::warn!(%error, "the journal was not tidied; nothing is lost");
        }
    }
}

impl Reader for DiskReader {
    const DURABILITY: &'static str = "fsync";

    fn read(&self, query: Query) -> Promise<'_, Result<Page, ReadError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.turns).acquire_owned().await.expect("invariant: the semaphore is never closed");
            let connections = Arc::clone(&self.connections);
            let page = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let lock = || connections.lock().expect("invariant: nothing panics under this lock");
                let connection = lock().pop().expect("invariant: there are as many connections as turns");
                // One transaction, so that the end of the chain and its entries are of one moment.
                let page = connection
                    .unchecked_transaction()
                    .map_err(store_error)
                    .and_then(|transaction| chain::read(&*transaction, query));
                lock().push(connection);
                page
            });
            page.await.map_err(|error| ReadError(error.to_string()))?.map_err(|error| ReadError(error.to_string()))
        })
    }
}
