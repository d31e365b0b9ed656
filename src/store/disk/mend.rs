//! Finds the place of a damaged entry, so that the sound ones around it can still be read.
//!
//! The checksum of a row says that something in it is wrong, but not what. Most of a row is its text, so its links are often
//! still right. They are believed when the rows to which they lead agree with them. Otherwise the row before it in its room is
//! looked for. Nothing here changes the store, and no content of a damaged row is ever given to anybody.

use rusqlite::{Connection, OptionalExtension, params};

use crate::event::{Entry, Event, RoomId, Time};
use crate::limits::{DAMAGE_SEARCHED, DAMAGED_IN_A_ROW};
use crate::names::{Name, Seq, UserId, Who};
use crate::store::backend::{Links, Look, Record, StoreError};
use crate::store::disk::{row, store_error};

/// A damaged entry of the room; `None` when its place cannot be found out.
pub fn mend(connection: &Connection, room: RoomId, seq: Seq, is_shown: bool) -> Result<Option<Record>, StoreError> {
    Mender { connection, room, is_shown, floor: connection.floor(room)? }.mend(seq, 0)
}

struct Mender<'a> {
    connection: &'a Connection,
    room: RoomId,
    is_shown: bool,
    floor: Seq,
}

impl Mender<'_> {
    fn mend(&self, seq: Seq, depth: usize) -> Result<Option<Record>, StoreError> {
        let found = match self.claimed(seq)? {
            Some(found) => Some(found),
            None => self.rebuilt(seq, depth)?,
        };
        Ok(found.map(|(links, is_message)| Record {
            entry: Entry { seq, time: Time(0), room: Some(self.room), via: None, event: stand_in(is_message) },
            links,
            is_damaged: true,
        }))
    }

    /// The links of a row of this room, unchecked.
    fn peek(&self, seq: Seq) -> Result<Option<Links>, StoreError> {
        let sql = "SELECT n, prev, skip, said_n, said FROM entries WHERE seq = ? AND room = ?";
        let mut statement = self.connection.prepare_cached(sql).map_err(store_error)?;
        let number = |row: &rusqlite::Row<'_>, at| Ok::<_, rusqlite::Error>(row::unsigned(row.get(at)?));
        let links = statement.query_row([row::sought(seq.0), row::room(self.room)], |row| {
            let seq = |at| Ok::<_, rusqlite::Error>(Seq(number(row, at)?));
            Ok(Links { n: number(row, 0)?, prev: seq(1)?, skip: seq(2)?, said_n: number(row, 3)?, said: seq(4)? })
        });
        match links.optional().map_err(store_error) {
            // Not even a number.
            Err(StoreError::Damaged(_)) => Ok(None),
            links => links,
        }
    }

    /// What the row itself says of its place and whether it is a message, if the rows that it names agree.
    fn claimed(&self, seq: Seq) -> Result<Option<(Links, bool)>, StoreError> {
        let Some(links @ Links { n, prev, skip, said_n, said }) = self.peek(seq)? else { return Ok(None) };
        let before = self.peek(prev)?;
        if !self.is_shown {
            let agrees = links == Links { prev, ..Links::default() } && (prev == Seq(0) || before.is_some_and(|it| it.n == 0));
            return Ok(agrees.then_some((links, false)));
        }
        let is_older = n > 0 && prev < seq && skip <= prev && said <= prev;
        let follows = match before {
            Some(before) => before.n + 1 == n,
            None => n == 1 && prev == Seq(0) || prev > Seq(0) && prev < self.floor,
        };
        let skips = skip == Seq(0) || skip < self.floor || self.peek(skip)?.is_some_and(|it| it.n == n & (n - 1));
        let counted = match self.peek(said)? {
            Some(last) => said_n.checked_sub(last.said_n),
            None if said == Seq(0) => Some(said_n),
            None if said < self.floor => Some(u64::from(self.is_message(seq)?)),
            None => None,
        };
        let is_message = counted.filter(|counted| *counted <= 1).map(|counted| counted == 1);
        Ok(is_message.filter(|_| is_older && follows && skips).map(|is_message| (links, is_message)))
    }

    /// Its place after the row that precedes it in its room.
    fn rebuilt(&self, seq: Seq, depth: usize) -> Result<Option<(Links, bool)>, StoreError> {
        let Some(before) = self.neighbour(seq)? else {
            let is_first = self.floor == Seq(0) && seq.0 <= DAMAGE_SEARCHED;
            let is_message = self.is_shown && self.is_message(seq)?;
            let links = Links { n: u64::from(self.is_shown), said_n: u64::from(is_message), ..Links::default() };
            return Ok(is_first.then_some((links, is_message)));
        };
        if !self.is_shown {
            return Ok(Some((Links { prev: before, ..Links::default() }, false)));
        }
        let record = match self.connection.record(before) {
            Ok(Some(record)) if record.entry.room == Some(self.room) => Some(record),
            Ok(_) | Err(StoreError::Damaged(_)) if depth < DAMAGED_IN_A_ROW => self.mend(before, depth + 1)?,
            Ok(_) | Err(StoreError::Damaged(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(Record { entry, links, .. }) = record else { return Ok(None) };
        let is_message = self.is_message(seq)?;
        let said = if entry.event.is_message() { before } else { links.said };
        let (n, said_n) = (links.n + 1, links.said_n + u64::from(is_message));
        // Without a skip whoever searches goes on by `prev`.
        Ok(Some((Links { n, prev: before, skip: Seq(0), said_n, said }, is_message)))
    }

    /// The row before a seq in the same chain of the room.
    fn neighbour(&self, seq: Seq) -> Result<Option<Seq>, StoreError> {
        const BEFORE: &str = "SELECT seq FROM entries WHERE seq < ? AND seq >= ? AND room = ? AND (n > 0) = ?
             ORDER BY seq DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(BEFORE).map_err(store_error)?;
        let from = row::sought(seq.0.saturating_sub(DAMAGE_SEARCHED));
        let found =
            statement.query_row(params![row::sought(seq.0), from, row::room(self.room), self.is_shown], |row| row.get(0));
        Ok(found.optional().map_err(store_error)?.map(|seq| Seq(row::unsigned(seq))))
    }

    /// Whether a shown entry is a message: its event may be sound, and otherwise the row after it says so.
    fn is_message(&self, seq: Seq) -> Result<bool, StoreError> {
        let event = "SELECT event FROM entries WHERE seq = ?";
        let event = self.connection.query_row(event, [row::sought(seq.0)], |row| row.get::<_, String>(0));
        if let Some(event) = event.ok().and_then(|event| serde_json::from_str::<Event>(&event).ok()) {
            return Ok(event.is_message());
        }
        let after = "SELECT said FROM entries WHERE seq > ? AND room = ? AND n > 0 ORDER BY seq LIMIT 1";
        let said = self.connection.query_row(after, [row::sought(seq.0), row::room(self.room)], |row| row.get(0));
        Ok(match said.optional().map_err(store_error)? {
            Some(said) => Seq(row::unsigned(said)) == seq,
            None => self.connection.head(self.room)?.said == seq,
        })
    }
}

/// An event that only says whether it is a message.
fn stand_in(is_message: bool) -> Event {
    if is_message {
        let from = Who { name: Name::new("damaged"), id: UserId(0) };
        Event::Said { from, key: None, text: "".into(), share: None }
    } else {
        Event::Ids { below: UserId(0) }
    }
}
