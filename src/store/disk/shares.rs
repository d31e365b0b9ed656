//! The table of shares: who has left how much unread in an inbox that is filling up.
//!
//! A damaged row counts as none. So somebody has a share more, and their next message mends the row.

use rusqlite::{Connection, OptionalExtension, params};

use crate::names::UserId;
use crate::state::archive::Sharer;
use crate::store::backend::StoreError;
use crate::store::disk::{row, run, store_error};
use crate::store::inbox::Shares;

/// A sharer as one number: an id or an address, then a bit for its kind.
fn number(sharer: Sharer) -> i64 {
    match sharer {
        Sharer::User(id) => row::signed(id.0) << 1,
        Sharer::Near(near) => i64::from(near) << 1 | 1,
    }
}

/// The inverse of [`number`].
fn sharer(number: i64) -> Sharer {
    let id = row::unsigned(number >> 1);
    if number & 1 == 0 { Sharer::User(UserId(id)) } else { Sharer::Near(id as u16) }
}

/// How much of a share is used.
pub fn get(connection: &Connection, owner: UserId, sharer: Sharer) -> Result<u64, StoreError> {
    const ONE: &str = "SELECT count, sum FROM shares WHERE inbox = ? AND sharer = ?";
    let (owner, sharer) = (row::signed(owner.0), number(sharer));
    let mut statement = connection.prepare_cached(ONE).map_err(store_error)?;
    let found = statement.query_row([owner, sharer], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    let found = match found.optional().map_err(store_error) {
        // Not even a number.
        Err(StoreError::Damaged(_)) => None,
        found => found?,
    };
    let sound = found.filter(|(count, sum): &(i64, i64)| *sum == row::sum([owner, sharer, *count], b"", ""));
    Ok(sound.map_or(0, |(count, _)| row::unsigned(count)))
}

/// All shares of an inbox, in their order.
pub fn list(connection: &Connection, owner: UserId) -> Result<Vec<(Sharer, u64)>, StoreError> {
    let mut statement = connection.prepare("SELECT sharer, count FROM shares WHERE inbox = ?").map_err(store_error)?;
    let shares = statement.query_map([row::signed(owner.0)], |row| Ok((sharer(row.get(0)?), row::unsigned(row.get(1)?))));
    let mut shares: Vec<_> = shares.map_err(store_error)?.collect::<Result<_, _>>().map_err(store_error)?;
    shares.sort_unstable();
    Ok(shares)
}

/// Whether each row is sound.
pub fn each(
    connection: &Connection,
    mut each: impl FnMut(Result<(), StoreError>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT inbox, sharer, count, sum FROM shares").map_err(store_error)?;
    let mut rows = statement.query([]).map_err(store_error)?;
    while let Some(row) = rows.next().map_err(store_error)? {
        let read = || Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?]);
        let damaged = |inbox| StoreError::Damaged(format!("the sum of a share of the inbox of {inbox} is wrong"));
        each(match read().map_err(store_error) {
            Ok([inbox, sharer, count, sum]) if sum != row::sum([inbox, sharer, count], b"", "") => Err(damaged(inbox)),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        })?;
    }
    Ok(())
}

/// Writes what a batch changes.
pub fn write(connection: &Connection, Shares { forgotten, counted }: &Shares) -> Result<(), StoreError> {
    forgotten.iter().try_for_each(|owner| forget(connection, *owner))?;
    for (&(owner, sharer), &count) in counted {
        let (owner, sharer, count) = (row::signed(owner.0), number(sharer), row::signed(count));
        let sum = row::sum([owner, sharer, count], b"", "");
        run(connection, "REPLACE INTO shares VALUES (?, ?, ?, ?)", params![owner, sharer, count, sum])?;
    }
    Ok(())
}

/// Deletes all shares of an inbox.
pub fn forget(connection: &Connection, owner: UserId) -> Result<(), StoreError> {
    run(connection, "DELETE FROM shares WHERE inbox = ?", [row::signed(owner.0)])
}
