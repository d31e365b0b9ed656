//! LIST, CHANNELS, INBOX and HISTORY: blocks of data, made a page at a time and never interrupted by an event.

use std::sync::Arc;

use crate::event::{Entry, Room};
use crate::hub::Channel;
use crate::journal::{Page, Query, Span as Part};
use crate::limits::{LIST_LINES, PAGE_LINES, PAGE_LINES_MAX, READ_ENTRIES};
use crate::names::{Name, Seq};
use crate::session::Session;
use crate::session::follow::message;
use crate::session::socket::Gone;
use crate::session::verbs::Answer;
use crate::wire::reply::{self, Mark, To};
use crate::wire::{Code, Refusal, Span};

impl Session {
    pub(super) async fn list(&mut self, channel: Option<&str>) -> Answer {
        let channel = match channel.map(|name| self.joined(name)).transpose() {
            Ok(channel) => channel,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (mut shown, mut last) = (0, None);
        loop {
            let hub = &self.shared.hub;
            let users = match &channel {
                Some(channel) => hub.list_members(channel, last, LIST_LINES),
                None => hub.list_online(last, LIST_LINES),
            };
            self.socket.write(|out| users.iter().for_each(|user| reply::user(out, &user.who, user.online, user.since)));
            shown += users.len();
            last = users.last().map(|user| user.who.id);
            if users.len() < LIST_LINES {
                return Ok(Ok(shown.to_string()));
            }
            self.socket.flush().await?;
        }
    }

    /// The channel, which the user must be in.
    pub(super) fn joined(&self, name: &str) -> Result<Arc<Channel>, Refusal> {
        let follow = self.sitting.follow(name).filter(|follow| !follow.attached.room.is_closed());
        follow.map(|follow| Arc::clone(&follow.channel)).ok_or_else(|| self.not_a_member(name))
    }

    pub(super) async fn channels(&mut self) -> Answer {
        let (mut shown, mut last): (usize, Option<Name>) = (0, None);
        loop {
            let channels = self.shared.hub.list_channels(last.as_ref(), LIST_LINES);
            channels.iter().for_each(|channel| self.show_channel(channel));
            shown += channels.len();
            last = channels.last().map(|channel| channel.name.clone());
            if channels.len() < LIST_LINES {
                return Ok(Ok(shown.to_string()));
            }
            self.socket.flush().await?;
        }
    }

    /// `- CHANNEL …`; the topic of a channel with a key is for its members.
    pub(super) fn show_channel(&mut self, channel: &Channel) {
        let may_see = channel.key.is_none() || channel.membership(self.sitting.who.id).is_some();
        let topic = channel.topic().filter(|_| may_see);
        let owner = channel.owner();
        self.socket.write(|out| reply::channel(out, &channel.name, channel.members(), owner.as_ref(), topic.as_deref()));
    }

    pub(super) async fn inbox(&mut self, count: Option<u64>) -> Answer {
        let count = match page_lines(count) {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let room = Room::Inbox(self.sitting.who.id);
        match self.show(room, None, Part::Unread, count).await? {
            Ok((shown, remaining)) => Ok(Ok(format!("{shown} {remaining}"))),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    pub(super) async fn history(&mut self, channel: &str, count: Option<u64>, span: Span) -> Answer {
        let (channel, count) = match self.joined(channel).and_then(|channel| Ok((channel, page_lines(count)?))) {
            Ok(both) => both,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (room, name) = (channel.room.id, Some(&channel.name));
        let before = match span {
            Span::Since(seq) => {
                return Ok(self.show(room, name, Part::After(seq), count).await?.map(|(shown, _)| shown.to_string()));
            }
            Span::Newest => Seq(u64::MAX),
            Span::Before(seq) => seq,
        };
        match self.beginning(room, before, count).await {
            Ok((None, _, 0)) => Ok(Ok("0".to_owned())),
            Ok((gap, from, count)) => {
                self.write_page(room, name, gap, &[]);
                let from = Part::After(Seq(from.0.saturating_sub(1)));
                Ok(self.show(room, name, from, count).await?.map(|(shown, _)| shown.to_string()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Where the last `count` messages before a seq begin, how many there are, and what of them is gone. They are found
    /// backward and shown forward; read twice, they need not be held.
    async fn beginning(&self, room: Room, before: Seq, count: usize) -> Result<(Option<(Seq, Seq)>, Seq, usize), Refusal> {
        let (mut found, mut from) = (0, before);
        while found < count {
            let page = self.read(Query { room, span: Part::Before(from), count: (count - found).min(READ_ENTRIES) }).await?;
            found += page.entries.len();
            from = page.entries.first().map_or(from, |entry| entry.seq);
            if page.gap.is_some() || page.remaining == 0 {
                return Ok((page.gap, from, found));
            }
        }
        Ok((None, from, found))
    }

    /// Shows messages of a room from a seq on, a page at a time; returns how many were shown and how many are left.
    async fn show(
        &mut self,
        room: Room,
        channel: Option<&Name>,
        from: Part,
        count: usize,
    ) -> Result<Result<(usize, u64), Refusal>, Gone> {
        let (mut shown, mut span) = (0, from);
        loop {
            let page = match self.read(Query { room, span, count: (count - shown).min(READ_ENTRIES) }).await {
                Ok(page) => page,
                Err(refusal) => return Ok(Err(refusal)),
            };
            self.write_page(room, channel, page.gap, &page.entries);
            shown += page.entries.len();
            match page.entries.last() {
                Some(last) if shown < count && page.remaining > 0 => span = Part::After(last.seq),
                _ => return Ok(Ok((shown, page.remaining))),
            }
            self.socket.flush().await?;
        }
    }

    fn write_page(&mut self, room: Room, channel: Option<&Name>, gap: Option<(Seq, Seq)>, entries: &[Entry]) {
        debug_assert_eq!(channel.is_some(), matches!(room, Room::Channel(_)), "invariant: a channel has a name");
        let to = channel.map_or(To::User(&self.sitting.who), To::Channel);
        self.socket.write(|out| {
            if let Some((first, last)) = gap {
                reply::gap(out, Mark::Data, to, first, last);
            }
            entries.iter().for_each(|entry| message(out, Mark::Data, to, entry));
        });
    }

    pub(super) async fn read(&self, query: Query) -> Result<Page, Refusal> {
        self.shared.journal.read(query).await.map_err(|error| {
            tracing::error!(%error, room = ?query.room, "the journal cannot be read");
            Refusal::new(Code::Internal, "the messages cannot be read; the server's log says why")
        })
    }
}

fn page_lines(count: Option<u64>) -> Result<usize, Refusal> {
    match count.unwrap_or(PAGE_LINES) {
        count @ 1..=PAGE_LINES_MAX => Ok(count as usize),
        count => Err(Refusal::new(Code::BadSyntax, format!("{count} lines cannot be shown; ask for 1 to {PAGE_LINES_MAX}"))),
    }
}
