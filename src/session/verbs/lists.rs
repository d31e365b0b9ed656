//! LIST and CHANNELS: blocks of data that are made a page at a time and never interrupted by an event.

use crate::code::Refusal;
use crate::event::Needs;
use crate::limits::PAGE_LINES_MAX;
use crate::names::Pattern;
use crate::session::Session;
use crate::session::socket::Gone;
use crate::session::verbs::Said;
use crate::session::verbs::history::page_lines;
use crate::session::verbs::presence::show_user;
use crate::state::{ListedChannel, Part, Wanted, place_of};
use crate::wire::{Target, reply};

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
            Some(named) => self.shared.state.read().await.person(&named.into()).map(|who| Some(who.id)),
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
                self.shared.state.read().await.list_channels(Some(self.who.id), &wanted)
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

    /// Sends `- CHANNEL …` for each channel that the user is in now and this connection may read, and reads no other: nothing is shown of one that was closed or
    /// left, by another connection of the account, since the place of the LOGIN. Then tells what is unread in those that it reads.
    pub(super) async fn show_own_channels(&mut self) {
        let channels: Vec<_> = {
            let state = self.shared.state.read().await;
            let member = self.who.id;
            self.reading.keep_channels(|channel| state.is_member(channel, member));
            let may_read = |channel: &ListedChannel| self.not_by_token(Needs::Read(channel.name.as_str())).is_none();
            state.channels_of(member).filter_map(|channel| state.channel(channel)).filter(may_read).collect()
        };
        channels.iter().for_each(|channel| self.show_channel(channel));
        self.show_unread().await;
    }
}

fn list_lines(count: Option<u64>) -> Result<usize, Refusal> {
    page_lines(Some(count.unwrap_or(PAGE_LINES_MAX)))
}
