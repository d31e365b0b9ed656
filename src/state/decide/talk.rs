//! Messages and read marks.
//!
//! Nothing here may read a message's text but to store it.

use std::sync::Arc;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Event, Needs, Recipient, Request, RoomId, Share};
use crate::limits::{INBOX_UNSHARED, KEYS_REMEMBERED, KEYS_REMEMBERED_GUEST};
use crate::names::{Seq, UserId, Who, fold};
use crate::state::archive::{Archive, Sharer, content, near};
use crate::state::decide::{Actor, Deciding, not_for_a_token, refused};
use crate::state::permissions::{self, Act, Rank};
use crate::state::{Channel, State};

/// Where a message goes, looked up once.
enum Goal<'a> {
    Channel(Seq, &'a Channel),
    Inbox(Who),
}

impl Goal<'_> {
    fn room(&self) -> RoomId {
        match self {
            Self::Channel(channel, _) => RoomId::Channel(*channel),
            Self::Inbox(owner) => RoomId::Inbox(owner.id),
        }
    }
}

impl<'a> Deciding<'a> {
    pub(super) fn say<A: Archive>(
        &mut self,
        actor: &Actor,
        to: &Recipient,
        key: Option<&Arc<str>>,
        text: &Arc<str>,
        archive: &mut A,
    ) -> Result<Result<Answer, Refusal>, A::Error> {
        let goal = match self.goal(actor, to) {
            Ok(goal) => goal,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(refusal) = may_not_write(actor, &goal) {
            return Ok(Err(refusal));
        }
        let room = goal.room();
        let window = if actor.is_account { KEYS_REMEMBERED } else { KEYS_REMEMBERED_GUEST };
        if let Some(key) = key
            && let Some(used) = archive.used(actor.who.id, key, window)?
        {
            if used.content == content(room, text) {
                return Ok(Ok(Answer::Said { seq: used.seq, time: used.time, dup: true }));
            }
            let text = format!("you used this key for another message, {}; nothing was stored", used.seq);
            return Ok(refused(Code::KeyReused, text));
        }
        let share = match &goal {
            Goal::Channel(channel, row) => match self.is_too_soon(actor, *channel, row) {
                Ok(()) => None,
                Err(refusal) => return Ok(Err(refusal)),
            },
            Goal::Inbox(owner) => match self.takes(actor, owner.id, text, archive)? {
                Ok(share) => share,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        let (seq, time) = (self.next_seq(), self.context.time);
        let (from, key, text) = (actor.who.clone(), key.map(Arc::clone), Arc::clone(text));
        // The sender is answered alike, and finds out nothing.
        let is_ignored = matches!(room, RoomId::Inbox(owner) if self.state.ignores(owner, from.id));
        let said = if is_ignored { Event::Unheard { from, key, text } } else { Event::Said { from, key, text, share } };
        self.happens(Some(room), said);
        let told = match goal {
            Goal::Channel(channel, row) if row.options.slow > 0 => {
                self.happens_in(channel, Event::Spoke { who: actor.who.id, at: None });
                None
            }
            Goal::Channel(..) => None,
            Goal::Inbox(owner) => self.tells_away(owner.id, actor.who.id),
        };
        Ok(Ok(match told {
            Some(absence) => Answer::SaidAway { seq, time, absence: Box::new(absence) },
            None => Answer::Said { seq, time, dup: false },
        }))
    }

    /// Whether an inbox takes another message, and to whose share it counts.
    fn takes<A: Archive>(
        &self,
        actor: &Actor,
        owner: UserId,
        text: &str,
        archive: &mut A,
    ) -> Result<Result<Option<Share>, Refusal>, A::Error> {
        let (limits, inbox) = (self.context.limits, archive.inbox(owner)?);
        let unread = inbox.count - inbox.read_count;
        if unread >= limits.inbox || inbox.unread_bytes + text.len() as u64 > limits.inbox_bytes {
            let text = "their inbox is full of unread messages; nothing was stored, try later";
            return Ok(refused(Code::InboxFull, text));
        }
        if unread < limits.inbox / INBOX_UNSHARED && inbox.unread_bytes < limits.inbox_bytes / INBOX_UNSHARED {
            return Ok(Ok(None));
        }
        if archive.share(owner, Sharer::User(actor.who.id))? >= limits.inbox_per_sender {
            let text = "your share of their inbox is full (limit inbox-per-sender); nothing was stored, try later";
            return Ok(refused(Code::InboxFull, text));
        }
        let near = actor.address.map(|address| near(owner, address));
        if let Some(near) = near
            && archive.share(owner, Sharer::Near(near))? >= limits.inbox_per_address
        {
            let text = "your address's share of their inbox is full (limit inbox-per-address); nothing was stored, try later";
            return Ok(refused(Code::InboxFull, text));
        }
        Ok(Ok(Some(Share { near })))
    }

    fn goal(&self, actor: &Actor, to: &Recipient) -> Result<Goal<'a>, Refusal> {
        let Recipient::Channel(name) = to else { return self.state.person(to).map(Goal::Inbox) };
        let (channel, row) = self.joined(actor, name)?;
        if row.options.operators_speak {
            self.may(actor, name, Act::Say)?;
        }
        Ok(Goal::Channel(channel, row))
    }

    /// Whether the channel lets its members speak now and then only, and for this one it is too soon.
    fn is_too_soon(&self, actor: &Actor, channel: Seq, row: &Channel) -> Result<(), Refusal> {
        let (name, slow) = (&row.name, row.options.slow);
        if slow == 0 {
            return Ok(());
        }
        // To leave and come back gains nothing.
        let member = self.state.members.get(&(channel, actor.who.id));
        let spoke = member.map(|member| member.spoke.unwrap_or(member.since));
        let Some(spoke) = spoke.filter(|_| self.rank(actor, channel) < Rank::Operator) else { return Ok(()) };
        let wait = spoke.0 + i64::from(slow) * 1000 - self.context.time.0;
        if wait <= 0 {
            return Ok(());
        }
        refused(Code::RateLimited, format!("retry-ms={wait} in #{name} one speaks every {slow} seconds (SET #{name} slow)"))
    }

    pub(super) fn ack<A: Archive>(
        &mut self,
        actor: &Actor,
        upto: Seq,
        archive: &mut A,
    ) -> Result<Result<Answer, Refusal>, A::Error> {
        let by = actor.who.id;
        let read = archive.inbox(by)?.read;
        // What was marked before is not looked up again, and so meets no damage in what was read long ago.
        let upto = if upto <= read { read } else { archive.newest_until(by, upto)? };
        if upto <= read {
            return Ok(Ok(Answer::Acked(read)));
        }
        self.happens(Some(RoomId::Inbox(by)), Event::Acked { by, upto });
        Ok(Ok(Answer::Acked(upto)))
    }

    /// A mark is a member's own, and goes no further than the newest message: what comes later is not read yet.
    pub(super) fn ack_in<A: Archive>(
        &mut self,
        actor: &Actor,
        channel: &str,
        upto: Seq,
        archive: &mut A,
    ) -> Result<Result<Answer, Refusal>, A::Error> {
        let by = actor.who.id;
        let (channel, row) = match self.joined(actor, channel) {
            Ok(joined) => joined,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if !actor.is_account {
            let text = format!("only an account has a mark in #{}, which lasts; REGISTER first", row.name);
            return Ok(refused(Code::NotAllowed, text));
        }
        let read = self.state.read_in(channel, by).unwrap_or_default();
        let upto = if upto <= read { read } else { upto.min(archive.newest_in(channel)?).max(read) };
        if upto > read {
            self.happens_in(channel, Event::Read { by, upto });
        }
        Ok(Ok(Answer::AckedIn(row.name.clone(), upto)))
    }

    /// What the message is was looked up when this was proposed: nodes may have given up different ones of their old messages by now, or
    /// have damaged them, and decide alike all the same.
    pub(super) fn retract(&mut self, actor: &Actor, request: &Request) -> Result<Answer, Refusal> {
        let (seq, room, from, bytes, was_heard) = match *request {
            Request::Retract { seq, room, from } => (seq, room, from, None, true),
            Request::Unsay { seq, room, from, bytes, was_heard } => (seq, room, from, Some(bytes), was_heard),
            _ => unreachable!("invariant: this is asked of retractions only"),
        };
        let me = actor.who.id;
        let is_there = match room {
            RoomId::Inbox(owner) => self.state.users.has(&owner),
            RoomId::Channel(channel) => self.state.channels.has(&channel),
        };
        let may = match room {
            _ if !is_there => false,
            _ if from == me => true,
            RoomId::Inbox(_) => false,
            RoomId::Channel(channel) => permissions::refusal(Act::Retract, &[], self.rank(actor, channel)).is_none(),
        };
        if !may {
            return Err(not_yours(seq));
        }
        // Whoever is ignored, or was when they said it, has said nothing there, and so takes nothing back.
        let shown = was_heard && !matches!(room, RoomId::Inbox(owner) if self.state.ignores(owner, me));
        self.happens(Some(room), Event::Retracted { who: actor.who.clone(), seq, shown, bytes });
        Ok(Answer::Acked(seq))
    }
}

/// Why the actor's token is not enough to write there, if it has one and it is not.
fn may_not_write(actor: &Actor, goal: &Goal<'_>) -> Option<Refusal> {
    let rights = actor.token.as_ref()?;
    let needs = match goal {
        Goal::Channel(_, row) => Needs::SayIn(row.name.as_str()),
        Goal::Inbox(owner) => Needs::SayTo(owner.name.as_str()),
    };
    (!rights.allow(needs)).then(|| not_for_a_token(rights, needs))
}

/// The refusal for a message that is not there or is not theirs to retract: which of the two need not be told.
pub fn not_yours(seq: Seq) -> Refusal {
    let text = format!("there is no message {seq} that you may retract: your own, or those in a channel that you run");
    Refusal::new(Code::NotAllowed, text)
}

impl State {
    /// The user whom a target means.
    ///
    /// # Errors
    /// `NO_SUCH_USER`, also for a channel.
    pub fn person(&self, target: &Recipient) -> Result<Who, Refusal> {
        match target {
            Recipient::Channel(name) => Err(absent(format_args!("#{name}"))),
            Recipient::Name(name) => self.user_named(name).and_then(|id| self.user(id)).ok_or_else(|| absent(name)),
            Recipient::Id(id) => self.user(*id).ok_or_else(|| absent(id)),
            Recipient::Both(name, id) => {
                let found = self.user(*id).ok_or_else(|| absent(format_args!("{name}:{id}")))?;
                // A wrong id with the right name must not reach a stranger.
                if fold(found.name.as_str()) != fold(name) {
                    return refused(Code::NoSuchUser, format!("{id} is not {name} but {found}; nothing was done"));
                }
                Ok(found)
            }
        }
    }
}

fn absent(target: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::NoSuchUser, format!("there is no user {target}, or the guest has gone; LIST shows who is online"))
}
