//! Who ignores whom. What somebody says to a user who ignores them is decided with all messages, in `talk.rs`.
//!
//! It must never be seen by whoever is ignored.

use crate::code::{Code, Refusal};
use crate::event::{Answer, Event, Ignored, Recipient, Unignored};
use crate::names::{Name, UserId, Who, fold};
use crate::state::decide::{Actor, Deciding, refused};

impl Deciding<'_> {
    pub(super) fn ignore(&mut self, actor: &Actor, whom: &Recipient) -> Result<Answer, Refusal> {
        let who = self.state.person(whom)?;
        let by = actor.who.id;
        if who.id == by {
            return refused(Code::NotAllowed, "you cannot ignore yourself; name somebody else");
        }
        if self.state.ignores(by, who.id) {
            return Ok(Answer::Who(who));
        }
        let count = self.state.ignored_by(by).count() as u64;
        if count >= self.context.limits.ignored {
            return refused(Code::Quota, format!("you ignore {count} users (limit ignored); UNIGNORE one of them first"));
        }
        let session = (!actor.is_account).then_some(actor.session);
        let ignored = Ignored { by, session, who: who.clone(), since: self.context.time };
        self.happens(None, Event::Ignored(ignored));
        Ok(Answer::Who(who))
    }

    /// Also one who has gone may be named, as IGNORES shows them.
    pub(super) fn unignore(&mut self, actor: &Actor, whom: &Recipient) -> Result<Answer, Refusal> {
        let by = actor.who.id;
        let is_meant = |who: &Who| match whom {
            Recipient::Id(id) => who.id == *id,
            Recipient::Name(name) => is_called(&who.name, name),
            Recipient::Both(name, id) => who.id == *id && is_called(&who.name, name),
            Recipient::Channel(_) => false,
        };
        let mut meant = self.state.list_ignored(by).into_iter().map(|row| row.who).filter(is_meant);
        let Some(who) = meant.next() else {
            return refused(Code::NoSuchUser, "you ignore nobody of that name or id; IGNORES shows whom you do");
        };
        if let Some(other) = meant.next() {
            return refused(Code::NoSuchUser, format!("you ignore {who} and {other}; say which by the id"));
        }
        let session = (!actor.is_account).then_some(actor.session);
        self.happens(None, Event::Unignored(Unignored { by, session, id: who.id }));
        Ok(Answer::Who(who))
    }

    /// Whom the guest has ignored, the account that it becomes ignores, too: what ended with the connection ends with the account
    /// from here on.
    pub(super) fn keep_ignoring(&mut self, actor: &Actor) {
        let (by, session) = (actor.who.id, Some(actor.session));
        for ((_, id), (name, since)) in self.state.ignored.range((by, UserId(0))..=(by, UserId(u64::MAX))) {
            self.happens(None, Event::Unignored(Unignored { by, session, id: *id }));
            let who = Who { name: name.clone(), id: *id };
            self.happens(None, Event::Ignored(Ignored { by, session: None, who, since: *since }));
        }
    }
}

fn is_called(name: &Name, typed: &str) -> bool {
    fold(name.as_str()) == fold(typed)
}
