//! What an accepted proposal changes in the model, and which lines the members of a room are shown.

use std::net::IpAddr;

use linechat::event::{Act, Proposal, Request, RoomId, SessionId, Time};
use linechat::names::{Name, Seq, UserId};

use crate::governing::Rules;
use crate::model::{Channel, Connection, Message, Model, User};

/// A line without its first word and its time, and the room where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub room: RoomId,
    pub text: String,
    /// Whether it must be shown; otherwise it may be.
    pub must: bool,
}

/// Lines in their order.
pub type Lines = Vec<Line>;

pub fn line(channel: &Channel, must: bool, text: String) -> Line {
    Line { room: RoomId::Channel(channel.id), text, must }
}

/// Each room's lines are those that were expected, in their order.
///
/// # Errors
/// Whether several connections may end with it, in whatever order.
pub fn ends_many(request: &Request) -> bool {
    match request {
        Request::EndNode(..) | Request::Lapse => true,
        Request::Operate { act, .. } => !matches!(act, Act::Close(_) | Act::Give(..) | Act::Remove(_)),
        _ => false,
    }
}

/// What differs.
pub fn same_lines(shown: &[(RoomId, String)], expected: &[Line]) -> Result<(), String> {
    let (mut shown, mut expected) = (shown.to_vec(), expected.to_vec());
    shown.sort_by_key(|(room, _)| *room);
    expected.sort_by_key(|line| line.room);
    let mut left = shown.iter().peekable();
    for line in &expected {
        if left.peek().is_some_and(|(room, text)| *room == line.room && *text == line.text) {
            left.next();
        } else if line.must {
            return Err(format!("the members were told {shown:?} instead of {expected:?}"));
        }
    }
    if left.next().is_some() { Err(format!("the members were told {shown:?} instead of {expected:?}")) } else { Ok(()) }
}

impl Model {
    pub fn who(&self, id: UserId) -> String {
        self.user(id).map_or_else(String::new, |user| format!("{}:{id}", user.name))
    }

    pub fn channel_mut(&mut self, name: &str) -> &mut Channel {
        let id = self.channel(name).expect("there is such a channel").id;
        self.channels.iter_mut().find(|channel| channel.id == id).expect("it was found before")
    }

    pub fn user_mut(&mut self, id: UserId) -> &mut User {
        self.users.iter_mut().find(|user| user.id == id).expect("there is such a user")
    }

    fn announces(&self, channel: &Channel) -> bool {
        channel.members.len() as u64 <= self.limits.announce_members
    }

    /// Makes an accepted proposal happen. `number` is the new number in its answer, an id or a seq, or the seq of the new
    /// channel.
    pub fn happens(&mut self, proposal: &Proposal, time: Time, number: u64) -> Lines {
        let session = proposal.origin.session;
        let me = self.connection(session).map(|connection| connection.user);
        if let Some(lines) = self.accesses(proposal, time) {
            return lines;
        }
        match (&proposal.request, me) {
            (Request::Come { address }, _) => {
                let id = UserId(number);
                self.ids.push(id);
                self.users.push(User { id, name: format!("guest-{number}"), hash: None });
                let (hello, user, since, address, untold) = (id, id, time, *address, None);
                self.connections.push(Connection { session, hello, user, since, address, untold });
                vec![]
            }
            (Request::EndNode(node, _), _) => self.end_some(self.connections_of(*node)),
            (Request::Announce(session), _) => self.announce(*session),
            // Nobody is away for so long here.
            (Request::Succeed(..), _) => vec![],
            (Request::See(account), _) => {
                self.look_at(*account);
                vec![]
            }
            (Request::Enter { .. } | Request::Vouch { .. }, _) => unreachable!("these people share no order with others"),
            (Request::Expire(id, since), _) => {
                let is_it = |channel: &Channel| channel.id == *id && channel.empty_since == Some(*since);
                // Nobody is there to be shown this.
                let told = |channel: &Channel| line(channel, false, format!("CLOSE #{} {}", channel.name, channel.founder));
                let lines = self.channels.iter().filter(|channel| is_it(channel)).map(told).collect();
                self.channels.retain(|channel| !is_it(channel));
                lines
            }
            (_, None) => vec![],
            (request, Some(me)) => self.does((session, me), request, time, number),
        }
    }

    /// What a user does.
    fn does(&mut self, (session, me): (SessionId, UserId), request: &Request, time: Time, number: u64) -> Lines {
        match request {
            Request::Go => self.end(session),
            Request::Name(name) => self.rename(me, name.as_str()),
            Request::Register(name, hash, _) => {
                let lines = self.rename(me, name.as_str());
                self.user_mut(me).hash = Some(hash.to_string());
                self.note(me);
                lines
            }
            Request::LogIn(name, _) => self.log_in(session, me, name.as_str(), false, time),
            Request::Create(name, key) => self.create((session, me), name, key.as_deref(), time, Seq(number)),
            Request::Join(name, _) => self.join(me, name.as_str(), time),
            Request::Leave(name) => {
                let channel = self.channel(name.as_str()).expect("it was found").id;
                self.leave(me, channel, "")
            }
            Request::Topic(name, text) => {
                self.channel_mut(name.as_str()).topic = Some(text.to_string());
                let channel = self.channel(name.as_str()).expect("it has just been there");
                vec![line(channel, true, format!("TOPIC #{} {} {text}", channel.name, self.who(me)))]
            }
            Request::Close(name) => {
                let channel = self.channel(name.as_str()).expect("it was found");
                let (id, closed) = (channel.id, line(channel, true, format!("CLOSE #{} {}", channel.name, self.who(me))));
                self.channels.retain(|channel| channel.id != id);
                vec![closed]
            }
            Request::Say { .. } => {
                let address = self.connection(session).and_then(|connection| connection.address);
                self.say(request, (me, address), time, Seq(number))
            }
            Request::Ack(seq) => self.ack(me, *seq),
            Request::Away(text) => {
                self.set_away(me, text.as_deref());
                vec![]
            }
            Request::Ignore(whom) => {
                self.ignore(me, whom, time);
                vec![]
            }
            Request::Unignore(whom) => {
                self.unignore(me, whom);
                vec![]
            }
            Request::AckIn(name, seq) => {
                let channel = self.channel(name.as_str()).expect("it was found").id;
                let mark = self.acked_in(channel, me, *seq);
                self.reads.retain(|(whose, _)| *whose != (channel, me));
                self.reads.push(((channel, me), mark));
                vec![]
            }
            Request::Unsay { seq, room, was_heard, .. } => self.retract(me, (*seq, *room), *was_heard),
            governing => self.govern(me, governing, time),
        }
    }

    fn create(&mut self, (session, me): (SessionId, UserId), name: &Name, key: Option<&str>, time: Time, id: Seq) -> Lines {
        let address = self.connection(session).and_then(|connection| connection.address);
        self.channels.push(Channel {
            id,
            founder: self.who(me),
            name: name.to_string(),
            key: key.map(str::to_owned),
            owner: Some(me),
            topic: None,
            address,
            members: vec![(me, time)],
            empty_since: None,
            rules: Rules::default(),
        });
        // The creator's other connections are shown this.
        let channel = self.channel(name.as_str()).expect("it has just been made");
        vec![line(channel, false, format!("JOIN #{name} {}", self.who(me)))]
    }

    /// A mark that moves gives everybody a new share.
    fn ack(&mut self, me: UserId, seq: Seq) -> Lines {
        let mark = self.acked(me, seq);
        if mark > self.mark(me) {
            let mine = self.messages.iter_mut().filter(|message| message.room == RoomId::Inbox(me));
            mine.for_each(|message| message.is_shared = false);
        }
        self.marks.retain(|(owner, _)| *owner != me);
        self.marks.push((me, mark));
        vec![]
    }

    fn say(&mut self, request: &Request, (me, address): (UserId, Option<IpAddr>), time: Time, seq: Seq) -> Lines {
        let Request::Say { to, key, text } = request else { unreachable!("only SAY says") };
        let room = self.room(me, to).expect("it was found");
        if self.messages.iter().any(|said| said.seq == seq) {
            // A retry: nobody sees it twice.
            return vec![];
        }
        let title = self.title(room);
        let shown = Line { room, text: format!("MSG {seq} {title} {} {text}", self.who(me)), must: true };
        let (key, text) = (key.as_deref().map(str::to_owned), text.to_string());
        let is_shared = matches!(room, RoomId::Inbox(owner) if self.is_shared(owner));
        self.has_told(room, me);
        let is_heard = !matches!(room, RoomId::Inbox(owner) if self.ignores(owner, me));
        let (is_shared, is_unsaid) = (is_shared && is_heard, false);
        if let RoomId::Channel(id) = room {
            let channel = self.channels.iter_mut().find(|channel| channel.id == id).expect("it was found");
            channel.rules.spoke(me, time);
        }
        self.messages.push(Message { seq, time, room, from: me, key, text, address, is_shared, is_heard, is_unsaid });
        if is_heard { vec![shown] } else { vec![] }
    }

    fn retract(&mut self, me: UserId, (seq, room): (Seq, RoomId), was_heard: bool) -> Lines {
        let is_it = |message: &&mut Message| message.seq == seq && message.room == room;
        self.messages.iter_mut().filter(is_it).for_each(|message| message.is_unsaid = true);
        if !was_heard || matches!(room, RoomId::Inbox(owner) if self.ignores(owner, me)) {
            return vec![];
        }
        vec![Line { room, text: format!("RETRACT {} {seq} {}", self.title(room), self.who(me)), must: true }]
    }

    fn title(&self, room: RoomId) -> String {
        match room {
            RoomId::Inbox(owner) => self.who(owner),
            RoomId::Channel(id) => {
                let channel = self.channels.iter().find(|channel| channel.id == id).expect("it was found");
                format!("#{}", channel.name)
            }
        }
    }

    fn rename(&mut self, me: UserId, name: &str) -> Lines {
        let old = self.who(me);
        self.user_mut(me).name = name.to_owned();
        let new = self.who(me);
        let told = |channel: &Channel| line(channel, self.announces(channel), format!("NAME #{} {old} {new}", channel.name));
        let mine = self.channels.iter().filter(|channel| channel.has(me) && old != new);
        mine.map(told).collect()
    }

    fn join(&mut self, me: UserId, name: &str, time: Time) -> Lines {
        let who = self.who(me);
        let channel = self.channel_mut(name);
        if channel.has(me) {
            return vec![];
        }
        channel.members.push((me, time));
        channel.rules.invited.retain(|invited| *invited != me);
        let founds = channel.owner.is_none();
        (channel.owner, channel.empty_since) = (channel.owner.or(Some(me)), None);
        let channel = self.channel(name).expect("it has just been there");
        let mut lines = vec![line(channel, self.announces(channel), format!("JOIN #{} {who}", channel.name))];
        lines.retain(|line| line.must);
        // The joiner's other connections may be shown this.
        lines.extend(founds.then(|| line(channel, false, format!("OWNER #{} {who}", channel.name))));
        lines
    }

    /// A member leaves a channel, for a reason.
    pub fn leave(&mut self, me: UserId, id: Seq, reason: &str) -> Lines {
        let who = self.who(me);
        let at = self.channels.iter().position(|channel| channel.id == id).expect("there is such a channel");
        let channel = &self.channels[at];
        let mut lines = vec![line(channel, self.announces(channel), format!("LEAVE #{} {who}{reason}", channel.name))];
        lines.retain(|line| line.must);
        let channel = &mut self.channels[at];
        channel.members.retain(|(member, _)| *member != me);
        channel.rules.left(me);
        if channel.owner == Some(me) {
            channel.owner = channel.heir();
            let channel = &self.channels[at];
            lines
                .extend(channel.owner.map(|owner| line(channel, true, format!("OWNER #{} {}", channel.name, self.who(owner)))));
        }
        lines
    }

    /// A guest is gone.
    fn end_guest(&mut self, guest: UserId) -> Lines {
        let channels: Vec<_> = self.channels.iter().filter(|channel| channel.has(guest)).map(|channel| channel.id).collect();
        let lines = channels.into_iter().flat_map(|channel| self.leave(guest, channel, " disconnected")).collect();
        self.users.retain(|user| user.id != guest);
        self.channels.iter_mut().for_each(|channel| channel.rules.invited.retain(|invited| *invited != guest));
        self.ignored.retain(|ignored| ignored.by != guest);
        self.set_away(guest, None);
        lines
    }

    /// The lines that tell an account's channels that it comes or goes.
    fn told_of(&self, account: UserId, word: &str, reason: &str) -> Lines {
        let who = self.who(account);
        let channels = self.channels.iter().filter(|channel| channel.has(account) && self.announces(channel));
        channels.map(|channel| line(channel, true, format!("{word} #{} {who}{reason}", channel.name))).collect()
    }

    /// Whether an account is there by its password, and when it came if its channels have yet to be told.
    fn stay(&self, user: UserId) -> Option<Option<Time>> {
        let is_person = |it: &&Connection| it.user == user && !self.access.is_script(it.session);
        self.connections.iter().find(is_person).map(|connection| connection.untold)
    }

    /// The node says that a connection has been there for a while.
    fn announce(&mut self, session: SessionId) -> Lines {
        let Some(Connection { user, since, untold: Some(came), .. }) = self.connection(session) else { return vec![] };
        if self.now.0 - since.0 < 1000 * self.limits.announce_after_seconds as i64 {
            return vec![];
        }
        let all = self.connections.iter_mut().filter(|connection| connection.user == user);
        all.for_each(|connection| connection.untold = None);
        let mut lines = self.told_of(user, "JOIN", "");
        lines.retain(|line| !self.has_joined_since(line.room, user, came));
        lines
    }

    /// Whether they were shown to join there since then.
    fn has_joined_since(&self, room: RoomId, user: UserId, came: Time) -> bool {
        let joined = |channel: &Channel| channel.members.iter().any(|(who, at)| *who == user && *at > came);
        self.channels.iter().any(|channel| RoomId::Channel(channel.id) == room && joined(channel))
    }

    pub fn log_in(&mut self, session: SessionId, guest: UserId, name: &str, is_script: bool, time: Time) -> Lines {
        let account = self.user_named(name).expect("it was found").id;
        let (stay, at_once) = (self.stay(account), self.limits.announce_after_seconds == 0);
        let mut lines = self.end_guest(guest);
        let connection = self.connections.iter_mut().find(|connection| connection.session == session);
        let connection = connection.expect("it is connected");
        (connection.user, connection.since) = (account, time);
        connection.untold = stay.unwrap_or((!at_once).then_some(time)).filter(|_| !is_script);
        if !is_script && stay.is_none() && at_once {
            lines.extend(self.told_of(account, "JOIN", ""));
        }
        lines
    }

    /// A connection has ended.
    pub fn end(&mut self, session: SessionId) -> Lines {
        let Some(Connection { user, .. }) = self.connection(session) else { return vec![] };
        let stay = self.stay(user);
        self.connections.retain(|connection| connection.session != session);
        self.access.ended(session);
        if self.user(user).is_some_and(|user| user.hash.is_none()) {
            return self.end_guest(user);
        }
        if !self.is_online(user) {
            self.set_away(user, None);
            self.note(user);
        }
        let Some(untold) = stay.filter(|_| self.stay(user).is_none()) else { return vec![] };
        let mut lines = self.told_of(user, "LEAVE", " offline");
        lines.retain(|line| untold.is_none_or(|came| self.has_joined_since(line.room, user, came)));
        lines
    }
}
