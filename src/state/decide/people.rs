//! Coming and going, names, registering and logging in.
//!
//! Nothing here may give an id twice, or leave a connection without a user.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Access, Answer, Event, SessionId};
use crate::limits::{IDS_RESERVED, Registration};
use crate::names::{Name, Seq, UserId, Who, check_chosen};
use crate::state::archive::Archive;
use crate::state::decide::{Actor, Deciding, Storage, refused};
use crate::state::{Invitation, Session};

impl Deciding<'_> {
    /// A new connection is a guest, with an id that was never given to anybody else.
    pub(super) fn come(&mut self, session: SessionId, address: Option<IpAddr>) -> Result<Answer, Refusal> {
        if let Some(ban) = address.and_then(|address| self.state.ban_of(address, self.context.time)) {
            return refused(Code::NotAllowed, format!("your address is {}", ban.words()));
        }
        let counters = self.state.counters;
        let id = counters.next_id;
        if id >= counters.ids_below {
            if self.context.storage == Storage::Nothing {
                return refused(Code::Unavailable, "the server's disk is full, and it has no ids left; try again later");
            }
            // Reserved before an id of the range is given out, so that not even after a crash it is given to somebody else.
            self.happens(None, Event::Ids { below: UserId(id.0 + IDS_RESERVED) });
        }
        self.happens(None, Event::Given { id });
        let who = Who { name: Name::guest(id), id };
        self.happens(None, Event::Came { session, who: who.clone(), address });
        Ok(Answer::Who(who))
    }

    pub(super) fn name(&mut self, actor: &Actor, name: &Name) -> Result<Answer, Refusal> {
        must_be_guest(actor, "an account keeps its name")?;
        self.may_take(actor, name)?;
        let who = Who { name: name.clone(), id: actor.who.id };
        if who != actor.who {
            self.happens(None, Event::Named { session: actor.session, who: who.clone() });
            self.tell_renamed(&actor.who, &who);
        }
        Ok(Answer::Who(who))
    }

    fn tell_renamed(&mut self, old: &Who, new: &Who) {
        for channel in self.small_channels_of(old.id, None) {
            self.happens_in(channel, Event::Renamed { old: old.clone(), new: new.clone() });
        }
    }

    /// The user's channels in which comings and goings are shown, once `gone` has left them.
    pub(super) fn small_channels_of(&self, user: UserId, gone: Option<UserId>) -> Vec<Seq> {
        let leaves = |channel| gone.is_some_and(|gone| self.state.is_member(channel, gone));
        let members = |channel| self.state.channel_row(channel).map_or(0, |row| row.members) - u64::from(leaves(channel));
        self.state.channels_of(user).filter(|channel| self.is_announced(members(*channel))).collect()
    }

    /// Whether the user may take this name: it is not misleading, and nobody else has it or one that looks like it.
    fn may_take(&self, actor: &Actor, name: &Name) -> Result<(), Refusal> {
        check_chosen(name.as_str()).map_err(|error| Refusal::new(Code::BadName, error.to_string()))?;
        if self.state.looks_taken(name.as_str(), actor.who.id) {
            // The same words for an account and for a guest who is here: which of the two it is need not be told.
            return refused(
                Code::NameTaken,
                format!("{name} is, or looks like, a name that is taken; if it is yours, LOGIN, else choose another"),
            );
        }
        Ok(())
    }

    /// The guest becomes an account and keeps id, inbox and channels, which are durable from now on.
    pub(super) fn register(
        &mut self,
        actor: &Actor,
        name: &Name,
        password: &Arc<str>,
        code: Option<&Arc<str>>,
    ) -> Result<Answer, Refusal> {
        must_be_guest(actor, "an account cannot register another")?;
        let invitation = self.may_register(code)?;
        self.may_take(actor, name)?;
        let accounts = self.state.accounts();
        if accounts >= self.context.limits.accounts {
            return refused(Code::Quota, format!("there are {accounts} accounts already (limit accounts)"));
        }
        let who = Who { name: name.clone(), id: actor.who.id };
        if who != actor.who {
            self.tell_renamed(&actor.who, &who);
        }
        self.happens(None, Event::Registered { who: who.clone(), password: Arc::clone(password) });
        self.was_seen(who.id);
        self.keep_ignoring(actor);
        if let Some((hash, Invitation { left, until })) = invitation {
            self.happens(None, Event::from(Access::InviteCode { hash: Arc::clone(hash), left: left - 1, until }));
        }
        for channel in self.state.channels_of(who.id) {
            let Some(member) = self.state.members.get(&(channel, who.id)) else { continue };
            let (who, since, rank, is_operator, at) =
                (who.clone(), member.since, member.rank, member.is_operator, member.spoke);
            self.happens_in(channel, Event::Joined { who: who.clone(), since, rank, lasts: true, shown: false });
            // What is slow for a guest is slow for the account that they become.
            if at.is_some() && self.state.uses(2) {
                self.happens_in(channel, Event::Spoke { who: who.id, at });
            }
            if is_operator {
                self.happens_in(
                    channel,
                    Event::Operator { who: who.clone(), by: who.clone(), is: true, lasts: true, shown: false },
                );
            }
            if self.state.channel_row(channel).is_some_and(|row| row.owner == Some(who.id)) {
                self.happens_in(channel, Event::Owner { who: Some(who), lasts: true, shown: false });
            }
        }
        self.part_lasts(&who);
        Ok(Answer::Who(who))
    }

    /// The invitation that is used, where one is needed.
    fn may_register<'c>(&self, code: Option<&'c Arc<str>>) -> Result<Option<(&'c Arc<str>, Invitation)>, Refusal> {
        match (self.context.limits.registration, code) {
            (Registration::Open, _) => Ok(None),
            (Registration::Closed, _) => refused(Code::NotAllowed, "nobody can register here; go on as a guest"),
            (Registration::Invite, None) => {
                let text = "you need an invitation to register here; ask the operator for a code, and type REGISTER @code name password";
                refused(Code::NotAllowed, text)
            }
            (Registration::Invite, Some(hash)) => match self.state.invitation(hash, self.context.time) {
                Some(invitation) => Ok(Some((hash, *invitation))),
                None => refused(Code::NotAllowed, "that code is wrong, used up, or over; ask the operator for another"),
            },
        }
    }

    /// The guest ends as at the end of a connection; at the same place in the order, the account's rooms begin.
    pub(super) fn log_in<A: Archive>(
        &mut self,
        actor: &Actor,
        name: &Name,
        password: &Arc<str>,
        archive: &mut A,
    ) -> Result<Result<Answer, Refusal>, A::Error> {
        if let Err(refusal) = must_be_guest(actor, "a connection logs in once") {
            return Ok(Err(refusal));
        }
        let account = self.state.user_named(name.as_str()).and_then(|id| self.state.users.get(&id).map(|user| (id, user)));
        let account = account.filter(|(_, user)| user.password.as_ref() == Some(password));
        let Some((id, _)) = account else {
            return Ok(refused(Code::LoginFailed, "the name or the password is wrong"));
        };
        self.becomes(actor, id, None, archive)
    }

    /// The connection becomes the account's, by this token if not by the password.
    pub(super) fn becomes<A: Archive>(
        &mut self,
        actor: &Actor,
        id: UserId,
        token: Option<Name>,
        archive: &mut A,
    ) -> Result<Result<Answer, Refusal>, A::Error> {
        if let Err(refusal) = must_be_guest(actor, "a connection logs in once") {
            return Ok(Err(refusal));
        }
        let who = self.state.user(id).expect("invariant: whoever is logged in to is there");
        if let Some(ban) = self.state.ban_of_account(id, self.context.time) {
            return Ok(refused(Code::NotAllowed, format!("{who} is {}", ban.words())));
        }
        let connections = self.state.sessions_of_user(id).count() as u64;
        if connections >= self.context.limits.connections_per_account {
            let text = format!("{who} has {connections} connections (limit connections-per-account); QUIT one of them first");
            return Ok(refused(Code::Quota, text));
        }
        self.guest_ends(&actor.who);
        let untold = if token.is_some() { None } else { self.comes_untold(id) };
        let is_told = token.is_none() && untold.is_none() && self.state.stay(id).is_none();
        self.happens(None, Event::LoggedIn { session: actor.session, guest: actor.who.id, account: id, token, untold });
        if is_told {
            for channel in self.small_channels_of(id, Some(actor.who.id)) {
                self.happens_in(channel, Event::Online { who: who.clone() });
            }
        }
        let inbox = archive.inbox(id)?;
        Ok(Ok(Answer::LoggedIn(who, inbox.count - inbox.read_count)))
    }

    /// Makes a guest leave all channels, and takes back their invitations.
    fn guest_ends(&mut self, guest: &Who) {
        for channel in self.state.channels_of(guest.id) {
            self.departs(channel, guest, Some("disconnected"));
            self.succeed(channel, &[guest.id]);
        }
        self.guest_forgets(guest.id);
    }

    /// What ends with a guest besides their memberships.
    pub(super) fn guest_forgets(&mut self, guest: UserId) {
        self.is_back(guest);
        self.uninvite(guest);
    }

    /// These connections end at once. Returns the guests who go with them, and the channels that those leave, which have yet to pass on.
    pub(super) fn go_together(&mut self, sessions: &BTreeSet<SessionId>) -> (Vec<UserId>, BTreeSet<Seq>) {
        let users: BTreeSet<_> = sessions.iter().filter_map(|session| self.state.user_of(*session)).collect();
        // A guest has one connection.
        let (accounts, gone): (Vec<_>, Vec<_>) = users.into_iter().partition(|user| self.state.is_account(*user));
        for who in accounts.iter().filter_map(|user| self.state.user(*user)) {
            self.connections_end(&who, &|session| sessions.contains(&session));
        }
        let mut left = BTreeSet::new();
        for who in gone.iter().filter_map(|guest| self.state.user(*guest)) {
            for channel in self.state.channels_of(who.id) {
                self.departs(channel, &who, Some("disconnected"));
                left.insert(channel);
            }
            self.guest_forgets(who.id);
        }
        (gone, left)
    }

    /// Some connections of an account end. If the last one that is no script's is among them, the channels that know that the
    /// account is here are told.
    fn connections_end(&mut self, account: &Who, ends: &dyn Fn(SessionId) -> bool) {
        let own = self.state.sessions_of_user(account.id);
        let (scripts, people): (Vec<_>, Vec<_>) = own.partition(|session| self.state.is_by_token(*session));
        let has_nobody_left = people.iter().all(|session| ends(*session));
        if let Some(untold) = self.state.stay(account.id).filter(|_| has_nobody_left) {
            for channel in self.small_channels_of(account.id, None) {
                if untold.is_none_or(|came| self.has_joined_since(channel, account.id, came)) {
                    self.happens_in(channel, Event::Offline { who: account.clone() });
                }
            }
        }
        if has_nobody_left && scripts.iter().all(|session| ends(*session)) {
            self.is_back(account.id);
            self.was_seen(account.id);
        }
    }

    pub(super) fn go(&mut self, session: SessionId) -> Result<Answer, Refusal> {
        let Some(Session { user, .. }) = self.state.session(session).copied() else { return Ok(Answer::Done) };
        let Some(who) = self.state.user(user) else { return Ok(Answer::Done) };
        let is_account = self.state.is_account(user);
        if !is_account {
            self.guest_ends(&who);
        } else {
            self.connections_end(&who, &|other| other == session);
        }
        self.happens(None, Event::Went { session, guest: (!is_account).then_some(user) });
        Ok(Answer::Done)
    }
}

/// Refuses accounts: an account keeps its identity until its connection ends.
pub(super) fn must_be_guest(actor: &Actor, why: &str) -> Result<(), Refusal> {
    if !actor.is_account {
        return Ok(());
    }
    refused(Code::NotAllowed, format!("you are logged in as {}; {why}, so QUIT and connect again", actor.who))
}
