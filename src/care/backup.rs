//! Backups: made while a server runs, put in the place of a journal while none does; and a journal written anew without what is free in it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::care::check::examine;
use crate::care::part::Part;
use crate::care::work::{Work, bar};
use crate::care::{CareError, backup_at, begun, database};
use crate::limits::BACKUP_LEAVES_BYTES;
use crate::store::{self, OpenError, Presence};

/// The folder in a data directory in which a backup becomes its journal.
const WORK: &str = "restoring";

/// A backup that was made.
#[derive(Debug)]
pub struct Backed {
    /// How many entries it has.
    pub entries: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Makes a backup of the store in this directory, whether or not a server runs there: a store of its own, as it was at one moment.
///
/// # Errors
/// [`CareError`]; then there is no file of this name that was not there before.
pub fn back_up(directory: &Path, file: &Path, replaces: bool) -> Result<Backed, CareError> {
    let database = database(directory)?;
    let part = Part::begin(file, replaces)?;
    let needed = database.metadata().map_err(CareError::read(&database))?.len();
    let free = part.room()?;
    if free < needed + BACKUP_LEAVES_BYTES {
        return Err(CareError::NoRoom { directory: part.directory().to_owned(), needed, free });
    }
    let entries = copy_pages("backing up, pages", &database, part.path()).map_err(|error| match error {
        OpenError::Full(_) => CareError::Full(file.to_owned()),
        error => error.into(),
    })?;
    Ok(Backed { entries, bytes: part.finish()? })
}

/// Copies a store while a bar fills; returns how many entries it has.
fn copy_pages(what: &'static str, from: &Path, to: &Path) -> Result<u64, OpenError> {
    let copying = bar(1, what);
    let entries = store::back_up(from, to, &mut |done, all| {
        copying.set_length(all);
        copying.set_position(done);
    });
    copying.finish_and_clear();
    entries
}

/// A backup that was restored.
#[derive(Debug)]
pub struct Restored {
    /// How many entries it has.
    pub entries: u64,
    /// Where the journal is that it has replaced.
    pub aside: Option<PathBuf>,
}

/// Puts a backup in the place of the journal of this directory, where no server runs. It is examined before, and stays what it is.
///
/// # Errors
/// [`CareError`]; then the directory has the journal that it had.
pub fn restore(file: &Path, directory: &Path, replaces: bool) -> Result<Restored, CareError> {
    backup_at(file)?;
    let _held = store::hold(directory)?;
    let is_replacing = store::is_there(directory)?;
    if is_replacing && !replaces {
        return Err(CareError::HasJournal(directory.to_owned()));
    }
    let work = Work::make(directory, WORK).map_err(CareError::write(directory))?;
    let copy = store::database(work.path());
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copy).map_err(CareError::write(&copy))?;
    copy_pages("copying, pages", file, &copy)?;
    // One of an older linechat is brought to the current form.
    let (mut opened, _) = store::open_disk(work.path(), Presence::Kept)?;
    if let Some((newest, ids)) = store::given_out(directory) {
        opened.go_on_after(newest, ids)?;
    }
    opened.close();
    drop(opened);
    let mut first = None;
    let examined = examine(&copy, |_, harm| {
        first.get_or_insert(harm);
    })?;
    if let Some(first) = first {
        let (file, harms) = (file.to_owned(), examined.harms);
        return Err(CareError::Damaged { file, harms, first: first.to_string() });
    }
    let aside = is_replacing.then(|| store::aside_path(directory)).transpose().map_err(CareError::write(directory))?;
    store::keep_ids(work.path(), directory).map_err(CareError::write(directory))?;
    store::take_over(work.path(), directory, aside.as_deref())?;
    Ok(Restored { entries: examined.entries, aside })
}

/// A journal that was compacted.
#[derive(Debug)]
pub struct Compacted {
    /// How many bytes it had.
    pub before: u64,
    /// How many it has.
    pub after: u64,
}

/// Writes the journal of this directory, where no server runs, anew without what is free in it.
///
/// # Errors
/// [`CareError`]; then it is what it was.
pub fn compact(directory: &Path) -> Result<Compacted, CareError> {
    let database = database(directory)?;
    let _held = store::hold(directory)?;
    store::probe(&database)?;
    let comparing = bar(store::count(directory)?, "comparing, entries");
    let copy = store::copy_path(directory);
    begun::begin(&copy, || Ok::<_, CareError>(()))?;
    let compacted = store::compact(directory, || comparing.inc(1));
    begun::settle(&copy, || ());
    let (before, after) = compacted?;
    comparing.finish_and_clear();
    Ok(Compacted { before, after })
}
