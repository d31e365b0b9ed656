//! The journal on a disk: SQLite in WAL mode with `synchronous=FULL`, so that a commit returns after the sync.
//!
//! One directory, owned through the lock on its file `lock`: `journal.db` (and SQLite's `-wal` and `-shm`), and `reserve`, space
//! that is given back when the disk is full so that marks can still be stored. To look inside: `sqlite3 -readonly journal.db`.
//! Nothing here decides order or meaning; that is the [`writer`](super::writer)'s.

mod row;

use std::cmp::Ordering;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi, params};
use tokio::sync::Semaphore;

use crate::event::Entry;
use crate::journal::local::{Local, Place, Reader};
use crate::journal::slot::{self, Claim};
use crate::journal::store::{Chain, End, Look, Record, Store, StoreError};
use crate::journal::{Journal, Page, Promise, Query, ReadError, chain};
use crate::limits::{BALLAST_BYTES, CHECKED_AT_START_BYTES, READS_AT_ONCE};
use crate::names::Seq;

/// "line", so that `file` and a newcomer know whose database it is.
const APPLICATION_ID: i32 = 0x6c69_6e65;
/// Raised whenever a store of this version could not be read by an older linechat.
const VERSION: i32 = 1;

/// Entries are keyed by their ever-growing seq and have no other index: an append costs 1.2 µs so, and 10 to 17 µs with a
/// `(room, seq)` key. `n`, `prev`, `skip` and `key_prev` are the links of `journal::chain`. `sum` is a CRC-32 of the row.
const SCHEMA: &str = "
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, room INTEGER,
        n INTEGER NOT NULL, prev INTEGER NOT NULL, skip INTEGER NOT NULL, key_prev INTEGER NOT NULL,
        who INTEGER, name TEXT, via INTEGER, key TEXT, text TEXT, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE ends (
        chain INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL,
        acked_n INTEGER NOT NULL, acked INTEGER NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE state (slot TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Why the store could not be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has it.
    #[error("the data directory {0} is in use by another linechat server; stop it, or give another --data-dir")]
    InUse(PathBuf),
    /// The directory or a file in it cannot be made or written.
    #[error("the data directory {path} cannot be written ({error}); mend its permissions, or give another --data-dir")]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Written by a newer linechat.
    #[error(
        "{path} has version {found}, and this linechat reads up to version {VERSION}; run the newer linechat that wrote it"
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// Not a linechat store at all.
    #[error("{0} is not a linechat journal; move it away, or give another --data-dir")]
    Foreign(PathBuf),
    /// The integrity check at the start found something.
    #[error("{path} is damaged: {found}; restore it from a backup, or look at it with sqlite3 -readonly")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        found: String,
    },
    /// SQLite or the system failed otherwise.
    #[error("{path} cannot be opened: {error}")]
    Failed {
        /// The store.
        path: PathBuf,
        /// What was said.
        error: String,
    },
}

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

/// Opens the journal in `directory`, which is made when it is absent, and starts its writer.
///
/// # Errors
/// [`OpenError`], for the operator.
///
/// # Panics
/// Outside a tokio runtime.
pub fn open(directory: &Path) -> Result<Arc<dyn Journal>, OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    // Passwords' hashes and private messages are nobody else's.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(not_writable)?;
    let lock = File::create(directory.join("lock")).map_err(not_writable)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse(directory.to_owned()),
        TryLockError::Error(error) => not_writable(error),
    })?;
    let path = directory.join("journal.db");
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::Foreign(path.clone()),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path: path.clone(), found: error.to_string() },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            not_writable(std::io::Error::other(error.to_string()))
        }
        _ => OpenError::Failed { path: path.clone(), error: error.to_string() },
    };
    read_ahead(&path);
    let connection = Connection::open(&path).map_err(failed)?;
    let is_new = is_new(&connection, &path, failed)?;
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;").map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(32);
    if is_new {
        let stamp = format!("PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};");
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {stamp} COMMIT;")).map_err(failed)?;
    }
    check(&connection, &path, failed)?;
    let readers = (0..READS_AT_ONCE).map(|_| Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY));
    let connections = Arc::new(Mutex::new(readers.collect::<Result<_, _>>().map_err(failed)?));
    let reader = DiskReader { connections, turns: Arc::new(Semaphore::new(READS_AT_ONCE)) };
    let (reserve, log) = (directory.join("reserve"), directory.join("journal.db-wal"));
    let mut disk = Disk { connection, pending: Vec::new(), reserve, log, _lock: lock };
    disk.take_reserve();
    let journal = Local::start(disk, reader, Place::Thread).map_err(not_writable)?;
    Ok(Arc::new(journal))
}

/// Whether nothing is there yet; an error when what is there cannot be read. Changes nothing: it may be somebody else's.
fn is_new(connection: &Connection, path: &Path, failed: impl Fn(rusqlite::Error) -> OpenError) -> Result<bool, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (id, found) = (pragma("application_id").map_err(&failed)?, pragma("user_version").map_err(&failed)?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
    if tables == 0 && id == 0 {
        return Ok(true);
    }
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    match found.cmp(&VERSION) {
        Ordering::Equal => Ok(false),
        Ordering::Greater => Err(OpenError::Newer { path: path.to_owned(), found }),
        Ordering::Less => Err(OpenError::Damaged { path: path.to_owned(), found: format!("there is no version {found}") }),
    }
}

/// Reads a store whose every page will be checked from its beginning to its end, which takes a disk a tenth of the time that the
/// check's own order takes. Before SQLite has it open: to close the file afterwards would end SQLite's locks on it.
fn read_ahead(path: &Path) {
    if let Ok(mut file) = File::open(path)
        && file.metadata().is_ok_and(|metadata| metadata.len() <= CHECKED_AT_START_BYTES)
    {
        let _ = std::io::copy(&mut file, &mut std::io::sink());
    }
}

/// Looks at every page of a store that is not too large for that, else at the tables of state; entries carry sums of their own.
fn check(connection: &Connection, path: &Path, failed: impl Fn(rusqlite::Error) -> OpenError) -> Result<(), OpenError> {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let checks: &[&str] = if size <= CHECKED_AT_START_BYTES {
        &["PRAGMA quick_check(1)"]
    } else {
        &["PRAGMA quick_check(state)", "PRAGMA quick_check(ends)"]
    };
    for check in checks {
        let found: String = connection.query_row(check, [], |row| row.get(0)).map_err(&failed)?;
        if found != "ok" {
            // SQLite tells it in lines, and an operator's log has one for each thing that happens.
            return Err(OpenError::Damaged { path: path.to_owned(), found: found.replace('\n', "; ") });
        }
    }
    Ok(())
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
