//! MSG, SAY and ACK: what goes to the journal without waiting.

use crate::event::{Event, Guard, Room};
use crate::names::{Seq, UserId, Who};
use crate::session::Session;
use crate::session::replies::Asked;
use crate::wire::{Code, Refusal, Target};

impl Session {
    pub(super) fn msg(&mut self, key: Option<&str>, target: Target<'_>, text: &str) {
        if let Target::Channel(channel) = target {
            return self.say("MSG", key, channel, text);
        }
        match self.find(target) {
            Ok(who) => {
                let guard = Guard::Unread(self.shared.limits.inbox);
                self.send("MSG", Room::Inbox(who.id), guard, key, text);
            }
            Err(refusal) => self.refuse("MSG", &refusal),
        }
    }

    pub(super) fn say(&mut self, verb: &'static str, key: Option<&str>, channel: &str, text: &str) {
        match self.sitting.follow(channel).filter(|follow| !follow.attached.room.is_closed()) {
            Some(follow) => {
                let room = follow.attached.room.id;
                self.send(verb, room, Guard::None, key, text);
            }
            None => {
                let refusal = self.not_a_member(channel);
                self.refuse(verb, &refusal);
            }
        }
    }

    /// Why a channel cannot be spoken in or read: there is none, or it was not joined.
    pub(super) fn not_a_member(&self, channel: &str) -> Refusal {
        match self.shared.hub.find_channel(channel) {
            Some(channel) => {
                let name = &channel.name;
                Refusal::new(Code::NotMember, format!("you are not in #{name}; type JOIN #{name}"))
            }
            None => no_such_channel(channel),
        }
    }

    fn find(&self, target: Target<'_>) -> Result<Who, Refusal> {
        let hub = &self.shared.hub;
        let absent = || {
            Refusal::new(
                Code::NoSuchUser,
                format!("there is no user {target}, or the guest has gone; LIST shows who is online"),
            )
        };
        match target {
            Target::Id(id) => hub.find_id(id).ok_or_else(absent),
            Target::Name(name) => hub.find_name(name).ok_or_else(absent),
            Target::Both(name, id) => {
                let found = hub.find_id(id).ok_or_else(absent)?;
                // A wrong id with the right name must not reach a stranger.
                if crate::names::fold(found.name.as_str()) == crate::names::fold(name) {
                    return Ok(found);
                }
                Err(Refusal::new(Code::NoSuchUser, format!("{id} is not {name} but {found}; nothing was sent")))
            }
            Target::Channel(_) => unreachable!("invariant: channels are handled before"),
        }
    }

    fn send(&mut self, verb: &'static str, room: Room, guard: Guard, key: Option<&str>, text: &str) {
        if let Err(refusal) = self.check_length(text) {
            return self.refuse(verb, &refusal);
        }
        let (from, via) = (self.sitting.who.clone(), self.sitting.connection);
        let event = Event::Said { from, text: text.into(), key: key.map(Into::into), via };
        let tag = self.draft(Some(room), event, guard);
        self.replies.await_verdict(tag, Asked::Said(verb), text.len());
    }

    /// Whether a text may be sent: what carries it must fit into one line too.
    pub(super) fn check_length(&self, text: &str) -> Result<(), Refusal> {
        let (length, most) = (text.len() as u64, self.shared.limits.text_bytes);
        if length <= most {
            return Ok(());
        }
        Err(Refusal::new(Code::TooLong, format!("the text has {length} bytes and may have {most}; nothing was stored")))
    }

    pub(super) fn ack(&mut self, upto: Option<Seq>) {
        let id: UserId = self.sitting.who.id;
        let event = Event::Acked { by: id, upto: upto.unwrap_or(Seq(u64::MAX)) };
        let tag = self.draft(Some(Room::Inbox(id)), event, Guard::None);
        self.replies.await_verdict(tag, Asked::Ack, 0);
    }
}

/// There is none of that name.
pub(super) fn no_such_channel(channel: &str) -> Refusal {
    Refusal::new(
        Code::NoSuchChannel,
        format!("there is no channel #{channel}; CHANNELS shows them, CREATE #{channel} makes it"),
    )
}
