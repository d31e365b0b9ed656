//! Tokens, passwords, the end of accounts, and connections that are ended by somebody else than their peers.
//!
//! Nothing here may see a password or a token: their hashes come with the proposal.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Access, Answer, Event, Rights, Scope, SessionId, Time};
use crate::limits::TOKENS_EACH;
use crate::names::{Name, UserId, Who};
use crate::state::Token;
use crate::state::archive::Archive;
use crate::state::decide::people::must_be_guest;
use crate::state::decide::{Actor, Deciding, refused};

impl Deciding<'_> {
    /// The time so many seconds from now.
    pub(super) fn until(&self, seconds: Option<u64>) -> Option<Time> {
        let later = |seconds: u64| i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        seconds.map(|seconds| Time(self.context.time.0.saturating_add(later(seconds))))
    }

    pub(super) fn new_token(
        &mut self,
        actor: &Actor,
        label: &Name,
        hash: &Arc<str>,
        scopes: Option<&[Scope]>,
        seconds: Option<u64>,
    ) -> Result<Answer, Refusal> {
        must_be_account(actor, "only accounts have tokens")?;
        let (account, now) = (actor.who.id, self.context.time);
        let over: Vec<_> = self.state.tokens_of(account).filter(|token| !token.is_good(now)).cloned().collect();
        let count = self.state.tokens_of(account).count() - over.len();
        if self.state.token(account, label).is_some_and(|token| token.is_good(now)) {
            return refused(Code::NotAllowed, format!("you have a token {label} already; TOKEN DROP {label} ends it"));
        }
        if count >= TOKENS_EACH {
            let text =
                format!("you have {count} tokens, which is the most there may be; TOKEN LIST shows them, TOKEN DROP ends one");
            return refused(Code::Quota, text);
        }
        over.iter().for_each(|token| self.end_token(account, token));
        let made = Event::from(Access::TokenMade {
            account,
            label: label.clone(),
            hash: Arc::clone(hash),
            until: self.until(seconds),
            scopes: scopes.map(Into::into),
        });
        self.happens(None, made);
        Ok(Answer::Text(label.as_str().into()))
    }

    pub(super) fn drop_token(&mut self, actor: &Actor, label: &Name) -> Result<Answer, Refusal> {
        must_be_account(actor, "only accounts have tokens")?;
        let Some(token) = self.state.token(actor.who.id, label).cloned() else {
            return refused(Code::NotAllowed, format!("you have no token {label}; TOKEN LIST shows those that you have"));
        };
        self.end_token(actor.who.id, &token);
        Ok(Answer::Text(token.label.as_str().into()))
    }

    /// Ends a token, and the connections that have logged in with it.
    fn end_token(&mut self, account: UserId, token: &Token) {
        let sessions = self.state.sessions_by_token(account, &token.label).into_iter().collect();
        self.dismiss(&sessions, &format!("the token {} is no longer good", token.label));
        self.happens(None, Event::from(Access::TokenDropped { account, label: token.label.clone() }));
    }

    /// Ends the connections whose tokens have expired.
    pub(super) fn lapse(&mut self) -> Result<Answer, Refusal> {
        let sessions = self.state.lapsed(self.context.time).into_iter().collect();
        self.dismiss(&sessions, "the token has expired; TOKEN NEW makes another");
        Ok(Answer::Done)
    }

    pub(super) fn log_in_by_token<A: Archive>(
        &mut self,
        actor: &Actor,
        hash: &Arc<str>,
        archive: &mut A,
    ) -> Result<Result<Answer, Refusal>, A::Error> {
        let Some((account, Rights { label, .. })) =
            self.state.token_with(hash, self.context.time).map(|(account, token)| (account, token.rights()))
        else {
            return Ok(must_be_guest(actor, "a connection logs in once").and_then(|()| Err(no_such_token())));
        };
        self.becomes(actor, account, Some(label), archive)
    }

    /// Whoever is logged in elsewhere with the old password may be the reason for the new one. Tokens stay: they are not the
    /// password, and their owner can list and drop them.
    pub(super) fn set_password(&mut self, actor: &Actor, old: &Arc<str>, new: &Arc<str>) -> Result<Answer, Refusal> {
        self.must_still_be(actor, old)?;
        let account = actor.who.id;
        self.happens(None, Event::from(Access::PasswordSet { account, password: Arc::clone(new) }));
        let others = self.state.sessions_of_user(account).filter(|it| *it != actor.session && !self.state.is_by_token(*it));
        let others: BTreeSet<_> = others.collect();
        self.dismiss(&others, "the password of the account was changed; LOGIN with the new one");
        Ok(Answer::Text(format!("{} {}", actor.who, others.len()).into()))
    }

    pub(super) fn unregister(&mut self, actor: &Actor, password: &Arc<str>) -> Result<Answer, Refusal> {
        self.must_still_be(actor, password)?;
        self.remove(&actor.who, "the account was removed");
        Ok(Answer::Who(actor.who.clone()))
    }

    /// Removes an account and all that is its own. What it said stays, under its id, which nobody gets again.
    pub(super) fn remove(&mut self, who: &Who, why: &str) {
        let channels: Vec<_> = self.state.channels_of(who.id).collect();
        for channel in &channels {
            self.departs(*channel, who, Some("unregistered"));
        }
        for channel in channels {
            self.succeed(channel, &[who.id]);
        }
        self.is_back(who.id);
        self.uninvite(who.id);
        for session in self.state.sessions_of_user(who.id) {
            self.happens(None, Event::Dismissed { session, guest: None, reason: why.into() });
        }
        self.happens(None, Event::from(Access::Unregistered { who: who.clone() }));
    }

    /// Whether the account's password still is the one that the session has verified.
    fn must_still_be(&self, actor: &Actor, password: &Arc<str>) -> Result<(), Refusal> {
        must_be_account(actor, "a guest has no password")?;
        let row = self.state.users.get(&actor.who.id);
        if row.is_some_and(|user| user.password.as_ref() == Some(password)) {
            return Ok(());
        }
        refused(Code::LoginFailed, "the password is wrong")
    }

    /// Ends these connections: their peers are told why. For everybody else it is as if they had gone.
    pub(super) fn dismiss(&mut self, sessions: &BTreeSet<SessionId>, why: &str) {
        let (gone, left) = self.go_together(sessions);
        left.into_iter().for_each(|channel| self.succeed(channel, &gone));
        for session in sessions {
            let guest = self.state.user_of(*session).filter(|user| gone.contains(user));
            self.happens(None, Event::Dismissed { session: *session, guest, reason: why.into() });
        }
    }
}

/// The refusal of a token that is not good. What was wrong with it is not said.
pub fn no_such_token() -> Refusal {
    Refusal::new(Code::LoginFailed, "the token is wrong, has expired, or was dropped")
}

fn must_be_account(actor: &Actor, why: &str) -> Result<(), Refusal> {
    if actor.is_account {
        return Ok(());
    }
    refused(Code::NotAllowed, format!("{why}, and you are the guest {}; LOGIN or REGISTER first", actor.who))
}
