//! The tokens of accounts: secrets for scripts, known by their hashes, and which connections have logged in with one.
//!
//! It belongs to the state, and refuses nothing.

use std::sync::Arc;

use crate::event::{Access, Needs, Rights, RoomId, Scope, SessionId, Time, holds};
use crate::names::{Name, UserId, fold};
use crate::state::State;
use crate::state::table::Table;

/// A token, by its account and its folded label.
type Key = (UserId, Box<str>);

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// How its owner calls it.
    pub label: Name,
    /// Its hash.
    pub hash: Arc<str>,
    /// When it was made.
    pub made: Time,
    /// Until when it is good.
    pub until: Option<Time>,
    /// What it is for; `None` for all but what needs the password.
    pub scopes: Option<Arc<[Scope]>>,
}

/// All tokens.
#[derive(Debug, Default)]
pub struct Tokens {
    rows: Table<Key, Token>,
    hashes: Table<Arc<str>, Key>,
    /// The connections that have logged in with one.
    sessions: Table<SessionId, Key>,
}

impl Token {
    /// Whether it is good at this time.
    pub fn is_good(&self, now: Time) -> bool {
        holds(self.until, now)
    }

    /// What its connections may do.
    pub fn rights(&self) -> Rights {
        Rights { label: self.label.clone(), scopes: self.scopes.clone() }
    }
}

fn key(account: UserId, label: &Name) -> Key {
    (account, fold(label.as_str()).into())
}

impl Tokens {
    /// Makes everything since the last commit permanent.
    pub fn commit(&mut self) {
        self.rows.commit();
        self.hashes.commit();
        self.sessions.commit();
    }

    /// Undoes everything since the last commit.
    pub fn rollback(&mut self) {
        self.rows.rollback();
        self.hashes.rollback();
        self.sessions.rollback();
    }

    /// Applies an event, if it is about tokens.
    pub fn apply(&mut self, access: &Access, time: Time) {
        match access {
            Access::TokenMade { account, label, hash, until, scopes } => {
                let key = key(*account, label);
                self.hashes.insert(Arc::clone(hash), key.clone());
                let (label, hash, scopes) = (label.clone(), Arc::clone(hash), scopes.clone());
                self.rows.insert(key, Token { label, hash, made: time, until: *until, scopes });
            }
            Access::TokenDropped { account, label } => self.drop(&key(*account, label)),
            Access::Unregistered { who } => {
                let all: Vec<_> = self.of(who.id).map(|token| key(who.id, &token.label)).collect();
                all.iter().for_each(|key| self.drop(key));
            }
            _ => {}
        }
    }

    fn drop(&mut self, key: &Key) {
        if let Some(token) = self.rows.remove(key) {
            self.hashes.remove(&token.hash);
        }
    }

    /// The connection has logged in with this token.
    pub fn used(&mut self, session: SessionId, account: UserId, label: &Name) {
        self.sessions.insert(session, key(account, label));
    }

    /// The connection has ended.
    pub fn ended(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    fn of(&self, account: UserId) -> impl Iterator<Item = &Token> {
        let first = (account, Box::from(""));
        self.rows.range(first..).take_while(move |((id, _), _)| *id == account).map(|(_, token)| token)
    }
}

impl State {
    /// The account's tokens, ordered by their labels.
    pub fn tokens_of(&self, account: UserId) -> impl Iterator<Item = &Token> {
        self.tokens.of(account)
    }

    /// The account's token of this label.
    pub fn token(&self, account: UserId, label: &Name) -> Option<&Token> {
        self.tokens.rows.get(&key(account, label))
    }

    /// The account and its token that has this hash, if it is good at this time.
    pub fn token_with(&self, hash: &str, now: Time) -> Option<(UserId, &Token)> {
        let key = self.tokens.hashes.get(hash)?;
        self.tokens.rows.get(key).filter(|token| token.is_good(now)).map(|token| (key.0, token))
    }

    /// The token with which the connection has logged in, if it did with one.
    pub fn token_of(&self, session: SessionId) -> Option<&Token> {
        self.tokens.rows.get(self.tokens.sessions.get(&session)?)
    }

    /// Whether the connection has logged in with a token.
    pub fn is_by_token(&self, session: SessionId) -> bool {
        self.tokens.sessions.has(&session)
    }

    /// The connections that have logged in with this token.
    pub fn sessions_by_token(&self, account: UserId, label: &Name) -> Vec<SessionId> {
        let wanted = key(account, label);
        let by_it = |session: &SessionId| self.tokens.sessions.get(session) == Some(&wanted);
        self.sessions_of_user(account).filter(by_it).collect()
    }

    /// The connections whose token has expired by this time.
    pub fn lapsed(&self, now: Time) -> Vec<SessionId> {
        let is_over = |key: &Key| self.tokens.rows.get(key).is_none_or(|token| !token.is_good(now));
        self.tokens.sessions.iter().filter(|(_, key)| is_over(key)).map(|(session, _)| *session).collect()
    }

    /// Whether the token of the connection, if it has logged in with one, is enough for this.
    pub fn allows(&self, session: SessionId, needs: Needs<'_>) -> bool {
        // Most connections have none, and most servers have no such connection.
        !self.is_by_token(session) || self.token_of(session).is_some_and(|token| token.rights().allow(needs))
    }

    /// Whether the connection, whose user may read the room, is shown what happens there.
    pub fn is_shown(&self, session: SessionId, room: RoomId) -> bool {
        !self.is_by_token(session)
            || match room {
                RoomId::Inbox(_) => self.allows(session, Needs::Inbox),
                RoomId::Channel(channel) => {
                    self.channel_name(channel).is_none_or(|name| self.allows(session, Needs::Read(name.as_str())))
                }
            }
    }
}
