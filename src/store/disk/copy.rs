//! Copies of a whole store: one is made while the store is written to, and one is put in its place while nobody uses it. It must
//! never touch a store that another process has open.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, Progress, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::event::Event;
use crate::names::{Seq, UserId};
use crate::store::backend::{Look, StoreError};
use crate::store::disk::aside::Aside;
use crate::store::disk::check::compare;
use crate::store::disk::open::{OpenError, lock, look_into};
use crate::store::disk::{files, newest, row, store_error};

/// How many pages are copied between two moments at which somebody hears how far it has come.
const PAGES_AT_ONCE: i32 = 1024;

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
    files::make_folder(other).map_err(failed)?;
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
    ends(&copy_path(directory))
}

/// The same, of the store in this file.
///
/// # Errors
/// As [`copy_ends`].
pub fn ends(database: &Path) -> Result<Option<(u64, u64)>, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(database, flags).map_err(store_error)?;
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

/// Where the store in this directory is.
pub fn database(directory: &Path) -> PathBuf {
    directory.join(files::DATABASE)
}

/// Whether a file has the name of one of a store's, in a directory where there is a store or was one.
pub fn is_of_a_store(file: &Path) -> bool {
    let Some(name) = file.file_name() else { return true };
    let is_there = |name| file.parent().is_some_and(|directory| directory.join(name).exists());
    files::ALL.iter().any(|own| name == *own) && [files::LOCK, files::DATABASE].into_iter().any(is_there)
}

/// Writes a store into another file, which is there and empty, as it is at one moment and while it is used. The copy is a single file.
/// `copied` hears how many pages are done, and of how many. Returns how many entries there are.
///
/// # Errors
/// [`OpenError`] when there is no store that can be read, or the file cannot be written.
pub fn back_up(database: &Path, to: &Path, copied: &mut dyn FnMut(u64, u64)) -> Result<u64, OpenError> {
    let failed = |error: rusqlite::Error| match store_error(error) {
        StoreError::Full => OpenError::Full(to.to_owned()),
        StoreError::Damaged(found) => OpenError::Damaged { path: database.to_owned(), found },
        StoreError::Failed(error) => OpenError::Failed { path: to.to_owned(), error },
    };
    let (store, _) = look_into(database)?;
    let entries = store.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).map_err(failed)?;
    // Nobody takes it for a store before it is whole and synced: until then nothing of it has to be safe.
    let mut copy = Connection::open(to).map_err(failed)?;
    copy.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF").map_err(failed)?;
    let backup = Backup::new(&store, &mut copy).map_err(failed)?;
    loop {
        let step = backup.step(PAGES_AT_ONCE).map_err(failed)?;
        let Progress { remaining, pagecount } = backup.progress();
        copied(u64::try_from(pagecount - remaining).unwrap_or(0), u64::try_from(pagecount).unwrap_or(0));
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // It is read at one moment, and nobody else knows the copy.
            _ => return Err(OpenError::Failed { path: to.to_owned(), error: "another program uses the copy".to_owned() }),
        }
    }
    drop(backup);
    drop(copy);
    // As it was copied it expects a log beside it.
    let copy = Connection::open(to).map_err(failed)?;
    copy.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())).map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    Ok(row::unsigned(entries))
}

/// Moves the store of one directory, which nobody uses, to another on the same disk, as [`put_in_place`] does.
///
/// # Errors
/// [`OpenError`] when it cannot be moved.
pub fn take_over(from: &Path, to: &Path, aside: Option<&Path>) -> Result<(), OpenError> {
    // Its log would not come along.
    fold(&database(from)).map_err(|error| OpenError::NotWritable { path: from.to_owned(), error })?;
    put_in_place(&database(from), to, aside)
}

/// Puts a store that is a single file in the place of the one in this directory, which the caller [holds](super::hold): at each moment, and
/// after a crash, the one or the other is there as a whole. The old one is kept under the name `aside`, if that is given; if it is damaged,
/// that is the only place where all that is left of it is.
///
/// # Errors
/// [`OpenError`] when the files cannot be changed; then the old store is there.
pub fn put_in_place(file: &Path, directory: &Path, aside: Option<&Path>) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    let old = database(directory);
    if old.exists() {
        // Another store's log would damage the new one, and without its log the old one is not what it was.
        let folded = fold(&old);
        match aside {
            None => folded.map_err(not_writable)?,
            Some(aside) => {
                fs::hard_link(&old, aside).map_err(not_writable)?;
                if folded.is_err() && directory.join(files::LOG).exists() {
                    let mut log = aside.as_os_str().to_owned();
                    // The name by which SQLite finds it.
                    log.push("-wal");
                    fs::copy(directory.join(files::LOG), log).map_err(not_writable)?;
                }
            }
        }
        remove_log(directory).map_err(not_writable)?;
    }
    remove_index(directory);
    File::open(file).and_then(|file| file.sync_all()).map_err(not_writable)?;
    fs::rename(file, old).and_then(|()| files::sync(directory)).map_err(not_writable)
}

/// A name in this directory under which a store that is replaced can be kept.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn aside_path(directory: &Path) -> io::Result<PathBuf> {
    let inode = |path: &Path| path.symlink_metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
    let mut number = 1;
    loop {
        let path = directory.join(if number == 1 { "replaced.db".to_owned() } else { format!("replaced-{number}.db") });
        match inode(&path) {
            None => return Ok(path),
            // Whoever was to be replaced is still in its place: that was given up half way.
            found if found == inode(&database(directory)) => fs::remove_file(&path)?,
            Some(_) => number += 1,
        }
    }
}

/// What the store in this directory has given out, as far as it can be read: the newest seq, and all ids below one.
pub fn given_out(directory: &Path) -> Option<(Seq, UserId)> {
    let (store, _) = look_into(&database(directory)).ok()?;
    let holder = store.query_row("SELECT seq FROM state WHERE key = 'ids'", [], |row| row.get(0)).ok()?;
    let Event::Ids { below } = store.record(Seq(row::unsigned(holder))).ok()??.entry.event else { return None };
    Some((newest(&store).ok()?, below.max(Aside::look(directory))))
}

/// Lets a directory know of the ids that another has set aside, if they are more.
///
/// # Errors
/// When the file cannot be moved.
pub fn keep_ids(from: &Path, to: &Path) -> io::Result<()> {
    if Aside::look(from) <= Aside::look(to) {
        return Ok(());
    }
    fs::rename(from.join(files::IDS), to.join(files::IDS)).and_then(|()| files::sync(to))
}

/// Writes what is in a store's log into its file.
fn fold(database: &Path) -> io::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Connection::open_with_flags(database, flags).map_err(io::Error::other)?;
    let busy = store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map_err(io::Error::other)?;
    store.close().map_err(|(_, error)| io::Error::other(error))?;
    if busy == 0 { Ok(()) } else { Err(io::Error::other("another program reads the store; end that program")) }
}

/// Writes the store of this directory, which the caller [holds](super::hold), anew without what is free in it. Returns how many bytes its file had
/// and has.
///
/// # Errors
/// [`OpenError`]; then the store is what it was.
pub fn compact(directory: &Path, seen: impl FnMut()) -> Result<(u64, u64), OpenError> {
    let old = database(directory);
    look_into(&old)?;
    let failed = |error| match error {
        StoreError::Full => OpenError::Full(directory.to_owned()),
        StoreError::Damaged(found) => OpenError::Damaged { path: old.clone(), found },
        StoreError::Failed(error) => OpenError::Failed { path: old.clone(), error },
    };
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    fold(&old).map_err(|error| OpenError::NotWritable { path: directory.to_owned(), error })?;
    let copy = copy_path(directory);
    let written = write_copy(directory, &copy).and_then(|()| compare(directory, directory, seen)).map_err(failed);
    let (before, after) = (size(&old), size(&copy));
    let placed = written.and_then(|compared| match compared {
        Ok(_) => put_in_place(&copy, directory, None),
        Err(seq) => {
            Err(failed(StoreError::Failed(format!("entry {seq} was not copied as it is; check the memory and the disks"))))
        }
    });
    if placed.is_err() {
        let _ = fs::remove_file(&copy);
    }
    placed.map(|()| (before, after))
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
    remove_log(directory).map_err(not_writable)?;
    remove_index(directory);
    fs::rename(copy_path(directory), directory.join(files::DATABASE)).map_err(not_writable)
}

/// Removes what SQLite keeps beside the store in this directory, whether or not it is there.
fn remove_log(directory: &Path) -> io::Result<()> {
    for name in [files::LOG, files::INDEX] {
        match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the index of messages of the store that was in this directory: it would be one of another.
fn remove_index(directory: &Path) {
    for name in [files::SEARCH, files::SEARCH_LOG, files::SEARCH_INDEX] {
        // One that stays is found to be of another journal when it is opened.
        let _ = fs::remove_file(directory.join(name));
    }
}
