//! The recent lines of one room, once, in contiguous memory: what all its readers copy from.
//!
//! Positions count bytes from the room's beginning and never go back, so that a cursor is a number. Lines that are given up
//! are in the journal if they are messages; what is not there (who came and went) is gone for readers that are behind.

use std::collections::VecDeque;

use crate::hub::room::{Cursor, Read};
use crate::names::Seq;

/// One line of the tail.
#[derive(Debug, Clone, Copy)]
struct Line {
    /// Where it begins.
    at: u64,
    /// Its message's seq, or that of the newest message before it.
    seq: Seq,
    /// The session that caused it and is not shown it.
    by: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
    lines: VecDeque<Line>,
    /// The position of the first byte.
    start: u64,
    /// The newest message that was given up: every message after it is here.
    floor: Seq,
    /// The newest message.
    newest: Seq,
}

impl Tail {
    /// The position after the last line.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The newest message.
    pub fn newest(&self) -> Seq {
        self.newest
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> u64 {
        (self.bytes.capacity() + self.lines.capacity() * size_of::<Line>()) as u64
    }

    /// The position of the first line that is kept.
    pub fn first(&self) -> u64 {
        self.start
    }

    /// Adds a line; `seq` is its message's.
    pub fn push(&mut self, seq: Option<Seq>, by: Option<u64>, write: impl FnOnce(&mut Vec<u8>)) {
        self.newest = seq.unwrap_or(self.newest);
        self.lines.push_back(Line { at: self.end(), seq: self.newest, by });
        write(&mut self.bytes);
    }

    /// Notes a line that nobody is there to read: it is given up at once.
    pub fn pass(&mut self, seq: Option<Seq>) {
        self.give_up_all();
        self.newest = seq.unwrap_or(self.newest);
        self.floor = self.newest;
        // One position, so that the cursor of somebody who is about to sit down is behind and asks the journal.
        self.start += 1;
    }

    /// Gives up all lines and their memory.
    pub fn give_up_all(&mut self) {
        self.rewind();
        self.bytes = Vec::new();
        self.lines = VecDeque::new();
    }

    /// Gives up all lines, which everybody has read, and keeps their memory for the next: what is still in a cache costs less.
    pub fn rewind(&mut self) {
        self.start = self.end();
        self.floor = self.newest;
        self.bytes.clear();
        self.lines.clear();
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
        self.lines.drain(..cut);
        self.bytes.drain(..(first - self.start) as usize);
        self.start = first;
    }

    /// Copies whole lines after the cursor to `out` until there are about `budget` bytes, all but those caused by `me`.
    pub fn read(&self, cursor: &mut Cursor, me: u64, budget: usize, out: &mut Vec<u8>) -> Read {
        if cursor.position < self.start && !self.rejoin(cursor) {
            return Read::Behind;
        }
        let first = self.lines.partition_point(|line| line.at < cursor.position);
        let room = budget.saturating_sub(out.len()) as u64;
        let mut run = cursor.position;
        let mut reached = cursor.position;
        for (index, line) in self.lines.iter().enumerate().skip(first) {
            if line.at - cursor.position >= room {
                break;
            }
            let next = self.lines.get(index + 1).map_or(self.end(), |line| line.at);
            if line.by == Some(me) {
                self.copy(run, line.at, out);
                run = next;
            }
            (reached, cursor.seq) = (next, line.seq);
        }
        self.copy(run, reached.max(run), out);
        cursor.position = reached;
        if reached == self.end() { Read::UpToDate } else { Read::More }
    }

    fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[(from - self.start) as usize..(to - self.start) as usize]);
    }

    /// Puts a cursor that is behind back on the tail, if the tail has every message after its seq.
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
    use proptest::prelude::{Strategy, prop_assert_eq, prop_oneof, proptest};

    use super::{Cursor, Read, Seq, Tail};

    #[derive(Debug, Clone)]
    enum Step {
        Commit,
        Push { message: bool, by: Option<u64> },
        Pass { message: bool },
        GiveUpAll,
        Rewind,
        GiveUpTo(usize),
        Read { reader: usize, budget: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        use proptest::prelude::any;
        prop_oneof![
            2 => proptest::strategy::Just(Step::Commit),
            6 => (any::<bool>(), proptest::option::of(0u64..3)).prop_map(|(message, by)| Step::Push { message, by }),
            1 => any::<bool>().prop_map(|message| Step::Pass { message }),
            1 => proptest::strategy::Just(Step::GiveUpAll),
            1 => proptest::strategy::Just(Step::Rewind),
            1 => (0usize..60).prop_map(Step::GiveUpTo),
            6 => (0usize..3, 1usize..80).prop_map(|(reader, budget)| Step::Read { reader, budget }),
        ]
    }

    /// A reader, and what it has been shown: `m<seq>` for messages, `e` for the rest.
    struct Reader {
        cursor: Cursor,
        seen: Vec<u64>,
    }

    fn read(tail: &Tail, journal: &[(u64, Option<u64>)], applied: u64, me: u64, budget: usize, reader: &mut Reader) {
        let mut out = Vec::new();
        if tail.read(&mut reader.cursor, me, budget, &mut out) == Read::Behind {
            // As the session does: a page of the journal, without what the hub has not applied, and without one's own.
            let page = journal.iter().filter(|(seq, _)| *seq > reader.cursor.seq.0).take(2);
            let page: Vec<_> = page.filter(|(seq, _)| *seq <= applied).collect();
            assert!(!page.is_empty(), "who is behind finds what follows in the journal");
            reader.cursor.seq = Seq(page.last().unwrap().0);
            reader.seen.extend(page.iter().filter(|(_, by)| *by != Some(me)).map(|(seq, _)| *seq));
        }
        let lines = String::from_utf8(out).unwrap();
        reader.seen.extend(lines.lines().filter_map(|line| line.strip_prefix('m')).map(|seq| seq.parse::<u64>().unwrap()));
    }

    proptest! {
        #[test]
        fn everybody_reads_every_message_once_and_in_order(steps in proptest::collection::vec(step(), 1..200)) {
            let (mut tail, mut journal) = (Tail::default(), Vec::new());
            let start = Cursor { position: 0, seq: Seq(0) };
            let mut readers: Vec<_> = (0..3).map(|_| Reader { cursor: start, seen: Vec::new() }).collect();
            let (mut seq, mut applied) = (0, 0);
            for step in steps {
                // A message is committed first; what was committed ahead is applied first.
                let mut message = |journal: &mut Vec<(u64, Option<u64>)>, by| {
                    if applied == seq {
                        seq += 2;
                        journal.push((seq, by));
                    }
                    applied += 2;
                    (Some(Seq(applied)), journal[applied as usize / 2 - 1].1)
                };
                match step {
                    Step::Commit => {
                        seq += 2;
                        journal.push((seq, Some(seq % 3)));
                    }
                    Step::Push { message: is_message, by } => {
                        let (seq, by) = if is_message { message(&mut journal, by) } else { (None, by) };
                        let line = seq.map_or_else(|| "e\n".to_owned(), |seq| format!("m{seq}\n"));
                        tail.push(seq, by, |bytes| bytes.extend_from_slice(line.as_bytes()));
                    }
                    Step::Pass { message: is_message } => {
                        let seq = if is_message { message(&mut journal, None).0 } else { None };
                        tail.pass(seq);
                    }
                    Step::GiveUpAll => tail.give_up_all(),
                    Step::Rewind => tail.rewind(),
                    Step::GiveUpTo(most) => tail.give_up_to(most),
                    Step::Read { reader, budget } => read(&tail, &journal, applied, reader as u64, budget, &mut readers[reader]),
                }
            }
            while applied < seq {
                applied += 2;
                let (_, by) = journal[applied as usize / 2 - 1];
                tail.push(Some(Seq(applied)), by, |bytes| bytes.extend_from_slice(format!("m{applied}\n").as_bytes()));
            }
            for (me, reader) in readers.iter_mut().enumerate() {
                let me = me as u64;
                while reader.cursor.position != tail.end() {
                    read(&tail, &journal, applied, me, 1000, reader);
                }
                let expected: Vec<_> = journal.iter().filter(|(_, by)| *by != Some(me)).map(|(seq, _)| *seq).collect();
                prop_assert_eq!(&reader.seen, &expected);
            }
        }
    }
}
