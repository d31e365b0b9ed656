//! Chains: finding and reading a room's entries along their links, from the chain head back. Nothing here changes anything.
//!
//! Keyed by an ever-growing seq and linked backward, an entry costs one append to the store and no index; a clustered
//! `(room, seq)` key was measured at ten times the price.

use crate::event::{Event, RoomId};
use crate::names::Seq;
use crate::store::backend::{Head, Links, Look, Record, StoreError};
use crate::store::{Page, Query, Start, What};

/// The shown entry of the room to which a link leads; `None` when it was given up, or when `seq` is 0. Of a damaged one only its
/// place.
pub fn linked(look: &impl Look, room: RoomId, seq: Seq) -> Result<Option<Record>, StoreError> {
    find(look, room, seq, true)
}

/// The same, of an entry that is not shown.
pub fn linked_hidden(look: &impl Look, room: RoomId, seq: Seq) -> Result<Option<Record>, StoreError> {
    find(look, room, seq, false)
}

fn find(look: &impl Look, room: RoomId, seq: Seq, is_shown: bool) -> Result<Option<Record>, StoreError> {
    let damage = match look.record(seq) {
        // It was given up for readers, and is kept because the state is loaded from it: what is shown has a number.
        Ok(Some(Record { entry, links, is_damaged: false })) if entry.room == Some(room) && is_shown && links.n == 0 => {
            return Ok(None);
        }
        Ok(Some(record)) if record.entry.room == Some(room) => return Ok(Some(record)),
        Ok(Some(_)) => StoreError::Damaged(format!("entry {seq} is linked from a room that it does not belong to")),
        Ok(None) if seq == Seq(0) || seq < look.floor(room)? => return Ok(None),
        Ok(None) => StoreError::Damaged(format!("entry {seq} is missing")),
        Err(damage @ StoreError::Damaged(_)) => damage,
        Err(error) => return Err(error),
    };
    match look.mend(room, seq, is_shown) {
        Ok(Some(record)) => Ok(Some(record)),
        Ok(None) | Err(StoreError::Damaged(_)) => passed_over(look, damage),
        Err(error) => Err(error),
    }
}

/// What lies beyond this damage counts as given up, or nobody may go on.
fn passed_over<T>(look: &impl Look, damage: StoreError) -> Result<Option<T>, StoreError> {
    if look.passes_over_damage() { Ok(None) } else { Err(damage) }
}

impl Page {
    fn push(&mut self, record: Record) {
        if record.is_damaged {
            self.damaged.push(record.entry.seq);
        } else {
            self.entries.push(record.entry);
        }
    }

    /// The page in order, when it was read backward.
    fn turned(mut self) -> Self {
        self.entries.reverse();
        self.damaged.reverse();
        self
    }
}

/// Where a search ended.
enum First {
    /// No entry of the room fits.
    Nothing,
    /// At the oldest kept entry that fits. The one before it does not fit, or was given up.
    At(Record),
    /// All entries were given up.
    AllGone,
}

/// One room of a store, and which of its entries are read. Those are called *counted* below.
pub struct Run<'a, L> {
    look: &'a L,
    room: RoomId,
    head: Head,
    what: What,
}

/// Reads a page.
pub fn read(look: &impl Look, query: Query) -> Result<Page, StoreError> {
    let Query { room, start, count, what } = query;
    let run = Run::new(look, room, look.head(room)?, what);
    // Every channel has a head from its creation on: one without a head was closed and has been deleted.
    if let (RoomId::Channel(_), Start::After(seq), What::Everything) = (room, start, what)
        && run.head == Head::default()
    {
        return Ok(Page { gap: Some((Seq(seq.0.saturating_add(1)), Seq(u64::MAX))), ..Page::default() });
    }
    match start {
        Start::Before(seq) => run.backward(seq, count),
        Start::After(seq) => run.forward(seq, count),
        Start::Unread => run.forward(run.head.read, count),
    }
}

impl<'a, L: Look> Run<'a, L> {
    /// The room with this chain head.
    pub fn new(look: &'a L, room: RoomId, head: Head, what: What) -> Self {
        Self { look, room, head, what }
    }

    fn linked(&self, seq: Seq) -> Result<Option<Record>, StoreError> {
        linked(self.look, self.room, seq)
    }

    /// As [`Run::linked`], and checks that the entry is older than the one that links to it.
    fn older(&self, than: &Record, seq: Seq) -> Result<Option<Record>, StoreError> {
        match self.linked(seq)? {
            Some(record) if record.links.n >= than.links.n || seq >= than.entry.seq => {
                passed_over(self.look, StoreError::Damaged(format!("entry {} is linked to a later one", than.entry.seq)))
            }
            found => Ok(found),
        }
    }

    /// The counted entry before another one.
    fn preceding(&self, at: &Record) -> Result<Option<Record>, StoreError> {
        let older = self.older(at, self.before(&at.links))?;
        match older.filter(|older| self.number(&older.links) == self.number_before(at)) {
            Some(older) => Ok(Some(older)),
            None => passed_over(self.look, StoreError::Damaged(format!("what precedes entry {} is missing", at.entry.seq))),
        }
    }

    /// How many counted entries there are up to and including the one with these links.
    fn number(&self, links: &Links) -> u64 {
        match self.what {
            What::Messages => links.said_n,
            What::Everything => links.n,
        }
    }

    /// How many counted entries there are before this one.
    fn number_before(&self, record: &Record) -> u64 {
        let counted = self.what == What::Everything || record.entry.event.is_message();
        self.number(&record.links).saturating_sub(u64::from(counted))
    }

    /// The newest counted entry before the one with these links.
    fn before(&self, links: &Links) -> Seq {
        match self.what {
            What::Messages => links.said,
            What::Everything => links.prev,
        }
    }

    /// The number and the seq of the newest counted entry.
    fn newest(&self) -> (u64, Seq) {
        match self.what {
            What::Messages => (self.head.said_n, self.head.said),
            What::Everything => (self.head.n, self.head.seq),
        }
    }

    /// Searches for the oldest entry that fits. If an entry fits, all newer ones must fit too; none up to `low` may fit.
    fn first(&self, mut low: Seq, fits: impl Fn(&Record) -> bool) -> Result<First, StoreError> {
        if self.head.n == 0 {
            return Ok(First::Nothing);
        }
        let Some(mut at) = self.linked(self.head.seq)? else { return Ok(First::AllGone) };
        if !fits(&at) {
            return Ok(First::Nothing);
        }
        loop {
            let Links { prev, skip, .. } = at.links;
            if skip > low {
                match self.older(&at, skip)?.filter(&fits) {
                    Some(record) => {
                        at = record;
                        continue;
                    }
                    // If it was given up, entries between it and here may still be kept.
                    None => low = skip,
                }
            }
            if prev <= low {
                return Ok(First::At(at));
            }
            match self.older(&at, prev)?.filter(&fits) {
                Some(record) => at = record,
                None => return Ok(First::At(at)),
            }
        }
    }

    /// The number and the seq of the newest counted entry at or before `seq`; zeros when there is none, or when it is no longer
    /// known.
    pub fn newest_until(&self, seq: Seq) -> Result<(u64, Seq), StoreError> {
        let (number, found) = self.until(seq)?;
        Ok(if found <= seq { (number, found) } else { (0, Seq(0)) })
    }

    /// The same, but when it is no longer known, a newer entry that was given up.
    fn until(&self, seq: Seq) -> Result<(u64, Seq), StoreError> {
        if self.head.seq <= seq {
            return Ok(self.newest());
        }
        Ok(match self.first(seq, |record| record.entry.seq > seq)? {
            First::At(record) => (self.number_before(&record), self.before(&record.links)),
            First::AllGone | First::Nothing => self.newest(),
        })
    }

    /// How many bytes of text there are in the messages after number `after`, up to the one with this number and seq. Those that
    /// are damaged, and what was given up, count nothing.
    pub fn bytes(&self, (mut number, mut at): (u64, Seq), after: u64) -> Result<u64, StoreError> {
        let mut bytes = 0;
        while number > after {
            let record = match self.linked(at) {
                Ok(Some(record)) => record,
                Ok(None) | Err(StoreError::Damaged(_)) => break,
                Err(error) => return Err(error),
            };
            if let Event::Said { text, .. } = &record.entry.event {
                bytes += text.len() as u64;
            }
            (number, at) = (number - 1, record.links.said);
        }
        Ok(bytes)
    }

    /// The counted entry with this number, which must be kept, and newer than `low`; the next one when damage hides it.
    fn numbered(&self, number: u64, low: Seq) -> Result<Record, StoreError> {
        match self.first(low, |record| self.number(&record.links) >= number)? {
            First::At(record) if self.number(&record.links) == number && self.number_before(&record) + 1 == number => {
                Ok(record)
            }
            First::At(record) if self.look.passes_over_damage() => Ok(record),
            _ => Err(StoreError::Damaged(format!("number {number} of {:?} is missing", self.room))),
        }
    }

    fn forward(&self, after: Seq, count: usize) -> Result<Page, StoreError> {
        let (total, newest) = self.newest();
        if newest <= after {
            return Ok(Page::default());
        }
        let oldest = match self.first(after, |record| record.entry.seq > after)? {
            First::At(oldest) => oldest,
            First::AllGone => return Ok(Page { gap: Some((Seq(after.0 + 1), newest)), ..Page::default() }),
            First::Nothing => return Err(StoreError::Damaged(format!("the end of {:?} is not where it should be", self.room))),
        };
        let lost = self.before(&oldest.links);
        let gap = (lost > after).then_some((Seq(after.0 + 1), lost));
        let read = self.number_before(&oldest);
        let last = total.min(read.saturating_add(count as u64));
        let mut page = Page { gap, remaining: total - last.max(read), ..Page::default() };
        page.entries.reserve(last.saturating_sub(read) as usize);
        if last > read {
            let mut at = self.numbered(last, oldest.links.prev)?;
            if self.number_before(&at) >= last {
                page.gap = Some((Seq(after.0 + 1), self.before(&at.links)));
                page.remaining = total - self.number_before(&at);
                return Ok(page);
            }
            while self.number(&at.links) > read + 1 {
                let Some(older) = self.preceding(&at)? else {
                    page.gap = Some((Seq(after.0 + 1), self.before(&at.links)));
                    break;
                };
                page.push(std::mem::replace(&mut at, older));
            }
            page.push(at);
        }
        Ok(page.turned())
    }

    fn backward(&self, before: Seq, count: usize) -> Result<Page, StoreError> {
        let last = Seq(before.0.saturating_sub(1));
        let (mut number, mut at) = self.until(last)?;
        let mut page = Page::default();
        if at > last {
            // This one was given up and not asked for. If there are older ones, they may lie anywhere before it.
            page.gap = (last > Seq(0) && number > 1).then_some((Seq(1), last));
            return Ok(page);
        }
        while at > Seq(0) {
            let is_right = |it: &Record| self.number(&it.links) == number && self.number_before(it) + 1 == number;
            let record = match self.linked(at)? {
                Some(record) if !is_right(&record) => passed_over(
                    self.look,
                    StoreError::Damaged(format!("entry {at} is not number {number} of {:?}", self.room)),
                )?,
                found => found,
            };
            let Some(record) = record else {
                page.gap = Some((Seq(1), at));
                number = 0;
                break;
            };
            if page.count() == count {
                break;
            }
            (number, at) = (number - 1, self.before(&record.links));
            page.push(record);
        }
        page.remaining = number;
        Ok(page.turned())
    }

    /// The seqs of at most `count` of the oldest shown entries after the first `gone`, the newest first; and how many will be
    /// gone with them.
    pub fn oldest(&self, gone: u64, count: u64) -> Result<(Vec<Seq>, u64), StoreError> {
        let last = self.head.n.min(gone + count);
        let mut seqs = Vec::new();
        let mut at = match self.first(Seq(0), |record| record.links.n >= last)? {
            First::At(record) if record.links.n == last => Some(record),
            _ => None,
        };
        while let Some(record) = at
            && record.links.n > gone
        {
            seqs.push(record.entry.seq);
            at = self.older(&record, record.links.prev)?;
        }
        Ok((seqs, last))
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, Look, Record, RoomId, Seq, StoreError, linked};

    /// Nothing below seq 5 is kept, and nothing else is there either.
    struct Empty;

    impl Look for Empty {
        fn record(&self, _: Seq) -> Result<Option<Record>, StoreError> {
            Ok(None)
        }

        fn head(&self, _: RoomId) -> Result<Head, StoreError> {
            Ok(Head::default())
        }

        fn floor(&self, _: RoomId) -> Result<Seq, StoreError> {
            Ok(Seq(5))
        }
    }

    #[test]
    fn what_was_given_up_may_be_missing_and_nothing_else() {
        let found = |seq| linked(&Empty, RoomId::Channel(Seq(1)), Seq(seq));
        assert_eq!((found(0), found(4)), (Ok(None), Ok(None)));
        assert!(matches!((found(5), found(6)), (Err(StoreError::Damaged(_)), Err(StoreError::Damaged(_)))));
    }
}
