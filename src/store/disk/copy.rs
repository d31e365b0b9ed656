//! Copies of a whole store: one is made while the store is written to, and one is put in its place while nobody uses it. It must
//! never touch a store that another process has open.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::event::Event;
use crate::store::backend::StoreError;
use crate::store::disk::open::{OpenError, lock};
use crate::store::disk::{files, row, store_error};

/// Where a copy of the store in this directory is made, or comes to.
pub fn copy_path(directory: &Path) -> PathBuf {
    directory.join(files::COPY)
}

/// Whether there is a store in this directory.
pub fn is_there(directory: &Path) -> bool {
    directory.join(files::DATABASE).exists()
}

/// An empty file there, for a copy that comes from elsewhere.
///
/// # Errors
/// When it cannot be made.
pub fn empty_copy(directory: &Path) -> io::Result<File> {
    files::replace(&copy_path(directory))
}

/// Writes a copy of the store in this directory, as it is after some batch, while it is used. Returns the stream and the place up to
/// which it goes, if it belongs to an order that is shared. It takes as long as the store is large: call it where that may be
/// waited for.
///
/// # Errors
/// When the store cannot be read or the copy cannot be written.
pub fn copy(directory: &Path) -> Result<Option<(u64, u64)>, StoreError> {
    write_copy(directory, &copy_path(directory))?;
    copy_ends(directory)
}

/// Writes the same copy as the store of another directory, which must not exist.
///
/// # Errors
/// As [`copy`].
pub fn copy_to(directory: &Path, other: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::Failed(format!("{} cannot be made: {error}", other.display()));
    DirBuilder::new().mode(0o700).create(other).map_err(failed)?;
    write_copy(directory, &other.join(files::DATABASE))
}

fn write_copy(directory: &Path, to: &Path) -> Result<(), StoreError> {
    let failed = |error: io::Error| StoreError::Failed(format!("{} cannot be written: {error}", to.display()));
    // SQLite takes an empty file, and leaves its mode.
    drop(files::replace(to).map_err(failed)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(directory.join(files::DATABASE), flags).map_err(store_error)?;
    store.execute("VACUUM INTO ?", [to.to_string_lossy()]).map(drop).map_err(store_error)
}

/// The stream and the place up to which the copy in this directory goes, if it belongs to an order that is shared.
///
/// # Errors
/// When it cannot be read, or is no store.
pub fn copy_ends(directory: &Path) -> Result<Option<(u64, u64)>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(copy_path(directory), flags).map_err(store_error)?;
    let mut statement = copy.prepare(row::SELECT_PRESENCE).map_err(store_error)?;
    let rows = statement.query_map([], row::read_presence).map_err(store_error)?;
    for row in rows {
        let (_, entry) = row.map_err(store_error)??;
        if let Event::Ordered { stream, place, .. } = entry.event {
            return Ok(Some((stream, place)));
        }
    }
    Ok(None)
}

/// Moves the store of one directory, which nobody uses, to another, in which there is none. Both must be on one disk.
///
/// # Errors
/// [`OpenError`] when it cannot be moved.
pub fn take_over(from: &Path, to: &Path) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: to.to_owned(), error };
    let failed = |error: rusqlite::Error| not_writable(io::Error::other(error));
    // Its log would not come along.
    let store = Connection::open(from.join(files::DATABASE)).map_err(failed)?;
    store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    store.close().map_err(|(_, error)| failed(error))?;
    remove_index(to);
    fs::rename(from.join(files::DATABASE), to.join(files::DATABASE)).map_err(not_writable)
}

/// Sets the store in this directory aside, for whoever wants to know what is wrong with it. Nobody may use it.
///
/// # Errors
/// [`OpenError`] when somebody does, or the files cannot be renamed.
pub fn set_aside(directory: &Path) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    let _lock = lock(directory)?;
    // The log has to go with its store, and to have its name. One of an earlier time must not stay beside it.
    let _ = fs::remove_file(directory.join(files::ASIDE_LOG));
    remove_index(directory);
    for (name, aside) in [(files::LOG, files::ASIDE_LOG), (files::DATABASE, files::ASIDE)] {
        match fs::rename(directory.join(name), directory.join(aside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_writable(error)),
            _ => {}
        }
    }
    let _ = fs::remove_file(directory.join(files::INDEX));
    Ok(())
}

/// Puts the copy in this directory in the place of the store there. Nobody may use the store.
///
/// # Errors
/// [`OpenError`] when somebody does, or the files cannot be changed; then the store may be older, damaged or empty.
pub fn replace(directory: &Path) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    let _lock = lock(directory)?;
    // The log first: another store's log would damage the copy. The store was closed before, so there is normally nothing in it.
    for name in [files::LOG, files::INDEX] {
        match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(not_writable(error)),
            _ => {}
        }
    }
    remove_index(directory);
    fs::rename(copy_path(directory), directory.join(files::DATABASE)).map_err(not_writable)
}

/// Removes the index of messages of the store that was in this directory: it would be one of another.
fn remove_index(directory: &Path) {
    for name in [files::SEARCH, files::SEARCH_LOG, files::SEARCH_INDEX] {
        // One that stays is found to be of another journal when it is opened.
        let _ = fs::remove_file(directory.join(name));
    }
}
