//! Chains: linking a new message to its room's older ones, and finding and reading messages along the links.
//!
//! Keyed by an ever-growing seq and linked backward, a message costs one append to the store and no index; a clustered
//! `(room, seq)` key was measured at ten times the price.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::journal::store::{Chain, End, Links, Look, Record, StoreError};
use crate::journal::{Page, Query, Span};
use crate::limits::CHAINS_IN_MEMORY;
use crate::names::Seq;

/// The number that `skip` of the message numbered `n` leads to.
const fn skipped(n: u64) -> u64 {
    n & n.wrapping_sub(1)
}

/// The end of a chain as the writer keeps it.
#[derive(Debug, Default)]
pub struct Tip {
    /// As stored.
    pub end: End,
    /// The messages whose numbers are that of the newest with its low bits cleared, the newest last.
    path: Vec<(u64, Seq)>,
    changed: bool,
}

impl Tip {
    fn load(look: &impl Look, chain: Chain) -> Result<Self, StoreError> {
        let end = look.end(chain)?;
        let mut path = Vec::new();
        let mut next = end.seq;
        while let Chain::Room(_) = chain
            && let Some(record) = (next != Seq(0)).then(|| look.record(next)).transpose()?.flatten()
        {
            path.push((record.links.n, next));
            next = record.links.skip;
        }
        path.reverse();
        Ok(Self { end, path, changed: false })
    }

    /// Adds an entry to the room; returns its links.
    pub fn link(&mut self, seq: Seq) -> Links {
        let (prev, n) = (self.end.seq, self.end.n + 1);
        while self.path.last().is_some_and(|&(older, _)| older > skipped(n)) {
            self.path.pop();
        }
        let skip = self.path.last().map_or(Seq(0), |&(_, seq)| seq);
        self.path.push((n, seq));
        self.end = End { n, seq, ..self.end };
        self.changed = true;
        Links { n, prev, skip, key_prev: Seq(0) }
    }

    /// Adds an entry to a chain that is only walked, not searched; returns the one before it.
    pub fn hang(&mut self, seq: Seq) -> Seq {
        let prev = self.end.seq;
        self.end = End { n: self.end.n + 1, seq, ..self.end };
        self.changed = true;
        prev
    }

    /// Moves the mark of what was read.
    pub fn mark(&mut self, n: u64, seq: Seq) {
        self.end = End { acked_n: n, acked: seq, ..self.end };
        self.changed = true;
    }
}

/// The ends that the writer has in memory; all of them can be read again.
#[derive(Debug, Default)]
pub struct Tips {
    tips: HashMap<Chain, Tip>,
    changed: Vec<Chain>,
}

impl Tips {
    /// The end of a chain, for a look or a change.
    pub fn tip(&mut self, look: &impl Look, chain: Chain) -> Result<&mut Tip, StoreError> {
        let tip = match self.tips.entry(chain) {
            Entry::Occupied(tip) => tip.into_mut(),
            Entry::Vacant(place) => place.insert(Tip::load(look, chain)?),
        };
        if !tip.changed {
            self.changed.push(chain);
        }
        Ok(tip)
    }

    /// Calls `store` with each end that changed, and forgets all ends when there are too many.
    pub fn settle(&mut self, mut store: impl FnMut(Chain, End) -> Result<(), StoreError>) -> Result<(), StoreError> {
        for chain in self.changed.drain(..) {
            let tip = self.tips.get_mut(&chain).expect("invariant: a changed end is in memory");
            if std::mem::take(&mut tip.changed) {
                store(chain, tip.end)?;
            }
        }
        if self.tips.len() > CHAINS_IN_MEMORY {
            self.tips.clear();
        }
        Ok(())
    }
}

/// Where a search along a room's links ended.
enum Place {
    /// At the newest message at or before the seq.
    At(Box<Record>),
    /// There is none.
    Start,
    /// What lies before this, the oldest that is kept and newer than the seq, was given up.
    Gone(Box<Record>),
    /// Everything was given up.
    AllGone,
}

/// One room of a store, for reading.
struct Run<'a, L> {
    look: &'a L,
    chain: Chain,
    end: End,
}

/// The newest message of the room at or before `seq`: its number and seq; zeros when there is none.
pub fn at_or_before(look: &impl Look, chain: Chain, end: End, seq: Seq) -> Result<(u64, Seq), StoreError> {
    Ok(match (Run { look, chain, end }).find(seq)? {
        Place::At(record) => (record.links.n, record.entry.seq),
        Place::Gone(oldest) if oldest.links.prev <= seq => (oldest.links.n - 1, oldest.links.prev),
        Place::Start | Place::Gone(_) => (0, Seq(0)),
        Place::AllGone if end.seq <= seq => (end.n, end.seq),
        Place::AllGone => (0, Seq(0)),
    })
}

/// Reads a page.
pub fn read(look: &impl Look, query: Query) -> Result<Page, StoreError> {
    let chain = Chain::Room(query.room);
    let run = Run { look, chain, end: look.end(chain)? };
    match query.span {
        Span::Before(seq) => run.backward(seq, query.count),
        Span::After(seq) => run.forward(seq, query.count),
        Span::Unread => run.forward(run.end.acked, query.count),
    }
}

impl<L: Look> Run<'_, L> {
    fn record(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        let found = self.look.record(seq)?;
        match &found {
            Some(record) if record.entry.room.map(Chain::Room) != Some(self.chain) => {
                Err(StoreError::Damaged(format!("entry {seq} is linked from a room that it does not belong to")))
            }
            _ => Ok(found),
        }
    }

    fn find(&self, seq: Seq) -> Result<Place, StoreError> {
        if self.end.n == 0 {
            return Ok(Place::Start);
        }
        let Some(mut at) = self.record(self.end.seq)? else { return Ok(Place::AllGone) };
        let mut goal = seq;
        while at.entry.seq > goal {
            let Links { prev, skip, .. } = at.links;
            let next = if skip > goal { skip } else { prev };
            match self.record(next)? {
                Some(record) if record.entry.seq < at.entry.seq => at = record,
                Some(_) => return Err(StoreError::Damaged(format!("entry {} is linked to a later one", at.entry.seq))),
                None if next == Seq(0) => return Ok(Place::Start),
                None if next == prev => return Ok(Place::Gone(Box::new(at))),
                // All up to the skipped one was given up, but something after it may be kept.
                None => goal = next,
            }
        }
        Ok(Place::At(Box::new(at)))
    }

    /// The message numbered `n`, which is kept.
    fn nth(&self, n: u64) -> Result<Record, StoreError> {
        let lost = || StoreError::Damaged(format!("message {n} of {:?} is missing", self.chain));
        let mut at = self.record(self.end.seq)?.ok_or_else(lost)?;
        while at.links.n > n {
            let next = if skipped(at.links.n) >= n && at.links.skip > Seq(0) { at.links.skip } else { at.links.prev };
            at = self.record(next)?.filter(|record| record.links.n < at.links.n).ok_or_else(lost)?;
        }
        if at.links.n == n { Ok(at) } else { Err(lost()) }
    }

    fn forward(&self, seq: Seq, count: usize) -> Result<Page, StoreError> {
        let (read, gap) = match self.find(seq)? {
            Place::At(record) => (record.links.n, None),
            Place::Start => (0, None),
            Place::Gone(oldest) => {
                let Links { n, prev, .. } = oldest.links;
                (n - 1, (prev > seq).then_some((Seq(seq.0 + 1), prev)))
            }
            Place::AllGone if self.end.seq > seq => (self.end.n, Some((Seq(seq.0 + 1), self.end.seq))),
            Place::AllGone => (self.end.n, None),
        };
        let last = self.end.n.min(read + count as u64);
        let mut entries = Vec::with_capacity((last - read) as usize);
        if last > read {
            let mut at = self.nth(last)?;
            while at.links.n > read + 1 {
                let older = self.record(at.links.prev)?.filter(|older| older.links.n + 1 == at.links.n);
                let older =
                    older.ok_or_else(|| StoreError::Damaged(format!("what precedes entry {} is missing", at.entry.seq)))?;
                entries.push(std::mem::replace(&mut at, older).entry);
            }
            entries.push(at.entry);
            entries.reverse();
        }
        Ok(Page { entries, gap, remaining: self.end.n - last })
    }

    fn backward(&self, before: Seq, count: usize) -> Result<Page, StoreError> {
        let last = Seq(before.0.saturating_sub(1));
        let mut at = match self.find(last)? {
            Place::At(record) => Some(*record),
            Place::Start => return Ok(Page::default()),
            Place::Gone(oldest) => return Ok(Self::all_gone(oldest.links.n - 1, oldest.links.prev, last)),
            Place::AllGone => return Ok(Self::all_gone(self.end.n, self.end.seq, last)),
        };
        let mut page = Page::default();
        while let Some(record) = at.take() {
            page.remaining = record.links.n;
            if page.entries.len() == count {
                break;
            }
            page.remaining -= 1;
            let prev = record.links.prev;
            page.entries.push(record.entry);
            if prev != Seq(0) {
                at = self.record(prev)?;
                if at.is_none() {
                    page.gap = Some((Seq(1), prev));
                    page.remaining = 0;
                }
            }
        }
        page.entries.reverse();
        Ok(page)
    }

    /// The page of what is asked for up to `last` when `n` messages were given up, the newest of them `newest`.
    fn all_gone(n: u64, newest: Seq, last: Seq) -> Page {
        // A single message that is newer was not asked for; of several, the older ones may lie anywhere before it.
        let asked = last > Seq(0) && (newest <= last || n > 1);
        Page { gap: asked.then_some((Seq(1), newest.min(last))), ..Page::default() }
    }
}
