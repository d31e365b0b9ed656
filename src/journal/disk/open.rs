//! Opening a store: whose directory it is, whether it is one of ours and whole, and what a new one begins with.
//!
//! Errors here are for the operator. What is not ours is never changed.

use std::cmp::Ordering;
use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Semaphore;

use crate::journal::Journal;
use crate::journal::disk::{Disk, DiskReader};
use crate::journal::local::Local;
use crate::journal::store::Store;
use crate::journal::writer::Place;
use crate::limits::{CHECKED_AT_START_BYTES, READS_AT_ONCE};

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
