//! The part of the model that says who is in charge of a channel, who is kept out of it, and what its options are.

use std::net::IpAddr;

use linechat::event::{Kept, Outcast, Recipient, Request, RoomId, Setting, Time, Unwanted};
use linechat::names::UserId;

use crate::happens::{Line, Lines, line};
use crate::model::{Channel, Model, User, Verdict, folded, full, verdict};
use crate::proposals::NAMES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Stranger,
    Member,
    Operator,
    Owner,
}

/// A ban.
#[derive(Debug, Clone)]
pub struct Ban {
    pub outcast: Outcast,
    /// The user, by their name then.
    pub name: Option<String>,
    pub whom: String,
    /// Where a guest came from.
    pub from: Option<IpAddr>,
    pub until: Option<Time>,
}

/// What those in charge have set, and whom.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    pub operators: Vec<UserId>,
    pub bans: Vec<Ban>,
    pub invited: Vec<UserId>,
    pub is_invite_only: bool,
    pub slow: u32,
    pub operators_speak: bool,
    pub is_hidden: bool,
    pub refuses_guests: bool,
    pub keep: Kept,
    spoke: Vec<(UserId, Time)>,
}

impl Rules {
    pub fn left(&mut self, user: UserId) {
        self.operators.retain(|operator| *operator != user);
        self.spoke.retain(|(member, _)| *member != user);
    }

    pub fn spoke(&mut self, user: UserId, time: Time) {
        self.spoke.retain(|(member, _)| *member != user);
        self.spoke.extend((self.slow > 0).then_some((user, time)));
    }
}

impl Ban {
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now.0 < until.0)
    }

    fn hits_address(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| match self.outcast {
            Outcast::Net(net) => net.contains(&address),
            Outcast::User(_) => self.from == Some(address),
        })
    }
}

impl Channel {
    pub fn rank(&self, user: UserId) -> Rank {
        match () {
            () if self.owner == Some(user) => Rank::Owner,
            () if self.rules.operators.contains(&user) => Rank::Operator,
            () if self.has(user) => Rank::Member,
            () => Rank::Stranger,
        }
    }

    /// With what somebody of a lower rank is refused.
    pub fn needs(&self, user: UserId, least: Rank) -> Vec<&'static str> {
        match self.rank(user) {
            rank if rank >= least => vec![],
            Rank::Stranger => vec!["NOT_MEMBER"],
            _ => vec!["NOT_ALLOWED"],
        }
    }

    /// Who owns it when its owner goes.
    pub fn heir(&self) -> Option<UserId> {
        let first = |is: bool| self.members.iter().map(|(id, _)| *id).find(|id| !is || self.rules.operators.contains(id));
        first(true).or_else(|| first(false))
    }
}

impl Model {
    /// Whether somebody who is not in the channel may join it.
    pub fn lets_in(&self, channel: &Channel, user: &User, address: Option<IpAddr>, knows_key: bool) -> bool {
        let rules = &channel.rules;
        let bans = || rules.bans.iter().filter(|ban| ban.holds(self.now));
        if bans().any(|ban| ban.outcast == Outcast::User(user.id)) {
            return false;
        }
        let open = knows_key && !rules.is_invite_only && !(rules.refuses_guests && user.hash.is_none());
        rules.invited.contains(&user.id) || open && !bans().any(|ban| ban.hits_address(address))
    }

    /// Whether a member must wait before they speak again.
    pub fn is_too_soon(&self, user: UserId, room: RoomId) -> bool {
        let RoomId::Channel(id) = room else { return false };
        let channel = self.channels.iter().find(|channel| channel.id == id).expect("it was found");
        let since = |spoke: Time| self.now.0 - spoke.0 < i64::from(channel.rules.slow) * 1000;
        let joined = channel.members.iter().find(|(member, _)| *member == user);
        let spoke = channel.rules.spoke.iter().find(|(member, _)| *member == user).or(joined);
        channel.rank(user) < Rank::Operator && channel.rules.slow > 0 && spoke.is_some_and(|(_, spoke)| since(*spoke))
    }

    fn found(&self, user: &Recipient) -> Result<UserId, &'static str> {
        match user {
            Recipient::Channel(_) => Err("NO_SUCH_USER"),
            somebody => self.room(UserId(0), somebody).map(|room| match room {
                RoomId::Inbox(id) => id,
                RoomId::Channel(_) => unreachable!("it is somebody"),
            }),
        }
    }

    fn lasts(&self, user: UserId) -> bool {
        self.user(user).is_some_and(|user| user.hash.is_some())
    }

    /// What a proposal about a channel's government may come to.
    pub fn governing(&self, user: &User, request: &Request, is_full: bool) -> Verdict {
        let (name, whom, least) = match request {
            Request::Op(name, whom, _) => (name, Some(whom), Rank::Owner),
            Request::Give(name, whom) => (name, Some(whom), Rank::Owner),
            Request::Invite(name, whom) | Request::Kick(name, whom, _) => (name, Some(whom), Rank::Operator),
            Request::Ban { channel, who: Unwanted::User(whom), .. } => (channel, Some(whom), Rank::Operator),
            Request::Ban { channel, .. } => (channel, None, Rank::Operator),
            Request::Unban(name, _) => (name, None, Rank::Operator),
            Request::Set(name, Setting::Keep(_)) => (name, None, Rank::Owner),
            Request::Set(name, _) => (name, None, Rank::Operator),
            other => unreachable!("{other:?} is not a user's"),
        };
        let Some(channel) = self.channel(name.as_str()) else { return verdict(vec!["NO_SUCH_CHANNEL"], String::new) };
        let id = whom.map(|whom| self.found(whom));
        let mut codes = channel.needs(user.id, least);
        if let Some(Err(code)) = id {
            codes.push(code);
            return verdict(codes, String::new);
        }
        let id = id.and_then(Result::ok);
        let is_own = id == Some(user.id);
        let rank = id.map_or(Rank::Stranger, |id| channel.rank(id));
        let needs_member = matches!(request, Request::Op(..) | Request::Give(..) | Request::Kick(..));
        codes.extend((needs_member && rank == Rank::Stranger).then_some("NO_SUCH_USER"));
        let mut is_stored = true;
        match request {
            Request::Op(_, _, is) => {
                if !is && is_own && rank == Rank::Operator {
                    codes.clear();
                }
                codes.extend((rank == Rank::Owner).then_some("NOT_ALLOWED"));
                is_stored = (rank == Rank::Operator) != *is && id.is_some_and(|id| self.lasts(id));
            }
            Request::Give(..) => is_stored = rank != Rank::Owner && user.hash.is_some(),
            Request::Invite(..) => {
                let is_out = |ban: &Ban| id.map(Outcast::User) == Some(ban.outcast) && ban.holds(self.now);
                codes.extend((rank == Rank::Stranger && channel.rules.bans.iter().any(is_out)).then_some("NOT_ALLOWED"));
                is_stored = rank == Rank::Stranger && id.is_some_and(|id| self.lasts(id));
            }
            Request::Kick(..) => {
                codes.extend((rank >= channel.rank(user.id)).then_some("NOT_ALLOWED"));
                is_stored = id.is_some_and(|id| self.lasts(id));
            }
            Request::Ban { .. } => {
                codes.extend((rank > Rank::Stranger && rank >= channel.rank(user.id)).then_some("NOT_ALLOWED"));
            }
            Request::Unban(_, whom) => codes.extend(self.banned(channel, whom).is_none().then_some("NO_SUCH_USER")),
            _ => {}
        }
        codes.extend(full(is_full && is_stored));
        let who = |id: Option<UserId>| id.map_or_else(String::new, |id| self.who(id));
        verdict(codes, || {
            let what = match request {
                Request::Ban { who: Unwanted::Net(net), .. } => net.trunc().to_string(),
                Request::Unban(_, whom) => self.banned(channel, whom).expect("it was found").whom.clone(),
                Request::Set(_, setting) => format!("{} {setting}", setting.option()),
                _ => who(id),
            };
            format!("#{} {what}", channel.name)
        })
    }

    /// The ban that UNBAN means.
    fn banned<'a>(&self, channel: &'a Channel, whom: &Unwanted) -> Option<&'a Ban> {
        let is_it = |ban: &&Ban| match whom {
            Unwanted::Net(net) => ban.outcast == Outcast::Net(net.trunc()),
            Unwanted::User(Recipient::Id(id) | Recipient::Both(_, id)) => ban.outcast == Outcast::User(*id),
            Unwanted::User(Recipient::Name(typed)) => {
                ban.name.as_ref().is_some_and(|name| folded(&NAMES, name) == folded(&NAMES, typed))
            }
            Unwanted::User(Recipient::Channel(_)) => false,
        };
        // Of several the newest user.
        channel.rules.bans.iter().filter(|ban| ban.holds(self.now)).filter(is_it).max_by_key(|ban| ban.outcast)
    }

    /// Makes an accepted proposal about a channel's government happen.
    pub fn govern(&mut self, me: UserId, request: &Request, time: Time) -> Lines {
        match request {
            Request::Op(name, whom, is) => self.op(me, name.as_str(), whom, *is),
            Request::Give(name, whom) => self.give(me, name.as_str(), whom),
            Request::Invite(name, whom) => self.invite(me, name.as_str(), whom),
            Request::Kick(name, whom, reason) => {
                let id = self.found(whom).expect("it was found");
                self.put_out(me, name.as_str(), id, reason.as_deref())
            }
            Request::Ban { channel, who, seconds, reason } => {
                let until = seconds.map(|seconds| Time(time.0 + 1000 * i64::try_from(seconds).expect("it is small")));
                self.ban(me, channel.as_str(), who, (time, until), reason.as_deref())
            }
            Request::Unban(name, whom) => {
                let channel = self.channel(name.as_str()).expect("it was found");
                let (outcast, whom) =
                    self.banned(channel, whom).map(|ban| (ban.outcast, ban.whom.clone())).expect("it is banned");
                let told = line(channel, true, format!("UNBAN #{} {whom} {}", channel.name, self.who(me)));
                self.channel_mut(name.as_str()).rules.bans.retain(|ban| ban.outcast != outcast);
                vec![told]
            }
            Request::Set(name, setting) => self.set(me, name.as_str(), setting),
            other => unreachable!("{other:?} is not of a channel's government"),
        }
    }

    fn op(&mut self, me: UserId, name: &str, whom: &Recipient, is: bool) -> Lines {
        let id = self.found(whom).expect("it was found");
        let channel = self.channel_mut(name);
        if channel.rules.operators.contains(&id) == is {
            return vec![];
        }
        channel.rules.operators.retain(|operator| *operator != id);
        channel.rules.operators.extend(is.then_some(id));
        let channel = self.channel(name).expect("it has just been there");
        let word = if is { "OP" } else { "DEOP" };
        vec![line(channel, true, format!("{word} #{} {} {}", channel.name, self.who(id), self.who(me)))]
    }

    fn give(&mut self, me: UserId, name: &str, whom: &Recipient) -> Lines {
        let id = self.found(whom).expect("it was found");
        if id == me {
            return vec![];
        }
        let channel = self.channel_mut(name);
        channel.owner = Some(id);
        channel.rules.operators.retain(|operator| *operator != me);
        channel.rules.operators.push(me);
        let channel = self.channel(name).expect("it has just been there");
        let told =
            [format!("OWNER #{} {}", channel.name, self.who(id)), format!("OP #{0} {1} {1}", channel.name, self.who(me))];
        told.map(|text| line(channel, true, text)).into()
    }

    fn invite(&mut self, me: UserId, name: &str, whom: &Recipient) -> Lines {
        let id = self.found(whom).expect("it was found");
        let channel = self.channel_mut(name);
        if channel.has(id) {
            return vec![];
        }
        channel.rules.invited.retain(|invited| *invited != id);
        channel.rules.invited.push(id);
        let channel = self.channel(name).expect("it has just been there");
        let text = format!("INVITE #{} {} {}", channel.name, self.who(id), self.who(me));
        let told = line(channel, true, text.clone());
        let invited = Line { room: RoomId::Inbox(id), text, must: true };
        if self.ignores(id, me) { vec![told] } else { vec![told, invited] }
    }

    fn put_out(&mut self, me: UserId, name: &str, id: UserId, reason: Option<&str>) -> Lines {
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let text = format!("{} {}{reason}", self.who(id), self.who(me));
        let channel = self.channel_mut(name);
        channel.members.retain(|(member, _)| *member != id);
        channel.rules.left(id);
        vec![line(channel, true, format!("KICK #{} {text}", channel.name))]
    }

    fn ban(
        &mut self,
        me: UserId,
        name: &str,
        who: &Unwanted,
        (time, until): (Time, Option<Time>),
        reason: Option<&str>,
    ) -> Lines {
        let ban = match who {
            Unwanted::Net(net) => {
                let net = net.trunc();
                Ban { outcast: Outcast::Net(net), name: None, whom: net.to_string(), from: None, until }
            }
            Unwanted::User(whom) => {
                let id = self.found(whom).expect("it was found");
                let from = self.connections.iter().filter(|connection| connection.user == id && !self.lasts(id));
                let from = from.filter_map(|connection| connection.address).next();
                let name = self.user(id).map(|user| user.name.clone());
                Ban { outcast: Outcast::User(id), name, whom: self.who(id), from, until }
            }
        };
        let told = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let until = until.map_or_else(|| "-".to_owned(), |until| until.to_string());
        let channel = self.channel(name).expect("it was found");
        let text = format!("BAN #{} {} {} {time} {until}{told}", channel.name, ban.whom, self.who(me));
        let mut lines = vec![line(channel, true, text)];
        let comes_from = |id: UserId| {
            let mut all = self.connections.iter().filter(|connection| connection.user == id);
            !self.lasts(id) && all.any(|connection| ban.hits_address(connection.address))
        };
        let mut hit: Vec<_> = channel.members.iter().map(|(id, _)| *id).collect();
        hit.retain(|id| ban.outcast == Outcast::User(*id) || comes_from(*id));
        hit.retain(|id| channel.rank(*id) < channel.rank(me));
        hit.sort();
        let now = self.now;
        let bans = &mut self.channel_mut(name).rules.bans;
        bans.retain(|other| other.outcast != ban.outcast && other.holds(now));
        bans.push(ban);
        lines.extend(hit.into_iter().flat_map(|id| self.put_out(me, name, id, reason)));
        lines
    }

    fn set(&mut self, me: UserId, name: &str, setting: &Setting) -> Lines {
        let channel = self.channel_mut(name);
        match setting {
            Setting::Key(key) => channel.key = key.as_deref().map(str::to_owned),
            Setting::InviteOnly(is_on) => channel.rules.is_invite_only = *is_on,
            Setting::Slow(seconds) => channel.rules.slow = *seconds,
            Setting::OperatorsSpeak(is_on) => channel.rules.operators_speak = *is_on,
            Setting::Hidden(is_on) => channel.rules.is_hidden = *is_on,
            Setting::Keep(keep) => channel.rules.keep = *keep,
            Setting::Guests(is_on) => channel.rules.refuses_guests = !*is_on,
        }
        let channel = self.channel(name).expect("it has just been there");
        vec![line(channel, true, format!("SET #{} {} {} {setting}", channel.name, self.who(me), setting.option()))]
    }
}

/// The owner has moved on: an operator owns the channel, who has been there lately, before members who have been there longer.
#[test]
fn an_owner_who_is_away_for_long_is_succeeded() {
    use linechat::event::{Event, NodeId, Origin, Proposal, SessionId};
    use linechat::names::{Name, Seq};
    use linechat::state::Storage;

    const DAY: i64 = 24 * 3600 * 1000;
    let mut order = crate::order::Order::default();
    let mut take = |number, request, time| {
        let session = SessionId { node: NodeId(0), number };
        let came = order.take(&Proposal { origin: Origin { session, tag: 0 }, request }, Time(time), Storage::Free);
        let (_, entries) = came.expect("it is accepted");
        entries.into_iter().map(|entry| entry.event).collect::<Vec<_>>()
    };
    let rust = Name::new("rust");
    for (number, name) in [(1, "ana"), (2, "bob"), (3, "cara"), (4, "dora")] {
        take(number, Request::Come { address: None }, 0);
        take(number, Request::Register(Name::new(name), "$hash$1".into(), None), 0);
        match number {
            1 => take(1, Request::Create(rust.clone(), None), 0),
            _ => take(number, Request::Join(rust.clone(), linechat::event::proposal::Key::Missing), 0),
        };
    }
    for id in [1002, 1003] {
        take(1, Request::Op(rust.clone(), Recipient::Id(UserId(id)), true), 0);
    }
    let channel = take(4, Request::Leave(rust.clone()), 0).len();
    assert_eq!(channel, 1, "dora has left");
    take(4, Request::Join(rust.clone(), linechat::event::proposal::Key::Missing), 0);
    let id = Seq(1 + (0..).find(|seq| order.state.channel(Seq(*seq + 1)).is_some()).expect("it is there"));
    let mut take = |number, request, time| {
        let session = SessionId { node: NodeId(0), number };
        let came = order.take(&Proposal { origin: Origin { session, tag: 0 }, request }, Time(time), Storage::Free);
        came.expect("it is accepted").1.into_iter().map(|entry| entry.event).collect::<Vec<_>>()
    };
    // Ana owns it, cara runs it with her; both go, cara later. Bob and dora are members, and bob is here.
    take(1, Request::Go, 0);
    assert_eq!(take(0, Request::Succeed(id, UserId(1000)), 90 * DAY), [], "not yet");
    take(3, Request::Go, 50 * DAY);
    let events = take(0, Request::Succeed(id, UserId(1000)), 91 * DAY);
    assert!(matches!(&events[0], Event::Owner { who: Some(who), .. } if who.id == UserId(1002)), "{events:?}");
    assert!(matches!(&events[1], Event::Operator { who, is: true, .. } if who.id == UserId(1000)), "{events:?}");
    // Both operators have been away for long now: bob is here.
    assert_eq!(take(0, Request::Succeed(id, UserId(1000)), 200 * DAY), [], "she owns it no more");
    let events = take(0, Request::Succeed(id, UserId(1002)), 200 * DAY);
    assert!(matches!(&events[0], Event::Owner { who: Some(who), .. } if who.id == UserId(1001)), "{events:?}");
    assert_eq!(take(0, Request::Succeed(id, UserId(1001)), 900 * DAY), [], "whoever is here is not away");
}
