//! Who is in charge of a channel: operators, a new owner, invitations, putting members out and keeping them out, and its options.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Ban, Event, Outcast, Recipient, RoomId, Setting, Time, Unwanted};
use crate::limits::{BANS, INVITED, NEAR_IPV6_BITS};
use crate::names::{Name, Seq, UserId, Who, fold};
use crate::state::barred::until_and_why;
use crate::state::decide::{Actor, Deciding, refused};
use crate::state::permissions::{self, Act, Rank};
use crate::state::{Channel, State};

impl<'a> Deciding<'a> {
    /// The channel, if the user may do this in it.
    pub(super) fn may(&self, actor: &Actor, name: &str, act: Act) -> Result<(Seq, &'a Channel), Refusal> {
        let state: &'a State = self.state;
        state.allow(name, act, |channel| (actor.who.id, self.rank(actor, channel)))
    }

    pub(super) fn rank(&self, actor: &Actor, channel: Seq) -> Rank {
        self.state.rank(channel, actor.who.id, actor.address, self.context.time)
    }

    /// A member of the channel, and what they are there.
    fn member(&self, channel: Seq, row: &Channel, user: &Recipient) -> Result<(Who, Rank), Refusal> {
        let who = self.state.person(user)?;
        if !self.state.is_member(channel, who.id) {
            return refused(Code::NoSuchUser, format!("{who} is not in #{}; LIST #{} shows who is", row.name, row.name));
        }
        let rank = self.state.rank(channel, who.id, None, self.context.time);
        Ok((who, rank))
    }

    pub(super) fn op(&mut self, actor: &Actor, name: &str, user: &Recipient, is: bool) -> Result<Answer, Refusal> {
        let (channel, row) = self.joined(actor, name)?;
        let (who, rank) = self.member(channel, row, user)?;
        // An operator may step down.
        if is || who.id != actor.who.id || rank != Rank::Operator {
            self.may(actor, name, Act::Op)?;
        }
        if rank == Rank::Owner {
            return refused(Code::NotAllowed, format!("{who} owns #{}, which is more", row.name));
        }
        if (rank == Rank::Operator) != is {
            self.becomes_operator(channel, &who, &actor.who, is, true);
        }
        Ok(Answer::About(row.name.clone(), who.to_string()))
    }

    pub(super) fn becomes_operator(&mut self, channel: Seq, who: &Who, by: &Who, is: bool, shown: bool) {
        let lasts = self.state.is_account(who.id);
        self.happens_in(channel, Event::Operator { who: who.clone(), by: by.clone(), is, lasts, shown });
    }

    pub(super) fn give(&mut self, actor: &Actor, name: &str, user: &Recipient) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Give)?;
        let (who, rank) = self.member(channel, row, user)?;
        if rank != Rank::Owner {
            self.pass_to(channel, Some(who.id));
            self.becomes_operator(channel, &actor.who, &actor.who, true, true);
        }
        Ok(Answer::About(row.name.clone(), who.to_string()))
    }

    pub(super) fn invite(&mut self, actor: &Actor, name: &str, user: &Recipient) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Invite)?;
        let who = self.state.person(user)?;
        let id = who.id;
        let answer = Answer::About(row.name.clone(), who.to_string());
        if self.state.is_member(channel, id) {
            return Ok(answer);
        }
        if let Some(ban) = self.state.ban(channel, Outcast::User(id)).filter(|ban| ban.holds(self.context.time)) {
            return refused(Code::NotAllowed, format!("{who} is banned by {}; type UNBAN #{} {who} first", ban.by, row.name));
        }
        if row.invited >= INVITED {
            let text = format!("{INVITED} users are invited and have not come; KEY or SET #{} invite-only off", row.name);
            return refused(Code::Quota, text);
        }
        let (by, channel_name) = (&actor.who, row.name.clone());
        let lasts = self.state.is_account(id);
        let invited = Event::Invited { who: who.clone(), by: by.clone(), channel: channel_name.clone(), lasts, shown: true };
        self.happens_in(channel, invited);
        if !self.state.ignores(id, by.id) {
            self.happens(Some(RoomId::Inbox(id)), Event::Invitation { who, by: by.clone(), channel: channel_name });
        }
        Ok(answer)
    }

    /// Whoever becomes an account keeps what they are in a channel, and their invitations; from now on it lasts.
    pub(super) fn part_lasts(&mut self, who: &Who) {
        for channel in self.state.invitations_of(who.id).collect::<Vec<_>>() {
            let Some(name) = self.state.channel_name(channel).cloned() else { continue };
            self.happens_in(
                channel,
                Event::Invited { who: who.clone(), by: who.clone(), channel: name, lasts: true, shown: false },
            );
        }
    }

    /// Ends the invitations of a user who is no more.
    pub(super) fn uninvite(&mut self, who: UserId) {
        let lasts = self.state.is_account(who);
        for channel in self.state.invitations_of(who).collect::<Vec<_>>() {
            self.happens_in(channel, Event::Uninvited { who, lasts });
        }
    }

    pub(super) fn kick(
        &mut self,
        actor: &Actor,
        name: &str,
        user: &Recipient,
        reason: Option<&Arc<str>>,
    ) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Kick)?;
        let (who, rank) = self.member(channel, row, user)?;
        self.must_be_above(actor, channel, row, &who, rank)?;
        self.puts_out(channel, &who, &actor.who, reason);
        Ok(Answer::About(row.name.clone(), who.to_string()))
    }

    /// Those in charge put out nobody who has as much to say as they have.
    fn must_be_above(&self, actor: &Actor, channel: Seq, row: &Channel, who: &Who, rank: Rank) -> Result<(), Refusal> {
        if rank < self.rank(actor, channel) {
            return Ok(());
        }
        let what = if rank == Rank::Owner { "owns" } else { "is an operator of" };
        let text = if who.id == actor.who.id {
            format!("you cannot do that to yourself; type LEAVE #{}", row.name)
        } else {
            format!("{who} {what} #{}; only its owner may do that to an operator", row.name)
        };
        refused(Code::NotAllowed, text)
    }

    fn puts_out(&mut self, channel: Seq, who: &Who, by: &Who, reason: Option<&Arc<str>>) {
        let Some(lasts) = self.state.members.get(&(channel, who.id)).map(|member| member.lasts) else { return };
        self.happens_in(channel, Event::Kicked { who: who.clone(), by: by.clone(), reason: reason.cloned(), lasts });
    }

    pub(super) fn ban_them(
        &mut self,
        actor: &Actor,
        name: &str,
        unwanted: &Unwanted,
        seconds: Option<u64>,
        reason: Option<&Arc<str>>,
    ) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Ban)?;
        self.lift_what_is_over(channel);
        if self.state.bans_of(channel).filter(|ban| ban.holds(self.context.time)).count() >= BANS {
            return refused(Code::Quota, format!("#{} has {BANS} bans; BANS #{} shows them, UNBAN some", row.name, row.name));
        }
        let (who, from, outcast) = match unwanted {
            Unwanted::User(user) => {
                let who = self.state.person(user)?;
                let id = who.id;
                let from = if self.state.is_account(id) { None } else { self.network_of(id) };
                (Some(who), from, Outcast::User(id))
            }
            Unwanted::Net(net) => (None, None, Outcast::Net(net.trunc())),
        };
        let since = self.context.time;
        let until = self.until(seconds);
        let ban = Ban { outcast, who, from, by: actor.who.clone(), since, until, reason: reason.cloned() };
        let hit = self.hit_by(channel, &ban);
        for (who, rank) in &hit {
            if Some(who.id) == ban.who.as_ref().map(|who| who.id) {
                self.must_be_above(actor, channel, row, who, *rank)?;
            }
        }
        let answer = Answer::About(row.name.clone(), ban.whom());
        let by = self.rank(actor, channel);
        self.happens_in(channel, Event::Banned(Box::new(ban)));
        for (who, rank) in hit {
            if rank < by {
                self.puts_out(channel, &who, &actor.who, reason);
            }
        }
        Ok(answer)
    }

    /// The members whom a ban puts out: the user, or the guests who come from there. An account goes by its name.
    fn hit_by(&self, channel: Seq, ban: &Ban) -> Vec<(Who, Rank)> {
        let net = match &ban.outcast {
            Outcast::Net(net) => Some(net),
            Outcast::User(_) => ban.from.as_ref(),
        };
        let comes_from =
            |net: &IpNet, id| !self.state.is_account(id) && self.addresses_of(id).any(|address| net.contains(&address));
        let is_hit = |id: &UserId| ban.outcast == Outcast::User(*id) || net.is_some_and(|net| comes_from(net, *id));
        let members = self.state.member_ids(channel).filter(is_hit);
        members.filter_map(|id| Some((self.state.user(id)?, self.state.rank(channel, id, None, self.context.time)))).collect()
    }

    fn addresses_of(&self, user: UserId) -> impl Iterator<Item = IpAddr> {
        self.state.sessions_of_user(user).filter_map(|session| self.state.session(session)?.address)
    }

    /// Where a guest comes from. An IPv6 address is one of many of the same household.
    fn network_of(&self, guest: UserId) -> Option<IpNet> {
        let address = self.addresses_of(guest).next()?;
        let bits = if address.is_ipv4() { 32 } else { NEAR_IPV6_BITS };
        IpNet::new(address, bits).ok().map(|net| net.trunc())
    }

    /// Forgets the bans whose time is over.
    fn lift_what_is_over(&mut self, channel: Seq) {
        let over = self.state.bans_of(channel).filter(|ban| !ban.holds(self.context.time));
        for (outcast, whom) in over.map(|ban| (ban.outcast, ban.whom())).collect::<Vec<_>>() {
            self.happens_in(channel, Event::Unbanned { outcast, whom: whom.into(), by: None });
        }
    }

    pub(super) fn unban(&mut self, actor: &Actor, name: &str, unwanted: &Unwanted) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Ban)?;
        // The guest may have gone, and another may have the name by now: what counts is the name under which they were banned.
        let is_it = |ban: &&Ban| match unwanted {
            Unwanted::Net(net) => ban.outcast == Outcast::Net(net.trunc()),
            Unwanted::User(Recipient::Id(id) | Recipient::Both(_, id)) => ban.outcast == Outcast::User(*id),
            Unwanted::User(Recipient::Name(name)) => ban.who.as_ref().is_some_and(|who| fold(who.name.as_str()) == fold(name)),
            Unwanted::User(Recipient::Channel(_)) => false,
        };
        let holding = self.state.bans_of(channel).filter(|ban| ban.holds(self.context.time));
        let Some(ban) = holding.filter(is_it).last() else {
            return refused(Code::NoSuchUser, format!("nobody is banned under that name; BANS #{} shows who is", row.name));
        };
        let (outcast, whom) = (ban.outcast, ban.whom());
        let by = Some(actor.who.clone());
        self.happens_in(channel, Event::Unbanned { outcast, whom: whom.as_str().into(), by });
        Ok(Answer::About(row.name.clone(), whom))
    }

    pub(super) fn set(&mut self, actor: &Actor, name: &str, setting: &Setting) -> Result<Answer, Refusal> {
        let act = if matches!(setting, Setting::Keep(_)) { Act::Keep } else { Act::Set };
        let (channel, row) = self.may(actor, name, act)?;
        self.happens_in(channel, Event::Set { who: actor.who.clone(), setting: setting.clone() });
        Ok(Answer::About(row.name.clone(), format!("{} {setting}", setting.option())))
    }

    /// Why somebody who is kept out may not join.
    pub(super) fn banned_from(&self, actor: &Actor, channel: Seq, name: &Name) -> Refusal {
        let now = self.context.time;
        let own = self.state.ban(channel, Outcast::User(actor.who.id)).filter(|ban| ban.holds(now));
        let ban = own.or_else(|| self.state.ban_of_address(channel, actor.address?, now));
        let text = match ban {
            Some(Ban { by, until, reason, who, .. }) => {
                let more = until_and_why(*until, reason.as_ref());
                let what = if who.as_ref().is_some_and(|who| who.id == actor.who.id) { "you are" } else { "your address is" };
                format!("{what} banned from #{name} by {by}{more}")
            }
            None => format!("you are banned from #{name}"),
        };
        Refusal::new(Code::NotAllowed, text)
    }
}

impl State {
    /// The channel with this name, if the user may do this in it. Only members may do what this is asked for.
    ///
    /// # Errors
    /// `NO_SUCH_CHANNEL`, `NOT_MEMBER` or `NOT_ALLOWED`.
    pub fn may(&self, user: UserId, name: &str, act: Act) -> Result<Seq, Refusal> {
        self.allow(name, act, |channel| (user, self.rank(channel, user, None, Time(i64::MAX)))).map(|(channel, _)| channel)
    }

    fn allow(&self, name: &str, act: Act, who: impl Fn(Seq) -> (UserId, Rank)) -> Result<(Seq, &Channel), Refusal> {
        let (channel, row) = self.find(name)?;
        let (user, rank) = who(channel);
        match permissions::refusal(act, &row.modes(false), rank) {
            None => Ok((channel, row)),
            Some((_, Code::NotMember)) => self.joined(user, name),
            Some((rule, code)) => refused(code, self.only(channel, row, rule.least)),
        }
    }
}
