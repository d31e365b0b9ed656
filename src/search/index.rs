//! The index itself: SQLite's FTS5, in a file of its own or in memory.
//!
//! The table `messages` has the text of each message once more, because FTS5 can take out only what it is told. What is taken out is
//! overwritten (`secure-delete`, `secure_delete`). The index must never be needed by anybody: any error here means that it is thrown
//! away, or that it is tried again later.

use std::path::{Path, PathBuf};

use foldhash::{HashSet, HashSetExt};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::event::{Access, Entry, Event, RoomId, Time};
use crate::limits::{CHAINS_IN_MEMORY, INDEX_LEAVES_BYTES};
use crate::names::{Seq, UserId};
use crate::search::filter::{Filter, Kind, all_of, tags, uncounted};
use crate::store::Stretch;

/// "lins", so that no other file is taken for an index.
const APPLICATION_ID: i32 = 0x6c69_6e73;
/// Must be raised whenever an older index cannot be read any more.
const VERSION: i32 = 1;
/// `high` is the newest time of a message up to this one, so that a time stands for one place even where the clock went back.
/// `kind` is that of a message: 0 said, 1 gone, 2 unheard. `floor` is the seq below which messages of the room were taken out.
const SCHEMA: &str = "
    CREATE TABLE messages (
        seq INTEGER PRIMARY KEY, room INTEGER NOT NULL, sender INTEGER NOT NULL, high INTEGER NOT NULL,
        kind INTEGER NOT NULL, text TEXT NOT NULL
    ) STRICT;
    CREATE TABLE rooms (room INTEGER PRIMARY KEY, floor INTEGER NOT NULL) STRICT;
    CREATE TABLE taken (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, high INTEGER NOT NULL) STRICT;
    INSERT INTO taken VALUES (1, 0, -9223372036854775808);
    CREATE VIRTUAL TABLE words USING fts5 (
        tags, text, content = '', columnsize = 0, tokenize = \"unicode61 remove_diacritics 2\"
    );
    INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
";
/// Bytes of the database that are kept in memory, in KiB and negative, as SQLite wants it: the upper parts of a large index.
const CACHE: &str = "PRAGMA cache_size = -8192";

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is damaged, or is no index, or none of this journal: it has to be made anew.
    #[error("{0}")]
    Useless(String),
    /// The disk is full, or nearly: what is left is for the journal.
    #[error("the disk has less than {} MiB left", INDEX_LEAVES_BYTES >> 20)]
    NoRoom,
    /// The disk or the system does not do it now.
    #[error("{0}")]
    Failed(String),
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::NoRoom,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory,
            ) => Self::Failed(error.to_string()),
            _ => Self::Useless(error.to_string()),
        }
    }
}

/// In which order messages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The newest first.
    Backward,
    /// The oldest first.
    Forward,
}

/// What a step of following came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// Rooms that have ended.
    pub ended: Vec<RoomId>,
    /// Whether a message was retracted.
    pub has_unsaid: bool,
}

/// An open index.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    /// Up to where the journal was taken.
    taken: Seq,
    /// The newest time of a message so far.
    high: Time,
    /// Rooms that are known to be in the table of rooms.
    rooms: HashSet<RoomId>,
}

/// A room as one number: its id, then a bit for its kind.
fn number(room: RoomId) -> i64 {
    match room {
        RoomId::Inbox(UserId(id)) => id.cast_signed() << 1,
        RoomId::Channel(Seq(seq)) => seq.cast_signed() << 1 | 1,
    }
}

/// The inverse of [`number`].
fn room(number: i64) -> RoomId {
    let id = (number >> 1).cast_unsigned();
    if number & 1 == 0 { RoomId::Inbox(UserId(id)) } else { RoomId::Channel(Seq(id)) }
}

/// The largest seq that SQLite's integers hold.
fn signed(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

/// A row of `messages`, without its seq.
struct Row {
    room: RoomId,
    sender: UserId,
    high: Time,
    kind: Kind,
    text: String,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let kind = match row.get::<_, i64>(3)? {
            0 => Kind::Said,
            1 => Kind::Gone,
            _ => Kind::Unheard,
        };
        let (room, sender) = (room(row.get(0)?), UserId(row.get::<_, i64>(1)?.cast_unsigned()));
        Ok(Self { room, sender, high: Time(row.get(2)?), kind, text: row.get(4)? })
    }
}

impl Index {
    /// Opens the index in this file, or an empty one in memory.
    ///
    /// # Errors
    /// [`IndexError::Useless`] when what is there is no sound index.
    pub fn open(path: Option<&Path>) -> Result<Self, IndexError> {
        let connection = match path {
            Some(path) => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
                    | OpenFlags::SQLITE_OPEN_CREATE
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX
                    | OpenFlags::SQLITE_OPEN_NOFOLLOW;
                Connection::open_with_flags(path, flags)?
            }
            None => Connection::open_in_memory()?,
        };
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let (id, version) = (pragma("application_id")?, pragma("user_version")?);
        // A commit need not wait for the disk: a power loss takes the newest steps away whole, and they are taken again.
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;";
        connection.execute_batch(&format!("{settings} {CACHE};"))?;
        if (id, version) == (0, 0) {
            let stamp = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};");
            connection.execute_batch(&format!("BEGIN; {SCHEMA} {stamp} COMMIT;"))?;
        } else if (id, version) != (APPLICATION_ID, VERSION) {
            return Err(IndexError::Useless(format!("it is of version {version}, and this linechat knows {VERSION}")));
        }
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(IndexError::Useless(found.replace('\n', "; ")));
        }
        let (taken, high) = connection.query_row("SELECT seq, high FROM taken", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let taken = Seq(i64::cast_unsigned(taken));
        Ok(Self { connection, taken, high: Time(high), rooms: HashSet::new() })
    }

    /// Removes the index in this file, whatever it is; returns how many bytes it had.
    pub fn remove(path: &Path) -> u64 {
        let remove = |end: &&str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            let name = PathBuf::from(name);
            let bytes = std::fs::symlink_metadata(&name).map_or(0, |metadata| metadata.len());
            // What is not there need not be removed; what cannot be is found again when it is opened.
            std::fs::remove_file(name).map_or(0, |()| bytes)
        };
        ["", "-wal", "-shm"].iter().map(remove).sum()
    }

    /// Up to where the journal was taken.
    pub fn taken(&self) -> Seq {
        self.taken
    }

    /// The newest message, its room and its sender.
    pub fn newest(&self) -> Result<Option<(Seq, RoomId, UserId)>, IndexError> {
        let newest = "SELECT seq, room, sender FROM messages ORDER BY seq DESC LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((Seq(row.get::<_, i64>(0)?.cast_unsigned()), room(row.get(1)?), UserId(row.get::<_, i64>(2)?.cast_unsigned())))
        };
        Ok(self.connection.query_row(newest, [], read).optional()?)
    }

    /// Takes what the journal has after what was taken: all of it or, after an error, nothing.
    pub fn take(&mut self, stretch: &Stretch) -> Result<Taken, IndexError> {
        let before = (self.taken, self.high);
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let taken = self.take_all(stretch).and_then(|taken| {
            self.connection.execute_batch("COMMIT")?;
            Ok(taken)
        });
        if taken.is_err() {
            (self.taken, self.high) = before;
            self.rooms.clear();
            // If this fails, SQLite has rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        taken
    }

    fn take_all(&mut self, stretch: &Stretch) -> Result<Taken, IndexError> {
        let mut taken = Taken::default();
        for entry in &stretch.entries {
            if let Event::Access(access) = &entry.event
                && let Access::Unregistered { who } = &**access
            {
                taken.ended.push(RoomId::Inbox(who.id));
            }
            let Some(room) = entry.room else { continue };
            match &entry.event {
                Event::Said { from, text, .. } => self.add(entry, room, from.id, Kind::Said, text)?,
                Event::Unheard { from, text, .. } if !text.is_empty() => self.add(entry, room, from.id, Kind::Unheard, text)?,
                Event::Unsaid { from } => self.add(entry, room, *from, Kind::Gone, "")?,
                Event::Retracted { seq, .. } => {
                    self.unsay(*seq)?;
                    taken.has_unsaid = true;
                }
                Event::Closed { .. } => taken.ended.push(room),
                _ => {}
            }
        }
        self.taken = stretch.upto.max(self.taken);
        let upto = params![signed(self.taken), self.high.0];
        self.connection.prepare_cached("UPDATE taken SET seq = ?, high = ?")?.execute(upto)?;
        Ok(taken)
    }

    fn add(&mut self, entry: &Entry, room: RoomId, sender: UserId, kind: Kind, text: &str) -> Result<(), IndexError> {
        if !self.rooms.contains(&room) {
            self.connection.prepare_cached("INSERT OR IGNORE INTO rooms VALUES (?, 0)")?.execute([number(room)])?;
            if self.rooms.len() >= CHAINS_IN_MEMORY {
                self.rooms.clear();
            }
            self.rooms.insert(room);
        }
        self.high = self.high.max(entry.time);
        self.insert(entry.seq, &Row { room, sender, high: self.high, kind, text: text.into() })
    }

    fn insert(&self, seq: Seq, Row { room, sender, high, kind, text }: &Row) -> Result<(), IndexError> {
        let row = params![signed(seq), number(*room), sender.0.cast_signed(), high.0, *kind as i64, text];
        self.connection.prepare_cached("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)")?.execute(row)?;
        let words = params![signed(seq), tags(*room, *sender, *kind), text];
        self.connection.prepare_cached("INSERT INTO words (rowid, tags, text) VALUES (?, ?, ?)")?.execute(words)?;
        Ok(())
    }

    /// Takes a message out; returns what it was.
    fn take_out(&self, seq: Seq) -> Result<Option<Row>, IndexError> {
        let mut statement =
            self.connection.prepare_cached("DELETE FROM messages WHERE seq = ? RETURNING room, sender, high, kind, text")?;
        let Some(row) = statement.query_row([signed(seq)], Row::read).optional()? else { return Ok(None) };
        let words = params![signed(seq), tags(row.room, row.sender, row.kind), row.text];
        let delete = "INSERT INTO words (words, rowid, tags, text) VALUES ('delete', ?, ?, ?)";
        self.connection.prepare_cached(delete)?.execute(words)?;
        Ok(Some(row))
    }

    /// What was said stays as something that counts; what was not heard counts to nobody.
    fn unsay(&mut self, seq: Seq) -> Result<(), IndexError> {
        match self.take_out(seq)? {
            Some(row) if row.kind != Kind::Unheard => self.insert(seq, &Row { kind: Kind::Gone, text: String::new(), ..row }),
            _ => Ok(()),
        }
    }

    /// Takes out up to `most` messages of a room, those below a seq or all; returns whether that was the last of them.
    pub fn forget(&mut self, room: RoomId, below: Option<Seq>, most: usize) -> Result<bool, IndexError> {
        let (below_seq, limit) = (below.map_or(i64::MAX, signed), i64::try_from(most).unwrap_or(i64::MAX));
        let transaction = self.connection.unchecked_transaction()?;
        let seqs = {
            let sql = "SELECT rowid FROM words WHERE words MATCH ? AND rowid < ? ORDER BY rowid LIMIT ?";
            let mut statement = self.connection.prepare_cached(sql)?;
            let seqs = statement.query_map(params![all_of(room), below_seq, limit], |row| row.get::<_, i64>(0))?;
            seqs.collect::<Result<Vec<_>, _>>()?
        };
        for seq in &seqs {
            self.take_out(Seq(seq.cast_unsigned()))?;
        }
        let is_last = seqs.len() < most;
        match below {
            Some(floor) if is_last => {
                let floor = params![signed(floor), number(room)];
                self.connection.execute("UPDATE rooms SET floor = ? WHERE room = ?", floor)?;
            }
            None if is_last => {
                self.connection.execute("DELETE FROM rooms WHERE room = ?", [number(room)])?;
                self.rooms.remove(&room);
            }
            _ => {}
        }
        transaction.commit()?;
        Ok(is_last)
    }

    /// At most `count` rooms after this one, in an order of the index's own, and below which seq their messages were taken out.
    pub fn rooms_after(&self, after: Option<RoomId>, count: usize) -> Result<Vec<(RoomId, Seq)>, IndexError> {
        let mut statement =
            self.connection.prepare_cached("SELECT room, floor FROM rooms WHERE room > ? ORDER BY room LIMIT ?")?;
        let after = params![after.map_or(i64::MIN, number), i64::try_from(count).unwrap_or(i64::MAX)];
        let rooms = statement.query_map(after, |row| Ok((room(row.get(0)?), Seq(row.get::<_, i64>(1)?.cast_unsigned()))))?;
        Ok(rooms.collect::<Result<_, _>>()?)
    }

    /// Makes sure that what was taken out is not in the write-ahead log either.
    pub fn forget_log(&self) -> Result<(), IndexError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    /// The seq at which the first message that is as new as this is, or after which it will be: messages before it are older.
    ///
    /// # Errors
    /// When the index cannot be used.
    pub fn begins(&self, time: Time) -> Result<Seq, IndexError> {
        let mut statement =
            self.connection.prepare_cached("SELECT seq, high FROM messages WHERE seq >= ? ORDER BY seq LIMIT 1")?;
        let (mut low, mut high) = (0, signed(self.taken).saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let found = statement.query_row([middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
            match found {
                Some((seq, newest)) if newest < time.0 => low = seq + 1,
                _ => high = middle,
            }
        }
        Ok(Seq(low.cast_unsigned()))
    }

    /// The seqs of at most `count` messages that fit.
    ///
    /// # Errors
    /// When the index cannot be used.
    pub fn find(&self, filter: &Filter, direction: Direction, count: usize) -> Result<Vec<Seq>, IndexError> {
        let Some(query) = filter.query() else { return Ok(Vec::new()) };
        let mut after = filter.after;
        if let Some(since) = filter.since {
            after = after.max(Seq(self.begins(since)?.0.saturating_sub(1)));
        }
        let mut before = filter.before;
        if let Some(until) = filter.until {
            let until = self.begins(until)?;
            before = Some(before.map_or(until, |before| before.min(until)));
        }
        let sql = match direction {
            Direction::Backward => {
                "SELECT rowid FROM words WHERE words MATCH ? AND rowid > ? AND rowid < ? ORDER BY rowid DESC LIMIT ?"
            }
            Direction::Forward => {
                "SELECT rowid FROM words WHERE words MATCH ? AND rowid > ? AND rowid < ? ORDER BY rowid LIMIT ?"
            }
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let wanted = params![query, signed(after), before.map_or(i64::MAX, signed), count];
        let seqs = statement.query_map(wanted, |row| Ok(Seq(row.get::<_, i64>(0)?.cast_unsigned())))?;
        Ok(seqs.collect::<Result<_, _>>()?)
    }

    /// How many messages of a channel within these seqs, both excluded, are by one of these users or were retracted.
    ///
    /// # Errors
    /// When the index cannot be used.
    pub fn uncounted(&self, channel: Seq, by: &[UserId], after: Seq, before: Seq) -> Result<u64, IndexError> {
        let sql = "SELECT count(*) FROM words WHERE words MATCH ? AND rowid > ? AND rowid < ?";
        let wanted = params![uncounted(channel, by), signed(after), signed(before)];
        let count: i64 = self.connection.prepare_cached(sql)?.query_row(wanted, |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }
}
