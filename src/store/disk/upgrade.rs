//! Bringing a store of an older linechat to the current version, in one transaction: a crash in the middle leaves the old store.
//!
//! Versions 2 and 3 did not know how many bytes are unread in an inbox, nor whose they are; version 2 kept everything for ever.

use rusqlite::Connection;

use crate::store::What;
use crate::store::backend::{Head, StoreError};
use crate::store::chain::Run;
use crate::store::disk::damage::Damage;
use crate::store::disk::reader::Watched;
use crate::store::disk::table::{HEADS, OLD_HEADS};
use crate::store::disk::{row, store_error};

/// How many chain heads are read at a time.
const HEADS_AT_ONCE: usize = 1024;

/// The chain heads of rooms.
pub const HEADS_TABLE: &str = "
    CREATE TABLE heads (
        room INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, said_n INTEGER NOT NULL, said INTEGER NOT NULL,
        read_n INTEGER NOT NULL, read INTEGER NOT NULL, hidden INTEGER NOT NULL, unread_bytes INTEGER NOT NULL,
        shared INTEGER NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
";
/// What versions 2 and 3 did not have, or not all of it.
pub const ADDED: &str = "
    CREATE TABLE IF NOT EXISTS floors (room INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL)
        STRICT;
    CREATE TABLE shares (
        inbox INTEGER NOT NULL, sharer INTEGER NOT NULL, count INTEGER NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (inbox, sharer)
    ) STRICT, WITHOUT ROWID;
";

/// Upgrades a store of version 2 or 3 within the transaction that has begun.
///
/// # Errors
/// When the store fails, or when a chain head is damaged: then it could not be loaded either.
pub fn upgrade(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch(&format!("ALTER TABLE heads RENAME TO old_heads; {HEADS_TABLE} {ADDED}")).map_err(store_error)?;
    // First all heads, so that the entries can be read. What is damaged is told of here, and again when somebody reads it.
    each_old(connection, |room, head| HEADS.set(connection, room, row::head_numbers(&head)))?;
    let damage = Damage::default();
    each_old(connection, |room, mut head| {
        if head.said_n == head.read_n || row::read_room(room).channel().is_some() {
            return Ok(());
        }
        let watched = Watched(connection, &damage);
        let run = Run::new(&watched, row::read_room(room), head, What::Messages);
        head.unread_bytes = run.bytes((head.said_n, head.said), head.read_n)?;
        HEADS.set(connection, room, row::head_numbers(&head))
    })?;
    connection.execute_batch("DROP TABLE old_heads").map_err(store_error)
}

/// Gives every old head to `each`, with the number of its room.
fn each_old(connection: &Connection, mut each: impl FnMut(i64, Head) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let heads = OLD_HEADS.list_after(connection, after, HEADS_AT_ONCE)?;
        let Some((last, _)) = heads.last() else { return Ok(()) };
        after = *last;
        for (room, [n, seq, said_n, said, read_n, read, hidden]) in heads {
            each(room, row::head([n, seq, said_n, said, read_n, read, hidden, 0, 0]))?;
        }
    }
}
