//! Whose coming is announced, who is away, who was told so, and when accounts were last here.
//!
//! Nothing here may ask what time it is: the order says.

use std::sync::Arc;

use crate::code::Refusal;
use crate::event::{Absence, Answer, Event, SessionId, Time};
use crate::limits::AWAY_TOLD;
use crate::names::{Seq, UserId, Who};
use crate::state::Session;
use crate::state::decide::{Actor, Deciding, Storage};
use crate::state::presence::{ANNOUNCING, is_there_for_long};

impl Deciding<'_> {
    /// A guest has logged in to this account, by its password. Its channels are told once it has been here for a while: that somebody
    /// comes, says something and goes is no news but what they say.
    pub(super) fn arrives(&mut self, guest: &Actor, account: &Who) {
        let is_known = self.is_known_to_be_here(account.id);
        let at_once = !self.state.uses(ANNOUNCING) || self.context.limits.announce_after_seconds == 0;
        if self.state.uses(ANNOUNCING) && (is_known || at_once) {
            self.happens(None, Event::Announced { session: guest.session });
        }
        if !is_known && at_once {
            for channel in self.small_channels_of(account.id, Some(guest.who.id)) {
                self.happens_in(channel, Event::Online { who: account.clone() });
            }
        }
    }

    /// Whether the account's channels know that it is here.
    pub(super) fn is_known_to_be_here(&self, account: UserId) -> bool {
        let is_known = |session| !self.state.uses(ANNOUNCING) || !self.state.is_unannounced(session);
        self.state.sessions_of_user(account).any(|session| !self.state.is_by_token(session) && is_known(session))
    }

    /// Tells an account's channels that it is here, if the connection has been here for long enough and they do not know yet. Where it
    /// has joined since, they do.
    pub(super) fn announce(&mut self, session: SessionId) -> Result<Answer, Refusal> {
        let Some(Session { user, since, .. }) = self.state.session(session).copied() else { return Ok(Answer::Done) };
        let Some(who) = self.state.user(user) else { return Ok(Answer::Done) };
        if !self.state.is_unannounced(session) || !is_there_for_long(since, self.context.time, self.context.limits) {
            return Ok(Answer::Done);
        }
        // All of its connections: an account is announced or is not.
        for session in self.state.sessions_of_user(user).filter(|session| self.state.is_unannounced(*session)) {
            self.happens(None, Event::Announced { session });
        }
        for channel in self.small_channels_of(user, None) {
            if !self.has_joined_since(channel, user, since) {
                self.happens_in(channel, Event::Online { who: who.clone() });
            }
        }
        Ok(Answer::Done)
    }

    /// Whether the channel was shown that they joined, after a connection had come.
    pub(super) fn has_joined_since(&self, channel: Seq, user: UserId, came: Time) -> bool {
        self.state.members.get(&(channel, user)).is_some_and(|member| member.since >= came)
    }

    pub(super) fn away(&mut self, actor: &Actor, text: Option<&Arc<str>>) -> Result<Answer, Refusal> {
        match text {
            Some(_) => self.happens(None, Event::Away { who: actor.who.id, text: text.map(Arc::clone) }),
            None => self.is_back(actor.who.id),
        }
        Ok(Answer::Done)
    }

    /// Whoever was away is not any more: they are back, or have gone.
    pub(super) fn is_back(&mut self, who: UserId) {
        if self.state.away.has(&who) {
            self.happens(None, Event::Away { who, text: None });
        }
    }

    /// What somebody is told who writes to a user who is away: once, as long as it is noted who was told.
    pub(super) fn tells_away(&mut self, away: UserId, writer: UserId) -> Option<Absence> {
        let absence = self.state.absence(away)?;
        if away == writer || self.state.told.has(&(away, writer)) {
            return None;
        }
        if self.state.told_of(away).count() < AWAY_TOLD {
            self.happens(None, Event::ToldAway { away, writer });
        }
        Some(absence)
    }

    /// Notes when an account was here last.
    pub(super) fn was_seen(&mut self, who: UserId) {
        let lasts = self.context.storage == Storage::Free;
        self.happens(None, Event::Seen { who, lasts });
    }

    /// Whoever is here for long is noted now and then: a server that is killed does not see them go.
    pub(super) fn see(&mut self, who: UserId) -> Result<Answer, Refusal> {
        if self.state.is_to_be_noted(who, self.context.time) {
            self.was_seen(who);
        }
        Ok(Answer::Done)
    }
}
