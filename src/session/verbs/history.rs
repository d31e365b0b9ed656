//! INBOX, HISTORY and what else shows messages of a room in their order: pages that are never interrupted by an event.
//!
//! What its reader may not hear, and what was retracted, is in its place in the store; it does not count among what is shown.

use crate::code::{Code, Refusal};
use crate::event::{Mark, RoomId, To};
use crate::limits::{PAGE_LINES, PAGE_LINES_MAX, READ_ENTRIES};
use crate::names::{Name, Seq};
use crate::session::Session;
use crate::session::socket::Gone;
use crate::session::verbs::Said;
use crate::session::verbs::heard::{Heard, Passed};
use crate::store::{Page, Query, Start, What};
use crate::wire::{Span, Target, When, reply};

/// A room that is shown, up to a seq.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub room: RoomId,
    /// The channel's name; `None` for one's own inbox.
    pub channel: Option<&'a Name>,
    /// What is newer, this one included, is not shown.
    pub before: Seq,
    /// Whether it ends where it has passed over as many retracted messages as it may.
    pub is_bounded: bool,
}

/// What was shown of a room.
#[derive(Debug, Clone, Copy, Default)]
struct Showed {
    lines: usize,
    /// Up to where.
    until: Option<Seq>,
    /// How many messages are left beyond that, heard or not.
    remaining: u64,
}

impl Session {
    pub(super) async fn inbox(&mut self, count: Option<u64>) -> Said {
        let count = match page_lines(count) {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // What an inbox may hold bounds it.
        let inbox = Shown { room: RoomId::Inbox(self.who.id), channel: None, before: Seq(u64::MAX), is_bounded: false };
        let Showed { lines, until, remaining } = match self.show(inbox, Start::Unread, count).await? {
            Ok(showed) => showed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let remaining = match until {
            Some(last) if remaining > 0 && self.reading.ignoring().is_some() => {
                self.count_unread(Start::After(last), Seq(u64::MAX)).await
            }
            _ => Ok(remaining),
        };
        Ok(remaining.map(|remaining| format!("{lines} {remaining}")))
    }

    pub(super) async fn history(&mut self, target: Target<'_>, count: Option<u64>, span: Span) -> Said {
        let count = match page_lines(count) {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match target {
            Target::Channel(channel) => self.channel_history(channel, count, span).await,
            user => self.conversation(user, count, span).await,
        }
    }

    async fn channel_history(&mut self, channel: &str, count: usize, span: Span) -> Said {
        let found = {
            let state = self.shared.state.read().await;
            let found = state.may_read(self.who.id, channel);
            // What is said from here on is shown as it happens, and only while they are a member.
            let before = Seq(state.seq().0 + 1);
            let read = |id| state.read_in(id, self.who.id).unwrap_or_default();
            found.map(|id| (id, state.channel_name(id).cloned(), read(id), before))
        };
        let (id, name, read, before) = match found {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let all = Shown { room: RoomId::Channel(id), channel: name.as_ref(), before, is_bounded: true };
        let after = match span {
            Span::Newest => return self.show_last(all, count).await,
            Span::Before(when) => match self.begins(when).await {
                Ok(begins) => return self.show_last(Shown { before: begins.min(before), ..all }, count).await,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Span::Since(When::Seq(seq)) => seq,
            Span::Since(when) => match self.begins(when).await {
                Ok(begins) => Seq(begins.0.saturating_sub(1)),
                Err(refusal) => return Ok(Err(refusal)),
            },
            Span::Unread => read,
        };
        Ok(self.show(all, Start::After(after), count).await?.map(|showed| showed.lines.to_string()))
    }

    /// The seq for which a time stands: that of the first message on this server that is as new.
    pub(super) async fn begins(&self, when: When) -> Result<Seq, Refusal> {
        let time = match self.time(when) {
            Err(seq) => return Ok(seq),
            Ok(time) => time,
        };
        self.shared.search.ask(move |index| index.begins(time)).await.map_err(|not_now| unavailable(&not_now))
    }

    /// Shows the last `count` messages of a room; returns how many there were.
    pub(super) async fn show_last(&mut self, shown: Shown<'_>, count: usize) -> Said {
        match self.beginning(shown.room, shown.before, count).await {
            Ok((None, _, 0)) => Ok(Ok("0".to_owned())),
            Ok((gap, from, count)) => {
                self.write_page(shown, &Page { gap, ..Page::default() });
                let from = Start::After(Seq(from.0.saturating_sub(1)));
                let shown = Shown { is_bounded: false, ..shown };
                Ok(self.show(shown, from, count).await?.map(|showed| showed.lines.to_string()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Finds the last `count` messages before a seq. Returns the gap among them, if any, the seq of the first, and how many
    /// there are. They are found backward but shown forward; reading them twice means that they need not be held in memory.
    async fn beginning(
        &mut self,
        room: RoomId,
        before: Seq,
        count: usize,
    ) -> Result<(Option<(Seq, Seq)>, Seq, usize), Refusal> {
        let (mut found, mut first, mut from, mut passed) = (0, before, before, Passed::default());
        while found < count {
            let most = (count - found).min(READ_ENTRIES);
            let Heard { page, until } = self.hear(room, Start::Before(from), most, &mut passed).await?;
            (found, first) = (found + page.count(), page.first().unwrap_or(first));
            from = until.unwrap_or(from);
            if page.gap.is_some() || page.remaining == 0 {
                return Ok((page.gap, from, found));
            }
            if let gap @ Some(_) = passed.gap(from).filter(|_| found < count) {
                return Ok((gap, first, found));
            }
        }
        Ok((None, from, found))
    }

    /// Shows messages of a room from a seq on, a page at a time.
    async fn show(&mut self, shown: Shown<'_>, from: Start, count: usize) -> Result<Result<Showed, Refusal>, Gone> {
        let (mut start, mut showed, mut passed) = (from, Showed::default(), Passed::default());
        while showed.lines < count {
            let most = (count - showed.lines).min(READ_ENTRIES);
            let Heard { mut page, until } = match self.hear(shown.room, start, most, &mut passed).await {
                Ok(heard) => heard,
                Err(refusal) => return Ok(Err(refusal)),
            };
            page.entries.retain(|entry| entry.seq < shown.before);
            page.damaged.retain(|seq| *seq < shown.before);
            self.write_page(shown, &page);
            showed = Showed { lines: showed.lines + page.count(), until, remaining: page.remaining };
            match until {
                Some(last) if page.remaining > 0 && last.0 + 1 < shown.before.0 => start = Start::After(last),
                _ => break,
            }
            if let gap @ Some(_) =
                until.and_then(|until| passed.gap(until)).filter(|_| shown.is_bounded && showed.lines < count)
            {
                self.write_page(shown, &Page { gap, ..Page::default() });
                break;
            }
            self.flush().await?;
        }
        Ok(Ok(showed))
    }

    fn write_page(&mut self, shown: Shown<'_>, page: &Page) {
        debug_assert_eq!(shown.channel.is_some(), matches!(shown.room, RoomId::Channel(_)), "invariant: a channel has a name");
        let to = shown.channel.map_or(To::User(&self.who), To::Channel);
        self.socket.write(|out| {
            if let Some((first, last)) = page.gap {
                reply::gap(out, Mark::Data, to, first, last);
            }
            page.in_order().for_each(|entry| match entry {
                Ok(entry) => entry.event.write_line(out, Mark::Data, entry.seq, entry.time, to),
                Err(damaged) => reply::gap(out, Mark::Data, to, damaged, damaged),
            });
        });
    }
}

/// Why nothing can be found now.
pub(super) fn unavailable(not_now: &crate::search::NotNow) -> Refusal {
    Refusal::new(Code::Unavailable, not_now.to_string())
}

pub(super) fn messages(room: RoomId, start: Start, count: usize) -> Query {
    Query { room, start, count, what: What::Messages }
}

pub(super) fn page_lines(count: Option<u64>) -> Result<usize, Refusal> {
    match count.unwrap_or(PAGE_LINES) {
        count @ 1..=PAGE_LINES_MAX => Ok(count as usize),
        count => Err(Refusal::new(Code::BadSyntax, format!("{count} lines cannot be shown; ask for 1 to {PAGE_LINES_MAX}"))),
    }
}
