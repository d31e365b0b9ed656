//! The files of a store and whose they are: nobody else may read them, and none of them may lead elsewhere.
//!
//! They hold password hashes and private messages. Whoever can write to the directory could put a link there to make the server
//! overwrite somebody else's file.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, statvfs};
use rustix::process::geteuid;

use crate::limits::BALLAST_BYTES;
use crate::store::disk::OpenError;

/// The database.
pub const DATABASE: &str = "journal.db";
/// SQLite's write-ahead log.
pub const LOG: &str = "journal.db-wal";
/// SQLite's index of that log.
pub const INDEX: &str = "journal.db-shm";
/// A copy of the store, while it is made or taken over.
pub const COPY: &str = "copy";
/// A store that was found to be wrong.
pub const ASIDE: &str = "wrong.db";
/// Its log.
pub const ASIDE_LOG: &str = "wrong.db-wal";
/// Space to give back when the disk is full.
pub const RESERVE: &str = "reserve";
/// Ids for newcomers when the disk is full.
pub const IDS: &str = "ids";
/// The index of messages, which is made anew when it is missing.
pub const SEARCH: &str = "search.db";
/// Its write-ahead log.
pub const SEARCH_LOG: &str = "search.db-wal";
/// The index of that log.
pub const SEARCH_INDEX: &str = "search.db-shm";
/// Locked while a server runs.
pub const LOCK: &str = "lock";
/// All files of a store.
pub const ALL: [&str; 12] =
    [DATABASE, LOG, INDEX, COPY, ASIDE, ASIDE_LOG, RESERVE, IDS, SEARCH, SEARCH_LOG, SEARCH_INDEX, LOCK];

/// Opens a file for writing, and creates it if it does not exist; never through a link, and never readable for others.
pub fn create(path: &Path) -> io::Result<File> {
    let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)?;
    give(&file, path).map(|()| file)
}

/// Gives what root has made to whom its directory belongs: a server that runs as that user must be able to open it. It never gives away what
/// is root's elsewhere, too, under another name.
///
/// # Errors
/// When the system refuses it.
fn give(file: &File, path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent().filter(|_| geteuid().is_root()) else { return Ok(()) };
    let (owner, made) = (directory.metadata()?, file.metadata()?);
    let is_made_here = made.uid() == 0 && (made.is_dir() || made.nlink() == 1);
    if is_made_here && owner.uid() != 0 { fchown(file, Some(owner.uid()), Some(owner.gid())) } else { Ok(()) }
}

/// Makes a folder in a data directory, which nobody else may enter.
///
/// # Errors
/// When there is something of that name, or when the system refuses it.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // Whoever owns the directory could have put a link in its place.
    let only_that = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed();
    give(&OpenOptions::new().read(true).custom_flags(only_that).open(path)?, path)
}

/// Where the index of messages of the store in this directory is: a file that nobody else may read, empty if it is new.
///
/// # Errors
/// When it cannot be created.
pub fn search_file(directory: &Path) -> io::Result<PathBuf> {
    // SQLite creates its other files with this one's mode, and must not follow a link to any.
    let path = directory.canonicalize()?.join(SEARCH);
    create(&path).map(|_| path)
}

/// Creates a file in place of whatever has its name: a link that somebody has put there is removed, and what it leads to stays as
/// it is.
pub fn replace(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            give(&file, path).map(|()| file)
        }
    }
}

/// Fills a file with what the disk keeps free for marks.
pub fn make_reserve(path: &Path) -> io::Result<()> {
    let mut file = replace(path)?;
    (0..BALLAST_BYTES / 4096).try_for_each(|_| file.write_all(&[0xa5; 4096]))?;
    file.sync_all()
}

/// How many bytes there is room for on the disk of this file.
pub fn room_beside(path: &Path) -> Option<u64> {
    let space = statvfs(path.parent()?).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Makes sure that a file which was made, renamed or removed in a directory is so after a power cut, too.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Creates the directory if it does not exist, and checks the files in it.
///
/// # Errors
/// When it cannot be created, or when one of the files is a link.
pub fn look_over(directory: &Path) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(not_writable)?;
    for path in ALL.map(|name| directory.join(name)) {
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(OpenError::Link(path));
        }
    }
    let mode = directory.metadata().map_err(not_writable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %directory.display(),
            mode = format_args!("{mode:o}"),
            "others may enter the data directory, where messages and the hashes of passwords are; the files in it are closed to \
             them, but better is: chmod 700 on the directory"
        );
    }
    Ok(())
}

/// Makes all existing files unreadable for others.
pub fn close_to_others(directory: &Path) {
    for path in ALL.map(|name| directory.join(name)) {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_file()
            && metadata.mode() & 0o077 != 0
            && let Err(error) = std::fs::set_permissions(&path, Permissions::from_mode(0o600))
        {
            tracing::warn!(path = %path.display(), %error, "others may read this file, and its mode cannot be changed: chmod 600");
        }
    }
}
