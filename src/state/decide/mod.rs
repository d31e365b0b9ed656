//! Deciding proposals: the one place that says who may do what.
//!
//! [`decide`] is a function of the state, the proposal, its [`Context`], and what the [`Archive`] finds; it changes nothing. It
//! runs once for each proposal, in their order, after everything before has been applied, so that nothing can overtake a
//! decision.

mod accounts;
mod channels;
mod government;
mod ignoring;
mod nodes;
mod operator;
mod people;
mod presence;
mod talk;

use std::convert::Infallible;
use std::net::IpAddr;

use smallvec::SmallVec;

use crate::code::{Code, Refusal};
use crate::event::{Answer, Event, Needs, Proposal, Request, Rights, RoomId, SessionId, Time};
use crate::limits::Limits;
use crate::names::{Seq, UserId, Who};
use crate::state::archive::{Archive, Inbox, Sharer, Used};
use crate::state::{Channel, Session, State, Token};

pub use accounts::no_such_token;

pub use talk::not_yours;

/// Everything from outside the state; it is the same for a whole batch.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The order's time.
    pub time: Time,
    /// Every bound.
    pub limits: &'a Limits,
    /// What may be stored.
    pub storage: Storage,
}

/// What the disk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Everything.
    Free,
    /// Read marks, and what cannot be refused: the disk is full except for the reserve.
    Marks,
    /// Nothing at all. Ephemeral events still happen.
    Nothing,
}

/// Events with their rooms. Most decisions make one.
pub type Events = SmallVec<[(Option<RoomId>, Event); 2]>;

/// What a proposal comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// These events happen, with the next seqs, and the proposer gets this answer.
    Accepted(Events, Answer),
    /// Nothing happens.
    Refused(Refusal),
}

/// Decides one proposal.
///
/// # Errors
/// The archive's errors; then nothing is decided.
pub fn decide<A: Archive>(
    state: &State,
    proposal: &Proposal,
    context: Context<'_>,
    archive: &mut A,
) -> Result<Decision, A::Error> {
    let mut deciding = Deciding { state, context, events: Events::new() };
    let decided = deciding.request(proposal, archive)?;
    let events = deciding.events;
    Ok(match decided {
        Ok(_) if !events.iter().all(|(_, event)| may_be_stored(event, context.storage)) => Decision::Refused(store_full()),
        Ok(answer) => Decision::Accepted(events, answer),
        Err(refusal) => Decision::Refused(refusal),
    })
}

/// The refusal that a proposal would get now, if any: asked before something expensive is computed for it. The archive is taken
/// for empty, `now` is about the time that the order would take it at, and [`decide`] has the last word.
pub fn preview(state: &State, proposal: &Proposal, limits: &Limits, now: Time) -> Option<Refusal> {
    let context = Context { time: now, limits, storage: Storage::Free };
    match decide(state, proposal, context, &mut Nothing) {
        Ok(Decision::Accepted(..)) => None,
        Ok(Decision::Refused(refusal)) => Some(refusal),
    }
}

/// An empty archive.
struct Nothing;

impl Archive for Nothing {
    type Error = Infallible;

    fn inbox(&mut self, _: UserId) -> Result<Inbox, Infallible> {
        Ok(Inbox::default())
    }

    fn newest_in(&mut self, _: Seq) -> Result<Seq, Infallible> {
        Ok(Seq(0))
    }

    fn newest_until(&mut self, _: UserId, _: Seq) -> Result<Seq, Infallible> {
        Ok(Seq(0))
    }

    fn share(&mut self, _: UserId, _: Sharer) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn used(&mut self, _: UserId, _: &str, _: usize) -> Result<Option<Used>, Infallible> {
        Ok(None)
    }
}

fn may_be_stored(event: &Event, storage: Storage) -> bool {
    match storage {
        Storage::Free => true,
        // A channel passes on because somebody goes, which cannot be refused.
        Storage::Marks => {
            let is_small = match event {
                Event::Acked { .. } | Event::Read { .. } | Event::Ids { .. } | Event::Owner { .. } => true,
                Event::Access(access) => access.needs_little(),
                _ => false,
            };
            is_small || !event.lasts()
        }
        Storage::Nothing => !event.lasts(),
    }
}

fn store_full() -> Refusal {
    Refusal::new(Code::StoreFull, "the server's disk is full; nothing was stored, try later")
}

fn refused<T>(code: Code, text: impl Into<std::borrow::Cow<'static, str>>) -> Result<T, Refusal> {
    Err(Refusal::new(code, text))
}

/// A user who proposes something, by one of their connections.
#[derive(Debug, Clone)]
struct Actor {
    session: SessionId,
    who: Who,
    is_account: bool,
    /// The address to which the connection is counted.
    address: Option<IpAddr>,
    /// What it may do, if it has logged in with a token.
    token: Option<Rights>,
}

/// A decision that is being made.
struct Deciding<'a> {
    state: &'a State,
    context: Context<'a>,
    events: Events,
}

impl<'a> Deciding<'a> {
    fn request<A: Archive>(&mut self, proposal: &Proposal, archive: &mut A) -> Result<Result<Answer, Refusal>, A::Error> {
        let session = proposal.origin.session;
        match &proposal.request {
            Request::Come { address } => return Ok(self.come(session, *address)),
            Request::Go => return Ok(self.go(session)),
            Request::Expire(channel, since) => return Ok(self.expire(*channel, *since)),
            Request::Succeed(channel, owner) => return Ok(self.succeed_absent(*channel, *owner)),
            Request::See(account) => return Ok(self.see(*account)),
            Request::EndNode(node, number) => return Ok(self.end_node_at(*node, *number)),
            Request::Lapse => return Ok(self.lapse()),
            Request::Announce(session) => return Ok(self.announce(*session)),
            Request::Operate { by, act, reason } => return Ok(self.operate(by, act, reason.as_ref())),
            // Whether it is right is no decision: it differs from node to node.
            Request::Vouch { .. } => return Ok(Ok(Answer::Done)),
            Request::Enter { .. } => return Ok(self.enter_node(session.node, &proposal.request)),
            _ => {}
        }
        let actor = match self.actor(session) {
            Ok(actor) => actor,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Some(rights) = &actor.token
            && !rights.allow(needs(&proposal.request))
        {
            return Ok(Err(not_for_a_token(rights, needs(&proposal.request))));
        }
        Ok(match &proposal.request {
            Request::Say { to, key, text } => return self.say(&actor, to, key.as_ref(), text, archive),
            Request::Ack(upto) => return self.ack(&actor, *upto, archive),
            Request::AckIn(name, upto) => return self.ack_in(&actor, name.as_str(), *upto, archive),
            Request::Retract { .. } | Request::Unsay { .. } => self.retract(&actor, &proposal.request),
            Request::LogIn(name, password) => return self.log_in(&actor, name, password, archive),
            Request::LogInToken(hash) => return self.log_in_by_token(&actor, hash, archive),
            Request::NewToken { label, hash, scopes, seconds } => {
                self.new_token(&actor, label, hash, scopes.as_deref(), *seconds)
            }
            Request::DropToken(label) => self.drop_token(&actor, label),
            Request::SetPassword(old, new) => self.set_password(&actor, old, new),
            Request::Unregister(password) => self.unregister(&actor, password),
            Request::Name(name) => self.name(&actor, name),
            Request::Register(name, password, code) => self.register(&actor, name, password, code.as_ref()),
            Request::Create(name, key) => self.create(&actor, name, key.as_ref()),
            Request::Join(name, key) => self.join(&actor, name.as_str(), key),
            Request::Leave(name) => self.leave(&actor, name.as_str()),
            Request::Topic(name, text) => self.topic(&actor, name.as_str(), text),
            Request::Close(name) => self.close(&actor, name.as_str()),
            Request::Op(name, user, is) => self.op(&actor, name.as_str(), user, *is),
            Request::Give(name, user) => self.give(&actor, name.as_str(), user),
            Request::Invite(name, user) => self.invite(&actor, name.as_str(), user),
            Request::Kick(name, user, reason) => self.kick(&actor, name.as_str(), user, reason.as_ref()),
            Request::Ban { channel, who, seconds, reason } => {
                self.ban_them(&actor, channel.as_str(), who, *seconds, reason.as_ref())
            }
            Request::Unban(name, who) => self.unban(&actor, name.as_str(), who),
            Request::Set(name, setting) => self.set(&actor, name.as_str(), setting),
            Request::Ignore(whom) => self.ignore(&actor, whom),
            Request::Unignore(whom) => self.unignore(&actor, whom),
            Request::Away(text) => self.away(&actor, text.as_ref()),
            Request::Come { .. }
            | Request::Go
            | Request::Expire(..)
            | Request::Succeed(..)
            | Request::See(_)
            | Request::EndNode(..)
            | Request::Vouch { .. }
            | Request::Lapse
            | Request::Announce(_)
            | Request::Operate { .. }
            | Request::Enter { .. } => unreachable!("invariant: these were decided above"),
        })
    }

    fn actor(&self, session: SessionId) -> Result<Actor, Refusal> {
        let found = self.state.session(session).and_then(|Session { user, address, .. }| {
            let row = self.state.users.get(user)?;
            let who = Who { name: row.name.clone(), id: *user };
            let is_account = row.password.is_some();
            let token = if is_account { self.state.token_of(session).map(Token::rights) } else { None };
            Some(Actor { session, who, is_account, address: *address, token })
        });
        found.ok_or_else(|| Refusal::new(Code::Unavailable, "the server has given up this connection; connect again"))
    }

    fn happens(&mut self, room: Option<RoomId>, event: Event) {
        self.events.push((room, event));
    }

    fn happens_in(&mut self, channel: Seq, event: Event) {
        self.happens(Some(RoomId::Channel(channel)), event);
    }

    /// The seq of the next event.
    fn next_seq(&self) -> Seq {
        Seq(self.state.seq().0 + 1 + self.events.len() as u64)
    }

    /// Whether arrivals and departures are shown in a channel with this many members.
    fn is_announced(&self, members: u64) -> bool {
        members <= self.context.limits.announce_members
    }

    /// The channel with this name.
    fn find(&self, name: &str) -> Result<(Seq, &'a Channel), Refusal> {
        let state: &'a State = self.state;
        state.find(name)
    }

    /// The channel with this name, if the user is in it.
    fn joined(&self, actor: &Actor, name: &str) -> Result<(Seq, &'a Channel), Refusal> {
        let state: &'a State = self.state;
        state.joined(actor.who.id, name)
    }
}

impl State {
    /// The channel with this name, if the user may read its messages.
    ///
    /// # Errors
    /// `NO_SUCH_CHANNEL` or `NOT_MEMBER`.
    pub fn may_read(&self, user: UserId, name: &str) -> Result<Seq, Refusal> {
        self.joined(user, name).map(|(channel, _)| channel)
    }

    fn find(&self, name: &str) -> Result<(Seq, &Channel), Refusal> {
        let found = self.channel_named(name).and_then(|id| Some((id, self.channel_row(id)?)));
        found.ok_or_else(|| no_such_channel(name))
    }

    fn joined(&self, user: UserId, name: &str) -> Result<(Seq, &Channel), Refusal> {
        let (id, row) = self.find(name)?;
        if self.is_member(id, user) {
            return Ok((id, row));
        }
        refused(Code::NotMember, format!("you are not in #{name}; type JOIN #{name}", name = row.name))
    }
}

/// What a request needs of a token. Where a message goes is known only once its target was looked up.
fn needs(request: &Request) -> Needs<'_> {
    match request {
        Request::Say { .. } => Needs::Nothing,
        Request::Ack(_) => Needs::Inbox,
        Request::Join(channel, _) | Request::AckIn(channel, _) => Needs::Read(channel.as_str()),
        Request::Register(..)
        | Request::LogIn(..)
        | Request::LogInToken(_)
        | Request::NewToken { .. }
        | Request::DropToken(_)
        | Request::SetPassword(..)
        | Request::Unregister(_) => Needs::Password,
        // Whatever is new is for tokens without scopes only, until it is said here that it is not.
        _ => Needs::Everything,
    }
}

/// The refusal of what a token is not for.
pub fn not_for_a_token(rights: &Rights, needs: Needs<'_>) -> Refusal {
    let label = &rights.label;
    let text = match needs {
        Needs::Password => {
            format!("the token {label} is not enough for that; LOGIN with name and password, on a new connection")
        }
        _ => format!("the token {label} is not for that, but for: {}", Rights::listed(rights.scopes.as_deref())),
    };
    Refusal::new(Code::NotAllowed, text)
}

/// The refusal for a channel that does not exist.
fn no_such_channel(channel: &str) -> Refusal {
    Refusal::new(
        Code::NoSuchChannel,
        format!("there is no channel #{channel}; CHANNELS shows them, CREATE #{channel} makes it"),
    )
}
