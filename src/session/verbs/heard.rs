//! IGNORE, UNIGNORE and IGNORES, and pages of messages without what those have said whom the user ignores.
//!
//! Whoever ignores nobody reads as if none of this were here. Whoever does pays for what is read and not shown. What was retracted is
//! shown to nobody, and passed over up to a bound.

use crate::code::{Code, Refusal};
use crate::event::{Entry, Event, Request, RoomId};
use crate::limits::{ENTRY_BYTES, READ_ENTRIES, RETRACTED_PASSED};
use crate::names::{Seq, UserId};
use crate::session::Session;
use crate::session::verbs::{Said, done};
use crate::store::{Page, Query, Start, What};
use crate::wire::{Target, reply};

/// A page of messages that their reader may hear.
pub struct Heard {
    /// The page. What remains beyond it may hold messages that are not to be heard.
    pub page: Page,
    /// Up to where it was read, in the direction of reading: from there it goes on.
    pub until: Option<Seq>,
}

/// What an answer has passed over so far: messages that were retracted.
#[derive(Debug, Default)]
pub struct Passed {
    count: usize,
    /// Where those begin that nothing has followed which is shown.
    run: Option<Seq>,
}

impl Passed {
    fn over(&mut self, entry: Result<&Entry, Seq>) {
        if entry.is_ok_and(is_unsaid) {
            self.count += 1;
            self.run.get_or_insert(seq(entry));
        } else {
            self.run = None;
        }
    }

    /// The gap in which an answer ends that has passed over as many as it may, and has read up to here: its reader goes on behind it.
    pub fn gap(&self, until: Seq) -> Option<(Seq, Seq)> {
        self.run.filter(|_| self.count >= RETRACTED_PASSED).map(|run| (run.min(until), run.max(until)))
    }
}

/// What this entry of a page is called.
fn seq(entry: Result<&Entry, Seq>) -> Seq {
    entry.map_or_else(|damaged| damaged, |entry| entry.seq)
}

/// Whether the message was retracted: nobody is shown it, or told that it was there.
fn is_unsaid(entry: &Entry) -> bool {
    matches!(entry.event, Event::Unsaid { .. })
}

/// Leaves the first `most` entries of a page that was read forward, or the last ones.
fn shorten(page: &mut Page, most: usize, is_backward: bool) {
    let seqs: Vec<Seq> = page.in_order().map(seq).collect();
    if seqs.len() <= most {
        return;
    }
    let range = if is_backward { seqs.len() - most..seqs.len() } else { 0..most };
    let kept = &seqs[range];
    page.remaining += (seqs.len() - kept.len()) as u64;
    page.entries.retain(|entry| kept.contains(&entry.seq));
    page.damaged.retain(|seq| kept.contains(seq));
    if is_backward {
        // It lies before what was left out.
        page.gap = None;
    }
}

impl Session {
    pub(super) async fn ignore(&mut self, user: Target<'_>) -> Said {
        self.ask_paid(Request::Ignore(user.into()), ENTRY_BYTES as usize).await
    }

    pub(super) async fn unignore(&mut self, user: Target<'_>) -> Said {
        done(self.ask(Request::Unignore(user.into())).await?)
    }

    pub(super) async fn ignores(&mut self) -> Said {
        let ignored = self.shared.state.read().await.list_ignored(self.who.id);
        self.socket.write(|out| ignored.iter().for_each(|row| reply::ignored(out, &row.who, row.since)));
        Ok(Ok(ignored.len().to_string()))
    }

    /// Whether what this user has said is not shown here, however long ago it was.
    fn is_hidden(&self, author: UserId) -> bool {
        self.reading.ignoring().is_some_and(|ignoring| ignoring.hides(author))
    }

    /// Reads at most `most` messages of a room, without those of whom the user ignores, and those that were retracted. Fewer do not
    /// mean that there are no more; only [`Page::remaining`] says that. What one answer passes over is added up in `passed`.
    ///
    /// # Errors
    /// `INTERNAL` when the store cannot be read.
    pub(super) async fn hear(
        &mut self,
        room: RoomId,
        start: Start,
        most: usize,
        passed: &mut Passed,
    ) -> Result<Heard, Refusal> {
        let is_backward = matches!(start, Start::Before(_));
        let ends = |page: &Page| if is_backward { page.first() } else { page.last() };
        // One by one is dear where much is not shown.
        let may_hide = passed.count > 0 || self.reading.ignoring().is_some();
        let count = if may_hide { READ_ENTRIES } else { most };
        let mut page = self.read(Query { room, start, count, what: What::Messages }).await?;
        let (all, read_until) = (page.count(), ends(&page));
        if is_backward {
            page.in_order().collect::<Vec<_>>().into_iter().rev().for_each(|entry| passed.over(entry));
        } else {
            page.in_order().for_each(|entry| passed.over(entry));
        }
        page.entries.retain(|entry| !is_unsaid(entry) && !entry.event.author().is_some_and(|author| self.is_hidden(author)));
        self.pay(u64::from(page.count() < all));
        let is_whole = page.count() <= most;
        shorten(&mut page, most, is_backward);
        Ok(Heard { until: if is_whole { read_until } else { ends(&page) }, page })
    }

    /// How many messages of the inbox the user has yet to read, from a place on and up to an entry, without those of whom they
    /// ignore. It reads them all, and is asked only of users who ignore somebody; what it counts is what is counted for others, and so
    /// what was retracted is among it.
    ///
    /// # Errors
    /// `INTERNAL` when the store cannot be read.
    pub(super) async fn count_unread(&mut self, from: Start, upto: Seq) -> Result<u64, Refusal> {
        let (room, mut start, mut count) = (RoomId::Inbox(self.who.id), from, 0);
        // An inbox holds no more than it may.
        loop {
            let page = self.read(Query { room, start, count: READ_ENTRIES, what: What::Messages }).await?;
            self.pay(1);
            let hidden = |entry: &Entry| entry.event.sender().is_some_and(|sender| self.is_hidden(sender));
            count += page.in_order().filter(|entry| seq(*entry) <= upto && !entry.is_ok_and(hidden)).count() as u64;
            match page.last() {
                Some(last) if page.remaining > 0 && last < upto => start = Start::After(last),
                _ => return Ok(count),
            }
        }
    }

    pub(super) async fn read(&self, query: Query) -> Result<Page, Refusal> {
        self.shared.page(query).await.map_err(|_| unreadable())
    }
}

/// Why messages are not shown; the reader has told the log why.
pub(super) fn unreadable() -> Refusal {
    Refusal::new(Code::Internal, "the messages cannot be read; the server's log says why")
}
