//! Records to rows and back. The only place that knows the columns' meaning; a sum over all of them finds damage.

use std::sync::Arc;

use rusqlite::{CachedStatement, Row, ToSql};

use crate::event::{Change, Entry, Event, Room, Time};
use crate::journal::store::{Chain, End, Links, Record, StoreError};
use crate::names::{Name, Seq, UserId, Who};

pub const SELECT: &str =
    "SELECT seq, time, kind, room, n, prev, skip, key_prev, who, name, via, key, text, sum FROM entries WHERE seq = ?";

/// The statement that inserts so many rows.
pub fn insert_sql(rows: usize) -> String {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let columns = "seq, time, kind, room, n, prev, skip, key_prev, who, name, via, key, text, sum";
    format!("INSERT INTO entries ({columns}) VALUES {}", vec![row; rows].join(", "))
}

/// SQLite's integers are signed; seqs and ids never reach 2^63.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("invariant: seqs and ids are below 2^63")
}

/// The inverse of [`signed`]; what is negative was never written and becomes a number that nothing has.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX >> 1)
}

/// A chain as one number: its id, then two bits for its kind.
pub fn chain(chain: Chain) -> i64 {
    match chain {
        Chain::Room(Room::Inbox(id)) => signed(id.0) << 2,
        Chain::Room(Room::Channel(seq)) => signed(seq.0) << 2 | 1,
        Chain::Keys(id) => signed(id.0) << 2 | 2,
    }
}

fn room(number: i64) -> Option<Room> {
    match number & 3 {
        0 => Some(Room::Inbox(UserId(unsigned(number >> 2)))),
        1 => Some(Room::Channel(Seq(unsigned(number >> 2)))),
        _ => None,
    }
}

/// The columns of an end.
pub fn end(end: End) -> [i64; 4] {
    [signed(end.n), signed(end.seq.0), signed(end.acked_n), signed(end.acked.0)]
}

/// The sum of an end's row.
pub fn sum_end(of: Chain, the: End) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&chain(of).to_le_bytes());
    end(the).iter().for_each(|number| hasher.update(&number.to_le_bytes()));
    hasher.finalize()
}

/// An end from its row.
pub fn read_end(of: Chain, row: &Row<'_>) -> rusqlite::Result<Result<End, StoreError>> {
    let number = |column| Ok::<_, rusqlite::Error>(unsigned(row.get(column)?));
    let end = End { n: number(0)?, seq: Seq(number(1)?), acked_n: number(2)?, acked: Seq(number(3)?) };
    let sum: i64 = row.get(4)?;
    let damaged = || StoreError::Damaged(format!("the sum of the end of {of:?} is wrong"));
    Ok(if sum == i64::from(sum_end(of, end)) { Ok(end) } else { Err(damaged()) })
}

/// The columns of an event, borrowed from it where they can be.
#[derive(Default)]
struct Columns<'a> {
    kind: &'static str,
    who: Option<i64>,
    name: Option<&'a str>,
    via: Option<i64>,
    key: Option<&'a str>,
    text: Option<std::borrow::Cow<'a, str>>,
}

impl<'a> Columns<'a> {
    fn of(event: &'a Event) -> Self {
        let by =
            |kind, who: &'a Who| Self { kind, who: Some(signed(who.id.0)), name: Some(who.name.as_str()), ..Self::default() };
        match event {
            Event::Said { from, text, key, via } => {
                Self { via: Some(signed(via.0)), key: key.as_deref(), text: Some((&**text).into()), ..by("said", from) }
            }
            Event::Acked { by, upto } => {
                Self { kind: "acked", who: Some(signed(by.0)), text: Some(upto.to_string().into()), ..Self::default() }
            }
            Event::Registered { who, password } => Self { text: Some((&**password).into()), ..by("registered", who) },
            Event::Created { channel, owner, key } => {
                Self { key: key.as_deref(), text: Some(channel.as_str().into()), ..by("created", owner) }
            }
            Event::Channel { channel, who, change } => {
                let (kind, topic) = match change {
                    Change::Joined => ("joined", None),
                    Change::Left => ("left", None),
                    Change::Owner => ("owner", None),
                    Change::Topic(topic) => ("topic", Some(topic)),
                    Change::Closed => ("closed", None),
                };
                let text = topic.map_or(channel.as_str().into(), |topic| format!("{channel} {topic}").into());
                Self { text: Some(text), ..by(kind, who) }
            }
            Event::Ids { below } => Self { kind: "ids", who: Some(signed(below.0)), ..Self::default() },
        }
    }
}

fn event(kind: &str, [who, via]: [Option<i64>; 2], [name, key, text]: [Option<String>; 3]) -> Option<Event> {
    let id = UserId(unsigned(who?));
    if kind == "ids" {
        return Some(Event::Ids { below: id });
    }
    let text = text?;
    if kind == "acked" {
        return Some(Event::Acked { by: id, upto: Seq(text.parse().ok()?) });
    }
    let who = Who { name: Name::new(&name?), id };
    let key = key.map(Arc::from);
    Some(match kind {
        "said" => Event::Said { from: who, text: text.into(), key, via: UserId(unsigned(via?)) },
        "registered" => Event::Registered { who, password: text.into() },
        "created" => Event::Created { channel: Name::new(&text), owner: who, key },
        "topic" => {
            let (channel, topic) = text.split_once(' ')?;
            Event::Channel { channel: Name::new(channel), who, change: Change::Topic(topic.into()) }
        }
        _ => {
            let change = match kind {
                "joined" => Change::Joined,
                "left" => Change::Left,
                "owner" => Change::Owner,
                "closed" => Change::Closed,
                _ => return None,
            };
            Event::Channel { channel: Name::new(&text), who, change }
        }
    })
}

fn numbers(record: &Record) -> [i64; 7] {
    let Record { entry, links } = record;
    let room = entry.room.map_or(-1, |room| chain(Chain::Room(room)));
    let Links { n, prev, skip, key_prev } = *links;
    [signed(entry.seq.0), entry.time.0, room, signed(n), signed(prev.0), signed(skip.0), signed(key_prev.0)]
}

fn sum(numbers: &[i64; 7], users: [Option<i64>; 2], texts: [Option<&str>; 4]) -> u32 {
    let mut bytes = Vec::with_capacity(256);
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    users.iter().for_each(|user| bytes.extend_from_slice(&user.unwrap_or(-1).to_le_bytes()));
    for text in texts {
        // Each text is preceded by its length, so that nothing can move from one to the next unseen.
        bytes.extend_from_slice(&text.map_or(-1, |text| text.len() as i64).to_le_bytes());
        bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    // At once: a sum over many small pieces takes three times as long.
    crc32fast::hash(&bytes)
}

/// Binds the records to a statement of [`insert_sql`] for as many, and runs it.
pub fn insert(statement: &mut CachedStatement<'_>, records: &[Record]) -> rusqlite::Result<()> {
    let mut next = 0;
    for record in records {
        let numbers = numbers(record);
        let [seq, time, room, n, prev, skip, key_prev] = numbers;
        let Columns { kind, who, name, via, key, text } = Columns::of(&record.entry.event);
        let text = text.as_deref();
        let sum = sum(&numbers, [who, via], [Some(kind), name, key, text]);
        let room = record.entry.room.map(|_| room);
        let row: [&dyn ToSql; 14] =
            [&seq, &time, &kind, &room, &n, &prev, &skip, &key_prev, &who, &name, &via, &key, &text, &sum];
        for column in row {
            next += 1;
            statement.raw_bind_parameter(next, column)?;
        }
    }
    statement.raw_execute().map(drop)
}

/// A record from the row that [`SELECT`] gives; damaged when its sum is wrong.
pub fn read(row: &Row<'_>) -> rusqlite::Result<Result<Record, StoreError>> {
    let seq: i64 = row.get(0)?;
    let kind: String = row.get(2)?;
    let room_number: Option<i64> = row.get(3)?;
    let numbers = [seq, row.get(1)?, room_number.unwrap_or(-1), row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?];
    let users = [row.get(8)?, row.get(10)?];
    let (name, key, text): (Option<String>, Option<String>, Option<String>) = (row.get(9)?, row.get(11)?, row.get(12)?);
    let written: i64 = row.get(13)?;
    let damaged = || StoreError::Damaged(format!("the sum of entry {seq} is wrong"));
    let texts = [Some(kind.as_str()), name.as_deref(), key.as_deref(), text.as_deref()];
    if written != i64::from(sum(&numbers, users, texts)) {
        return Ok(Err(damaged()));
    }
    let [_, time, _, n, prev, skip, key_prev] = numbers;
    let seq_of = |number| Seq(unsigned(number));
    let links = Links { n: unsigned(n), prev: seq_of(prev), skip: seq_of(skip), key_prev: seq_of(key_prev) };
    let Some(event) = event(&kind, users, [name, key, text]) else { return Ok(Err(damaged())) };
    let entry = Entry { seq: seq_of(seq), time: Time(time), room: room_number.and_then(room), event };
    Ok(Ok(Record { entry, links }))
}
