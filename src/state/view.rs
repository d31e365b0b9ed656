//! Looking at the state, for decisions and queries. Nothing here changes anything.

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::{NodeId, RoomId, SessionId};
use crate::names::{Name, Seq, UserId, Who, fold, skeletons};
use crate::state::{Channel, Session, State};

impl State {
    pub(super) fn session(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(&session)
    }

    /// All connections of a node.
    pub fn all_sessions_of(&self, node: NodeId) -> Vec<SessionId> {
        let all = SessionId { node, number: 0 }..=SessionId { node, number: u64::MAX };
        self.sessions.range(all).map(|(session, _)| *session).collect()
    }

    /// The user to whom the connection belongs.
    pub fn user_of(&self, session: SessionId) -> Option<UserId> {
        self.session(session).map(|session| session.user)
    }

    /// The id by which the connection is known, from its HELLO.
    pub fn connection(&self, session: SessionId) -> Option<UserId> {
        self.session(session).map(|session| session.connection)
    }

    /// The user with this id: an account, or a guest who is connected.
    pub fn user(&self, id: UserId) -> Option<Who> {
        self.users.get(&id).map(|user| Who { name: user.name.clone(), id })
    }

    /// The user with this name, ignoring case.
    pub fn user_named(&self, name: &str) -> Option<UserId> {
        let folded = fold(name);
        if let Some(id) = self.names.get(&*folded) {
            return Some(*id);
        }
        // A guest's first name is not in the table. It contains the guest's id, and counts as long as the guest goes by it.
        let id = folded.strip_prefix("guest-")?.parse().ok().map(UserId)?;
        let user = self.users.get(&id)?;
        (fold(user.name.as_str()) == folded).then_some(id)
    }

    /// Whether somebody else than this user has the name, or one that looks like it.
    pub(super) fn looks_taken(&self, name: &str, by: UserId) -> bool {
        let all = |form: Box<str>| (form.clone(), UserId(0))..=(form, UserId(u64::MAX));
        skeletons(name).into_iter().any(|form| self.skeletons.range(all(form)).any(|((_, holder), ())| *holder != by))
    }

    /// Whether there is a channel of this name, or of one that looks like it.
    pub(super) fn looks_like_a_channel(&self, name: &str) -> bool {
        let all = |form: Box<str>| (form.clone(), Seq(0))..=(form, Seq(u64::MAX));
        skeletons(name).into_iter().any(|form| self.channel_skeletons.range(all(form)).next().is_some())
    }

    /// Whether the user is an account.
    pub fn is_account(&self, id: UserId) -> bool {
        self.users.get(&id).is_some_and(|user| user.password.is_some())
    }

    /// The PHC string of the password of the account with this name.
    pub fn password_of(&self, name: &str) -> Option<Arc<str>> {
        self.user_named(name).and_then(|id| self.users.get(&id)?.password.clone())
    }

    /// The user's connections.
    pub fn sessions_of_user(&self, id: UserId) -> impl Iterator<Item = SessionId> {
        let first = SessionId { node: NodeId(0), number: 0 };
        let last = SessionId { node: NodeId(u64::MAX), number: u64::MAX };
        self.connections.range((id, first)..=(id, last)).map(|((_, session), ())| *session)
    }

    /// Whether the user has a connection.
    pub(super) fn is_online(&self, id: UserId) -> bool {
        self.sessions_of_user(id).next().is_some()
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> u64 {
        self.counters.accounts
    }

    /// The channel with this name, ignoring case.
    pub fn channel_named(&self, name: &str) -> Option<Seq> {
        self.channel_names.get(&*fold(name)).copied()
    }

    /// How many of the channels that there are were created from this address, in this run.
    pub(super) fn channels_from(&self, address: IpAddr) -> u64 {
        self.channel_counts.get(&address).copied().unwrap_or_default()
    }

    pub(super) fn channel_row(&self, channel: Seq) -> Option<&Channel> {
        self.channels.get(&channel)
    }

    /// How many members are told what is shown in a room; an inbox is nobody else's.
    pub fn told_in(&self, room: Option<RoomId>) -> u64 {
        room.and_then(RoomId::channel).and_then(|channel| self.channel_row(channel)).map_or(0, |row| row.members)
    }

    /// The channel's name, in its own spelling.
    pub fn channel_name(&self, channel: Seq) -> Option<&Name> {
        self.channel_row(channel).map(|row| &row.name)
    }

    /// Whether the user is a member of the channel.
    pub fn is_member(&self, channel: Seq, user: UserId) -> bool {
        self.members.has(&(channel, user))
    }

    /// Up to where a member has read the channel.
    pub fn read_in(&self, channel: Seq, user: UserId) -> Option<Seq> {
        self.members.get(&(channel, user)).map(|member| member.read)
    }

    /// The members of a channel, ordered by id.
    pub fn member_ids(&self, channel: Seq) -> impl Iterator<Item = UserId> {
        self.members.range((channel, UserId(0))..=(channel, UserId(u64::MAX))).map(|((_, member), _)| *member)
    }

    /// The channels that the user is a member of, in the order of their creation.
    pub fn channels_of(&self, user: UserId) -> impl Iterator<Item = Seq> {
        self.memberships.range((user, Seq(0))..=(user, Seq(u64::MAX))).map(|((_, channel), ())| *channel)
    }

    /// The orphaned channels, which have neither owner nor members, each with the entry since which it has been orphaned.
    pub fn orphaned_channels(&self) -> Vec<(Seq, Seq)> {
        self.channels.iter().filter_map(|(id, row)| Some((*id, row.orphaned?))).collect()
    }
}
