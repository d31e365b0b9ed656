//! Going through all entries of a store of which pages may be damaged: each that SQLite still comes to, and where it comes to none.
//!
//! It only reads, and owns nothing.

use rusqlite::{Connection, Statement};

use crate::event::RoomId;
use crate::names::Seq;
use crate::store::backend::{Head, Record, StoreError};
use crate::store::disk::table::{HEADS, NEWEST};
use crate::store::disk::{row, store_error};

/// How many of the last entries are looked at for one that is sound.
const LAST: usize = 64;

/// What is met on the way.
pub enum Met {
    /// An entry as it was written.
    Sound(Record),
    /// One that is not, and the room in which it seems to be.
    Spoiled(StoreError, Option<RoomId>),
    /// Pages that cannot be read: no entry from the first of these seqs to the last is to be had.
    Torn(Seq, Seq),
}

impl Met {
    /// What is to be said of such pages.
    pub fn torn(first: Seq, last: Seq) -> String {
        if first == last {
            format!("entry {first} cannot be read")
        } else {
            format!("no entry from {first} to {last} can be read")
        }
    }
}

/// Gives `each` what is met, in the order of seqs.
///
/// # Errors
/// When the store fails, or when `each` does. That it is damaged is no error.
pub fn entries<E: From<StoreError>>(store: &Connection, mut each: impl FnMut(Met) -> Result<(), E>) -> Result<(), E> {
    let mut statement = store.prepare(row::SELECT_FROM).map_err(store_error)?;
    let mut next = Seq(0);
    while !stretch(&mut statement, &mut next, &mut each)? {
        // Which entries were on such a page is not known: each seq is tried, so that none is lost that can be reached.
        let (first, newest) = (next, newest(store)?.max(next));
        let reached = (first.0..=newest.0).find_map(|seq| first_from(&mut statement, Seq(seq)).transpose()).transpose()?;
        next = reached.unwrap_or(Seq(newest.0 + 1));
        if next > first {
            each(Met::Torn(first, Seq(next.0 - 1)))?;
        }
        if reached.is_none() {
            break;
        }
    }
    Ok(())
}

/// Reads on from `next`, which moves behind what was sound; whether the end was reached.
fn stretch<E: From<StoreError>>(
    statement: &mut Statement<'_>,
    next: &mut Seq,
    each: &mut impl FnMut(Met) -> Result<(), E>,
) -> Result<bool, E> {
    let mut rows = statement.query([row::signed(next.0)]).map_err(store_error)?;
    loop {
        let row = match rows.next().map_err(store_error) {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(true),
            Err(StoreError::Damaged(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        match row::read(row).map_err(store_error).and_then(|read| read) {
            Ok(record) if record.entry.seq >= *next => {
                *next = Seq(record.entry.seq.0 + 1);
                each(Met::Sound(record))?;
            }
            Ok(Record { entry, .. }) => {
                let out_of_order = StoreError::Damaged(format!("entry {} is not where it should be", entry.seq));
                each(Met::Spoiled(out_of_order, entry.room))?;
            }
            Err(damage @ StoreError::Damaged(_)) => {
                each(Met::Spoiled(damage, row.get(2).ok().map(row::read_room)))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The first entry from this seq on, if SQLite comes to it and it is sound. One that is not sound says nothing, not even its seq.
fn first_from(statement: &mut Statement<'_>, seq: Seq) -> Result<Option<Seq>, StoreError> {
    let mut rows = statement.query([row::signed(seq.0)]).map_err(store_error)?;
    let read = match rows.next().map_err(store_error) {
        Ok(row) => row.map(|row| row::read(row).map_err(store_error).and_then(|read| read)).transpose(),
        Err(error) => Err(error),
    };
    match read {
        Ok(record) => Ok(record.map(|record| record.entry.seq).filter(|found| *found >= seq)),
        Err(StoreError::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The newest seq that was given out, as far as what is sound says it.
///
/// # Errors
/// When the store fails.
pub fn newest(store: &Connection) -> Result<Seq, StoreError> {
    let mut newest = NEWEST.get(store, 1).or_else(undamaged)?.map_or(0, |[newest]| row::unsigned(newest));
    let mut statement = store.prepare(row::SELECT_LAST).map_err(store_error)?;
    let last = statement.query_map([], row::read).map_err(store_error)?.take(LAST);
    newest = newest.max(last.flatten().flatten().map(|record| record.entry.seq.0).max().unwrap_or(0));
    let heads = HEADS.each(store, |row| {
        if let Some(Head { seq, said, read, hidden, .. }) =
            row.map(|(_, numbers)| Some(row::head(numbers))).or_else(undamaged)?
        {
            newest = [seq, said, read, hidden].into_iter().map(|seq| seq.0).fold(newest, u64::max);
        }
        Ok(())
    });
    heads.or_else(|error| undamaged(error).map(|_: Option<()>| ()))?;
    Ok(Seq(newest))
}

/// Nothing, of what is damaged.
fn undamaged<T>(error: StoreError) -> Result<Option<T>, StoreError> {
    if let StoreError::Damaged(_) = error { Ok(None) } else { Err(error) }
}
