//! Channels: creating, joining and leaving them, their topics, their owners, and how they end.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Event, proposal::Key};
use crate::names::{Name, Seq, UserId, Who, check_new};
use crate::state::decide::{Actor, Deciding, Storage, no_such_channel, refused};
use crate::state::permissions::{self, Act, Mode, Rank};
use crate::state::{Channel, Member, State};

impl Deciding<'_> {
    pub(super) fn create(&mut self, actor: &Actor, name: &Name, key: Option<&Arc<str>>) -> Result<Answer, Refusal> {
        check_new(name.as_str()).map_err(|error| Refusal::new(Code::BadName, error.to_string()))?;
        if let Ok((_, Channel { name, .. })) = self.find(name.as_str()) {
            return refused(Code::ChannelExists, format!("#{name} exists already; type JOIN #{name}"));
        }
        if self.state.looks_like_a_channel(name.as_str()) {
            return refused(Code::ChannelExists, format!("#{name} looks like another channel; choose another name"));
        }
        let (count, most) = (self.state.channels.len() as u64, self.context.limits.channels);
        if count >= most {
            return refused(Code::Quota, format!("there are {count} channels already (limit channels); JOIN one of them"));
        }
        self.may_join_another(actor)?;
        self.may_create_another(actor)?;
        let channel = self.next_seq();
        let created = Event::Created { channel: name.clone(), owner: actor.who.clone(), key: key.map(Arc::clone) };
        self.happens_in(channel, created);
        if let Some(address) = actor.address {
            self.happens_in(channel, Event::Counted { address });
        }
        self.enter(actor, channel, self.is_announced(1));
        Ok(Answer::Channel(name.clone()))
    }

    /// Whether the address has a channel left of its share. Neither another name, nor a login, nor another connection gives it
    /// more; only the end of one of its channels does.
    fn may_create_another(&self, actor: &Actor) -> Result<(), Refusal> {
        let count = actor.address.map_or(0, |address| self.state.channels_from(address));
        if count < self.context.limits.channels_per_address {
            return Ok(());
        }
        let text =
            format!("{count} channels were created from your address (limit channels-per-address); CLOSE one of them first");
        refused(Code::Quota, text)
    }

    fn may_join_another(&self, actor: &Actor) -> Result<(), Refusal> {
        let count = self.state.channels_of(actor.who.id).count();
        if (count as u64) < self.context.limits.channels_per_user {
            return Ok(());
        }
        refused(Code::Quota, format!("you are in {count} channels (limit channels-per-user); LEAVE one first"))
    }

    fn enter(&mut self, actor: &Actor, channel: Seq, shown: bool) {
        let (who, since, rank) = (actor.who.clone(), self.context.time, self.next_seq());
        self.happens_in(channel, Event::Joined { who, since, rank, lasts: actor.is_account, shown });
    }

    pub(super) fn join(&mut self, actor: &Actor, name: &str, key: &Key) -> Result<Answer, Refusal> {
        let (channel, row) = self.find(name)?;
        if self.state.is_member(channel, actor.who.id) {
            return Ok(Answer::Joined(row.name.clone(), row.members));
        }
        self.may_join_another(actor)?;
        let name = &row.name;
        if row.members >= self.context.limits.members {
            return refused(Code::Quota, format!("#{name} has {} members (limit members)", row.members));
        }
        let knows_key = matches!((&row.key, key), (Some(needed), Key::Verified(given)) if needed == given);
        self.may_join(actor, channel, row, key, knows_key)?;
        let members = row.members + 1;
        self.enter(actor, channel, self.is_announced(members));
        if row.owner.is_none() {
            self.pass_to(channel, Some(actor.who.id));
        }
        Ok(Answer::Joined(name.clone(), members))
    }

    fn may_join(&self, actor: &Actor, channel: Seq, row: &Channel, key: &Key, knows_key: bool) -> Result<(), Refusal> {
        let (name, rank) = (&row.name, self.rank(actor, channel));
        let Some((rule, code)) = permissions::refusal(Act::Join, &row.modes(knows_key), rank) else { return Ok(()) };
        let text = match rule.mode {
            _ if rank == Rank::Banned => return Err(self.banned_from(actor, channel, name)),
            Some(Mode::NoGuests) => format!("#{name} takes no guests; REGISTER or LOGIN, then JOIN #{name}"),
            Some(Mode::Key) if *key == Key::Missing => format!("#{name} needs a key; type JOIN #{name} and the key"),
            Some(Mode::Key) => format!("that is not the key of #{name}"),
            _ => format!("#{name} takes only who is invited; {}", self.state.only(channel, row, Rank::Operator)),
        };
        refused(code, text)
    }

    pub(super) fn leave(&mut self, actor: &Actor, name: &str) -> Result<Answer, Refusal> {
        let (channel, row) = self.joined(actor, name)?;
        self.departs(channel, &actor.who, None);
        self.succeed(channel, &[actor.who.id]);
        Ok(Answer::Channel(row.name.clone()))
    }

    /// Ends a user's membership.
    pub(super) fn departs(&mut self, channel: Seq, who: &Who, reason: Option<&str>) {
        let (Some(row), Some(member)) = (self.state.channel_row(channel), self.state.members.get(&(channel, who.id)).copied())
        else {
            return;
        };
        let shown = self.is_announced(row.members);
        let left = Event::Left { who: who.clone(), reason: reason.map(Into::into), lasts: member.lasts, shown };
        self.happens_in(channel, left);
    }

    /// If the channel's owner does not stay, gives it to the operator, else the member, who has been there longest. `gone` are the members who
    /// leave with this decision.
    pub(super) fn succeed(&mut self, channel: Seq, gone: &[UserId]) {
        let Some(row) = self.state.channel_row(channel) else { return };
        let stays = |id: UserId| !gone.contains(&id) && self.state.is_member(channel, id);
        if row.owner.is_some_and(stays) {
            return;
        }
        let members = self.state.members.range((channel, UserId(0))..=(channel, UserId(u64::MAX)));
        let heir = members.map(claim).filter(|(_, _, id)| !gone.contains(id)).min().map(|(_, _, id)| id);
        if heir.is_some() || row.orphaned.is_none() {
            self.pass_to(channel, heir);
        }
    }

    /// Gives the channel of an owner who has been away for too long to a member who has not. The owner stays, as an operator.
    pub(super) fn succeed_absent(&mut self, channel: Seq, owner: UserId) -> Result<Answer, Refusal> {
        let (now, days) = (self.context.time, self.context.limits.owner_away_days);
        let is_so = self.state.absent_owner(channel, now, days) == Some(owner);
        let Some(owner) = self.state.user(owner).filter(|_| is_so) else { return Ok(Answer::Done) };
        let members = self.state.members.range((channel, UserId(0))..=(channel, UserId(u64::MAX)));
        let heirs =
            members.map(claim).filter(|(_, _, id)| self.state.is_account(*id) && !self.state.is_long_away(*id, now, days));
        if let Some(heir) = heirs.min().and_then(|(_, _, id)| self.state.user(id)) {
            self.pass_to(channel, Some(heir.id));
            self.becomes_operator(channel, &owner, &heir, true, true);
        }
        Ok(Answer::Done)
    }

    /// Makes this user the channel's owner, or nobody. A guest's ownership is not stored, because after a restart no guest is
    /// there; but it is stored that the last stored owner has lost the channel.
    pub(super) fn pass_to(&mut self, channel: Seq, owner: Option<UserId>) {
        let stores = self.context.storage != Storage::Nothing;
        let is_stored = owner.is_none_or(|id| self.state.is_account(id));
        let before = self.state.channel_row(channel).and_then(|row| Some((row.owner?, row.founder.id)));
        if !is_stored && stores && before.is_some_and(|(old, founder)| old == founder || self.state.is_account(old)) {
            self.happens_in(channel, Event::Owner { who: None, lasts: true, shown: false });
        }
        let who = owner.and_then(|id| self.state.user(id));
        let shown = who.is_some();
        self.happens_in(channel, Event::Owner { who, lasts: is_stored && stores, shown });
    }

    pub(super) fn topic(&mut self, actor: &Actor, name: &str, text: &Arc<str>) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Topic)?;
        self.happens_in(channel, Event::Topic { who: actor.who.clone(), text: Arc::clone(text) });
        Ok(Answer::Channel(row.name.clone()))
    }

    pub(super) fn close(&mut self, actor: &Actor, name: &str) -> Result<Answer, Refusal> {
        let (channel, row) = self.may(actor, name, Act::Close)?;
        self.happens_in(channel, Event::Closed { who: actor.who.clone() });
        Ok(Answer::Channel(row.name.clone()))
    }

    /// Ends an orphaned channel, unless it has had an owner or a member after the entry `since`.
    pub(super) fn expire(&mut self, channel: Seq, since: Seq) -> Result<Answer, Refusal> {
        let Some(row) = self.state.channel_row(channel).filter(|row| row.orphaned == Some(since)) else {
            return Err(no_such_channel(&channel.to_string()));
        };
        self.happens_in(channel, Event::Closed { who: row.founder.clone() });
        Ok(Answer::Done)
    }
}

/// In what order members follow an owner: operators come first, and of them who has been there longest.
fn claim(((_, id), Member { rank, is_operator, .. }): (&(Seq, UserId), &Member)) -> (bool, Seq, UserId) {
    (!is_operator, *rank, *id)
}

impl State {
    /// Who may do what somebody may not.
    pub(super) fn only(&self, channel: Seq, row: &Channel, least: Rank) -> String {
        let owner = row.owner.and_then(|owner| self.user(owner));
        let owner = owner.map_or("nobody".to_owned(), |owner| owner.to_string());
        match self.operators(channel).find_map(|id| self.user(id)) {
            Some(operator) if least <= Rank::Operator => {
                format!("only the owner of #{}, {owner}, and its operators, such as {operator}, may do that", row.name)
            }
            _ => format!("only the owner of #{} may do that, and that is {owner}", row.name),
        }
    }
}
