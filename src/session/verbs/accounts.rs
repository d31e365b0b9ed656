//! TOKEN, LOGIN with a token, PASSWD and UNREGISTER: secrets are made and hashed here, and everything else is decided in the order.
//!
//! They own nothing. A secret must never be written anywhere but to the one who asked for it.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Needs, Request, Rights, Scope};
use crate::limits::{ENTRY_BYTES, PASSWORD_BYTES, SCOPES, SCOPES_BYTES};
use crate::names::Name;
use crate::session::verbs::{Said, done, lasts_too_long};
use crate::session::{Session, secrets};
use crate::state::{no_such_token, not_for_a_token};
use crate::wire::{Age, Token, reply};

impl Session {
    /// Why the token of this connection is not enough, if it has logged in with one and it is not.
    pub(super) fn not_by_token(&self, needs: Needs<'_>) -> Option<Refusal> {
        let rights = self.token.as_ref()?;
        (!rights.allow(needs)).then(|| not_for_a_token(rights, needs))
    }

    pub(super) async fn token(&mut self, token: Token<'_>) -> Said {
        match token {
            Token::New { label, scopes, lasts } => self.new_token(label, scopes, lasts).await,
            Token::Drop { label } => done(self.ask(Request::DropToken(Name::new(label))).await?),
            Token::List => Ok(self.list_tokens().await),
        }
    }

    /// The secret is shown here and nowhere else, ever.
    async fn new_token(&mut self, label: &str, scopes: Option<&str>, lasts: Option<Age>) -> Said {
        if label.bytes().all(|byte| byte.is_ascii_digit()) {
            let text =
                format!("a label is not of digits only, which the answer to LIST is; for example: TOKEN NEW build-{label}");
            return Ok(Err(Refusal::new(Code::BadSyntax, text)));
        }
        let written = scopes.unwrap_or_default();
        let parsed = scopes.map(|scopes| scopes.split_whitespace().map(str::parse).collect::<Result<Vec<Scope>, _>>());
        let scopes = match parsed.transpose() {
            Ok(Some(scopes)) if scopes.len() > SCOPES => {
                let text = format!("{} scopes are too many; a token has at most {SCOPES}", scopes.len());
                return Ok(Err(Refusal::new(Code::Quota, text)));
            }
            Ok(scopes) => scopes,
            Err(error) => return Ok(Err(Refusal::new(Code::BadSyntax, error.to_string()))),
        };
        if let Some(refusal) = lasts_too_long("token", lasts, "TOKEN DROP") {
            return Ok(Err(refusal));
        }
        if written.len() > SCOPES_BYTES {
            let text = format!("the scopes have {} bytes and may have {SCOPES_BYTES}; nothing was stored", written.len());
            return Ok(Err(Refusal::new(Code::TooLong, text)));
        }
        let secret = match secrets::token() {
            Ok(secret) => secret,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = self.pay_storage(ENTRY_BYTES as usize) {
            return Ok(Err(refusal));
        }
        let (label, seconds) = (Name::new(label), lasts.map(|Age(seconds)| seconds));
        let request = Request::NewToken { label: label.clone(), hash: secrets::hash(&secret), scopes, seconds };
        let outcome = self.ask(request).await?;
        if outcome.is_err() {
            self.regain_storage(ENTRY_BYTES as usize);
        }
        Ok(outcome.map(|_| format!("{label} {secret}")))
    }

    async fn list_tokens(&mut self) -> Result<String, Refusal> {
        if !self.is_account {
            return Err(Refusal::new(Code::NotAllowed, "only accounts have tokens; LOGIN or REGISTER first"));
        }
        let now = self.shared.clock.time();
        let tokens: Vec<_> = {
            let state = self.shared.state.read().await;
            state.tokens_of(self.who.id).filter(|token| token.is_good(now)).cloned().collect()
        };
        self.socket.write(|out| {
            for token in &tokens {
                reply::token(out, &token.label, token.made, token.until, &Rights::listed(token.scopes.as_deref()));
            }
        });
        Ok(tokens.len().to_string())
    }

    /// A token is random, and so need not be hashed slowly; wrong ones are counted, so that whoever tries them is noticed and does
    /// not try many.
    pub(super) async fn login_by_token(&mut self, token: &str) -> Said {
        if let Some(refusal) = self.not_in_the_open() {
            return Ok(Err(refusal));
        }
        let hash = secrets::hash(token);
        let found = {
            let state = self.shared.state.read().await;
            state.token_with(&hash, self.shared.clock.time()).map(|(_, token)| token.rights())
        };
        let Some(rights) = found else {
            let counted = self.shared.passwords.wrong_secret(self.address);
            match &counted {
                Ok(()) => self.shared.notable.login_failed(self.address, "token"),
                Err(refusal) => self.shared.notable.login_refused(self.address, "token", refusal.code),
            }
            return Ok(Err(counted.err().unwrap_or_else(no_such_token)));
        };
        match self.ask(Request::LogInToken(hash)).await? {
            Ok(Answer::LoggedIn(who, unread)) => {
                (self.who, self.is_account, self.token) = (who, true, Some(Box::new(rights)));
                self.shared.notable.logged_in(self.address, &self.who, "token");
                let unread = self.unread_at_login(unread).await;
                self.show_own_channels().await;
                Ok(Ok(format!("{} {unread}", self.who)))
            }
            other => done(other),
        }
    }

    pub(super) async fn passwd(&mut self, old: &str, new: &str) -> Said {
        if let Some(refusal) = too_short(new) {
            return Ok(Err(refusal));
        }
        let stored = match self.verified(Request::SetPassword("".into(), "".into()), old).await {
            Ok(stored) => stored,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match self.shared.passwords.hash_new(self.address, new).await {
            Ok(hash) => {
                let outcome = self.ask(Request::SetPassword(stored, hash)).await?;
                outcome.iter().for_each(|_| self.shared.notable.account("password changed", self.address, &self.who));
                done(outcome)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// After its OK the connection is told that the account is no more, and ends.
    pub(super) async fn unregister(&mut self, password: &str) -> Said {
        match self.verified(Request::Unregister("".into()), password).await {
            Ok(stored) => {
                let outcome = self.ask(Request::Unregister(stored)).await?;
                outcome.iter().for_each(|_| self.shared.notable.account("unregistered", self.address, &self.who));
                done(outcome)
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// The hash of the account's password, if this is it. `request` is what it is for: nothing is hashed for what would be refused
    /// anyway.
    async fn verified(&self, request: Request, password: &str) -> Result<Arc<str>, Refusal> {
        if let Some(refusal) = self.not_in_the_open() {
            return Err(refusal);
        }
        if let Some(refusal) = self.preview(request).await.filter(|refusal| refusal.code == Code::NotAllowed) {
            return Err(refusal);
        }
        let name = self.who.name.as_str();
        let stored = self.shared.state.read().await.password_of(name);
        let is_right = self.shared.passwords.check_login(self.address, name, stored.clone(), password).await?;
        if !is_right {
            self.shared.notable.login_failed(self.address, name);
        }
        stored.filter(|_| is_right).ok_or_else(|| Refusal::new(Code::LoginFailed, "the password is wrong"))
    }
}

/// The refusal of a new password that is too short.
pub(super) fn too_short(password: &str) -> Option<Refusal> {
    let text = format!("a password has at least {PASSWORD_BYTES} bytes; a few words with spaces are a good one");
    (password.len() < PASSWORD_BYTES).then(|| Refusal::new(Code::NotAllowed, text))
}
