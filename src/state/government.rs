//! Who is in charge of a channel, who is kept out of it, and what its options are: the rows, and how events change them.

use std::net::IpAddr;

use crate::event::{Ban, Event, Kept, Outcast, Setting, Time};
use crate::names::{Seq, UserId};
use crate::state::permissions::{Mode, Rank};
use crate::state::{Channel, Options, State};

impl Default for Options {
    fn default() -> Self {
        Self { is_invite_only: false, slow: 0, operators_speak: false, is_hidden: false, keep: Kept::All, takes_guests: true }
    }
}

impl Channel {
    /// What in it asks for more than usual. Whoever knows the key does not meet that it has one.
    pub(super) fn modes(&self, knows_key: bool) -> Vec<Mode> {
        let Options { is_invite_only, operators_speak, takes_guests, .. } = self.options;
        let modes = [
            (Mode::NoGuests, !takes_guests),
            (Mode::Key, self.key.is_some() && !knows_key),
            (Mode::InviteOnly, is_invite_only),
            (Mode::OperatorsSpeak, operators_speak),
        ];
        modes.into_iter().filter_map(|(mode, holds)| holds.then_some(mode)).collect()
    }

    /// Its options, as SET lists them.
    fn settings(&self) -> [Setting; 7] {
        let Options { is_invite_only, slow, operators_speak, is_hidden, keep, takes_guests } = self.options;
        [
            Setting::Key(self.key.clone()),
            Setting::InviteOnly(is_invite_only),
            Setting::Slow(slow),
            Setting::OperatorsSpeak(operators_speak),
            Setting::Hidden(is_hidden),
            Setting::Keep(keep),
            Setting::Guests(takes_guests),
        ]
    }
}

impl State {
    /// What the user is to the channel, coming from this address at this time.
    pub(super) fn rank(&self, channel: Seq, user: UserId, address: Option<IpAddr>, now: Time) -> Rank {
        if self.channel_row(channel).is_some_and(|row| row.owner == Some(user)) {
            return Rank::Owner;
        }
        if let Some(member) = self.members.get(&(channel, user)) {
            return if member.is_operator { Rank::Operator } else { Rank::Member };
        }
        if self.ban(channel, Outcast::User(user)).is_some_and(|ban| ban.holds(now)) {
            return Rank::Banned;
        }
        // Whoever invites somebody means that one, whatever their address has done.
        if self.invited.has(&(channel, user)) {
            return Rank::Invited;
        }
        match address.and_then(|address| self.ban_of_address(channel, address, now)) {
            Some(_) => Rank::Banned,
            None if self.is_account(user) => Rank::Account,
            None => Rank::Guest,
        }
    }

    /// The ban under this name.
    pub(super) fn ban(&self, channel: Seq, outcast: Outcast) -> Option<&Ban> {
        self.bans.get(&(channel, outcast))
    }

    /// A ban that keeps this address out.
    pub(super) fn ban_of_address(&self, channel: Seq, address: IpAddr, now: Time) -> Option<&Ban> {
        let hits = |ban: &&Ban| {
            let net = match &ban.outcast {
                Outcast::Net(net) => Some(net),
                Outcast::User(_) => ban.from.as_ref(),
            };
            ban.holds(now) && net.is_some_and(|net| net.contains(&address))
        };
        self.bans_of(channel).find(hits)
    }

    /// The bans of a channel, those whose time is over included.
    pub fn bans_of(&self, channel: Seq) -> impl Iterator<Item = &Ban> {
        let first = Outcast::User(UserId(0));
        self.bans.range((channel, first)..).take_while(move |((of, _), _)| *of == channel).map(|(_, ban)| ban)
    }

    /// The channels that a user may join because they were invited.
    pub(super) fn invitations_of(&self, user: UserId) -> impl Iterator<Item = Seq> {
        self.invitations.range((user, Seq(0))..=(user, Seq(u64::MAX))).map(|((_, channel), ())| *channel)
    }

    /// Who may join a channel because they were invited, ordered by id.
    pub fn invited_to(&self, channel: Seq) -> impl Iterator<Item = UserId> {
        self.invited.range((channel, UserId(0))..=(channel, UserId(u64::MAX))).map(|((_, user), ())| *user)
    }

    /// The options of a channel, as SET lists them.
    pub fn settings(&self, channel: Seq) -> Option<[Setting; 7]> {
        self.channel_row(channel).map(Channel::settings)
    }

    /// Whether a channel is shown to its members only.
    pub fn is_hidden(&self, channel: Seq) -> bool {
        self.channel_row(channel).is_some_and(|row| row.options.is_hidden)
    }

    /// The operators of a channel, ordered by id.
    pub fn operators(&self, channel: Seq) -> impl Iterator<Item = UserId> {
        let members = self.members.range((channel, UserId(0))..=(channel, UserId(u64::MAX)));
        members.filter(|(_, member)| member.is_operator).map(|((_, user), _)| *user)
    }

    /// Applies an event of a channel's government.
    pub(super) fn govern(&mut self, channel: Seq, event: &Event, time: Time) {
        match event {
            Event::Operator { who, is, .. } => self.members.change(&(channel, who.id), |member| member.is_operator = *is),
            Event::Spoke { who, at } => self.members.change(&(channel, *who), |member| member.spoke = at.or(Some(time))),
            Event::Banned(ban) => drop(self.bans.insert((channel, ban.outcast), Ban::clone(ban))),
            Event::Unbanned { outcast, .. } => drop(self.bans.remove(&(channel, *outcast))),
            Event::Invited { who, .. } => {
                self.invitations.insert((who.id, channel), ());
                if self.invited.insert((channel, who.id), ()) {
                    self.channels.change(&channel, |channel| channel.invited += 1);
                }
            }
            Event::Uninvited { who, .. } => self.uninvite(channel, *who),
            Event::Set { setting, .. } => self.channels.change(&channel, |channel| match setting {
                Setting::Key(key) => channel.key = key.clone(),
                Setting::InviteOnly(is_on) => channel.options.is_invite_only = *is_on,
                Setting::Slow(seconds) => channel.options.slow = *seconds,
                Setting::OperatorsSpeak(is_on) => channel.options.operators_speak = *is_on,
                Setting::Hidden(is_on) => channel.options.is_hidden = *is_on,
                Setting::Keep(keep) => channel.options.keep = *keep,
                Setting::Guests(is_on) => channel.options.takes_guests = *is_on,
            }),
            // Messages and read marks are the store's business; the others are only shown.
            _ => {}
        }
    }

    pub(super) fn uninvite(&mut self, channel: Seq, user: UserId) {
        self.invitations.remove(&(user, channel));
        if self.invited.remove(&(channel, user)).is_some() {
            self.channels.change(&channel, |channel| channel.invited -= 1);
        }
    }

    /// A channel that has ended keeps nobody out, and has invited nobody.
    pub(super) fn end_government(&mut self, channel: Seq) {
        let outcasts: Vec<_> = self.bans_of(channel).map(|ban| ban.outcast).collect();
        outcasts.into_iter().for_each(|outcast| drop(self.bans.remove(&(channel, outcast))));
        for user in self.invited_to(channel).collect::<Vec<_>>() {
            self.invited.remove(&(channel, user));
            self.invitations.remove(&(user, channel));
        }
    }
}
