//! The recent lines of one room, once and in contiguous memory: all readers copy from here.
//!
//! Positions count bytes from the room's beginning and never go back, so that a position stays valid. Lines that are given up
//! are in the store if they are durable. Ephemeral ones are lost for readers that are behind, and [`Read::Behind`] tells them
//! so.

use std::collections::VecDeque;

use crate::hub::room::{Cursor, Read};
use crate::names::{Seq, UserId};

/// One line of the tail.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// The position where it begins.
    at: u64,
    /// Its entry.
    seq: Seq,
    /// The connection that caused it, which is not shown it.
    via: Option<UserId>,
    /// Whether its entry is in the store.
    lasts: bool,
}

/// The newest ephemeral entries that were given up. Nobody is shown what they caused themselves, and so nobody misses it.
#[derive(Debug, Default)]
struct Lost {
    newest: Seq,
    /// The connection that caused it.
    via: Option<UserId>,
    /// The newest that another connection has caused.
    other: Seq,
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
        if self.via == Some(me) { self.other } else { self.newest }
    }
}

/// The lines of one room that are still in memory, the newest last.
#[derive(Debug, Default)]
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
    pub fn push(&mut self, seq: Seq, via: Option<UserId>, lasts: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.newest = seq;
        self.lines.push_back(Line { at: self.end(), seq, via, lasts });
        write(&mut self.bytes);
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
    /// Leaves out lines caused by the connection `me`. Moves the cursor on.
    pub fn read(&self, cursor: &mut Cursor, until: u64, me: UserId, budget: usize, out: &mut Vec<u8>) -> Read {
        if cursor.position < self.start && !self.rejoin(cursor) {
            return Read::Behind { floor: self.floor, lost: self.lost.to(me) };
        }
        let first = self.lines.partition_point(|line| line.at < cursor.position);
        let room = budget.saturating_sub(out.len()) as u64;
        let mut run = cursor.position;
        let mut reached = cursor.position;
        for (index, line) in self.lines.iter().enumerate().skip(first) {
            if line.at - cursor.position >= room || line.at >= until {
                break;
            }
            let next = self.lines.get(index + 1).map_or(self.end(), |line| line.at);
            if line.via == Some(me) {
                self.copy(run, line.at, out);
                run = next;
            }
            (reached, cursor.seq) = (next, line.seq);
        }
        self.copy(run, reached.max(run), out);
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

    use super::{Cursor, Read, Seq, Tail, UserId};

    /// Entries are numbered 2, 4, 6 …, so that cursors can lie between them, too.
    #[derive(Debug, Clone)]
    enum Step {
        Push { lasts: bool, via: Option<u64> },
        GiveUpAll,
        Rewind,
        GiveUpTo(usize),
        Read { reader: usize, budget: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (any::<bool>(), proptest::option::of(0u64..3)).prop_map(|(lasts, via)| Step::Push { lasts, via }),
            1 => proptest::strategy::Just(Step::GiveUpAll),
            1 => proptest::strategy::Just(Step::Rewind),
            1 => (0usize..60).prop_map(Step::GiveUpTo),
            6 => (0usize..3, 1usize..80).prop_map(|(reader, budget)| Step::Read { reader, budget }),
        ]
    }

    /// Entries: the seq, whether it lasts, and the connection that caused it.
    type Pushed = Vec<(u64, bool, Option<u64>)>;

    /// A reader, the entries that it was shown, and up to where it was told that ephemeral ones may be missing.
    struct Reader {
        cursor: Cursor,
        seen: Vec<u64>,
        may_miss: Vec<(u64, u64)>,
    }

    fn read(tail: &Tail, pushed: &Pushed, me: u64, budget: usize, reader: &mut Reader) {
        let mut out = Vec::new();
        if let Read::Behind { floor, lost } = tail.read(&mut reader.cursor, u64::MAX, UserId(me), budget, &mut out) {
            // Reads a page of the store, as the session does; if there is no more, everything up to the floor was ephemeral.
            if lost > reader.cursor.seq {
                let is_missed = |&(seq, lasts, via): &(u64, bool, Option<u64>)| seq == lost.0 && !lasts && via != Some(me);
                assert!(pushed.iter().any(is_missed), "nobody misses what they did themselves: {lost:?}");
                reader.may_miss.push((reader.cursor.seq.0, lost.0));
            }
            let behind = reader.cursor.seq.0 + 1..=floor.0;
            let after = pushed.iter().filter(|(seq, lasts, _)| *lasts && behind.contains(seq));
            let page: Vec<_> = after.take(2).collect();
            reader.cursor.seq = page.last().map_or(floor, |(seq, ..)| Seq(*seq));
            reader.seen.extend(page.iter().filter(|(_, _, via)| *via != Some(me)).map(|(seq, ..)| *seq));
        }
        let lines = String::from_utf8(out).unwrap();
        reader.seen.extend(lines.lines().map(|seq| seq.parse::<u64>().unwrap()));
    }

    proptest! {
        #[test]
        fn everybody_reads_everything_that_lasts_once_and_knows_where_something_may_be_missing(
            steps in proptest::collection::vec(step(), 1..200)
        ) {
            let (mut tail, mut pushed) = (Tail::default(), Pushed::new());
            let start = Cursor { position: 0, seq: Seq(0) };
            let mut readers: Vec<_> =
                (0..3).map(|_| Reader { cursor: start, seen: Vec::new(), may_miss: Vec::new() }).collect();
            for step in steps {
                match step {
                    Step::Push { lasts, via } => {
                        let seq = 2 + 2 * pushed.len() as u64;
                        pushed.push((seq, lasts, via));
                        tail.push(Seq(seq), via.map(UserId), lasts, |line| line.extend_from_slice(format!("{seq}\n").as_bytes()));
                    }
                    Step::GiveUpAll => tail.give_up_all(),
                    Step::Rewind => tail.rewind(),
                    Step::GiveUpTo(most) => tail.give_up_to(most),
                    Step::Read { reader, budget } => read(&tail, &pushed, reader as u64, budget, &mut readers[reader]),
                }
            }
            for (me, reader) in readers.iter_mut().enumerate() {
                let me = me as u64;
                while reader.cursor.position != tail.end() {
                    read(&tail, &pushed, me, 1000, reader);
                }
                let told = |seq: u64| reader.may_miss.iter().any(|&(after, upto)| (after + 1..=upto).contains(&seq));
                let missing = |seq: u64, lasts: bool| !lasts && told(seq) && !reader.seen.contains(&seq);
                let others = pushed.iter().filter(|(_, _, via)| *via != Some(me));
                let expected: Vec<_> = others.filter(|(seq, lasts, _)| !missing(*seq, *lasts)).map(|(seq, ..)| *seq).collect();
                prop_assert_eq!(&reader.seen, &expected);
            }
        }
    }
}
