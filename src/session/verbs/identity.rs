//! REGISTER and LOGIN: from a guest to an account.

use crate::event::{Change, Event, Guard, Outcome, Room};
use crate::journal::{Query, Span};
use crate::limits::PASSWORD_BYTES;
use crate::names::{Name, fold};
use crate::session::Session;
use crate::session::replies::refusal;
use crate::session::verbs::Answer;
use crate::wire::{Code, Refusal};

impl Session {
    /// The guest keeps id, inbox and channels, and they last from now on.
    pub(super) async fn register(&mut self, name: &str, password: &str) -> Answer {
        if let Err(refusal) = self.may_register(name, password) {
            return Ok(Err(refusal));
        }
        let password = match self.shared.passwords.hash_new(self.peer, password).await {
            Ok(hash) => hash,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // Held as a guest's name from here on, so that nobody else takes it before it is the account's.
        let before = self.sitting.who.name.clone();
        if let Err(refusal) = self.rename(&Name::new(name)) {
            return Ok(Err(refusal));
        }
        let who = self.sitting.who.clone();
        let mut drafts = vec![(None, Event::Registered { who: who.clone(), password }, Guard::Vacant)];
        for follow in &self.sitting.follows {
            let (channel, who) = (follow.channel.name.clone(), who.clone());
            let owned = follow.channel.is_owned_by(who.id).then_some(Change::Owner);
            for change in std::iter::once(Change::Joined).chain(owned) {
                let event = Event::Channel { channel: channel.clone(), who: who.clone(), change };
                drafts.push((Some(follow.attached.room.id), event, Guard::None));
            }
        }
        match self.ask(drafts).await?.swap_remove(0) {
            Outcome::Committed(_) => {
                self.sitting.is_account = true;
                Ok(Ok(who.to_string()))
            }
            other => {
                // Refused means that nothing has changed. A first name is never taken by another.
                let _ = self.rename(&before);
                Ok(Err(refusal(&other)))
            }
        }
    }

    fn may_register(&self, name: &str, password: &str) -> Result<(), Refusal> {
        self.must_be_guest("an account cannot register another")?;
        self.may_choose(name)?;
        if password.len() < PASSWORD_BYTES {
            let text = format!("a password has at least {PASSWORD_BYTES} bytes; a few words with spaces are a good one");
            return Err(Refusal::new(Code::NotAllowed, text));
        }
        let (accounts, _) = self.shared.hub.counts();
        if accounts as u64 >= self.shared.limits.accounts {
            return Err(Refusal::new(Code::Quota, format!("there are {accounts} accounts already (limit accounts)")));
        }
        Ok(())
    }

    /// The guest's own inbox and channels go, as at the end of a connection; the account's follow.
    pub(super) async fn login(&mut self, name: &str, password: &str) -> Answer {
        if let Err(refusal) = self.must_be_guest("a connection logs in once") {
            return Ok(Err(refusal));
        }
        let account = self.shared.hub.find_account(name);
        let stored = account.as_ref().map(|account| account.password.clone());
        let passwords = &self.shared.passwords;
        let matches = match passwords.check_login(self.peer, &fold(name), stored, password).await {
            Ok(matches) => matches,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(account) = account.filter(|_| matches) else {
            return Ok(Err(Refusal::new(Code::LoginFailed, "the name or the password is wrong")));
        };
        let room = Room::Inbox(account.who.id);
        let unread = match self.read(Query { room, span: Span::Unread, count: 0 }).await {
            Ok(page) => page.remaining,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.sitting.become_account(account.who.clone());
        let channels: Vec<_> = self.sitting.follows.iter().map(|follow| follow.channel.clone()).collect();
        channels.iter().for_each(|channel| self.show_channel(channel));
        Ok(Ok(format!("{} {unread}", account.who)))
    }
}
