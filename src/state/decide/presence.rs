//! Who is away, who was told so, and when accounts were last here.
//!
//! Nothing here may ask what time it is: the order says.

use std::sync::Arc;

use crate::code::Refusal;
use crate::event::{Absence, Answer, Event};
use crate::limits::AWAY_TOLD;
use crate::names::UserId;
use crate::state::decide::{Actor, Deciding, Storage};

impl Deciding<'_> {
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
