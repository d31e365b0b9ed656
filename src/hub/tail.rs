//! The recent lines of one room, once and in contiguous memory: all readers copy from here.
//!
//! Positions count bytes from when somebody here began to read the room, and never go back, so that a position stays valid; the
//! first is 1, so that one before all of them can be told. Lines that are given up
//! are in the store if they are durable. Ephemeral ones are lost for readers that are behind, and [`Read::Behind`] tells them
//! so.

use std::collections::VecDeque;

use crate::event::Entry;
use crate::hub::ignoring::Ignoring;
use crate::hub::room::{Cursor, Read};
use crate::names::{Seq, UserId};

/// Whoever causes or says nothing: an id that nobody gets. An `Option` would cost each line eight bytes more.
const NOBODY: UserId = UserId(u64::MAX);

/// One line of the tail.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// The position where it begins.
    at: u64,
    /// Its entry.
    seq: Seq,
    /// The connection that caused it, which is not shown it.
    via: UserId,
    /// The user who says it; whoever ignores them is not shown it.
    author: UserId,
    /// Whether its entry is in the store.
    lasts: bool,
    /// Whether it was retracted: its bytes are blank, and nobody is shown them.
    is_blank: bool,
}

/// Who reads, and what they are not shown.
#[derive(Debug, Clone, Copy)]
pub struct Ears<'a> {
    /// The connection: it is not shown what it has caused.
    pub me: UserId,
    /// Whom it does not hear, if there may be anybody.
    pub ignoring: Option<&'a Ignoring>,
}

impl Ears<'_> {
    /// Whether an entry's line is shown.
    pub fn hear(&self, entry: &Entry) -> bool {
        let hides = |author| self.ignoring.is_some_and(|ignoring| ignoring.hides_at(author, entry.seq));
        entry.via != Some(self.me) && !entry.event.author().is_some_and(hides)
    }

    /// The same of a line in the tail.
    fn hear_line(&self, line: &Line) -> bool {
        line.via != self.me && self.ignoring.is_none_or(|ignoring| !ignoring.hides_at(line.author, line.seq))
    }
}

/// Lines that were copied for a reader.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Their bytes, behind what was there before.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub lines: u64,
}

/// The newest ephemeral entries that were given up. Nobody is shown what they caused themselves, and so nobody misses it.
#[derive(Debug)]
struct Lost {
    newest: Seq,
    /// The connection that caused it.
    via: UserId,
    /// The newest that another connection has caused.
    other: Seq,
}

impl Default for Lost {
    fn default() -> Self {
        Self { newest: Seq(0), via: NOBODY, other: Seq(0) }
    }
}

impl Lost {
    fn add(&mut self, line: &Line) {
        if line.via != self.via {
            (self.via, self.other) = (line.via, self.newest);
        }
        self.newest = line.seq;
    }

    /// The newest that the connection `me` misses.
    fn to(&self, me: UserId) -> Seq {
        if self.via == me { self.other } else { self.newest }
    }
}

/// The lines of one room that are still in memory, the newest last.
#[derive(Debug)]
pub struct Tail {
    bytes: Vec<u8>,
    lines: VecDeque<Line>,
    /// The position of the first byte.
    start: u64,
    /// The newest entry that was given up: all entries after it are here.
    floor: Seq,
    lost: Lost,
    /// The newest entry that was added.
    newest: Seq,
}

impl Tail {
    /// The tail of a room of which every entry after this one will be added.
    pub fn after(seq: Seq) -> Self {
        let (bytes, lines, lost) = (Vec::new(), VecDeque::new(), Lost::default());
        Self { bytes, lines, start: 1, floor: seq, lost, newest: seq }
    }

    /// The position after the last line.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The cursor of a reader who has read everything.
    pub fn cursor(&self) -> Cursor {
        Cursor { position: self.end(), seq: self.newest }
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> u64 {
        (self.bytes.capacity() + self.lines.capacity() * size_of::<Line>()) as u64
    }

    /// The position of the oldest line that is kept.
    pub fn first(&self) -> u64 {
        self.start
    }

    /// Adds the line of an entry; `write` appends it.
    pub fn push(&mut self, entry: &Entry, write: impl FnOnce(&mut Vec<u8>)) {
        let Entry { seq, via, event, .. } = entry;
        let (via, author) = (via.unwrap_or(NOBODY), event.author().unwrap_or(NOBODY));
        self.newest = *seq;
        self.lines.push_back(Line { at: self.end(), seq: *seq, via, author, lasts: event.lasts(), is_blank: false });
        write(&mut self.bytes);
    }

    /// Blanks the line of a message that was retracted, for those who have not read it. Its place stays, so that all positions do.
    pub fn blank(&mut self, seq: Seq) {
        let index = self.lines.partition_point(|line| line.seq < seq);
        let next = self.lines.get(index + 1).map_or(self.end(), |line| line.at);
        if let Some(line) = self.lines.get_mut(index).filter(|line| line.seq == seq) {
            line.is_blank = true;
            self.bytes[(line.at - self.start) as usize..(next - self.start) as usize].fill(0);
        }
    }

    /// Gives up all lines and their memory.
    pub fn give_up_all(&mut self) {
        self.rewind();
        self.bytes = Vec::new();
        self.lines = VecDeque::new();
    }

    /// Gives up all lines, but keeps their memory for the next ones: it may still be in the processor's cache.
    pub fn rewind(&mut self) {
        self.start = self.end();
        self.floor = self.newest;
        self.lose(self.lines.len());
        self.bytes.clear();
        self.lines.clear();
    }

    /// Notes that the first `count` lines are given up.
    fn lose(&mut self, count: usize) {
        self.lines.range(..count).filter(|line| !line.lasts).for_each(|line| self.lost.add(line));
    }

    /// Gives up the oldest lines until at most `most` bytes are left.
    pub fn give_up_to(&mut self, most: usize) {
        let excess = self.bytes.len().saturating_sub(most) as u64;
        let cut = self.lines.partition_point(|line| line.at < self.start + excess);
        if cut == self.lines.len() {
            return self.give_up_all();
        }
        let first = self.lines[cut].at;
        self.floor = self.lines.range(..cut).next_back().map_or(self.floor, |line| line.seq);
        self.lose(cut);
        self.lines.drain(..cut);
        self.bytes.drain(..(first - self.start) as usize);
        self.start = first;
    }

    /// Copies whole lines after the cursor and before the position `until` to `out`, until that holds about `budget` bytes.
    /// Leaves out lines that its reader does not hear, and blank ones. Moves the cursor on.
    pub fn read(&self, cursor: &mut Cursor, until: u64, ears: Ears<'_>, budget: usize, out: &mut Gathered) -> Read {
        if cursor.position < self.start && !self.rejoin(cursor) {
            return Read::Behind { floor: self.floor, lost: self.lost.to(ears.me) };
        }
        let first = self.lines.partition_point(|line| line.at < cursor.position);
        let room = budget.saturating_sub(out.bytes.len()) as u64;
        let mut run = cursor.position;
        let mut reached = cursor.position;
        for (index, line) in self.lines.iter().enumerate().skip(first) {
            if line.at - cursor.position >= room || line.at >= until {
                break;
            }
            let next = self.lines.get(index + 1).map_or(self.end(), |line| line.at);
            if line.is_blank || !ears.hear_line(line) {
                self.copy(run, line.at, &mut out.bytes);
                run = next;
            } else {
                out.lines += 1;
            }
            (reached, cursor.seq) = (next, line.seq);
        }
        self.copy(run, reached.max(run), &mut out.bytes);
        cursor.position = reached;
        if reached >= self.end().min(until) { Read::UpToDate } else { Read::More }
    }

    fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[(from - self.start) as usize..(to - self.start) as usize]);
    }

    /// Moves a cursor that is behind back onto the tail, if the tail has every entry after its seq.
    fn rejoin(&self, cursor: &mut Cursor) -> bool {
        let complete = cursor.seq >= self.floor;
        if complete {
            let next = self.lines.partition_point(|line| line.seq <= cursor.seq);
            cursor.position = self.lines.get(next).map_or(self.end(), |line| line.at);
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::{Cursor, Ears, Entry, Gathered, Ignoring, Read, Seq, Tail, UserId};
    use crate::event::{Event, Time};
    use crate::hub::Ignores;
    use crate::names::{Name, Who};

    #[test]
    fn whoever_is_behind_is_not_shown_what_was_retracted() {
        let mut tail = Tail::after(Seq(0));
        for seq in [2, 4, 6] {
            let said = Event::Topic { who: Who { name: Name::new("ana"), id: UserId(7) }, text: "x".into() };
            let entry = Entry { seq: Seq(seq), time: Time(0), room: None, via: None, event: said };
            tail.push(&entry, |line| line.extend_from_slice(format!("{seq}\n").as_bytes()));
        }
        let ears = Ears { me: UserId(1), ignoring: None };
        let (mut cursor, mut out) = (Cursor { position: 0, seq: Seq(0) }, Gathered::default());
        tail.blank(Seq(4));
        tail.blank(Seq(5));
        assert_eq!(tail.read(&mut cursor, u64::MAX, ears, 1000, &mut out), Read::UpToDate);
        assert_eq!((out.bytes, out.lines, cursor), (b"2\n6\n".to_vec(), 2, tail.cursor()));
        assert!(!tail.bytes.contains(&b'4'), "not even in memory");
    }

    /// Entries are numbered 2, 4, 6 …, so that cursors can lie between them, too.
    #[derive(Debug, Clone)]
    enum Step {
        Push { lasts: bool, via: Option<u64> },
        Ignore { reader: usize, whom: u64 },
        GiveUpAll,
        Rewind,
        GiveUpTo(usize),
        Read { reader: usize, budget: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (any::<bool>(), proptest::option::of(0u64..3)).prop_map(|(lasts, via)| Step::Push { lasts, via }),
            1 => (0usize..3, 0u64..3).prop_map(|(reader, whom)| Step::Ignore { reader, whom }),
            1 => proptest::strategy::Just(Step::GiveUpAll),
            1 => proptest::strategy::Just(Step::Rewind),
            1 => (0usize..60).prop_map(Step::GiveUpTo),
            6 => (0usize..3, 1usize..80).prop_map(|(reader, budget)| Step::Read { reader, budget }),
        ]
    }

    /// A message of the connection's user, which lasts, or that somebody is online, which does not and which nobody says.
    fn entry(seq: u64, lasts: bool, via: Option<u64>) -> Entry {
        let who = Who { name: Name::new("ana"), id: UserId(via.unwrap_or(7)) };
        let said = Event::Said { from: who.clone(), key: None, text: "hi".into(), share: None };
        let event = if lasts { said } else { Event::Online { who } };
        Entry { seq: Seq(seq), time: Time(0), room: None, via: via.map(UserId), event }
    }

    /// A reader, the entries that it was shown, and up to where it was told that ephemeral ones may be missing.
    struct Reader {
        me: UserId,
        ignoring: Ignoring,
        cursor: Cursor,
        seen: Vec<Seq>,
        may_miss: Vec<(Seq, Seq)>,
    }

    impl Reader {
        fn is_shown(&self, entry: &Entry) -> bool {
            Ears { me: self.me, ignoring: Some(&self.ignoring) }.hear(entry)
        }

        fn read(&mut self, tail: &Tail, pushed: &[Entry], budget: usize) {
            let (mut out, mut cursor) = (Gathered::default(), self.cursor);
            let ears = Ears { me: self.me, ignoring: Some(&self.ignoring) };
            let read = tail.read(&mut cursor, u64::MAX, ears, budget, &mut out);
            self.cursor = cursor;
            if let Read::Behind { floor, lost } = read {
                // Reads a page of the store, as the session does; if there is no more, everything up to the floor was ephemeral.
                if lost > self.cursor.seq {
                    let is_missed = |it: &Entry| it.seq == lost && !it.event.lasts() && it.via != Some(self.me);
                    assert!(pushed.iter().any(is_missed), "nobody misses what they did themselves: {lost:?}");
                    self.may_miss.push((self.cursor.seq, lost));
                }
                let is_behind = |it: &&Entry| it.seq > self.cursor.seq && it.seq <= floor && it.event.lasts();
                let page: Vec<_> = pushed.iter().filter(is_behind).take(2).collect();
                self.cursor.seq = page.last().map_or(floor, |entry| entry.seq);
                let shown: Vec<_> = page.into_iter().filter(|entry| self.is_shown(entry)).map(|entry| entry.seq).collect();
                self.seen.extend(shown);
            }
            let lines = String::from_utf8(out.bytes).unwrap();
            assert_eq!(lines.lines().count() as u64, out.lines);
            self.seen.extend(lines.lines().map(|seq| Seq(seq.parse().unwrap())));
        }
    }

    proptest! {
        #[test]
        fn everybody_reads_everything_that_lasts_once_and_knows_where_something_may_be_missing(
            steps in proptest::collection::vec(step(), 1..200)
        ) {
            let (mut tail, mut pushed) = (Tail::after(Seq(0)), Vec::new());
            let cursor = Cursor { position: 0, seq: Seq(0) };
            let reader = |me| {
                let (seen, may_miss) = (Vec::new(), Vec::new());
                Reader { me: UserId(me), ignoring: Ignoring::default(), cursor, seen, may_miss }
            };
            let mut readers: Vec<_> = (0..3).map(reader).collect();
            for step in steps {
                let newest = 2 * pushed.len() as u64;
                match step {
                    Step::Push { lasts, via } => {
                        let (seq, entry) = (newest + 2, entry(newest + 2, lasts, via));
                        tail.push(&entry, |line| line.extend_from_slice(format!("{seq}\n").as_bytes()));
                        pushed.push(entry);
                    }
                    Step::Ignore { reader, whom } => {
                        readers[reader].ignoring.change(&Ignores::Also(UserId(whom)), Seq(newest));
                    }
                    Step::GiveUpAll => tail.give_up_all(),
                    Step::Rewind => tail.rewind(),
                    Step::GiveUpTo(most) => tail.give_up_to(most),
                    Step::Read { reader, budget } => readers[reader].read(&tail, &pushed, budget),
                }
            }
            for reader in &mut readers {
                while reader.cursor.position != tail.end() {
                    reader.read(&tail, &pushed, 1000);
                }
                let told = |seq: Seq| reader.may_miss.iter().any(|&(after, upto)| after < seq && seq <= upto);
                let missing = |it: &Entry| !it.event.lasts() && told(it.seq) && !reader.seen.contains(&it.seq);
                let expected = pushed.iter().filter(|entry| reader.is_shown(entry) && !missing(entry));
                prop_assert_eq!(&reader.seen, &expected.map(|entry| entry.seq).collect::<Vec<_>>());
            }
        }
    }
}
