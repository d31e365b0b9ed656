//! What a person has not read: how much there is, what is shown of it to who enters a channel, and up to where it is marked as
//! read.
//!
//! It must never show a message twice, nor mark one as read before the person could have seen it or was told that it is not
//! shown.

use crate::menu::client::{Again, Answer, Client, Ended};
use crate::menu::functions::local_time;
use crate::menu::recover::seq;
use crate::menu::terminal::Look;
use crate::wire::incoming::Item;

/// How many of the last messages are shown on entering a channel, read or not: nobody should find an empty room.
const LAST: usize = 10;
/// How many unread messages an account is shown at most: as many as `HISTORY` gives unless it is asked for more.
const UNREAD: usize = 100;

/// How much is unread.
#[derive(Debug, Default)]
pub struct Unread {
    /// In the inbox.
    pub inbox: u64,
    /// In the account's channels: their names, and how many messages.
    channels: Vec<(String, String)>,
}

/// What was said last in a channel.
#[derive(Debug, Default)]
pub struct Recent {
    items: Vec<Item>,
    /// From which of them on they are unread.
    unread: usize,
}

impl Client {
    /// Remembers the identity from the answer to a LOGIN or NAME; returns how much is unread.
    pub(super) fn is_now(&mut self, data: &[Item], fields: &str) -> Unread {
        let (who, unread) = fields.split_once(' ').unwrap_or((fields, "0"));
        self.who = who.to_owned();
        let channels = data.iter().filter(|item| item.kind == "UNREAD").filter_map(Item::split::<2>);
        let channels = channels.map(|([channel, n], _)| (channel.to_owned(), n.to_owned())).collect();
        Unread { inbox: unread.parse().unwrap_or(0), channels }
    }

    /// Tells how much is unread; not for the channel that the person is in, where it is shown.
    pub(super) fn show_unread(&mut self, unread: &Unread) {
        match unread.inbox {
            0 => {}
            1 => self.terminal.show(Look::Bold, "You have 1 unread message; option 3 shows it."),
            n => self.terminal.show(Look::Bold, &format!("You have {n} unread messages; option 3 shows them.")),
        }
        for (channel, n) in &unread.channels {
            if !self.is_here(channel) {
                self.terminal.show(Look::Bold, &format!("Unread in {channel}: {n}"));
            }
        }
    }

    /// What is to be shown to who enters a channel. New messages wait from here on, until that was shown.
    pub(super) fn recent(&mut self, name: &str) -> Result<Recent, Ended> {
        self.held = Some(Vec::new());
        let unread = if self.is_account() { self.history(&format!("#{name} unread"))? } else { Vec::new() };
        let is_own = |item: &&Item| item.split::<4>().is_some_and(|([_, _, _, from], _)| from == self.who);
        let first = unread.iter().filter(|item| !is_own(item)).find_map(seq);
        let items = match unread.len() {
            0..LAST => self.history(&format!("#{name} {LAST}"))?,
            LAST..UNREAD => unread,
            _ => self.history(&format!("#{name} {UNREAD}"))?,
        };
        let unread = items.iter().position(|item| first.is_some() && seq(item) >= first).unwrap_or(items.len());
        // Messages after this one may be missed when the connection is lost.
        let seen = items.iter().filter_map(seq).max();
        if let Some(channel) = &mut self.channel {
            channel.shown.seen = channel.shown.seen.max(seen.unwrap_or(0));
            channel.read = channel.shown.seen;
        }
        Ok(Recent { items, unread })
    }

    /// The messages of a HISTORY; none when they cannot be had.
    pub(super) fn history(&mut self, what: &str) -> Result<Vec<Item>, Ended> {
        match self.command(&format!("HISTORY {what}"), Again::Yes)? {
            Answer::Ok(data, _) => Ok(data),
            _ => Ok(Vec::new()),
        }
    }

    /// Shows it, and then what was said meanwhile.
    pub(super) fn show_recent(&mut self, recent: &Recent) -> Result<(), Ended> {
        // Where the connection was lost meanwhile, what came since then was shown already, and this would come too late.
        let Some(held) = self.held.take() else { return Ok(()) };
        let Some(channel) = &self.channel else { return Ok(()) };
        let name = channel.name.clone();
        let (read, unread) = recent.items.split_at(recent.unread);
        self.show_part("Said last", read);
        let heading = match unread.len() {
            0..UNREAD => "Unread".to_owned(),
            _ => format!("Of much that is unread the last {UNREAD} messages (option 8 finds the others)"),
        };
        self.show_part(&heading, unread);
        let newest = recent.items.iter().filter_map(seq).max();
        if let (Some(channel), Some(newest)) = (&mut self.channel, newest) {
            channel.shown.resumes(newest);
        }
        held.iter().for_each(|item| self.event(item));
        match newest.filter(|_| !unread.is_empty()) {
            // If it is refused, the messages are unread once more.
            Some(newest) => self.command(&format!("ACK #{name} {newest}"), Again::Yes).map(drop),
            None => Ok(()),
        }
    }

    fn show_part(&mut self, heading: &str, items: &[Item]) {
        let first = items.iter().filter(|item| item.kind == "MSG").find_map(Item::split::<2>);
        if let Some(([_, time], _)) = first {
            self.terminal.show(Look::Dim, &format!("{heading}, since {}:", local_time(time)));
        }
        items.iter().for_each(|item| self.event(item));
    }

    /// Marks as read what was shown in the channel: who says something there has seen it. Before a LEAVE there is no need: it
    /// takes the mark along.
    pub(super) fn mark_read(&mut self) -> Result<(), Ended> {
        let is_account = self.is_account();
        let Some(channel) = self.channel.as_mut().filter(|channel| is_account && channel.shown.seen > channel.read) else {
            return Ok(());
        };
        channel.read = channel.shown.seen;
        let line = format!("ACK #{} {}", channel.name, channel.read);
        self.command(&line, Again::Yes).map(drop)
    }
}
