//! CREATE, JOIN, LEAVE, TOPIC and CLOSE. A guest's membership is presence; an account's, and all else, is the journal's.

use std::sync::Arc;

use crate::event::{Change, Event, Guard, NEW_CHANNEL, Outcome, Room};
use crate::hub::{Channel, Succession};
use crate::names::{Name, UserId, check_new};
use crate::session::Session;
use crate::session::replies::refusal;
use crate::session::socket::Gone;
use crate::session::verbs::Answer;
use crate::session::verbs::talk::no_such_channel;
use crate::wire::{Code, Refusal};

/// Of a verb that was refused.
fn refused(code: Code, text: impl Into<std::borrow::Cow<'static, str>>) -> Answer {
    Ok(Err(Refusal::new(code, text)))
}

impl Session {
    pub(super) async fn create(&mut self, name: &str, key: Option<&str>) -> Answer {
        if let Err(refusal) = self.may_create(name) {
            return Ok(Err(refusal));
        }
        let key = match key {
            Some(key) => match self.shared.passwords.hash_new(self.peer, key).await {
                Ok(hash) => Some(hash),
                Err(refusal) => return Ok(Err(refusal)),
            },
            None => None,
        };
        let name = Name::new(name);
        let mut drafts =
            vec![(None, Event::Created { channel: name.clone(), owner: self.sitting.who.clone(), key }, Guard::Vacant)];
        if self.sitting.is_account {
            drafts.push(self.change(NEW_CHANNEL, &name, Change::Joined));
        }
        match self.ask(drafts).await?.swap_remove(0) {
            Outcome::Committed(_) => Ok(Ok(format!("#{name}"))),
            Outcome::Occupied => refused(Code::ChannelExists, format!("#{name} exists already; type JOIN #{name}")),
            other => Ok(Err(refusal(&other))),
        }
    }

    fn may_create(&self, name: &str) -> Result<(), Refusal> {
        check_new(name).map_err(|error| Refusal::new(Code::BadName, error.to_string()))?;
        if let Some(channel) = self.shared.hub.find_channel(name) {
            let name = &channel.name;
            return Err(Refusal::new(Code::ChannelExists, format!("#{name} exists already; type JOIN #{name}")));
        }
        if self.shared.hub.is_channel_taken(name) {
            return Err(Refusal::new(Code::ChannelExists, format!("#{name} looks like another channel; choose another name")));
        }
        let (_, channels) = self.shared.hub.counts();
        if channels as u64 >= self.shared.limits.channels {
            return Err(Refusal::new(
                Code::Quota,
                format!("there are {channels} channels already (limit channels); JOIN one of them"),
            ));
        }
        self.may_join_another()
    }

    fn may_join_another(&self) -> Result<(), Refusal> {
        let count = self.sitting.follows.len();
        if (count as u64) < self.shared.limits.channels_per_user {
            return Ok(());
        }
        Err(Refusal::new(Code::Quota, format!("you are in {count} channels (limit channels-per-user); LEAVE one first")))
    }

    fn change(&self, room: Room, channel: &Name, change: Change) -> (Option<Room>, Event, Guard) {
        (Some(room), Event::Channel { channel: channel.clone(), who: self.sitting.who.clone(), change }, Guard::None)
    }

    async fn ask_one(&mut self, draft: (Option<Room>, Event, Guard)) -> Result<Outcome, Gone> {
        Ok(self.ask(vec![draft]).await?.swap_remove(0))
    }

    pub(super) async fn join(&mut self, name: &str, key: Option<&str>) -> Answer {
        let Some(channel) = self.shared.hub.find_channel(name) else { return Ok(Err(no_such_channel(name))) };
        let name = &channel.name;
        if channel.membership(self.sitting.who.id).is_some() {
            return Ok(Ok(format!("#{name} {}", channel.members())));
        }
        if let Err(refusal) = self.may_join_another() {
            return Ok(Err(refusal));
        }
        if channel.members() as u64 >= self.shared.limits.members {
            return refused(Code::Quota, format!("#{name} has {} members (limit members)", channel.members()));
        }
        if let Err(refusal) = self.check_key(&channel, key).await {
            return Ok(Err(refusal));
        }
        if !self.sitting.is_account {
            let members = self.shared.hub.join_as_guest(&self.sitting.seat, &self.sitting.who, &channel);
            self.sitting.reconcile();
            let is_closed = channel.room.is_closed();
            return Ok(if is_closed { Err(no_such_channel(name.as_str())) } else { Ok(format!("#{name} {members}")) });
        }
        let room = channel.room.id;
        let mut drafts = vec![self.change(room, name, Change::Joined)];
        if channel.owner().is_none() {
            drafts.push(self.change(room, name, Change::Owner));
        }
        match self.ask(drafts).await?.swap_remove(0) {
            Outcome::Occupied => Ok(Err(no_such_channel(name.as_str()))),
            Outcome::Committed(_) => Ok(Ok(format!("#{name} {}", channel.members()))),
            other => Ok(Err(refusal(&other))),
        }
    }

    async fn check_key(&self, channel: &Channel, key: Option<&str>) -> Result<(), Refusal> {
        let Some(stored) = &channel.key else { return Ok(()) };
        let name = &channel.name;
        let Some(key) = key else {
            return Err(Refusal::new(Code::NotAllowed, format!("#{name} needs a key; type JOIN #{name} and the key")));
        };
        if self.shared.passwords.check_channel(self.peer, name.as_str(), Arc::clone(stored), key).await? {
            return Ok(());
        }
        Err(Refusal::new(Code::NotAllowed, format!("that is not the key of #{name}")))
    }

    pub(super) async fn leave(&mut self, name: &str) -> Answer {
        let channel = match self.joined(name) {
            Ok(channel) => channel,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let name = &channel.name;
        if self.sitting.is_account {
            let owned = channel.is_owned_by(self.sitting.who.id);
            let left = self.change(channel.room.id, name, Change::Left);
            match self.ask_one(left).await? {
                // Closed meanwhile, it is left too.
                Outcome::Committed(_) | Outcome::Occupied => {}
                other => return Ok(Err(refusal(&other))),
            }
            let heir = channel.owner().filter(|_| owned);
            let passed_on = heir.map(|who| Succession { channel: name.clone(), id: channel.id, who });
            self.shared.make_durable(passed_on.into_iter().collect());
        } else {
            let heir = self.shared.hub.leave_as_guest(&self.sitting.seat, &self.sitting.who, &channel, "");
            self.shared.make_durable(heir.into_iter().collect());
        }
        self.sitting.reconcile();
        Ok(Ok(format!("#{name}")))
    }

    pub(super) async fn topic(&mut self, name: &str, text: Option<&str>) -> Answer {
        let channel = match self.joined(name) {
            Ok(channel) => channel,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let name = &channel.name;
        let Some(text) = text else {
            let topic = channel.topic().map(|topic| format!(" {topic}")).unwrap_or_default();
            return Ok(Ok(format!("#{name}{topic}")));
        };
        if let Err(refusal) = self.must_own(&channel, "sets its topic").and_then(|()| self.check_length(text)) {
            return Ok(Err(refusal));
        }
        let topic = self.change(channel.room.id, name, Change::Topic(text.into()));
        match self.ask_one(topic).await? {
            Outcome::Committed(_) => Ok(Ok(format!("#{name} {text}"))),
            Outcome::Occupied => Ok(Err(no_such_channel(name.as_str()))),
            other => Ok(Err(refusal(&other))),
        }
    }

    pub(super) async fn close(&mut self, name: &str) -> Answer {
        let Some(channel) = self.shared.hub.find_channel(name) else { return Ok(Err(no_such_channel(name))) };
        let name = &channel.name;
        if let Err(refusal) = self.must_own(&channel, "closes it") {
            return Ok(Err(refusal));
        }
        let closed = self.change(channel.room.id, name, Change::Closed);
        match self.ask_one(closed).await? {
            Outcome::Committed(_) => Ok(Ok(format!("#{name}"))),
            Outcome::Occupied => Ok(Err(no_such_channel(name.as_str()))),
            other => Ok(Err(refusal(&other))),
        }
    }

    fn must_own(&self, channel: &Channel, what: &str) -> Result<(), Refusal> {
        let me: UserId = self.sitting.who.id;
        if channel.is_owned_by(me) {
            return Ok(());
        }
        let owner = channel.owner().map_or("and it has none".to_owned(), |owner| format!("and that is {owner}"));
        Err(Refusal::new(Code::NotAllowed, format!("only the owner of #{} {what}, {owner}", channel.name)))
    }
}
