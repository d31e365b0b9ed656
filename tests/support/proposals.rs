//! Random proposals: eight connections at two nodes, few names that are alike, few channels, and all that can be wanted.
//!
//! A proposal is made of six drawn bytes and of what its proposer could see, as a session does: the hash of an account that it
//! has verified, or the channels that are empty.

#[path = "access.rs"]
mod access;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use linechat::event::proposal::Key;
use linechat::event::{Kept, NodeId, Origin, Outcast, Proposal, Recipient, Request, RoomId, SessionId, Setting, Unwanted};
use linechat::names::{Name, Seq, UserId};
use linechat::state::{State, Wanted};

/// What one proposal is made of.
pub type Draw = [u8; 6];

/// A name as it may be typed.
pub struct Spelling {
    /// The name.
    pub text: &'static str,
    /// What it is without regard to case.
    pub folded: &'static str,
    /// What it looks like.
    pub look: &'static str,
    /// Whether somebody may choose it.
    pub good: bool,
}

const fn good(text: &'static str, folded: &'static str, look: &'static str) -> Spelling {
    Spelling { text, folded, look, good: true }
}

const fn bad(text: &'static str, folded: &'static str) -> Spelling {
    Spelling { text, folded, look: folded, good: false }
}

/// Names of users.
pub const NAMES: [Spelling; 26] = [
    good("ana", "ana", "ana"),
    // Folded first, it would be paui.
    good("pauI", "paui", "paul"),
    good("bob", "bob", "bob"),
    good("B0B", "b0b", "bob"),
    // With a Cyrillic capital B and o, which looks like a B only as a capital.
    good("\u{412}\u{43e}b", "\u{432}\u{43e}b", "bob"),
    bad("SERVER", "server"),
    bad("r00t", "r00t"),
    bad("Ok", "ok"),
    bad("everyone", "everyone"),
    // A digit of another script.
    bad("\u{661}na", "\u{661}na"),
    good("paul", "paul", "paul"),
    good("Paul", "paul", "paul"),
    good("PAUL", "paul", "paul"),
    good("pau1", "pau1", "paul"),
    // With a Cyrillic a.
    good("p\u{430}ul", "p\u{430}ul", "paul"),
    good("nina", "nina", "nina"),
    good("Nina", "nina", "nina"),
    // With a Cyrillic i, and with a Cyrillic a too.
    good("n\u{456}na", "n\u{456}na", "nina"),
    good("n\u{456}n\u{430}", "n\u{456}n\u{430}", "nina"),
    good("jos\u{e9}", "jos\u{e9}", "jos\u{e9}"),
    good("JOS\u{c9}", "jos\u{e9}", "jos\u{e9}"),
    good("jose", "jose", "jose"),
    // A separate accent, a zero width space, and two that belong to guests.
    bad("jose\u{301}", "jos\u{e9}"),
    bad("a\u{200b}na", "a\u{200b}na"),
    bad("Guest-7", "guest-7"),
    bad("gu\u{435}st-7", "gu\u{435}st-7"),
];

/// Names of channels, without their `#`.
pub const CHANNELS: [Spelling; 12] = [
    good("general", "general", "general"),
    good("generaI", "generai", "general"),
    good("rust", "rust", "rust"),
    good("RUST", "rust", "rust"),
    // With a Cyrillic s.
    good("ru\u{455}t", "ru\u{455}t", "rust"),
    good("tea", "tea", "tea"),
    good("Tea", "tea", "tea"),
    good("lst", "lst", "lst"),
    good("1st", "1st", "lst"),
    good("mod", "mod", "mod"),
    good("rnod", "rnod", "mod"),
    bad("te\u{200b}a", "te\u{200b}a"),
];

const TEXTS: [&str; 3] = ["one", "two  words", "drei"];
const KEYS: [&str; 3] = ["k1", "k2", "k3"];
const HASHES: [&str; 3] = ["$hash$1", "$hash$2", "$hash$3"];
const NETS: [&str; 3] = ["192.0.2.1/32", "192.0.2.0/30", "198.51.100.0/24"];
const CONNECTIONS: usize = 8;
/// The first number of an operator's connection.
const OPERATORS: u64 = 1 << 40;
/// Few, so that their shares run out; and one who has none.
const ADDRESSES: [Option<IpAddr>; 4] = [
    Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2))),
    None,
];

fn pick<T>(from: &[T], draw: u8) -> &T {
    &from[usize::from(draw) % from.len()]
}

fn new_channel(draw: u8) -> Name {
    Name::new(pick(&CHANNELS, draw).text)
}

/// Mostly one that there is, in one spelling or another.
fn channel(draw: u8, state: &State) -> Name {
    let there = CHANNELS.iter().filter(|spelling| state.channel_named(spelling.text).is_some());
    let there: Vec<_> = there.map(|spelling| Name::new(spelling.text)).collect();
    if draw < 192 && !there.is_empty() { pick(&there, draw).clone() } else { new_channel(draw) }
}

/// Mostly one that they are in.
fn own_channel(draw: u8, session: SessionId, state: &State) -> Name {
    let user = state.user_of(session).unwrap_or(UserId(0));
    let own: Vec<_> = state.channels_of(user).filter_map(|channel| state.channel_name(channel)).collect();
    if draw < 192 && !own.is_empty() { (*pick(&own, draw)).clone() } else { channel(draw, state) }
}

/// Mostly an account's.
fn account(draw: u8, session: SessionId, state: &State) -> Name {
    let accounts = NAMES.iter().filter(|spelling| state.password_of(spelling.text).is_some());
    let accounts: Vec<_> = accounts.map(|spelling| Name::new(spelling.text)).collect();
    if draw < 192 && !accounts.is_empty() { pick(&accounts, draw).clone() } else { name(draw, session, state) }
}

fn hash(draw: u8) -> Arc<str> {
    (*pick(&HASHES, draw)).into()
}

/// Eight places at which somebody may be connected, four at each node.
#[derive(Debug, Clone, Default)]
pub struct People {
    numbers: [u64; CONNECTIONS],
    /// What each said last with a key.
    said: [Option<Request>; CONNECTIONS],
    next_number: u64,
    tag: u64,
}

impl People {
    /// The next proposal.
    pub fn propose(&mut self, draw: Draw, state: &State) -> Proposal {
        let [who, what, a, b, c, d] = draw;
        let place = usize::from(who) % CONNECTIONS;
        let node = NodeId((place / (CONNECTIONS / 2)) as u64);
        self.tag += 1;
        let mut session = SessionId { node, number: self.numbers[place] };
        let is_here = state.user_of(session).is_some();
        let request = if !is_here && (what % 16 != 15 || session.number == 0) {
            self.next_number += 1;
            self.numbers[place] = self.next_number;
            session.number = self.next_number;
            Request::Come { address: ADDRESSES[usize::from(a) % ADDRESSES.len()] }
        } else if is_here && d % 8 == 1 {
            access::wanted(what, [a, b, c], self.tag, session, state)
        } else if d % 32 == 5 {
            // It is no connection of anybody's, and has a number that none gets.
            let operator = SessionId { node, number: OPERATORS + self.tag };
            let request = access::operated(what, [a, b, c], session, state);
            return Proposal { origin: Origin { session: operator, tag: self.tag }, request };
        } else if d % 64 == 9 {
            session.number = 0;
            Request::Lapse
        } else if d % 32 == 13 {
            let here = SessionId { node, number: self.numbers[usize::from(a) % CONNECTIONS] };
            session.number = 0;
            Request::Announce(here)
        } else if is_here && d % 4 == 3 {
            govern(what, [a, b, c], session, state)
        } else if what % 64 == 62 {
            session.number = 0;
            expire([a, b], state)
        } else if what % 64 == 63 && a % 3 == 0 {
            // The other node may say so too.
            session = SessionId { node: NodeId(u64::from(b % 2)), number: 0 };
            Request::EndNode(node, 0)
        } else if let (16 | 17 | 60, Some(said)) = (what % 64, &self.said[usize::from(b) % CONNECTIONS]) {
            // Again, for no answer was heard; perhaps over another connection.
            said.clone()
        } else {
            request(what, [a, b, c], session, state)
        };
        if let Request::Say { key: Some(_), .. } = request {
            self.said[place] = Some(request.clone());
        }
        Proposal { origin: Origin { session, tag: self.tag }, request }
    }
}

/// What a connection wants, or what one that has just been ended still wanted.
fn request(what: u8, [a, b, c]: [u8; 3], session: SessionId, state: &State) -> Request {
    match what % 64 {
        0..18 => {
            Request::Say { to: recipient([a, b], session, state), key: key(c, state), text: (*pick(&TEXTS, c / 8)).into() }
        }
        18..20 => Request::Ack(seq(a, state)),
        20 => Request::AckIn(own_channel(b, session, state), seq(a, state)),
        21 => retract([a, b, c], session, state),
        22 => Request::Ignore(recipient([a, b], session, state)),
        23 => Request::Unignore(ignored([a, b], session, state)),
        24 | 25 => Request::Away((a % 3 != 0).then(|| (*pick(&TEXTS, b)).into())),
        26..30 => Request::Name(name(a, session, state)),
        30..34 => Request::Register(name(a, session, state), hash(b), None),
        34..40 => {
            let name = account(a, session, state);
            let right = state.password_of(name.as_str()).filter(|_| b % 4 != 0);
            Request::LogIn(name, right.unwrap_or_else(|| hash(b / 4)))
        }
        40..46 => Request::Create(new_channel(a), (b % 3 == 0).then(|| hash(c))),
        46..54 => Request::Join(channel(a, state), channel_key([a, b, c], state)),
        54..57 => Request::Leave(own_channel(a, session, state)),
        57..59 => Request::Topic(own_channel(a, session, state), (*pick(&TEXTS, b)).into()),
        59 | 60 => Request::Close(own_channel(a, session, state)),
        _ => Request::Go,
    }
}

/// What somebody wants who runs a channel, or would like to.
fn govern(what: u8, [a, b, c]: [u8; 3], session: SessionId, state: &State) -> Request {
    let channel = own_channel(a, session, state);
    let somebody = member(b, &channel, session, state);
    let reason = |draw: u8| (draw.is_multiple_of(2)).then(|| (*pick(&TEXTS, draw / 2)).into());
    let unwanted = |draw: u8| match draw % 8 {
        7 => Unwanted::Net(pick(&NETS, draw / 8).parse().expect("it is a network")),
        _ => Unwanted::User(somebody.clone()),
    };
    match what % 16 {
        0..3 => Request::Op(channel, somebody.clone(), true),
        3 => Request::Op(channel, somebody.clone(), false),
        4 => Request::Give(channel, somebody.clone()),
        5 | 6 => Request::Invite(channel, recipient([3 + c % 4, b], session, state)),
        7 | 8 => Request::Kick(channel, somebody.clone(), reason(c)),
        9 | 10 => {
            let seconds = (c % 3 != 0).then(|| u64::from(c / 16));
            Request::Ban { channel: channel.clone(), who: unwanted(c), seconds, reason: reason(c) }
        }
        11 => Request::Unban(channel.clone(), banned(b, &channel, state).unwrap_or_else(|| unwanted(c))),
        _ => Request::Set(channel, setting(b, c)),
    }
}

/// Mostly a member of the channel, sometimes anybody.
fn member(draw: u8, channel: &Name, session: SessionId, state: &State) -> Recipient {
    let id = state.channel_named(channel.as_str());
    let members: Vec<_> = id.into_iter().flat_map(|id| state.member_ids(id)).collect();
    match draw % 8 {
        7 => recipient([draw / 8, draw], session, state),
        _ if members.is_empty() => recipient([3, draw], session, state),
        _ => Recipient::Id(*pick(&members, draw)),
    }
}

/// Somebody who is banned from the channel, by one name or another.
fn banned(draw: u8, channel: &Name, state: &State) -> Option<Unwanted> {
    let bans: Vec<_> = state.bans_of(state.channel_named(channel.as_str())?).collect();
    let ban = bans.get(usize::from(draw) % bans.len().max(1))?;
    Some(match (ban.outcast, &ban.who) {
        (Outcast::User(_), Some(who)) if draw.is_multiple_of(2) => Unwanted::User(Recipient::Name(who.name.as_str().into())),
        (Outcast::User(id), _) => Unwanted::User(Recipient::Id(id)),
        (Outcast::Net(net), _) => Unwanted::Net(net),
    })
}

fn setting(draw: u8, value: u8) -> Setting {
    let is_on = value.is_multiple_of(2);
    match draw % 8 {
        0 => Setting::Key(is_on.then(|| hash(value / 2))),
        1 => Setting::InviteOnly(is_on),
        2 | 3 => Setting::Slow(u32::from(value % 4)),
        4 => Setting::OperatorsSpeak(is_on),
        5 => Setting::Hidden(is_on),
        6 => Setting::Keep([Kept::All, Kept::Seconds(3600), Kept::Messages(9)][usize::from(value) % 3]),
        _ => Setting::Guests(is_on),
    }
}

/// What a session may have found: a message that was said lately in some room, by somebody.
fn retract([a, b, c]: [u8; 3], session: SessionId, state: &State) -> Request {
    let me = state.user_of(session).unwrap_or(UserId(0));
    let online = state.list_online(&Wanted { after: None, pattern: None, most: CONNECTIONS }).found;
    let somebody = online.get(usize::from(b % 8)).map_or(me, |user| user.who.id);
    let channel = state.channel_named(own_channel(b, session, state).as_str()).map(RoomId::Channel);
    let room = channel.filter(|_| c % 3 != 0).unwrap_or(RoomId::Inbox(somebody));
    let seq = Seq(state.seq().0.saturating_sub(u64::from(a / 8)));
    // It need not be a message of that room at all: then there is nothing that could count no more.
    Request::Unsay { seq, room, from: if c % 4 == 0 { somebody } else { me }, bytes: 0, was_heard: a.is_multiple_of(2) }
}

/// Every other message has one; some of them go out of use with time.
fn key(draw: u8, state: &State) -> Option<Arc<str>> {
    match draw % 4 {
        1 => Some((*pick(&KEYS, draw / 4)).into()),
        3 => Some(format!("since-{}", state.seq().0 / 64).into()),
        _ => None,
    }
}

/// A name from the list; now and then, the one that the server gave.
fn name(draw: u8, session: SessionId, state: &State) -> Name {
    match state.connection(session).filter(|_| draw > 250) {
        Some(id) => Name::guest(id),
        None => Name::new(pick(&NAMES, draw).text),
    }
}

fn seq(draw: u8, state: &State) -> Seq {
    match draw % 4 {
        0 => Seq(u64::MAX),
        _ => Seq(state.seq().0.saturating_sub(u64::from(draw / 4))),
    }
}

fn recipient([a, b]: [u8; 2], session: SessionId, state: &State) -> Recipient {
    let online = state.list_online(&Wanted { after: None, pattern: None, most: CONNECTIONS }).found;
    let somebody = (!online.is_empty()).then(|| pick(&online, b).who.clone());
    match (a % 8, somebody) {
        (0..3, _) => Recipient::Channel(own_channel(b, session, state).as_str().into()),
        (3, Some(who)) => Recipient::Id(who.id),
        (4, Some(who)) => Recipient::Name(who.name.as_str().to_uppercase().into()),
        (5, Some(who)) => Recipient::Both(who.name.as_str().into(), who.id),
        (6, Some(who)) => Recipient::Both(pick(&NAMES, a / 8).text.into(), who.id),
        (4 | 6, None) | (7, _) if a < 128 => Recipient::Name(pick(&NAMES, b).text.into()),
        // Some of these have gone, and some were never here.
        _ => Recipient::Id(UserId(998 + u64::from(b % 40))),
    }
}

/// Mostly somebody whom they ignore.
fn ignored([a, b]: [u8; 2], session: SessionId, state: &State) -> Recipient {
    let ignored = state.list_ignored(state.user_of(session).unwrap_or(UserId(0)));
    match (a % 4, ignored.is_empty()) {
        (0, false) => Recipient::Id(pick(&ignored, b).who.id),
        (1, false) => Recipient::Name(pick(&ignored, b).who.name.as_str().to_uppercase().into()),
        (2, false) => Recipient::Both(pick(&ignored, b).who.name.as_str().into(), pick(&ignored, b / 16).who.id),
        _ => recipient([a / 4, b], session, state),
    }
}

fn channel_key([a, b, c]: [u8; 3], state: &State) -> Key {
    let key = state.channel_named(channel(a, state).as_str()).and_then(|id| state.channel(id)?.key);
    match (key, b % 4) {
        // The channel may have another key by now than the one that was verified.
        (Some(_), 3) if c % 2 == 0 => Key::Verified(hash(c / 2)),
        (Some(key), 1..4) => Key::Verified(key),
        (None, 3) => Key::Verified(hash(c)),
        (_, _) if c % 3 == 0 => Key::Wrong,
        _ => Key::Missing,
    }
}

/// Of a channel that is empty; or of any, or since another entry. Or a look at somebody who may be here.
fn expire([a, b]: [u8; 2], state: &State) -> Request {
    if b % 8 == 7 {
        return Request::See(UserId(1000 + u64::from(a % 40)));
    }
    if b % 8 == 6 {
        let any = state.channel_named(channel(a, state).as_str()).unwrap_or(Seq(1));
        return Request::Succeed(any, UserId(1000 + u64::from(a % 40)));
    }
    let empty = state.orphaned_channels();
    match empty.get(usize::from(a) % empty.len().max(1)) {
        Some((id, since)) if b % 4 != 0 => Request::Expire(*id, *since),
        Some((id, since)) => Request::Expire(*id, Seq(since.0 - 1)),
        None => {
            let any = state.channel_named(channel(a, state).as_str()).unwrap_or(Seq(1));
            Request::Expire(any, Seq(state.seq().0.saturating_sub(u64::from(b))))
        }
    }
}
