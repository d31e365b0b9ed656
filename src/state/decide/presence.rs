//! Whose coming is announced, who is away, who was told so, and when accounts were last here.
//!
//! Nothing here may ask what time it is: the order says.

use std::sync::Arc;

use crate::code::Refusal;
use crate::event::{Absence, Answer, Event, SessionId};
use crate::limits::AWAY_TOLD;
use crate::names::{Seq, UserId};
use crate::state::Session;
use crate::state::decide::{Actor, Deciding, Storage};
use crate::state::presence::{ANNOUNCING, is_here_for_long};

impl Deciding<'_> {
    /// The entry by which an account comes, if its channels are to be told later: once it has been here for a while. That somebody
    /// comes, says something and goes is no other news than what they say. Whoever is known to be here comes with nothing to tell.
    pub(super) fn comes_untold(&self, account: UserId) -> Option<Seq> {
        let waits = self.state.uses(ANNOUNCING) && self.context.limits.announce_after_seconds > 0;
        self.state.stay(account).unwrap_or_else(|| waits.then(|| self.next_seq()))
    }

    /// Tells an account's channels that it is here, if this connection has been here for long enough and they do not know yet.
    pub(super) fn announce(&mut self, session: SessionId) -> Result<Answer, Refusal> {
        let Some(came) = self.state.unannounced.get(&session).copied() else { return Ok(Answer::Done) };
        let Some(Session { user, since, .. }) = self.state.session(session).copied() else { return Ok(Answer::Done) };
        let Some(who) = self.state.user(user) else { return Ok(Answer::Done) };
        if !is_here_for_long(since, self.context.time, self.context.limits) {
            return Ok(Answer::Done);
        }
        let waiting = self.state.sessions_of_user(user).filter(|it| self.state.unannounced.has(it));
        waiting.for_each(|session| self.events.push((None, Event::Announced { session })));
        for channel in self.small_channels_of(user, None) {
            if !self.has_joined_since(channel, user, came) {
                self.happens_in(channel, Event::Online { who: who.clone() });
            }
        }
        Ok(Answer::Done)
    }

    /// Whether the channel was shown that they joined, after that entry.
    pub(super) fn has_joined_since(&self, channel: Seq, user: UserId, came: Seq) -> bool {
        self.state.members.get(&(channel, user)).is_some_and(|member| member.rank > came)
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
