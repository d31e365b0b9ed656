//! The care of a store: backing it up, restoring, checking, exporting, importing and compacting it.
//!
//! Each of these is safe against being killed and against being run twice: what is written gets its name only when it is whole and
//! synced, a directory is changed only while it is [held](store::hold), as a server holds it, and what somebody else has begun is
//! refused. Nothing here knows how a store is built; [`crate::store`] does. It must never change what it only reads.

mod backup;
mod begun;
mod check;
mod export;
mod import;
mod part;
mod work;

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits::BACKUP_LEAVES_BYTES;
use crate::store::{self, OpenError, StoreError, TellError};

pub use backup::{Backed, Compacted, Restored, back_up, compact, restore};
pub use begun::remove_at_a_signal;
pub use check::check;
pub use export::{Exported, LeftOut, To, export};
pub use import::{Imported, import};
pub use work::{Work, bar};

/// Why it was not done; each says what to do. Whatever was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CareError {
    /// There is nothing to care for.
    #[error("there is no journal in {}; give the --data-dir of the server", .0.display())]
    NoJournal(PathBuf),
    /// It would be replaced.
    #[error(
        "there is a journal in {} already; give another --data-dir, or --force to put the backup in its place and keep it under \
         another name", .0.display()
    )]
    HasJournal(PathBuf),
    /// The same, where nothing is ever replaced.
    #[error("there is a journal in {} already; give a --data-dir that is empty or does not exist", .0.display())]
    NotEmpty(PathBuf),
    /// There is a file of that name.
    #[error("{} exists already; give another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// There is something of that name which is never replaced: a directory, a link, a pipe or a device.
    #[error("{} is no regular file; give the name of a file", .0.display())]
    NoFile(PathBuf),
    /// It was named as one.
    #[error("{} is no backup of linechat; give the file that 'linechat backup' made", .0.display())]
    NoBackup(PathBuf),
    /// There would be no room left for anybody else.
    #[error(
        "a backup takes {needed} bytes and leaves {BACKUP_LEAVES_BYTES} free, and {} has room for {free}; make room, or give a \
         name on another disk", .directory.display()
    )]
    NoRoom {
        /// Where it was to be.
        directory: PathBuf,
        /// How many bytes the journal has.
        needed: u64,
        /// How many bytes there are.
        free: u64,
    },
    /// There was none left meanwhile.
    #[error("the disk of {} is full; make room on it, or give a name on another disk", .0.display())]
    Full(PathBuf),
    /// It is a file of a store that may be in use.
    #[error("{} is a file of a server's data; give a name in another directory", .0.display())]
    OfAStore(PathBuf),
    /// Somebody else writes it just now.
    #[error("another linechat is writing {}; wait until it is done, or give another name", .0.display())]
    Busy(PathBuf),
    /// The rest of it is the cluster's.
    #[error("{} is the copy of a cluster's server, which is nothing without the cluster; copy that first, with 'linechat copy'", .0.display())]
    OfCluster(PathBuf),
    /// A backup cannot be relied on.
    #[error(
        "{} is damaged ({}: {first}), and was not restored; take another backup, or what is sound in this one: \
         'linechat export --skip-damaged --jsonl FILE --from {}', then 'linechat import FILE'",
        .file.display(), if *.harms == 1 { "once".to_owned() } else { format!("{harms} times, the first") }, .file.display()
    )]
    Damaged {
        /// The backup.
        file: PathBuf,
        /// How often.
        harms: u64,
        /// The first damage.
        first: String,
    },
    /// Something would be left out of an export.
    #[error(
        "the store is damaged: {0}; nothing was exported: restore a backup, or give --skip-damaged to export what is sound \
         ('linechat check' shows what is not)"
    )]
    NotAll(String),
    /// What is imported is not what an export writes.
    #[error("line {number} cannot be imported: {why}; nothing was imported, export it anew")]
    Line {
        /// Its number, from 1.
        number: u64,
        /// What is wrong.
        why: String,
    },
    /// A store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A store fails.
    #[error("the store cannot be read or written")]
    Store(#[from] StoreError),
    /// The system does not read.
    #[error("{} cannot be read: {error}", .path.display())]
    Read {
        /// What is read.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The system does not write.
    #[error("{} cannot be written: {error}", .path.display())]
    Write {
        /// What is written.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl CareError {
    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Write { path, error }
    }

    fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Read { path, error }
    }

    /// The same error of those who tell facts; of the one who writes them to this file, and may leave out what is damaged.
    fn told(error: TellError, to: &Path, leaves_out: bool) -> Self {
        match error {
            TellError::Open(error) => Self::Open(error),
            TellError::Store(StoreError::Damaged(found)) if !leaves_out => Self::NotAll(found),
            TellError::Store(error) => Self::Store(error),
            TellError::Taken(error) => Self::write(to)(error),
        }
    }
}

/// The store in this directory, if there is one.
fn database(directory: &Path) -> Result<PathBuf, CareError> {
    if store::is_there(directory)? { Ok(store::database(directory)) } else { Err(CareError::NoJournal(directory.to_owned())) }
}

/// The store in a file, or in a directory. It may be damaged.
fn store_at(place: &Path) -> Result<PathBuf, CareError> {
    if look(place)?.is_dir() {
        return database(place);
    }
    match backup_at(place) {
        Err(error @ CareError::NoBackup(_)) => Err(error),
        _ => Ok(place.to_owned()),
    }
}

/// Whether a store that can be read is in this file.
fn backup_at(file: &Path) -> Result<(), CareError> {
    let is_file = look(file)?.is_file();
    match store::probe(file) {
        Err(OpenError::Foreign(_) | OpenError::Empty(_)) => Err(CareError::NoBackup(file.to_owned())),
        _ if !is_file => Err(CareError::NoBackup(file.to_owned())),
        Err(OpenError::Damaged { path: file, found: first }) => Err(CareError::Damaged { file, harms: 1, first }),
        probed => Ok(probed?),
    }
}

/// What is at a place where a store should be.
fn look(place: &Path) -> Result<Metadata, CareError> {
    place.metadata().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::NotPermitted(place.to_owned()).into(),
        _ => CareError::read(place)(error),
    })
}
