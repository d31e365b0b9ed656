//! A new store: what it begins with, and how it comes to its name.
//!
//! It gets that when it is whole and synced. So a crash leaves no journal or an empty one of the current form, and a file without a
//! byte under that name is one that somebody has cut off.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::disk::copy::{copy_path, database, put_in_place};
use crate::store::disk::files;
use crate::store::disk::open::{OpenError, not_opened};
use crate::store::disk::upgrade::{ADDED, HEADS_TABLE};

/// "line", so that `file` and a newcomer know whose database it is.
pub const APPLICATION_ID: i32 = 0x6c69_6e65;
/// Must be raised whenever an older linechat could not read a store any more.
pub const VERSION: i32 = 4;

/// Entries are keyed by their ever-growing seq and have no other index: so an append costs 1.2 µs; with a `(room, seq)` key it
/// cost 10 to 17 µs. `n`, `prev`, `skip`, `said_n` and `said` are the [`Links`](crate::store::backend::Links); `sum` is a
/// CRC-32 of the row.
const SCHEMA: &str = "
    CREATE TABLE entries (
        seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, room INTEGER, via INTEGER,
        n INTEGER NOT NULL, prev INTEGER NOT NULL, skip INTEGER NOT NULL, said_n INTEGER NOT NULL, said INTEGER NOT NULL,
        event TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE keys (
        sender INTEGER NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL, seq INTEGER NOT NULL, time INTEGER NOT NULL,
        content INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (sender, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE key_counts (sender INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE state (key TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE presence (
        key TEXT PRIMARY KEY, seq INTEGER NOT NULL, time INTEGER NOT NULL, room INTEGER, via INTEGER,
        event TEXT NOT NULL, sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE waste (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
    CREATE TABLE newest (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, sum INTEGER NOT NULL) STRICT;
";
/// Which linechat a store of this version needs, for older ones to say. It must stay readable for all that came before.
const NEEDS: &str = concat!(
    "CREATE TABLE IF NOT EXISTS needs (linechat TEXT NOT NULL) STRICT; DELETE FROM needs; INSERT INTO needs VALUES ('",
    env!("CARGO_PKG_VERSION"),
    "');"
);

/// What makes a database a store of the current version.
pub fn stamp() -> String {
    format!("{NEEDS} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};")
}

/// Makes an empty store in this directory, which the caller [holds](super::hold) and in which there is none.
///
/// # Errors
/// [`OpenError`]; then there is still none.
pub fn begin(directory: &Path) -> Result<(), OpenError> {
    let not_writable = |error| OpenError::NotWritable { path: directory.to_owned(), error };
    let path = copy_path(directory);
    drop(files::replace(&path).map_err(not_writable)?);
    let real = copy_path(&directory.canonicalize().map_err(not_writable)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    // Nobody takes it for a store before it is whole and synced: until then nothing of it has to be safe.
    let schema =
        format!("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN; {SCHEMA} {HEADS_TABLE} {ADDED} {} COMMIT;", stamp());
    let made = Connection::open_with_flags(&real, flags).and_then(|store| store.execute_batch(&schema));
    let placed =
        made.map_err(|error| not_opened(&database(directory), error)).and_then(|()| put_in_place(&path, directory, None));
    if placed.is_err() {
        let _ = fs::remove_file(&path);
    }
    placed
}
