//! CREATE, JOIN, LEAVE, TOPIC and CLOSE: keys are hashed here, because that is expensive; everything else is decided in the
//! order.
//!
//! They own nothing, and must never look at a key before it is hashed.

use std::sync::Arc;

use crate::event::{Answer, Request, RoomId, proposal::Key};
use crate::limits::ENTRY_BYTES;
use crate::names::{Name, Seq};
use crate::session::Session;
use crate::session::verbs::history::{Shown, page_lines};
use crate::session::verbs::{Said, done};

/// What a membership may store besides its first entry: its owner, its end, and the owner after it.
pub(super) const MEMBERSHIP_BYTES: usize = 3 * ENTRY_BYTES as usize;

impl Session {
    pub(super) async fn create(&mut self, name: &str, key: Option<&str>) -> Said {
        let name = Name::new(name);
        let key = match key {
            Some(key) => {
                if let Some(refusal) = self.preview(Request::Create(name.clone(), None)).await {
                    return Ok(Err(refusal));
                }
                match self.shared.passwords.hash_new(self.address, key).await {
                    Ok(hash) => Some(hash),
                    Err(refusal) => return Ok(Err(refusal)),
                }
            }
            None => None,
        };
        let said = self.ask_paid(Request::Create(name.clone(), key), MEMBERSHIP_BYTES).await?;
        said.iter().for_each(|_| self.shared.notable.channel("created", self.address, &self.who, name.as_str()));
        Ok(said)
    }

    pub(super) async fn join(&mut self, channel: &str, key: Option<&str>, last: Option<u64>) -> Said {
        let count = match last.map(|last| page_lines(Some(last))).transpose() {
            Ok(count) => count,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let name = Name::new(channel);
        let key = match key {
            Some(key) => match self.check_key(&name, key).await {
                Ok(key) => key,
                Err(refusal) => return Ok(Err(refusal)),
            },
            None => Key::Missing,
        };
        let joined = self.ask_paid(Request::Join(name, key), MEMBERSHIP_BYTES).await?;
        if let (Ok(_), Some(count)) = (&joined, count)
            && let Err(refusal) = self.show_before_joining(channel, count).await?
        {
            return Ok(Err(refusal));
        }
        Ok(joined)
    }

    /// Shows the last messages of a channel that the user is in now, up to where what is said there is shown as it happens.
    async fn show_before_joining(&mut self, channel: &str, count: usize) -> Said {
        let found = {
            let state = self.shared.state.read().await;
            // Whoever was made to leave at once, by another connection of theirs, sees nothing.
            let id = state.may_read(self.who.id, channel).ok();
            id.and_then(|id| Some((id, state.channel_name(id)?.clone())))
        };
        let Some((id, name)) = found else { return Ok(Ok(String::new())) };
        let room = RoomId::Channel(id);
        let Some(Seq(read)) = self.reading.cursor_in(room) else { return Ok(Ok(String::new())) };
        self.show_last(Shown { room, channel: Some(&name), before: Seq(read + 1), is_bounded: true }, count).await
    }

    /// Asks for something that lasts, and pays for what it stores by its end, so many bytes besides its first entry; if it is
    /// refused, it stores nothing.
    pub(super) async fn ask_paid(&mut self, request: Request, bytes: usize) -> Said {
        if let Err(refusal) = self.pay_storage(bytes) {
            return Ok(Err(refusal));
        }
        let outcome = self.ask(request).await?;
        if outcome.is_err() {
            self.regain_storage(bytes);
        }
        done(outcome)
    }

    /// Compares the key with the channel's, if the channel has one and would let the user in with it.
    async fn check_key(&self, name: &Name, key: &str) -> Result<Key, crate::code::Refusal> {
        let stored = {
            let state = self.shared.state.read().await;
            let channel = state.channel_named(name.as_str()).filter(|channel| !state.is_member(*channel, self.who.id));
            channel.and_then(|channel| state.channel(channel)?.key)
        };
        let Some(stored) = stored else { return Ok(Key::Missing) };
        let verified = Key::Verified(Arc::clone(&stored));
        if let Some(refusal) = self.preview(Request::Join(name.clone(), verified.clone())).await {
            return Err(refusal);
        }
        let is_right = self.shared.passwords.check_channel(self.address, name.as_str(), stored, key).await?;
        Ok(if is_right { verified } else { Key::Wrong })
    }

    pub(super) async fn leave(&mut self, name: &str) -> Said {
        done(self.ask(Request::Leave(Name::new(name))).await?)
    }

    pub(super) async fn topic(&mut self, name: &str, text: Option<&str>) -> Said {
        let Some(text) = text else {
            let state = self.shared.state.read().await;
            let shown = state.may_read(self.who.id, name).map(|channel| {
                let channel = state.channel(channel).expect("invariant: a channel that may be read is there");
                let topic = channel.topic.map(|topic| format!(" {topic}")).unwrap_or_default();
                format!("#{}{topic}", channel.name)
            });
            return Ok(shown);
        };
        if let Err(refusal) = self.check_length(text).and_then(|()| self.pay_storage(text.len())) {
            return Ok(Err(refusal));
        }
        match self.ask(Request::Topic(Name::new(name), text.into())).await? {
            Ok(Answer::Channel(name)) => Ok(Ok(format!("#{name} {text}"))),
            other => {
                self.regain_storage(text.len());
                done(other)
            }
        }
    }

    pub(super) async fn close(&mut self, name: &str) -> Said {
        let outcome = self.ask(Request::Close(Name::new(name))).await?;
        outcome.iter().for_each(|_| self.shared.notable.channel("closed", self.address, &self.who, name));
        done(outcome)
    }
}
