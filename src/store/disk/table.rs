//! The small tables: an id, some numbers, and a checksum of them all.
//!
//! A row whose id was damaged is not found by its id, but it still lies between the same rows. So if a row is not found, its
//! neighbours are checked for damage.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::store::backend::StoreError;
use crate::store::disk::{row, run, store_error};

/// The statements for a table with `N` numbers besides its id.
pub struct Table<const N: usize> {
    name: &'static str,
    until: &'static str,
    after: &'static str,
    set: &'static str,
    add: &'static str,
    delete: &'static str,
}

macro_rules! table {
    ($name:literal, $id:literal, $columns:literal, $values:literal) => {
        Table {
            name: $name,
            until: concat!(
                "SELECT ",
                $id,
                ", ",
                $columns,
                " FROM ",
                $name,
                " WHERE ",
                $id,
                " <= ? ORDER BY ",
                $id,
                " DESC LIMIT ?"
            ),
            after: concat!("SELECT ", $id, ", ", $columns, " FROM ", $name, " WHERE ", $id, " > ? ORDER BY ", $id, " LIMIT ?"),
            // Short, because cached statements are found by their text.
            set: concat!("REPLACE INTO ", $name, " VALUES ", $values),
            add: concat!("INSERT OR IGNORE INTO ", $name, " VALUES ", $values),
            delete: concat!("DELETE FROM ", $name, " WHERE ", $id, " = ?"),
        }
    };
}

/// The chain heads of rooms.
pub const HEADS: Table<9> =
    table!("heads", "room", "n, seq, said_n, said, read_n, read, hidden, unread_bytes, shared, sum", "(?,?,?,?,?,?,?,?,?,?,?)");
/// The same of versions 2 and 3, while a store is upgraded.
pub const OLD_HEADS: Table<7> =
    table!("old_heads", "room", "n, seq, said_n, said, read_n, read, hidden, sum", "(?,?,?,?,?,?,?,?,?)");
/// How many messages with keys a sender has had.
pub const KEY_COUNTS: Table<1> = table!("key_counts", "sender", "count, sum", "(?,?,?)");
/// What is waste, and how much of it is deleted.
pub const WASTE: Table<2> = table!("waste", "id", "n, seq, sum", "(?,?,?,?)");
/// How much of the rooms that go on is deleted.
pub const FLOORS: Table<2> = table!("floors", "room", "n, seq, sum", "(?,?,?,?)");
/// The newest seq, in case no stored entry has it; one row with the id 1. While there is one with the id [`UNSAID`], what was
/// retracted may still be in the log.
pub const NEWEST: Table<1> = table!("newest", "id", "seq, sum", "(?,?,?)");

/// See [`NEWEST`].
pub const UNSAID: i64 = 2;

impl<const N: usize> Table<N> {
    fn sum(id: i64, numbers: [i64; N]) -> i64 {
        row::sum(numbers, &id.to_le_bytes(), "")
    }

    fn read(&self, row: &Row<'_>) -> rusqlite::Result<Result<(i64, [i64; N]), StoreError>> {
        let id = row.get(0)?;
        let mut numbers = [0; N];
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = row.get(at + 1)?;
        }
        let written: i64 = row.get(N + 1)?;
        let damaged = || StoreError::Damaged(format!("the sum of row {id} of the table {} is wrong", self.name));
        Ok(if written == Self::sum(id, numbers) { Ok((id, numbers)) } else { Err(damaged()) })
    }

    fn one(&self, connection: &Connection, sql: &str, id: i64) -> Result<Option<(i64, [i64; N])>, StoreError> {
        let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
        statement.query_row([id, 1], |row| self.read(row)).optional().map_err(store_error)?.transpose()
    }

    /// The numbers of an id, if it has a row.
    pub fn get(&self, connection: &Connection, id: i64) -> Result<Option<[i64; N]>, StoreError> {
        match self.one(connection, self.until, id)? {
            Some((found, numbers)) if found == id => Ok(Some(numbers)),
            _ => self.one(connection, self.after, id).map(|_| None),
        }
    }

    /// At most `count` rows, ordered by id.
    pub fn list(&self, connection: &Connection, count: usize) -> Result<Vec<(i64, [i64; N])>, StoreError> {
        self.list_after(connection, i64::MIN, count)
    }

    /// At most `count` rows with ids above this one, ordered by id.
    pub fn list_after(&self, connection: &Connection, id: i64, count: usize) -> Result<Vec<(i64, [i64; N])>, StoreError> {
        let mut statement = connection.prepare_cached(self.after).map_err(store_error)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let rows = statement.query_map([id, count], |row| self.read(row)).map_err(store_error)?;
        rows.map(|row| row.map_err(store_error)?).collect()
    }

    /// Gives each row to `each`, ordered by id: its id and numbers, or that it is damaged.
    pub fn each<E: From<StoreError>>(
        &self,
        connection: &Connection,
        mut each: impl FnMut(Result<(i64, [i64; N]), StoreError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = connection.prepare_cached(self.after).map_err(store_error)?;
        let mut rows = statement.query([i64::MIN, i64::MAX]).map_err(store_error)?;
        while let Some(row) = rows.next().map_err(store_error)? {
            each(self.read(row).map_err(store_error).and_then(|row| row))?;
        }
        Ok(())
    }

    /// The same of a table of which a page may be damaged: what is behind that is read from the other end, and `each` is given the damage
    /// in its place.
    pub fn each_left<E: From<StoreError>>(
        &self,
        connection: &Connection,
        mut each: impl FnMut(Result<(i64, [i64; N]), StoreError>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut last = i64::MIN;
        for (sql, from, is_back) in [(self.after, i64::MIN, false), (self.until, i64::MAX, true)] {
            let mut statement = connection.prepare_cached(sql).map_err(store_error)?;
            let mut rows = statement.query([from, i64::MAX]).map_err(store_error)?;
            let damage = loop {
                let row = match rows.next().map_err(store_error) {
                    Ok(Some(row)) => self.read(row).map_err(store_error).and_then(|row| row),
                    Ok(None) => return Ok(()),
                    Err(error) => break error,
                };
                match row {
                    Ok((id, _)) if is_back && id <= last => return Ok(()),
                    Ok((id, _)) if !is_back => last = id,
                    _ => {}
                }
                each(row)?;
            };
            match damage {
                // Told of before.
                StoreError::Damaged(_) if is_back => {}
                damage => each(Err(damage))?,
            }
        }
        Ok(())
    }

    /// Sets the numbers of an id.
    pub fn set(&self, connection: &Connection, id: i64, numbers: [i64; N]) -> Result<(), StoreError> {
        self.put(connection, self.set, id, numbers)
    }

    /// Sets the numbers of an id that has none.
    pub fn add(&self, connection: &Connection, id: i64, numbers: [i64; N]) -> Result<(), StoreError> {
        self.put(connection, self.add, id, numbers)
    }

    fn put(&self, connection: &Connection, sql: &str, id: i64, numbers: [i64; N]) -> Result<(), StoreError> {
        let all = std::iter::once(id).chain(numbers).chain([Self::sum(id, numbers)]);
        run(connection, sql, rusqlite::params_from_iter(all))
    }

    /// Deletes the row of an id.
    pub fn delete(&self, connection: &Connection, id: i64) -> Result<(), StoreError> {
        run(connection, self.delete, [id])
    }
}
