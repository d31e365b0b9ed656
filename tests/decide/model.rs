//! What PROTOCOL.md says that commands do: a model in plain lists, written from that document and not from the code.
//!
//! [`Model::verdict`] says what a proposal may come to: the words of its OK, or the codes with which it may be refused. If
//! several refusals would be right, any of them is. What an accepted proposal changes is in [`mod@crate::happens`].

use std::borrow::Cow;
use std::net::IpAddr;

use linechat::event::proposal::Key;
use linechat::event::{Proposal, Recipient, Request, RoomId, SessionId, Time};
use linechat::limits::Limits;
use linechat::names::{Seq, UserId};
use linechat::state::Storage;

use crate::access::Access;
use crate::governing::{Rank, Rules};
use crate::ignoring::Ignored;
use crate::presence::Away;
use crate::proposals::{CHANNELS, NAMES, Spelling};

#[derive(Debug, Clone)]
pub struct User {
    pub id: UserId,
    pub name: String,
    /// The hash of the password, if it is an account.
    pub hash: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Connection {
    pub session: SessionId,
    /// The id from its HELLO.
    pub hello: UserId,
    pub user: UserId,
    pub since: Time,
    pub address: Option<IpAddr>,
    /// When its account came, if the account's channels have yet to be told.
    pub untold: Option<Time>,
}

#[derive(Debug, Clone)]
pub struct Channel {
    pub id: Seq,
    pub name: String,
    /// Who made it, as they were called then.
    pub founder: String,
    pub key: Option<String>,
    pub owner: Option<UserId>,
    pub topic: Option<String>,
    /// From where it was created, in this run.
    pub address: Option<IpAddr>,
    /// Whoever has been there longest comes first.
    pub members: Vec<(UserId, Time)>,
    /// The entry since which it has been empty; filled in from the state when it becomes so.
    pub empty_since: Option<Seq>,
    pub rules: Rules,
}

#[derive(Debug, Clone)]
pub struct Message {
    pub seq: Seq,
    pub time: Time,
    pub room: RoomId,
    pub from: UserId,
    pub key: Option<String>,
    pub text: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// Whether it counts to somebody's share of an inbox.
    pub is_shared: bool,
    /// Whether its recipient did not ignore its sender.
    pub is_heard: bool,
    /// Whether it was retracted.
    pub is_unsaid: bool,
}

/// Everything there is.
#[derive(Debug, Default)]
pub struct Model {
    pub limits: Limits,
    pub users: Vec<User>,
    pub connections: Vec<Connection>,
    pub channels: Vec<Channel>,
    pub messages: Vec<Message>,
    pub marks: Vec<(UserId, Seq)>,
    pub ignored: Vec<Ignored>,
    pub away: Vec<Away>,
    /// When each account was last known to be here.
    pub seen: Vec<(UserId, Time)>,
    pub access: Access,
    /// When the next proposal is decided.
    pub now: Time,
    /// Up to where each member has read a channel; at first taken from the state, which knows where they joined.
    pub reads: Vec<((Seq, UserId), Seq)>,
    /// All ids that were ever given out.
    pub ids: Vec<UserId>,
}

/// What a proposal may come to.
#[derive(Debug)]
pub struct Verdict {
    /// The words of its OK, with `?` for a new number; `None` if it must be refused.
    pub answer: Option<String>,
    /// The codes with which it may be refused. `*` stands for any.
    pub codes: Vec<&'static str>,
}

type Codes = Vec<&'static str>;

pub fn verdict(codes: Codes, answer: impl FnOnce() -> String) -> Verdict {
    Verdict { answer: codes.is_empty().then(answer), codes }
}

fn spelling<'a>(list: &'a [Spelling], text: &str) -> Option<&'a Spelling> {
    list.iter().find(|spelling| spelling.text == text)
}

/// A name with its case folded.
pub fn folded<'a>(list: &[Spelling], text: &'a str) -> Cow<'a, str> {
    spelling(list, text).map_or_else(|| text.to_lowercase().into(), |spelling| spelling.folded.into())
}

/// The form in which look-alikes are equal.
pub fn look<'a>(list: &[Spelling], text: &'a str) -> Cow<'a, str> {
    spelling(list, text).map_or_else(|| text.to_lowercase().into(), |spelling| spelling.look.into())
}

/// The names that begin with `guest-` are in no list.
fn is_good(list: &[Spelling], text: &str) -> bool {
    spelling(list, text).is_some_and(|spelling| spelling.good)
}

impl Model {
    pub fn user(&self, id: UserId) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    pub fn user_named(&self, name: &str) -> Option<&User> {
        let wanted = folded(&NAMES, name);
        self.users.iter().find(|user| folded(&NAMES, &user.name) == wanted)
    }

    pub fn connection(&self, session: SessionId) -> Option<Connection> {
        self.connections.iter().find(|connection| connection.session == session).copied()
    }

    pub fn is_online(&self, user: UserId) -> bool {
        self.connections.iter().any(|connection| connection.user == user)
    }

    pub fn channel(&self, name: &str) -> Option<&Channel> {
        let wanted = folded(&CHANNELS, name);
        self.channels.iter().find(|channel| folded(&CHANNELS, &channel.name) == wanted)
    }

    pub fn accounts(&self) -> u64 {
        self.users.iter().filter(|user| user.hash.is_some()).count() as u64
    }

    pub fn channels_of(&self, user: UserId) -> u64 {
        self.channels.iter().filter(|channel| channel.has(user)).count() as u64
    }

    pub fn mark(&self, user: UserId) -> Seq {
        self.marks.iter().find(|(owner, _)| *owner == user).map_or(Seq(0), |(_, mark)| *mark)
    }

    fn inbox(&self, user: UserId) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.room == RoomId::Inbox(user) && message.is_heard)
    }

    pub fn unread(&self, user: UserId) -> u64 {
        let mark = self.mark(user);
        self.inbox(user).filter(|message| message.seq > mark).count() as u64
    }

    pub fn unread_bytes(&self, user: UserId) -> u64 {
        let mark = self.mark(user);
        let unread = self.inbox(user).filter(|message| message.seq > mark && !message.is_unsaid);
        unread.map(|message| message.text.len() as u64).sum()
    }

    /// Whether another message counts to somebody's share: the first tenth does not.
    pub fn is_shared(&self, owner: UserId) -> bool {
        self.unread(owner) >= self.limits.inbox / 10 || self.unread_bytes(owner) >= self.limits.inbox_bytes / 10
    }

    fn has_used_their_share(&self, user: UserId, address: Option<IpAddr>, owner: UserId) -> bool {
        let shared = || self.inbox(owner).filter(|message| message.is_shared);
        let own = shared().filter(|message| message.from == user).count() as u64;
        let from_there = shared().filter(|message| address.is_some() && message.address == address).count() as u64;
        self.is_shared(owner) && (own >= self.limits.inbox_per_sender || from_there >= self.limits.inbox_per_address)
    }

    /// Where the mark would be after an ACK.
    pub fn acked(&self, user: UserId, seq: Seq) -> Seq {
        let newest = self.inbox(user).map(|message| message.seq).filter(|message| *message <= seq).max();
        newest.unwrap_or(Seq(0)).max(self.mark(user))
    }

    /// What the proposal may come to.
    pub fn verdict(&self, proposal: &Proposal, storage: Storage) -> Verdict {
        let session = proposal.origin.session;
        let user = self.connection(session).and_then(|connection| self.user(connection.user));
        let done = || "done".to_owned();
        match (&proposal.request, user) {
            // If nothing can be stored, no new ids can be reserved for guests.
            (Request::Come { .. }, _) if storage == Storage::Nothing => {
                Verdict { answer: Some("guest-?:?".into()), codes: vec!["STORE_FULL", "UNAVAILABLE"] }
            }
            (Request::Come { .. }, _) => verdict(vec![], || "guest-?:?".into()),
            (Request::EndNode(..) | Request::See(_) | Request::Succeed(..) | Request::Announce(_), _)
            | (Request::Go | Request::Away(_), Some(_)) => verdict(vec![], done),
            (Request::Expire(id, since), _) => {
                let channel = self.channels.iter().find(|channel| channel.id == *id);
                let is_so = channel.is_some_and(|channel| channel.empty_since == Some(*since));
                let codes = if is_so && storage == Storage::Free { vec![] } else { vec!["*"] };
                Verdict { answer: Some(done()), codes }
            }
            (Request::Enter { .. } | Request::Vouch { .. }, _) => unreachable!("these people share no order with others"),
            // A connection that has ended does nothing.
            (Request::Go, None) => Verdict { answer: Some(done()), codes: vec!["*"] },
            (_, None) => verdict(vec!["*"], done),
            (Request::Ack(seq), Some(user)) => {
                let mark = self.acked(user.id, *seq);
                let moves = mark != self.mark(user.id);
                verdict(full(moves && storage == Storage::Nothing), || mark.to_string())
            }
            (Request::AckIn(name, seq), Some(user)) => self.marking(user, name.as_str(), *seq, storage),
            (Request::Unsay { seq, room, from, .. }, Some(user)) => {
                self.retracting(user, (*seq, *room, *from), storage != Storage::Free)
            }
            (Request::Create(name, _), Some(user)) => {
                let address = self.connection(session).and_then(|connection| connection.address);
                self.creating(user, name.as_str(), address, storage != Storage::Free)
            }
            (Request::Join(name, key), Some(user)) => {
                let address = self.connection(session).and_then(|connection| connection.address);
                self.joining((user, address), name.as_str(), key, storage != Storage::Free)
            }
            (Request::Say { to, key, text }, Some(user)) => {
                let address = self.connection(session).and_then(|connection| connection.address);
                self.saying((user, address), to, key.as_deref(), text, storage != Storage::Free)
            }
            (request, Some(user)) => self.of_user(request, user, storage != Storage::Free),
        }
    }

    fn of_user(&self, request: &Request, user: &User, is_full: bool) -> Verdict {
        match request {
            Request::Name(name) => verdict(self.naming(user, name.as_str()), || format!("{name}:{}", user.id)),
            Request::Register(name, ..) => {
                let mut codes = self.naming(user, name.as_str());
                codes.extend((self.accounts() >= self.limits.accounts).then_some("QUOTA"));
                codes.extend(full(is_full));
                verdict(codes, || format!("{name}:{}", user.id))
            }
            Request::LogIn(name, hash) => {
                let account = self.user_named(name.as_str()).filter(|account| account.hash.as_deref() == Some(&**hash));
                let mut codes = vec![];
                codes.extend(user.hash.is_some().then_some("NOT_ALLOWED"));
                codes.extend(account.is_none().then_some("LOGIN_FAILED"));
                verdict(codes, || {
                    let account = account.expect("it was found");
                    format!("{}:{} {}", account.name, account.id, self.unread(account.id))
                })
            }
            Request::Leave(name) => self.in_channel(name.as_str(), |channel| {
                let mut codes = vec![];
                codes.extend((!channel.has(user.id)).then_some("NOT_MEMBER"));
                // A guest's membership is not stored, and ownership that passes on cannot be refused.
                codes.extend(full(is_full && user.hash.is_some()));
                codes
            }),
            Request::Topic(name, _) => {
                self.in_channel(name.as_str(), |channel| [full(is_full), channel.needs(user.id, Rank::Operator)].concat())
            }
            Request::Close(name) => {
                self.in_channel(name.as_str(), |channel| [full(is_full), channel.needs(user.id, Rank::Owner)].concat())
            }
            Request::Ignore(whom) => self.ignoring(user, whom, is_full),
            Request::Unignore(whom) => match &self.meant(user.id, whom)[..] {
                [(id, name)] => verdict(full(is_full && user.hash.is_some()), || format!("{name}:{id}")),
                _ => verdict(vec!["NO_SUCH_USER"], String::new),
            },
            governing => self.governing(user, governing, is_full),
        }
    }

    fn naming(&self, user: &User, name: &str) -> Codes {
        let mut codes = vec![];
        codes.extend(user.hash.is_some().then_some("NOT_ALLOWED"));
        codes.extend((!is_good(&NAMES, name)).then_some("BAD_NAME"));
        let (this, like) = (folded(&NAMES, name), look(&NAMES, name));
        let is_like = |other: &User| folded(&NAMES, &other.name) == this || look(&NAMES, &other.name) == like;
        codes.extend(self.users.iter().any(|other| other.id != user.id && is_like(other)).then_some("NAME_TAKEN"));
        codes
    }

    fn creating(&self, user: &User, name: &str, address: Option<IpAddr>, is_full: bool) -> Verdict {
        let mut codes = full(is_full);
        codes.extend((!is_good(&CHANNELS, name)).then_some("BAD_NAME"));
        let (this, like) = (folded(&CHANNELS, name), look(&CHANNELS, name));
        let is_like = |other: &Channel| folded(&CHANNELS, &other.name) == this || look(&CHANNELS, &other.name) == like;
        codes.extend(self.channels.iter().any(is_like).then_some("CHANNEL_EXISTS"));
        let from_there = self.channels.iter().filter(|channel| address.is_some() && channel.address == address).count();
        let is_limit = self.channels.len() as u64 >= self.limits.channels
            || self.channels_of(user.id) >= self.limits.channels_per_user
            || from_there as u64 >= self.limits.channels_per_address;
        codes.extend(is_limit.then_some("QUOTA"));
        verdict(codes, || format!("#{name}"))
    }

    fn joining(&self, (user, address): (&User, Option<IpAddr>), name: &str, key: &Key, is_full: bool) -> Verdict {
        let Some(channel) = self.channel(name) else { return verdict(vec!["NO_SUCH_CHANNEL"], String::new) };
        let count = channel.members.len() as u64;
        let answer = |members: u64| format!("#{} {members}", channel.name);
        if channel.has(user.id) {
            return verdict(vec![], || answer(count));
        }
        let knows_key = match (&channel.key, key) {
            (None, _) => true,
            (Some(wanted), Key::Verified(given)) => **wanted == **given,
            (Some(_), _) => false,
        };
        let opens = self.lets_in(channel, user, address, knows_key);
        let is_limit = count >= self.limits.members || self.channels_of(user.id) >= self.limits.channels_per_user;
        let mut codes = full(is_full && user.hash.is_some());
        codes.extend((!opens).then_some("NOT_ALLOWED"));
        codes.extend(is_limit.then_some("QUOTA"));
        verdict(codes, || answer(count + 1))
    }

    fn in_channel(&self, name: &str, codes: impl FnOnce(&Channel) -> Codes) -> Verdict {
        match self.channel(name) {
            None => verdict(vec!["NO_SUCH_CHANNEL"], String::new),
            Some(channel) => verdict(codes(channel), || format!("#{}", channel.name)),
        }
    }

    /// The room that a target means, or the code of the refusal.
    pub fn room(&self, user: UserId, to: &Recipient) -> Result<RoomId, &'static str> {
        let somebody = match to {
            Recipient::Channel(name) => {
                let channel = self.channel(name).ok_or("NO_SUCH_CHANNEL")?;
                let least = if channel.rules.operators_speak { Rank::Operator } else { Rank::Member };
                return channel.needs(user, least).first().map_or(Ok(RoomId::Channel(channel.id)), |code| Err(*code));
            }
            Recipient::Id(id) => self.user(*id),
            Recipient::Name(name) => self.user_named(name),
            Recipient::Both(name, id) => self.user_named(name).filter(|user| user.id == *id),
        };
        somebody.map(|user| RoomId::Inbox(user.id)).ok_or("NO_SUCH_USER")
    }

    fn saying(
        &self,
        (user, address): (&User, Option<IpAddr>),
        to: &Recipient,
        key: Option<&str>,
        text: &str,
        is_full: bool,
    ) -> Verdict {
        let used = self.messages.iter().rev().find(|said| key.is_some() && said.from == user.id && said.key.as_deref() == key);
        let room = match self.room(user.id, to) {
            Ok(room) => room,
            // With another target or text, it would be refused for that, too.
            Err(code) => return verdict(vec![code], String::new),
        };
        if let Some(said) = used {
            return if said.room == room && said.text == text {
                verdict(vec![], || format!("{} {} dup", said.seq, said.time.0))
            } else {
                verdict([vec!["KEY_REUSED"], full(is_full)].concat(), String::new)
            };
        }
        let mut codes = full(is_full);
        if let RoomId::Inbox(owner) = room {
            let is_too_much = self.unread(owner) >= self.limits.inbox
                || self.unread_bytes(owner) + text.len() as u64 > self.limits.inbox_bytes
                || self.has_used_their_share(user.id, address, owner);
            codes.extend(is_too_much.then_some("INBOX_FULL"));
        }
        codes.extend(self.is_too_soon(user.id, room).then_some("RATE_LIMITED"));
        verdict(codes, || format!("? now{}", self.tells_away(room, user.id).unwrap_or_default()))
    }
}

pub fn full(is_full: bool) -> Codes {
    if is_full { vec!["STORE_FULL"] } else { vec![] }
}

impl Channel {
    pub fn has(&self, user: UserId) -> bool {
        self.members.iter().any(|(member, _)| *member == user)
    }
}
