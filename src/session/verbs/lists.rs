//! LIST, CHANNELS, INBOX and HISTORY: blocks of data that are made a page at a time and never interrupted by an event.

use crate::code::{Code, Refusal};
use crate::event::{Mark, Recipient, RoomId, To};
use crate::limits::{PAGE_LINES, PAGE_LINES_MAX, READ_ENTRIES};
use crate::names::{Name, Pattern, Seq};
use crate::session::Session;
use crate::session::socket::Gone;
use crate::session::verbs::Said;
use crate::session::verbs::heard::Heard;
use crate::session::verbs::presence::show_user;
use crate::state::{ListedChannel, Part, Wanted, place_of};
use crate::store::{Page, Start};
use crate::wire::{Span, Target, When, reply};

/// What was shown of a room.
struct Shown {
    /// How many messages.
    count: usize,
    /// Up to where.
    until: Option<Seq>,
    /// How many are left beyond that, heard or not.
    remaining: u64,
}

impl Session {
    pub(super) async fn list(
        &mut self,
        channel: Option<&str>,
        pattern: Option<&str>,
        count: Option<u64>,
        after: Option<Target<'_>>,
    ) -> Said {
        let (pattern, most) = (pattern.map(Pattern::new), list_lines(count));
        let place = match after {
            None => Ok(None),
            // Whoever has that id, or had it: where the list goes on, nobody need be.
            Some(Target::Id(id) | Target::Both(_, id)) => Ok(Some(id)),
            Some(named) => self.shared.state.read().await.person(&Recipient::from(named)).map(|who| Some(who.id)),
        };
        let (most, mut after) = match most.and_then(|most| Ok((most, place?))) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut shown = 0;
        loop {
            let part = {
                let state = self.shared.state.read().await;
                // One more, to see whether there is more.
                let wanted = Wanted { after, pattern: pattern.as_ref(), most: most - shown + 1 };
                match channel.map(|name| state.may_read(self.who.id, name)).transpose() {
                    Ok(Some(channel)) => state.list_members(channel, &wanted),
                    Ok(None) => state.list_online(&wanted),
                    // The channel was left or closed while its members were being listed: refused even now.
                    Err(refusal) => return Ok(Err(refusal)),
                }
            };
            let users = part.found.iter().take(most - shown);
            self.socket.write(|out| users.for_each(|user| show_user(out, user)));
            match self.page_ends(&part, &mut shown, most).await? {
                Some(ends) => return Ok(Ok(ends)),
                None => after = part.until,
            }
        }
    }

    pub(super) async fn channels(&mut self, pattern: Option<&str>, count: Option<u64>, after: Option<&str>) -> Said {
        let most = match list_lines(count) {
            Ok(most) => most,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (pattern, mut after, mut shown) = (pattern.map(Pattern::new), after.map(place_of), 0);
        loop {
            let part = {
                let wanted = Wanted { after: after.take(), pattern: pattern.as_ref(), most: most - shown + 1 };
                self.shared.state.read().await.list_channels(self.who.id, &wanted)
            };
            part.found.iter().take(most - shown).for_each(|channel| self.show_channel(channel));
            match self.page_ends(&part, &mut shown, most).await? {
                Some(ends) => return Ok(Ok(ends)),
                None => after = part.until,
            }
        }
    }

    /// Counts what was shown of a part of a list. Returns what the OK says, if the page ends with it; otherwise sends it, and pays
    /// for the next part: to look for a rare name among many costs as much as to show many.
    async fn page_ends<T, K>(&mut self, part: &Part<T, K>, shown: &mut usize, most: usize) -> Result<Option<String>, Gone> {
        let fit = most - *shown;
        *shown += part.found.len().min(fit);
        if part.found.len() > fit {
            return Ok(Some(format!("{shown} more")));
        }
        if part.until.is_none() {
            return Ok(Some(shown.to_string()));
        }
        self.pay(1);
        self.flush().await?;
        tokio::task::coop::consume_budget().await;
        Ok(None)
    }

    pub(super) fn show_channel(&mut self, channel: &ListedChannel) {
        let ListedChannel { name, members, owner, topic, .. } = channel;
        self.socket.write(|out| reply::channel(out, name, *members, owner.as_ref(), topic.as_deref()));
    }

    /// Sends `- CHANNEL …` for each channel that the user is in now, and reads no other: nothing is shown of one that was closed or
    /// left, by another connection of the account, since the place of the LOGIN.
    pub(super) async fn show_own_channels(&mut self) {
        let channels: Vec<_> = {
            let state = self.shared.state.read().await;
            let member = self.who.id;
            self.reading.keep_channels(|channel| state.is_member(channel, member));
            state.channels_of(member).filter_map(|channel| state.channel(channel)).collect()
        };
        channels.iter().for_each(|channel| self.show_channel(channel));
    }

    pub(super) async fn inbox(&mut self, count: Option<u64>) -> Said {
        let count = match page_lines(count) {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let room = RoomId::Inbox(self.who.id);
        let Shown { count, until, remaining } = match self.show(room, None, Start::Unread, count).await? {
            Ok(shown) => shown,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let remaining = match until {
            Some(last) if remaining > 0 && self.reading.ignoring().is_some() => {
                self.count_unread(Start::After(last), Seq(u64::MAX)).await
            }
            _ => Ok(remaining),
        };
        Ok(remaining.map(|remaining| format!("{count} {remaining}")))
    }

    pub(super) async fn history(&mut self, channel: &str, count: Option<u64>, span: Span) -> Said {
        let found = {
            let state = self.shared.state.read().await;
            state.may_read(self.who.id, channel).map(|id| (id, state.channel_name(id).cloned()))
        };
        let (id, name, count) = match found.and_then(|(id, name)| Ok((id, name, page_lines(count)?))) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (room, name) = (RoomId::Channel(id), name.as_ref());
        let before = match span {
            Span::Since(When::Seq(seq)) => {
                return Ok(self.show(room, name, Start::After(seq), count).await?.map(|shown| shown.count.to_string()));
            }
            Span::Newest => Seq(u64::MAX),
            Span::Before(When::Seq(seq)) => seq,
            _ => return Ok(Err(Refusal::new(Code::Unavailable, "this server does not know that yet"))),
        };
        match self.beginning(room, before, count).await {
            Ok((None, _, 0)) => Ok(Ok("0".to_owned())),
            Ok((gap, from, count)) => {
                self.write_page(room, name, &Page { gap, ..Page::default() });
                let from = Start::After(Seq(from.0.saturating_sub(1)));
                Ok(self.show(room, name, from, count).await?.map(|shown| shown.count.to_string()))
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
        let (mut found, mut from) = (0, before);
        while found < count {
            let Heard { page, until } = self.hear(room, Start::Before(from), (count - found).min(READ_ENTRIES)).await?;
            found += page.count();
            from = until.unwrap_or(from);
            if page.gap.is_some() || page.remaining == 0 {
                return Ok((page.gap, from, found));
            }
        }
        Ok((None, from, found))
    }

    /// Shows messages of a room from a seq on, a page at a time.
    async fn show(
        &mut self,
        room: RoomId,
        channel: Option<&Name>,
        from: Start,
        count: usize,
    ) -> Result<Result<Shown, Refusal>, Gone> {
        let (mut shown, mut start) = (0, from);
        loop {
            let Heard { page, until } = match self.hear(room, start, (count - shown).min(READ_ENTRIES)).await {
                Ok(heard) => heard,
                Err(refusal) => return Ok(Err(refusal)),
            };
            self.write_page(room, channel, &page);
            shown += page.count();
            match until {
                Some(last) if shown < count && page.remaining > 0 => start = Start::After(last),
                _ => return Ok(Ok(Shown { count: shown, until, remaining: page.remaining })),
            }
            self.flush().await?;
        }
    }

    fn write_page(&mut self, room: RoomId, channel: Option<&Name>, page: &Page) {
        debug_assert_eq!(channel.is_some(), matches!(room, RoomId::Channel(_)), "invariant: a channel has a name");
        let to = channel.map_or(To::User(&self.who), To::Channel);
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

fn list_lines(count: Option<u64>) -> Result<usize, Refusal> {
    page_lines(Some(count.unwrap_or(PAGE_LINES_MAX)))
}

fn page_lines(count: Option<u64>) -> Result<usize, Refusal> {
    match count.unwrap_or(PAGE_LINES) {
        count @ 1..=PAGE_LINES_MAX => Ok(count as usize),
        count => Err(Refusal::new(Code::BadSyntax, format!("{count} lines cannot be shown; ask for 1 to {PAGE_LINES_MAX}"))),
    }
}
