//! Lists of users and channels, a part at a time: however many there are, nobody waits long for the state.

use std::ops::Bound;
use std::sync::Arc;

use crate::event::{NodeId, SessionId, Time};
use crate::limits::LIST_LINES;
use crate::names::{Name, Pattern, Seq, UserId, Who, fold};
use crate::state::{Channel, State};

/// A line of LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUser {
    /// The user.
    pub who: Who,
    /// Whether they are there.
    pub presence: Presence,
    /// Since when; or, of one who is not, when they were last there.
    pub since: Time,
}

/// Whether somebody is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// They are connected.
    Online,
    /// They are connected, and have said why they do not answer.
    Away(Arc<str>),
    /// They are not connected.
    Offline,
}

/// A line of CHANNELS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedChannel {
    /// The seq that identifies it.
    pub id: Seq,
    /// Its name.
    pub name: Name,
    /// How many members it has.
    pub members: u64,
    /// Its owner.
    pub owner: Option<Who>,
    /// Its topic.
    pub topic: Option<Arc<str>>,
    /// The PHC string of the key needed to join.
    pub key: Option<Arc<str>>,
    /// The entry since which it has had neither owner nor members, if it is orphaned.
    pub orphaned: Option<Seq>,
}

/// What was found in a part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T, K> {
    /// What was found.
    pub found: Vec<T>,
    /// Up to where it was looked, if there is more.
    pub until: Option<K>,
}

/// Which lines of a list are wanted.
#[derive(Debug, Clone)]
pub struct Wanted<'a, K> {
    /// Those after this one.
    pub after: Option<K>,
    /// Those of such names.
    pub pattern: Option<&'a Pattern>,
    /// At most so many.
    pub most: usize,
}

impl<K> Wanted<'_, K> {
    fn fits(&self, name: &Name) -> bool {
        self.pattern.is_none_or(|pattern| pattern.fits(name))
    }

    /// Looks at so many of these that it does not take long.
    fn among<T, L>(&self, all: impl Iterator<Item = L>, mut list: impl FnMut(&L) -> Option<T>) -> Part<T, L> {
        let mut part = Part { found: Vec::new(), until: None };
        for (looked, key) in all.enumerate() {
            if looked == LIST_LINES || part.found.len() == self.most {
                return part;
            }
            part.found.extend(list(&key));
            part.until = Some(key);
        }
        Part { until: None, ..part }
    }
}

impl State {
    /// Some of the connected users, ordered by id.
    pub fn list_online(&self, wanted: &Wanted<'_, UserId>) -> Part<ListedUser, UserId> {
        let online_after = |after: Option<UserId>| {
            let first = (following(after), SessionId { node: NodeId(0), number: 0 });
            self.connections.range((Bound::Included(first), Bound::Unbounded)).next().map(|((id, _), ())| *id)
        };
        let online = std::iter::successors(online_after(wanted.after), |id| online_after(Some(*id)));
        wanted.among(online, |id| self.user(*id).filter(|who| wanted.fits(&who.name)).map(|who| self.listed_user(who)))
    }

    /// Some of the members of a channel, ordered by id.
    pub fn list_members(&self, channel: Seq, wanted: &Wanted<'_, UserId>) -> Part<ListedUser, UserId> {
        let from = following(wanted.after);
        let members = self.members.range((channel, from)..=(channel, UserId(u64::MAX))).map(|((_, id), _)| *id);
        wanted.among(members, |id| self.user(*id).filter(|who| wanted.fits(&who.name)).map(|who| self.listed_user(who)))
    }

    /// The user, as lists show them.
    pub fn listed_user(&self, who: Who) -> ListedUser {
        if let Some((text, since)) = self.away.get(&who.id) {
            return ListedUser { who, presence: Presence::Away(Arc::clone(text)), since: *since };
        }
        // A user with several connections counts from the first of them.
        let online = self.sessions_of_user(who.id).filter_map(|session| Some(self.session(session)?.since)).min();
        match online {
            Some(since) => ListedUser { who, presence: Presence::Online, since },
            None => {
                let since = self.seen.get(&who.id).copied().unwrap_or_default();
                ListedUser { who, presence: Presence::Offline, since }
            }
        }
    }

    /// Some of the channels, ordered by folded name, as this user may see them: hidden ones are shown to their members only, and
    /// only members see the topic of one that not everybody may join. Without a viewer it is all of them and all of each, as nobody
    /// but the operator may see them.
    pub fn list_channels(&self, viewer: Option<UserId>, wanted: &Wanted<'_, Arc<str>>) -> Part<ListedChannel, Arc<str>> {
        let from = wanted.after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let channels = self.channel_names.range::<str>((from, Bound::Unbounded));
        let part = wanted.among(channels, |(_, id)| {
            let row = self.channel_row(**id).filter(|row| wanted.fits(&row.name))?;
            let is_inside = viewer.is_none_or(|viewer| self.is_member(**id, viewer));
            let is_closed = row.key.is_some() || row.options.is_invite_only;
            let listed = (is_inside || !row.options.is_hidden).then(|| self.listed(**id, row))?;
            Some(ListedChannel { topic: listed.topic.filter(|_| is_inside || !is_closed), ..listed })
        });
        Part { found: part.found, until: part.until.map(|(name, _)| Arc::from(&**name)) }
    }

    /// The channel, as lists show it to its members.
    pub fn channel(&self, id: Seq) -> Option<ListedChannel> {
        self.channel_row(id).map(|row| self.listed(id, row))
    }

    fn listed(&self, id: Seq, row: &Channel) -> ListedChannel {
        let Channel { name, key, owner, topic, members, orphaned, .. } = row.clone();
        ListedChannel { id, name, members, owner: owner.and_then(|owner| self.user(owner)), topic, key, orphaned }
    }
}

/// The first id after this one.
fn following(after: Option<UserId>) -> UserId {
    UserId(after.map_or(0, |after| after.0.saturating_add(1)))
}

/// The form by which a channel of this name has its place in the list.
pub fn place_of(channel: &str) -> Arc<str> {
    fold(channel).into()
}
