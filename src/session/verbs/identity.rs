//! NAME, REGISTER and LOGIN: who the user is.
//!
//! They own nothing. A password must never be kept longer than its hash takes, nor be written anywhere.

use crate::code::{Code, Refusal};
use crate::event::{Answer, Request};
use crate::limits::Registration;
use crate::names::Name;
use crate::session::verbs::accounts::too_short;
use crate::session::verbs::{Said, done};
use crate::session::{Session, secrets};
use crate::store::Start;

impl Session {
    /// Takes no password on this connection: it is not encrypted, and others could read along.
    pub fn refuse_passwords(&mut self) {
        self.takes_passwords = false;
    }

    /// The refusal of a password that should not have been sent here. It is not looked at, so that it costs nothing.
    pub(super) fn not_in_the_open(&self) -> Option<Refusal> {
        let text = "no password is taken over a connection that is not encrypted, where others can read along; connect to the \
                    server's TLS port, for example with ncat --ssl, and never use this password again if it was a real one";
        (!self.takes_passwords).then(|| Refusal::new(Code::NotAllowed, text))
    }

    pub(super) async fn name(&mut self, name: &str) -> Said {
        let outcome = self.ask(Request::Name(Name::new(name))).await?;
        if let Ok(Answer::Who(who)) = &outcome {
            self.who = who.clone();
        }
        done(outcome)
    }

    /// The guest becomes an account and keeps id, inbox and channels, which are durable from now on.
    pub(super) async fn register(&mut self, code: Option<&str>, name: &str, password: &str) -> Said {
        if let Some(refusal) = self.not_in_the_open() {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = too_short(password) {
            return Ok(Err(refusal));
        }
        let (name, code) = (Name::new(name), code.map(secrets::hash));
        if let Some(refusal) = self.preview(Request::Register(name.clone(), "".into(), code.clone())).await {
            let is_guess = self.is_wrong_code(code.as_deref()).await;
            let counted = if is_guess { self.shared.passwords.wrong_secret(self.address) } else { Ok(()) };
            return Ok(Err(counted.err().unwrap_or(refusal)));
        }
        let hash = match self.shared.passwords.hash_new(self.address, password).await {
            Ok(hash) => hash,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let outcome = self.ask(Request::Register(name, hash, code)).await?;
        if let Ok(Answer::Who(who)) = &outcome {
            (self.who, self.is_account) = (who.clone(), true);
            self.shared.passwords.registered(self.address, who.name.as_str());
            self.shared.notable.account("registered", self.address, who);
        }
        done(outcome)
    }

    /// Whether the code of an invitation was asked for, and there is none of that code. Only such a refusal tells a guesser something.
    async fn is_wrong_code(&self, code: Option<&str>) -> bool {
        let is_asked = !self.is_account && self.shared.limits.registration == Registration::Invite;
        let (state, now) = (self.shared.state.read().await, self.shared.clock.time());
        is_asked && code.is_some_and(|code| state.invitation(code, now).is_none())
    }

    /// The guest's own inbox and channels are shown to their ends, as at the end of a connection; then the account's follow.
    pub(super) async fn login(&mut self, name: &str, password: &str) -> Said {
        if let Some(refusal) = self.not_in_the_open() {
            return Ok(Err(refusal));
        }
        let name = Name::new(name);
        let may = self.preview(Request::LogIn(name.clone(), "".into())).await;
        if let Some(refusal) = may.filter(|refusal| refusal.code == Code::NotAllowed) {
            return Ok(Err(refusal));
        }
        let stored = self.shared.state.read().await.password_of(name.as_str());
        let passwords = &self.shared.passwords;
        let is_right = match passwords.check_login(self.address, name.as_str(), stored.clone(), password).await {
            Ok(is_right) => is_right,
            Err(refusal) => {
                self.shared.notable.login_refused(self.address, name.as_str(), refusal.code);
                return Ok(Err(refusal));
            }
        };
        let Some(hash) = stored.filter(|_| is_right) else {
            self.shared.notable.login_failed(self.address, name.as_str());
            return Ok(Err(Refusal::new(Code::LoginFailed, "the name or the password is wrong")));
        };
        match self.ask(Request::LogIn(name, hash)).await? {
            Ok(Answer::LoggedIn(who, unread)) => {
                (self.who, self.is_account) = (who, true);
                self.shared.notable.logged_in(self.address, &self.who, "password");
                let unread = self.unread_at_login(unread).await;
                self.show_own_channels().await;
                Ok(Ok(format!("{} {unread}", self.who)))
            }
            other => done(other),
        }
    }

    /// How many messages in the inbox are unread and heard, of so many that are unread; those that came since the LOGIN are shown.
    pub(super) async fn unread_at_login(&mut self, unread: u64) -> u64 {
        match self.reading.inbox_read(self.who.id).filter(|_| self.reading.ignoring().is_some()) {
            Some(place) => self.count_unread(Start::Unread, place).await.unwrap_or(unread),
            None => unread,
        }
    }
}
