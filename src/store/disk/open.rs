//! Opening a store: who may use the directory, whether the store is ours and undamaged, and what a new one begins with.
//!
//! Errors here are for the operator. Files that are not ours are never changed.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::limits::{CHECKED_AT_START_BYTES, READS_AT_ONCE};
use crate::store::backend::{Backend, StoreError};
use crate::store::disk::aside::Aside;
use crate::store::disk::damage::Damage;
use crate::store::disk::log::Log;
use crate::store::disk::reader::DiskReader;
use crate::store::disk::table::{NEWEST, UNSAID};
use crate::store::disk::upgrade::{ADDED, HEADS_TABLE, upgrade};
use crate::store::disk::{Disk, files, is_full};
use crate::store::{Presence, Reader, Store};

/// "line", so that `file` and a newcomer know whose database it is.
const APPLICATION_ID: i32 = 0x6c69_6e65;
/// Must be raised whenever an older linechat could not read a store any more.
const VERSION: i32 = 4;
/// The oldest that can be read, after an [`upgrade()`].
const OLDEST: i32 = 2;

/// Entries are keyed by their ever-growing seq and have no other index: so an append costs 1.2 µs; with a `(room, seq)` key it
/// cost 10 to 17 µs. `n`, `prev`, `skip`, `said_n` and `said` are the [`Links`](crate::store::backend::Links); `sum` is a
/// CRC-32 of the row.
const SCHEMA: &str = "
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, room INTEGER, via INTEGER,
        n INTEGER NOT NULL, prev INTEGER NOT NULL, skip INTEGER NOT NULL, said_n INTEGER NOT NULL, said INTEGER NOT NULL,
        event TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE keys (
        sender INTEGER NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL,
        content INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (sender, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE key_counts (sender INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE state (key TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE presence (
        key TEXT PRIMARY KEY, seq INTEGER NOT NULL, time INTEGER NOT NULL, room INTEGER, via INTEGER,
        event TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE waste (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE newest (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
";
/// How many prepared statements are cached; there are fewer.
const STATEMENTS: usize = 64;
/// Which linechat a store of this version needs, for older ones to say. It must stay readable for all that came before.
const NEEDS: &str = concat!(
    "CREATE TABLE IF NOT EXISTS needs (linechat TEXT NOT NULL) STRICT; DELETE FROM needs; INSERT INTO needs VALUES ('",
    env!("CARGO_PKG_VERSION"),
    "');"
);

/// Why the store could not be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses it.
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
    /// A file of the store is a symbolic link, which may lead anywhere.
    #[error("{0} is a symbolic link, and linechat does not follow one there; remove it, or give another --data-dir")]
    Link(PathBuf),
    /// Written by a newer linechat.
    #[error("{path} has version {found}, and this linechat reads up to version {VERSION}; run {needed}")]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// Which linechat reads it, as far as the store says.
        needed: String,
    },
    /// Written by an older linechat, in a form that this one cannot read.
    #[error(
        "{path} has version {found}, and this linechat reads only versions {OLDEST} to {VERSION}; run the older linechat that wrote it, \
         or move it away, or give another --data-dir"
    )]
    Older {
        /// The store.
        path: PathBuf,
        /// Its version.
        found: i32,
    },
    /// Written by an older linechat, and only to be read here.
    #[error(
        "{path} has version {found}, and only version {VERSION} can be read without changing it; a start of its server brings it there, \
         and so does restoring it"
    )]
    Outdated {
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
        /// SQLite's report.
        found: String,
    },
    /// The disk lacks even the little room that opening takes.
    #[error("the disk of {0} is full; make some room on it, or move the data directory to a larger one")]
    Full(PathBuf),
    /// SQLite or the system failed in another way.
    #[error("{path} cannot be opened: {error}")]
    Failed {
        /// The store.
        path: PathBuf,
        /// The error's text.
        error: String,
    },
}

/// Opens the store in `directory`, and its reader. The directory and the store are created if they do not exist. An existing
/// store opens on a full disk, too: it can still be read, and take read marks.
///
/// # Errors
/// [`OpenError`], for the operator.
pub fn open(directory: &Path, presence: Presence) -> Result<(Store<Disk>, Arc<dyn Reader>), OpenError> {
    files::look_over(directory)?;
    let lock = lock(directory)?;
    // One that a crash has left is of no use, and takes room.
    let _ = std::fs::remove_file(directory.join(files::COPY));
    let reserve = directory.join(files::RESERVE);
    let (connection, readers) = match connect(directory) {
        Err(OpenError::Full(_)) if std::fs::remove_file(&reserve).is_ok() => connect(directory),
        other => other,
    }?;
    files::close_to_others(directory);
    let gate = Arc::new(RwLock::new(()));
    let damage = Arc::new(Damage::default());
    let reader = DiskReader {
        connections: Arc::new(Mutex::new(readers)),
        turns: Arc::new(Semaphore::new(READS_AT_ONCE)),
        gate: Arc::clone(&gate),
        damage: Arc::clone(&damage),
    };
    let log = Log::new(directory.join(files::LOG), gate);
    let ids = Aside::open(directory);
    let waits = presence == Presence::Forgotten;
    let mut disk = Disk { connection, waits, is_full_sync: true, json: Vec::new(), reserve, ids, log, damage, _lock: lock };
    disk.take_reserve();
    // What a crash has left in the log may be the text of a message that was retracted.
    let has_unsaid = NEWEST.get(&disk.connection, UNSAID).is_ok_and(|unsaid| unsaid.is_some());
    let mut store = Store::new(disk, presence);
    store.has_unsaid = has_unsaid;
    Ok((store, Arc::new(reader)))
}

/// Takes the directory, which is made if it does not exist, for this process and for as long as it keeps the file.
///
/// # Errors
/// [`OpenError`] when another process has it, when it cannot be made, or when a file in it is a link.
pub fn hold(directory: &Path) -> Result<File, OpenError> {
    files::look_over(directory)?;
    lock(directory)
}

/// Takes the directory for this process, for as long as it keeps the file.
pub fn lock(directory: &Path) -> Result<File, OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    let lock = files::create(&directory.join(files::LOCK)).map_err(not_writable)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => OpenError::InUse(directory.to_owned()),
        TryLockError::Error(error) => not_writable(error),
    })?;
    Ok(lock)
}

/// Opens and checks the database, and opens [`READS_AT_ONCE`] more connections for readers.
fn connect(directory: &Path) -> Result<(Connection, Vec<Connection>), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    let path = directory.join(files::DATABASE);
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            not_writable(std::io::Error::other(error.to_string()))
        }
        _ => not_opened(&path, error),
    };
    read_ahead(&path);
    // SQLite creates its other files with this one's mode.
    drop(files::create(&path).map_err(not_writable)?);
    // The path to the directory may contain links, but SQLite must not follow any.
    let real = directory.canonicalize().map_err(not_writable)?.join(files::DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(&real, OpenFlags::SQLITE_OPEN_READ_WRITE | flags).map_err(failed)?;
    let found = version(&connection, &path, failed)?;
    files::close_to_others(directory);
    // What is deleted is overwritten, so that the text of a closed channel is not left in a free page.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;").map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if found != Some(VERSION) {
        // All of it or nothing, even in a crash.
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate).map_err(failed)?;
        match found {
            None => transaction.execute_batch(&format!("{SCHEMA} {HEADS_TABLE} {ADDED}")).map_err(failed)?,
            Some(_) => upgrade(&transaction).map_err(|error| not_upgraded(&path, error))?,
        }
        let stamp = format!("{NEEDS} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};");
        transaction.execute_batch(&stamp).and_then(|()| transaction.commit()).map_err(failed)?;
    }
    check(&connection, &path, failed)?;
    let reader = || {
        let reader = Connection::open_with_flags(&real, OpenFlags::SQLITE_OPEN_READ_ONLY | flags)?;
        // SQLite opens the log with the first read. Later there may be no descriptor left for it.
        reader.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        Ok(reader)
    };
    let readers = (0..READS_AT_ONCE).map(|_| reader()).collect::<Result<_, _>>().map_err(failed)?;
    Ok((connection, readers))
}

/// What an error of SQLite means for whoever opens a store.
fn not_opened(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        _ if is_full(&error) => OpenError::Full(path),
        Some(ErrorCode::NotADatabase) => OpenError::Foreign(path),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, found: error.to_string() },
        _ => OpenError::Failed { path, error: error.to_string() },
    }
}

/// Opens a store only to read it, as it is at one moment: all of it is one transaction. A server may go on writing to it. Returns its version, too.
///
/// # Errors
/// [`OpenError`] when it is none, or of a version that this linechat does not know.
pub fn look_into(database: &Path) -> Result<(Connection, i32), OpenError> {
    let failed = |error| not_opened(database, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(failed)?;
    connection.execute_batch("BEGIN").map_err(failed)?;
    let found = version(&connection, database, failed)?;
    Ok((connection, found.ok_or_else(|| OpenError::Foreign(database.to_owned()))?))
}

/// The same, of a store that has the current form.
///
/// # Errors
/// Also when it is older.
pub fn look_into_current(database: &Path) -> Result<Connection, OpenError> {
    match look_into(database)? {
        (connection, VERSION) => Ok(connection),
        (_, found) => Err(OpenError::Outdated { path: database.to_owned(), found }),
    }
}

/// Why an old store stays what it was.
fn not_upgraded(path: &Path, error: StoreError) -> OpenError {
    let path = path.to_owned();
    match error {
        StoreError::Full => OpenError::Full(path),
        StoreError::Damaged(found) => OpenError::Damaged { path, found },
        StoreError::Failed(error) => OpenError::Failed { path, error },
    }
}

/// The version of the database, `None` when it is still empty; an error when it is not ours or of a version that cannot be read.
/// Changes nothing: it may be somebody else's.
fn version(
    connection: &Connection,
    path: &Path,
    failed: impl Fn(rusqlite::Error) -> OpenError,
) -> Result<Option<i32>, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (id, found) = (pragma("application_id").map_err(&failed)?, pragma("user_version").map_err(&failed)?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
    if tables == 0 && id == 0 {
        return Ok(None);
    }
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    match found {
        OLDEST..=VERSION => Ok(Some(found)),
        _ if found > VERSION => {
            let named = connection.query_row("SELECT linechat FROM needs", [], |row| row.get::<_, String>(0));
            // This one's own version would be no help.
            let named = named.ok().filter(|named| named != env!("CARGO_PKG_VERSION"));
            let needed =
                named.map_or("the newer linechat that wrote it".to_owned(), |named| format!("linechat {named} or newer"));
            Err(OpenError::Newer { path: path.to_owned(), found, needed })
        }
        _ => Err(OpenError::Older { path: path.to_owned(), found }),
    }
}

/// Reads the store from beginning to end when every page will be checked: the disk takes a tenth of the time that the check's
/// own order would. Call it before SQLite opens the file: closing the file afterwards would drop SQLite's locks on it.
fn read_ahead(path: &Path) {
    if let Ok(mut file) = File::open(path)
        && file.metadata().is_ok_and(|metadata| metadata.len() <= CHECKED_AT_START_BYTES)
    {
        let _ = std::io::copy(&mut file, &mut std::io::sink());
    }
}

/// Checks every page of a store that is not too large for that, otherwise only the tables of state; entries have checksums of
/// their own.
fn check(connection: &Connection, path: &Path, failed: impl Fn(rusqlite::Error) -> OpenError) -> Result<(), OpenError> {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let checks: &[&str] = if size <= CHECKED_AT_START_BYTES {
        &["PRAGMA quick_check(1)"]
    } else {
        &[
            "PRAGMA quick_check(state)",
            "PRAGMA quick_check(heads)",
            "PRAGMA quick_check(presence)",
            "PRAGMA quick_check(waste)",
            "PRAGMA quick_check(floors)",
            "PRAGMA quick_check(shares)",
        ]
    };
    for check in checks {
        let found: String = connection.query_row(check, [], |row| row.get(0)).map_err(&failed)?;
        if found != "ok" {
            // SQLite's report has several lines; in the operator's log each event is one line.
            return Err(OpenError::Damaged { path: path.to_owned(), found: found.replace('\n', "; ") });
        }
    }
    Ok(())
}
