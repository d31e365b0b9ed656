//! Who hears whom, whose coming is announced, who is away, and when accounts were last here: what of this the state says, and how
//! events change it.

use std::sync::Arc;

use crate::event::{Absence, Event, Ignored, NodeId, SessionId, Time, Unignored};
use crate::limits::{DAY_MILLISECONDS, Limits, NONE, SEEN_MILLISECONDS};
use crate::names::{Seq, UserId, Who};
use crate::state::State;

/// The level of the features by which an account is announced once it has been here for a while.
pub(super) const ANNOUNCING: u8 = 3;

/// Whether a connection that came then has been here for long enough. A clock that was set back makes nobody wait.
pub(super) fn is_here_for_long(since: Time, now: Time, limits: &Limits) -> bool {
    now.0.abs_diff(since.0) >= limits.announce_after_seconds * 1000
}

/// A line of IGNORES.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedIgnored {
    /// The user who is ignored; one who has gone, by the name that they had.
    pub who: Who,
    /// Since when.
    pub since: Time,
}

impl State {
    /// Whether one user ignores another: what that one says is neither shown to them nor counted.
    pub fn ignores(&self, user: UserId, other: UserId) -> bool {
        self.ignored.has(&(user, other))
    }

    /// Whom the user ignores, ordered by id.
    pub fn ignored_by(&self, user: UserId) -> impl Iterator<Item = UserId> {
        self.ignored.range((user, UserId(0))..=(user, UserId(u64::MAX))).map(|((_, id), _)| *id)
    }

    /// The same, as IGNORES shows it.
    pub fn list_ignored(&self, user: UserId) -> Vec<ListedIgnored> {
        let rows = self.ignored.range((user, UserId(0))..=(user, UserId(u64::MAX)));
        let listed = rows.map(|((_, id), (name, since))| {
            let who = self.user(*id).unwrap_or_else(|| Who { name: name.clone(), id: *id });
            ListedIgnored { who, since: *since }
        });
        listed.collect()
    }

    /// That the user is away, if they are.
    pub fn absence(&self, user: UserId) -> Option<Absence> {
        let (text, since) = self.away.get(&user)?;
        Some(Absence { who: self.user(user)?, since: *since, text: Arc::clone(text) })
    }

    /// Who was told that the user is away.
    pub(super) fn told_of(&self, away: UserId) -> impl Iterator<Item = UserId> {
        self.told.range((away, UserId(0))..=(away, UserId(u64::MAX))).map(|((_, writer), ())| *writer)
    }

    /// When an account was last here; `None` for one that is here now, and for guests.
    pub fn last_seen(&self, account: UserId) -> Option<Time> {
        self.seen.get(&account).copied().filter(|_| !self.is_online(account))
    }

    /// Whether it is time to note that an account is here. One of which nothing is noted is noted at once, so that it was here some
    /// time.
    pub fn is_to_be_noted(&self, account: UserId, now: Time) -> bool {
        let Some(seen) = self.seen.get(&account) else { return self.is_account(account) };
        self.is_online(account) && now.0.saturating_sub(seen.0) >= SEEN_MILLISECONDS
    }

    /// Accounts that are to be noted, ordered by id: at most `most` after this one; and up to where it was looked, if there are more
    /// users.
    pub fn to_be_noted(&self, after: Option<UserId>, now: Time, most: usize) -> (Vec<UserId>, Option<UserId>) {
        let from = UserId(after.map_or(0, |after| after.0 + 1));
        let users: Vec<_> = self.users.range(from..).take(most).map(|(id, _)| *id).collect();
        let until = users.last().copied().filter(|_| users.len() == most);
        (users.into_iter().filter(|id| self.is_to_be_noted(*id, now)).collect(), until)
    }

    /// Whether an account is here by its password, scripts aside, and by which entry it came if its channels have yet to be told:
    /// that is the same for all its connections.
    pub(super) fn stay(&self, account: UserId) -> Option<Option<Seq>> {
        let person = self.sessions_of_user(account).find(|session| !self.is_by_token(*session));
        person.map(|session| self.unannounced.get(&session).copied())
    }

    /// The connections of a node that are to be announced by now, at most so many.
    pub fn to_be_announced(&self, node: NodeId, now: Time, limits: &Limits, most: usize) -> Vec<SessionId> {
        let of_node = SessionId { node, number: 0 }..=SessionId { node, number: u64::MAX };
        let waiting = self.unannounced.range(of_node).map(|(session, _)| *session);
        let is_due = |session: &SessionId| self.session(*session).is_some_and(|row| is_here_for_long(row.since, now, limits));
        waiting.filter(is_due).take(most).collect()
    }

    /// Applies an event of nobody's channel.
    pub(super) fn attend(&mut self, event: &Event, time: Time) {
        match event {
            Event::Ignored(Ignored { by, who, since, .. }) => {
                self.ignored.insert((*by, who.id), (who.name.clone(), *since));
            }
            Event::Unignored(Unignored { by, id, .. }) => drop(self.ignored.remove(&(*by, *id))),
            Event::Away { who, text } => self.set_away(*who, text.as_ref(), time),
            Event::ToldAway { away, writer } => drop(self.told.insert((*away, *writer), ())),
            Event::Seen { who, .. } => drop(self.seen.insert(*who, time)),
            Event::Announced { session } => drop(self.unannounced.remove(session)),
            // The others are only shown.
            _ => {}
        }
    }

    /// Whoever says anew that they are away tells everybody anew.
    fn set_away(&mut self, who: UserId, text: Option<&Arc<str>>, since: Time) {
        for writer in self.told_of(who).collect::<Vec<_>>() {
            self.told.remove(&(who, writer));
        }
        match text {
            Some(text) => drop(self.away.insert(who, (Arc::clone(text), since))),
            None => drop(self.away.remove(&who)),
        }
    }

    /// A user who has gone for good hears everybody, and was never here. That others ignore them stays: so does what they said.
    pub(super) fn end_presence(&mut self, user: UserId) {
        for id in self.ignored_by(user).collect::<Vec<_>>() {
            self.ignored.remove(&(user, id));
        }
        self.seen.remove(&user);
    }

    /// Whether a user was last seen more than so many days ago.
    pub(super) fn is_long_away(&self, user: UserId, now: Time, days: u64) -> bool {
        let most = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MILLISECONDS);
        self.last_seen(user).is_some_and(|seen| days != NONE && now.0.saturating_sub(seen.0) > most)
    }

    /// The owner of a channel, if they have been away for more than so many days.
    pub(super) fn absent_owner(&self, channel: Seq, now: Time, days: u64) -> Option<UserId> {
        self.channel_row(channel)?.owner.filter(|owner| self.is_long_away(*owner, now, days))
    }

    /// The channels whose owners have been away for more than so many days, with those: of at most `most` channels after this one;
    /// and up to where it was looked, if there are more channels.
    pub fn absent_owners(&self, after: Seq, now: Time, days: u64, most: usize) -> (Vec<(Seq, UserId)>, Option<Seq>) {
        let channels: Vec<_> = self.channels.range(Seq(after.0 + 1)..).take(most).map(|(id, _)| *id).collect();
        let until = channels.last().copied().filter(|_| channels.len() == most);
        (channels.into_iter().filter_map(|id| Some((id, self.absent_owner(id, now, days)?))).collect(), until)
    }
}
