//! Going through all entries of a store, for whoever has copied it: is each as it was written, and are two stores the same? It only
//! reads, and owns nothing.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};

use crate::names::Seq;
use crate::store::backend::StoreError;
use crate::store::disk::{files, row, store_error};

/// What going through a store has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many entries there are.
    pub entries: u64,
    /// Those whose checksum is wrong.
    pub damaged: Vec<Seq>,
}

/// The number of entries of the store in this directory.
///
/// # Errors
/// When it cannot be read.
pub fn count(directory: &Path) -> Result<u64, StoreError> {
    let store = open(&directory.join(files::DATABASE))?;
    store.query_row("SELECT count(*) FROM entries", [], |row| row.get(0)).map(row::unsigned).map_err(store_error)
}

/// Reads every entry of the store in this directory, and counts those that are damaged; `seen` is called after each.
///
/// # Errors
/// When it cannot be read.
pub fn check(directory: &Path, mut seen: impl FnMut()) -> Result<Checked, StoreError> {
    let store = open(&directory.join(files::DATABASE))?;
    let mut statement = store.prepare(row::SELECT_ALL).map_err(store_error)?;
    let mut rows = statement.query([]).map_err(store_error)?;
    let mut checked = Checked::default();
    while let Some(row) = rows.next().map_err(store_error)? {
        checked.add(row)?;
        seen();
    }
    Ok(checked)
}

/// Reads the entries of the store in this directory beside those of its [copy](crate::store::copy_path); `seen` is called after
/// each. Returns the first that they do not have in common, or what was found in both.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare(store: &Path, copied_to: &Path, mut seen: impl FnMut()) -> Result<Result<Checked, Seq>, StoreError> {
    let [one, other] = [open(&store.join(files::DATABASE))?, open(&copied_to.join(files::COPY))?];
    let mut first = one.prepare(row::SELECT_ALL).map_err(store_error)?;
    let mut second = other.prepare(row::SELECT_ALL).map_err(store_error)?;
    let columns = first.column_count();
    let (mut first, mut second) = (first.query([]).map_err(store_error)?, second.query([]).map_err(store_error)?);
    let mut checked = Checked::default();
    loop {
        match (first.next().map_err(store_error)?, second.next().map_err(store_error)?) {
            (None, None) => return Ok(Ok(checked)),
            (Some(own), Some(copied)) if values(own, columns)? == values(copied, columns)? => checked.add(own)?,
            (Some(row), _) | (None, Some(row)) => return Ok(Err(seq(row)?)),
        }
        seen();
    }
}

fn open(database: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(database, flags).map_err(store_error)
}

fn values(row: &Row<'_>, columns: usize) -> Result<Vec<Value>, StoreError> {
    (0..columns).map(|at| row.get(at).map_err(store_error)).collect()
}

fn seq(row: &Row<'_>) -> Result<Seq, StoreError> {
    row.get(0).map(|number| Seq(row::unsigned(number))).map_err(store_error)
}

impl Checked {
    fn add(&mut self, row: &Row<'_>) -> Result<(), StoreError> {
        self.entries += 1;
        if let Err(StoreError::Damaged(_)) = row::read(row).map_err(store_error)? {
            self.damaged.push(seq(row)?);
        }
        Ok(())
    }
}
