//! Opening a store: who may use the directory, whether the store is ours and undamaged, and what a new one begins with.
//!
//! Errors here are for the operator. Files that are not ours are never changed.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rustix::process::geteuid;
use tokio::sync::Semaphore;

use crate::limits::{CHECKED_AT_START_BYTES, READS_AT_ONCE};
use crate::store::backend::{Backend, StoreError};
use crate::store::disk::aside::Aside;
use crate::store::disk::begin::{APPLICATION_ID, VERSION, begin, stamp};
use crate::store::disk::damage::Damage;
use crate::store::disk::log::Log;
use crate::store::disk::reader::DiskReader;
use crate::store::disk::table::{NEWEST, UNSAID};
use crate::store::disk::upgrade::upgrade;
use crate::store::disk::{Disk, files, is_full};
use crate::store::{Presence, Reader, Store};

/// The oldest that can be read, after an [`upgrade()`].
const OLDEST: i32 = 2;

/// How many prepared statements are cached; there are fewer.
const STATEMENTS: usize = 64;
/// Why the store could not be opened; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses it.
    #[error("the data directory {0} is in use by another linechat server; stop it, or give another --data-dir")]
    InUse(PathBuf),
    /// The directory or a file in it cannot be made or written.
    #[error(
        "the data directory {path} cannot be written ({error}); run it as the user that the directory belongs to, mend its permissions, or give another --data-dir"
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The journal itself cannot be written.
    #[error(
        "{path} cannot be opened to be written ({error}); give it to the user that the server runs as (chown), and mend its mode (chmod)"
    )]
    ReadOnly {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It may not be read by whoever has asked.
    #[error("{0} may not be read; run it as the user of the server (sudo -u linechat ...), or as root")]
    NotPermitted(PathBuf),
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
    /// It holds nothing, and no crash leaves one like that.
    #[error("{0} is empty, as no journal ever is: somebody has cut it off; restore a backup, or remove it to begin anew")]
    Empty(PathBuf),
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
    let read_only = |error| OpenError::ReadOnly { path: path.clone(), error };
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            read_only(io::Error::other(error.to_string()))
        }
        _ => not_opened(&path, error),
    };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => begin(directory)?,
        _ => holds_something(&path)?,
    }
    read_ahead(&path);
    // SQLite creates its other files with this one's mode.
    drop(files::create(&path).map_err(read_only)?);
    // The path to the directory may contain links, but SQLite must not follow any.
    let real = directory.canonicalize().map_err(not_writable)?.join(files::DATABASE);
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(&real, OpenFlags::SQLITE_OPEN_READ_WRITE | flags).map_err(failed)?;
    let found = version(&connection, &path, failed)?;
    files::close_to_others(directory);
    // What is deleted is overwritten, so that the text of a closed channel is not left in a free page.
    connection.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;").map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if found != VERSION {
        // All of it or nothing, even in a crash.
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate).map_err(failed)?;
        upgrade(&transaction).map_err(|error| not_upgraded(&path, error))?;
        transaction.execute_batch(&stamp()).and_then(|()| transaction.commit()).map_err(failed)?;
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
pub fn not_opened(path: &Path, error: rusqlite::Error) -> OpenError {
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
    look_with("BEGIN", database)
}

fn look_with(begin: &str, database: &Path) -> Result<(Connection, i32), OpenError> {
    holds_something(database)?;
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        // It is there: whoever asks for it has looked. SQLite also needs its log beside it, which it may have to make.
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) if !geteuid().is_root() => {
            OpenError::NotPermitted(database.to_owned())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            let error = "SQLite has to make a file beside it, and cannot; copy it to a disk that can be written".to_owned();
            OpenError::Failed { path: database.to_owned(), error }
        }
        _ => not_opened(database, error),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags).map_err(failed)?;
    connection.execute_batch(begin).map_err(failed)?;
    let found = version(&connection, database, failed)?;
    Ok((connection, found))
}

/// The same, of a store that has the current form.
///
/// # Errors
/// Also when it is older.
pub fn look_into_current(database: &Path) -> Result<Connection, OpenError> {
    only_current(look_into(database)?, database)
}

/// The same, of a store that SQLite finds damaged before it has read a row, as one of which the end is missing.
///
/// # Errors
/// When not even its first page can be read.
pub fn look_into_damaged(database: &Path) -> Result<Connection, OpenError> {
    // By this SQLite reads what it would otherwise refuse.
    only_current(look_with("PRAGMA writable_schema=ON; BEGIN", database)?, database)
}

fn only_current((connection, found): (Connection, i32), database: &Path) -> Result<Connection, OpenError> {
    if found == VERSION { Ok(connection) } else { Err(OpenError::Outdated { path: database.to_owned(), found }) }
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

/// An error when there is not a byte in the file. Ask before SQLite opens it: it would remove the log of such a file.
fn holds_something(path: &Path) -> Result<(), OpenError> {
    if path.metadata().is_ok_and(|metadata| metadata.len() == 0) { Err(OpenError::Empty(path.to_owned())) } else { Ok(()) }
}

/// The version of the database; an error when it is not ours or of a version that cannot be read. Changes nothing: it may be
/// somebody else's.
fn version(connection: &Connection, path: &Path, failed: impl Fn(rusqlite::Error) -> OpenError) -> Result<i32, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (id, found) = (pragma("application_id").map_err(&failed)?, pragma("user_version").map_err(&failed)?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
    if tables == 0 && id == 0 {
        return Err(OpenError::Empty(path.to_owned()));
    }
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    match found {
        OLDEST..=VERSION => Ok(found),
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
        let _ = io::copy(&mut file, &mut io::sink());
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
