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
        self.start = self.end();
        self.floor = self.newest;
        self.bytes = Vec::new();
        self.lines = VecDeque::new();
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
