//! Records to rows and back. Only this file knows the columns of `entries`, `presence`, `keys` and `heads`.
//!
//! Each row ends with a checksum of all its columns, so that damage is found where SQLite does not look for it.

use std::io::Write;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Row};

use crate::event::{Entry, RoomId, Time};
use crate::names::{Seq, UserId};
use crate::state::archive::Used;
use crate::store::backend::{Head, KeyUse, Links, Record, StoreError, Waste};

/// How many columns an entry has, without its event and its checksum.
const COLUMNS: usize = 9;

pub const SELECT: &str = "SELECT seq, time, room, via, n, prev, skip, said_n, said, event, sum FROM entries WHERE seq = ?";
pub const SELECT_ALL: &str = "SELECT seq, time, room, via, n, prev, skip, said_n, said, event, sum FROM entries ORDER BY seq";
/// What [`SELECT_ALL`] selects, from a seq on.
pub const SELECT_FROM: &str =
    "SELECT seq, time, room, via, n, prev, skip, said_n, said, event, sum FROM entries WHERE seq >= ? ORDER BY seq";
/// What [`SELECT_ALL`] selects, from the end.
pub const SELECT_LAST: &str =
    "SELECT seq, time, room, via, n, prev, skip, said_n, said, event, sum FROM entries ORDER BY seq DESC";
pub const SELECT_AFTER: &str =
    "SELECT seq, time, room, via, n, prev, skip, said_n, said, event, sum FROM entries WHERE seq > ? ORDER BY seq LIMIT ?";
pub const SELECT_KEYS: &str = "SELECT sender, key, n, seq, time, content, sum FROM keys ORDER BY sender, key";
/// The same, from the end.
pub const SELECT_KEYS_BACK: &str = "SELECT sender, key, n, seq, time, content, sum FROM keys ORDER BY sender DESC, key DESC";
pub const SELECT_PRESENCE: &str = "SELECT seq, time, room, via, 0, 0, 0, 0, 0, event, sum, key FROM presence ORDER BY seq";
pub const INSERT_PRESENCE: &str =
    "INSERT OR REPLACE INTO presence (key, seq, time, room, via, event, sum) VALUES (?, ?, ?, ?, ?, ?, ?)";

/// The statement that inserts this many rows. It is short because cached statements are found by their text.
pub fn insert_sql(rows: usize) -> String {
    format!("INSERT INTO entries VALUES {}", vec!["(?,?,?,?,?,?,?,?,?,?,?)"; rows].join(","))
}

/// SQLite's integers are signed; seqs and ids never reach 2^61.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("invariant: seqs and ids are below 2^61")
}

/// The same for looking: somebody may ask for a seq that nothing has.
pub fn sought(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The inverse of [`signed`]; a negative number was never written and becomes a number that nothing has.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX >> 3)
}

fn seq(number: i64) -> Seq {
    Seq(unsigned(number))
}

/// A room as one number: its id, then a bit for its kind.
pub fn room(room: RoomId) -> i64 {
    match room {
        RoomId::Inbox(id) => signed(id.0) << 1,
        RoomId::Channel(seq) => signed(seq.0) << 1 | 1,
    }
}

/// The inverse of [`room`].
pub fn read_room(number: i64) -> RoomId {
    let id = unsigned(number >> 1);
    if number & 1 == 0 { RoomId::Inbox(UserId(id)) } else { RoomId::Channel(Seq(id)) }
}

/// Waste as one number: its id, then two bits for its kind.
pub fn waste(waste: Waste) -> i64 {
    match waste {
        Waste::Room(RoomId::Inbox(id)) => signed(id.0) << 2,
        Waste::Room(RoomId::Channel(seq)) => signed(seq.0) << 2 | 1,
        Waste::Keys(id) => signed(id.0) << 2 | 2,
        Waste::OldKeys(id) => signed(id.0) << 2 | 3,
    }
}

/// The inverse of [`waste`].
pub fn read_waste(number: i64) -> Waste {
    let id = unsigned(number >> 2);
    match number & 3 {
        0 => Waste::Room(RoomId::Inbox(UserId(id))),
        1 => Waste::Room(RoomId::Channel(Seq(id))),
        2 => Waste::Keys(UserId(id)),
        _ => Waste::OldKeys(UserId(id)),
    }
}

/// A chain head as the numbers of its row.
pub fn head_numbers(head: &Head) -> [i64; 9] {
    let Head { n, seq, said_n, said, read_n, read, hidden, unread_bytes, shared } = *head;
    [n, seq.0, said_n, said.0, read_n, read.0, hidden.0, unread_bytes, shared].map(signed)
}

/// The inverse of [`head_numbers`].
pub fn head(numbers: [i64; 9]) -> Head {
    let [n, seq, said_n, said, read_n, read, hidden, unread_bytes, shared] = numbers.map(unsigned);
    let [seq, said, read, hidden] = [seq, said, read, hidden].map(Seq);
    Head { n, seq, said_n, said, read_n, read, hidden, unread_bytes, shared }
}

/// The checksum of a row: of its numbers, a text that marks its own end, and a key.
pub fn sum<const N: usize>(numbers: [i64; N], text: &[u8], key: &str) -> i64 {
    // All numbers at once: a checksum over many small pieces takes three times as long.
    let mut bytes = [[0; 8]; N];
    for (bytes, number) in bytes.iter_mut().zip(numbers) {
        *bytes = number.to_le_bytes();
    }
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.as_flattened());
    hasher.update(text);
    hasher.update(key.as_bytes());
    i64::from(hasher.finalize())
}

fn numbers(entry: &Entry, links: &Links) -> [i64; COLUMNS] {
    let Links { n, prev, skip, said_n, said } = *links;
    let (room, via) = (entry.room.map_or(-1, room), entry.via.map_or(-1, |via| signed(via.0)));
    let links = [signed(n), signed(prev.0), signed(skip.0), signed(said_n), signed(said.0)];
    [signed(entry.seq.0), entry.time.0, room, via, links[0], links[1], links[2], links[3], links[4]]
}

/// The number, or `None` for -1.
fn or_null(number: i64) -> Option<i64> {
    (number != -1).then_some(number)
}

fn write_event(out: &mut Vec<u8>, entry: &Entry) {
    serde_json::to_writer(&mut *out, &entry.event).expect("invariant: an event has a JSON form, and memory takes it");
    out.flush().expect("invariant: memory takes everything");
}

/// Binds the records to a statement of [`insert_sql`] for this many, and runs it. `json` is a buffer to work in.
pub fn insert(statement: &mut CachedStatement<'_>, records: &[Record], json: &mut Vec<u8>) -> rusqlite::Result<()> {
    let mut next = 0;
    for Record { entry, links, .. } in records {
        json.clear();
        write_event(json, entry);
        let numbers = numbers(entry, links);
        let sum = sum(numbers, json, "");
        for (at, number) in numbers.into_iter().enumerate() {
            next += 1;
            match at {
                2 | 3 => statement.raw_bind_parameter(next, or_null(number))?,
                _ => statement.raw_bind_parameter(next, number)?,
            }
        }
        statement.raw_bind_parameter(next + 1, ToSqlOutput::Borrowed(ValueRef::Text(json)))?;
        statement.raw_bind_parameter(next + 2, sum)?;
        next += 2;
    }
    statement.raw_execute().map(drop)
}

/// Binds a presence to [`INSERT_PRESENCE`], and runs it.
pub fn insert_presence(
    statement: &mut CachedStatement<'_>,
    key: &str,
    entry: &Entry,
    json: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    json.clear();
    write_event(json, entry);
    let numbers = numbers(entry, &Links::default());
    let sum = sum(numbers, json, key);
    statement.raw_bind_parameter(1, key)?;
    statement.raw_bind_parameter(2, numbers[0])?;
    statement.raw_bind_parameter(3, numbers[1])?;
    statement.raw_bind_parameter(4, or_null(numbers[2]))?;
    statement.raw_bind_parameter(5, or_null(numbers[3]))?;
    statement.raw_bind_parameter(6, ToSqlOutput::Borrowed(ValueRef::Text(json)))?;
    statement.raw_bind_parameter(7, sum)?;
    statement.raw_execute().map(drop)
}

/// A record from a row of [`SELECT`]; `Damaged` when its checksum is wrong.
pub fn read(row: &Row<'_>) -> rusqlite::Result<Result<Record, StoreError>> {
    read_with(row, "")
}

/// The key and the entry of a row of [`SELECT_PRESENCE`].
pub fn read_presence(row: &Row<'_>) -> rusqlite::Result<Result<(String, Entry), StoreError>> {
    let key: String = row.get(11)?;
    Ok(read_with(row, &key)?.map(|record| (key, record.entry)))
}

fn read_with(row: &Row<'_>, key: &str) -> rusqlite::Result<Result<Record, StoreError>> {
    let mut numbers = [0; COLUMNS];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = row.get::<_, Option<i64>>(at)?.unwrap_or(-1);
    }
    let event = row.get_ref(COLUMNS)?.as_str()?;
    let written: i64 = row.get(COLUMNS + 1)?;
    let [number, time, room, via, n, prev, skip, said_n, said] = numbers;
    let damaged = || StoreError::Damaged(format!("the sum of entry {number} is wrong"));
    if written != sum(numbers, event.as_bytes(), key) {
        return Ok(Err(damaged()));
    }
    let Ok(event) = serde_json::from_str(event) else {
        return Ok(Err(StoreError::Damaged(format!("the event of entry {number} is none that this linechat knows"))));
    };
    let links = Links { n: unsigned(n), prev: seq(prev), skip: seq(skip), said_n: unsigned(said_n), said: seq(said) };
    let (room, via) = (or_null(room).map(read_room), or_null(via).map(|via| UserId(unsigned(via))));
    Ok(Ok(Record::sound(Entry { seq: seq(number), time: Time(time), room, via, event }, links)))
}

/// The checksum of a key's row.
pub fn sum_key(sender: UserId, key: &str, found: &KeyUse) -> i64 {
    let KeyUse { n, used: Used { seq, time, content } } = *found;
    sum([signed(sender.0), signed(n), signed(seq.0), time.0, content.cast_signed()], b"", key)
}

/// A sender, a key, and its use.
type Key = (UserId, Arc<str>, KeyUse);

/// A key's row; `Damaged` when its checksum is wrong.
pub fn read_key(row: &Row<'_>) -> rusqlite::Result<Result<Key, StoreError>> {
    let (sender, key): (i64, Arc<str>) = (row.get(0)?, row.get(1)?);
    let (n, number, time, content): (i64, i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?);
    let written: i64 = row.get(6)?;
    if written != sum([sender, n, number, time, content], b"", &key) {
        return Ok(Err(StoreError::Damaged(format!("the sum of a key of user {sender} is wrong"))));
    }
    let used = Used { seq: seq(number), time: Time(time), content: content.cast_unsigned() };
    Ok(Ok((UserId(unsigned(sender)), key, KeyUse { n: unsigned(n), used })))
}
