//! The part of the model that says who may come in and as whom: tokens, passwords, bans from the server, and what operators do.

use std::net::IpAddr;

use ipnet::IpNet;
use linechat::event::{Act, Barred, Proposal, Recipient, Request, RoomId, SessionId, Time};
use linechat::names::{Seq, UserId};
use linechat::state::Storage;

use crate::happens::{Line, line};
use crate::model::{Model, Verdict, folded, full, verdict};
use crate::proposals::{CHANNELS, NAMES};

#[derive(Debug, Clone)]
struct Token {
    account: UserId,
    label: String,
    hash: String,
    until: Option<Time>,
    /// As they are typed.
    scopes: Option<Vec<String>>,
}

/// Who may come in.
#[derive(Debug, Default)]
pub struct Access {
    tokens: Vec<Token>,
    /// The connections that have logged in with a token, by its account and its label.
    by_token: Vec<(SessionId, UserId, String)>,
    networks: Vec<(IpNet, Option<Time>)>,
    accounts: Vec<(UserId, Option<Time>)>,
}

/// Whether an address is in the network.
fn is_in(network: IpNet, address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| network.contains(&address))
}

fn is_over(until: Option<Time>, now: Time) -> bool {
    until.is_some_and(|until| now.0 >= until.0)
}

fn until(until: Option<Time>) -> String {
    until.map(|until| format!(" until {until}")).unwrap_or_default()
}

/// A verdict that may be either, because it depends on more of the disk than the model knows.
fn perhaps(judged: Verdict, is_full: bool) -> Verdict {
    let codes = if is_full { [judged.codes, vec!["STORE_FULL"]].concat() } else { judged.codes };
    Verdict { codes, ..judged }
}

impl Access {
    /// A connection has ended.
    pub fn ended(&mut self, session: SessionId) {
        self.by_token.retain(|(by, ..)| *by != session);
    }

    pub fn is_script(&self, session: SessionId) -> bool {
        self.by_token.iter().any(|(by, ..)| *by == session)
    }
}

impl Model {
    fn token_of(&self, session: SessionId) -> Option<&Token> {
        let (_, account, label) = self.access.by_token.iter().find(|(by, ..)| *by == session)?;
        self.access.tokens.iter().find(|token| (token.account, &token.label) == (*account, label))
    }

    fn is_banned(&self, account: UserId) -> bool {
        self.access.accounts.iter().any(|(id, until)| *id == account && !is_over(*until, self.now))
    }

    /// What the proposal may come to.
    pub fn judged(&self, proposal: &Proposal, storage: Storage) -> Verdict {
        let (session, is_full) = (proposal.origin.session, storage != Storage::Free);
        let connection = self.connection(session);
        let refused = |mut judged: Verdict, code| {
            judged.answer = None;
            judged.codes.push(code);
            judged
        };
        let shut_out = |net: &(IpNet, Option<Time>), address| is_in(net.0, address) && !is_over(net.1, self.now);
        match (&proposal.request, connection) {
            (Request::Operate { act, .. }, _) => self.operating(act, storage),
            (Request::Lapse, _) => verdict(vec![], || "done".to_owned()),
            (Request::Come { address }, _) if self.access.networks.iter().any(|net| shut_out(net, *address)) => {
                verdict(vec!["NOT_ALLOWED"], String::new)
            }
            (request, Some(connection)) => {
                let judged = match request {
                    Request::NewToken { .. }
                    | Request::DropToken(_)
                    | Request::LogInToken(_)
                    | Request::SetPassword(..)
                    | Request::Unregister(_) => self.wanting(request, connection.user, storage),
                    _ => self.verdict(proposal, storage),
                };
                let account = match request {
                    Request::LogIn(name, _) => self.user_named(name.as_str()).map(|user| user.id),
                    _ => None,
                };
                let is_shut_out = account.is_some_and(|account| self.is_banned(account)) && judged.answer.is_some();
                match self.token_of(session) {
                    Some(token) if !self.allows(token, request, connection.user) => refused(judged, "NOT_ALLOWED"),
                    _ if is_shut_out => refused(judged, "NOT_ALLOWED"),
                    _ => judged,
                }
            }
            _ => perhaps(self.verdict(proposal, storage), is_full),
        }
    }

    /// Whether a token is enough for what its connection wants.
    fn allows(&self, token: &Token, request: &Request, me: UserId) -> bool {
        let has = |what: &str, named: &dyn Fn(&str) -> bool| {
            let scopes = token.scopes.iter().flatten().filter_map(|scope| scope.split_once(':'));
            let mut reaches = scopes.filter(|(kind, _)| *kind == what).map(|(_, reach)| reach);
            reaches.any(|reach| reach == "*" || named(reach))
        };
        let channel = |name: &str| {
            let name = folded(&CHANNELS, name).into_owned();
            move |reach: &str| reach.strip_prefix('#').is_some_and(|reach| folded(&CHANNELS, reach) == name)
        };
        let is_password = matches!(
            request,
            Request::Register(..)
                | Request::LogIn(..)
                | Request::LogInToken(_)
                | Request::NewToken { .. }
                | Request::DropToken(_)
                | Request::SetPassword(..)
                | Request::Unregister(_)
        );
        if token.scopes.is_none() {
            return !is_password;
        }
        match request {
            Request::Go => true,
            Request::Ack(_) => token.scopes.iter().flatten().any(|scope| scope == "inbox"),
            Request::AckIn(name, _) | Request::Join(name, _) => has("read", &channel(name.as_str())),
            Request::Say { to, .. } => match self.room(me, to) {
                // It is refused for that.
                Err(_) => true,
                Ok(RoomId::Channel(id)) => {
                    let found = self.channels.iter().find(|channel| channel.id == id).expect("it was found");
                    has("say", &channel(&found.name))
                }
                Ok(RoomId::Inbox(id)) => {
                    let name = &self.user(id).expect("it was found").name;
                    has("say", &|reach| folded(&NAMES, reach) == folded(&NAMES, name))
                }
            },
            _ => false,
        }
    }

    fn wanting(&self, request: &Request, me: UserId, storage: Storage) -> Verdict {
        let user = self.user(me).expect("they are connected");
        let (is_account, is_full) = (user.hash.is_some(), storage != Storage::Free);
        let mine = |label: &str| {
            let is_it = |token: &&Token| token.account == me && token.label.eq_ignore_ascii_case(label);
            self.access.tokens.iter().find(is_it)
        };
        let guest = if is_account { vec![] } else { vec!["NOT_ALLOWED"] };
        let right = |hash: &str| user.hash.as_deref() == Some(hash);
        match request {
            Request::NewToken { label, .. } => {
                let is_there = mine(label.as_str()).is_some_and(|token| !is_over(token.until, self.now));
                let taken = if is_there { vec!["NOT_ALLOWED"] } else { vec![] };
                verdict([guest, taken, full(is_full)].concat(), || label.to_string())
            }
            Request::DropToken(label) => {
                let found = mine(label.as_str());
                let none = if found.is_none() { vec!["NOT_ALLOWED"] } else { vec![] };
                let judged = verdict([guest, none, full(storage == Storage::Nothing)].concat(), || {
                    found.expect("it was found").label.clone()
                });
                perhaps(judged, is_full)
            }
            Request::LogInToken(hash) => {
                let found = self.access.tokens.iter().find(|token| token.hash == **hash && !is_over(token.until, self.now));
                let account = found.and_then(|token| self.user(token.account));
                let mut codes = if is_account { vec!["NOT_ALLOWED"] } else { vec![] };
                codes.extend(account.is_none().then_some("LOGIN_FAILED"));
                codes.extend(account.is_some_and(|account| self.is_banned(account.id)).then_some("NOT_ALLOWED"));
                verdict(codes, || {
                    let account = account.expect("it was found");
                    format!("{}:{} {}", account.name, account.id, self.unread(account.id))
                })
            }
            Request::SetPassword(old, _) => {
                let wrong = if right(old) { vec![] } else { vec!["LOGIN_FAILED"] };
                verdict([guest, wrong, full(is_full)].concat(), || {
                    let others = self.connections.iter().filter(|other| other.user == me);
                    let others = others.filter(|other| self.token_of(other.session).is_none()).count().saturating_sub(1);
                    format!("{}:{me} {others}", user.name)
                })
            }
            Request::Unregister(hash) => {
                let wrong = if right(hash) { vec![] } else { vec!["LOGIN_FAILED"] };
                verdict([guest, wrong, full(is_full)].concat(), || format!("{}:{me}", user.name))
            }
            other => unreachable!("{other:?} is for others to judge"),
        }
    }

    fn operating(&self, act: &Act, storage: Storage) -> Verdict {
        let (is_full, is_stuck) = (storage != Storage::Free, storage == Storage::Nothing);
        let user = |to: &Recipient| match self.room(UserId(0), to) {
            Ok(RoomId::Inbox(id)) => self.user(id),
            _ => None,
        };
        let count = |id: UserId| self.connections.iter().filter(|connection| connection.user == id).count();
        let until = |seconds: &Option<u64>| until(seconds.map(|seconds| Time(self.now.0 + 1000 * seconds as i64)));
        let of_user = |to: &Recipient, must_be_account: bool, is_full: bool, more: &dyn Fn(UserId) -> String| match user(to) {
            None => verdict(vec!["NO_SUCH_USER"], String::new),
            Some(user) if must_be_account && user.hash.is_none() => verdict(vec!["NOT_ALLOWED"], String::new),
            Some(user) => verdict(full(is_full), || format!("{}:{}{}", user.name, user.id, more(user.id))),
        };
        match act {
            Act::DisconnectOne(id) if !self.connections.iter().any(|it| it.hello == *id) => {
                verdict(vec!["NO_SUCH_USER"], String::new)
            }
            Act::DisconnectOne(id) => perhaps(verdict(full(is_stuck), || format!("{id} 1")), is_full),
            Act::Disconnect(to) => perhaps(of_user(to, false, is_stuck, &|id| format!(" {}", count(id))), is_full),
            Act::Ban(Barred::Network(net), seconds) => {
                let hit = self.connections.iter().filter(|connection| is_in(*net, connection.address)).count();
                perhaps(verdict(full(is_stuck), || format!("{net}{} {hit}", until(seconds))), is_full)
            }
            Act::Ban(Barred::User(to), seconds) => {
                perhaps(of_user(to, true, is_stuck, &|id| format!("{} {}", until(seconds), count(id))), is_full)
            }
            Act::Unban(Barred::Network(net)) => {
                let is_there = self.access.networks.iter().any(|(banned, _)| banned == net);
                verdict(if is_there { full(is_stuck) } else { vec!["NOT_ALLOWED"] }, || net.to_string())
            }
            Act::Unban(Barred::User(to)) => match user(to) {
                Some(user) if !self.is_banned(user.id) => verdict(vec!["NOT_ALLOWED"], String::new),
                _ => of_user(to, false, is_stuck, &|_| String::new()),
            },
            Act::Reset(to, _) | Act::Remove(to) => of_user(to, true, is_full, &|_| String::new()),
            Act::Close(name) => match self.channel(name.as_str()) {
                None => verdict(vec!["NO_SUCH_CHANNEL"], String::new),
                Some(channel) => verdict(full(is_full), || format!("#{} {}", channel.name, channel.members.len())),
            },
            Act::Give(name, to) => match (self.channel(name.as_str()), user(to)) {
                (None, _) => verdict(vec!["NO_SUCH_CHANNEL"], String::new),
                (_, None) => verdict(vec!["NO_SUCH_USER"], String::new),
                (Some(channel), Some(user)) if !channel.has(user.id) => verdict(vec!["NOT_ALLOWED"], String::new),
                (Some(channel), Some(user)) => {
                    perhaps(verdict(full(is_stuck), || format!("#{} {}:{}", channel.name, user.name, user.id)), is_full)
                }
            },
            Act::Notice(_) => verdict(full(is_stuck), String::new),
            Act::Invite { seconds, uses, .. } => verdict(full(is_full), || format!("{uses}{}", until(seconds))),
        }
    }

    /// Makes an accepted proposal of this kind happen; `None` if it is of another.
    pub fn accesses(&mut self, proposal: &Proposal, time: Time) -> Option<Vec<Line>> {
        let session = proposal.origin.session;
        let me = self.connection(session).map(|connection| connection.user);
        Some(match (&proposal.request, me) {
            (Request::Operate { act, .. }, _) => self.operates(act),
            (Request::Lapse, _) => {
                let is_over = |it: &SessionId| self.token_of(*it).is_none_or(|token| is_over(token.until, self.now));
                let over = self.access.by_token.iter().map(|(it, ..)| *it).filter(is_over).collect();
                self.end_some(over)
            }
            (Request::NewToken { label, hash, scopes, seconds }, Some(me)) => {
                let (now, mut lines) = (self.now, vec![]);
                let over: Vec<_> =
                    self.access.tokens.iter().filter(|it| it.account == me && is_over(it.until, now)).cloned().collect();
                over.iter().for_each(|token| lines.extend(self.drops(me, &token.label)));
                let scopes = scopes.as_ref().map(|scopes| scopes.iter().map(ToString::to_string).collect());
                let until = seconds.map(|seconds| Time(now.0 + 1000 * seconds as i64));
                self.access.tokens.push(Token { account: me, label: label.to_string(), hash: hash.to_string(), until, scopes });
                lines
            }
            (Request::DropToken(label), Some(me)) => self.drops(me, label.as_str()),
            (Request::LogInToken(hash), Some(me)) => {
                let token = self.access.tokens.iter().find(|token| token.hash == **hash).expect("it was found").clone();
                let name = self.user(token.account).expect("it was found").name.clone();
                let lines = self.log_in(session, me, &name, true, time);
                self.access.by_token.push((session, token.account, token.label));
                lines
            }
            (Request::SetPassword(_, new), Some(me)) => {
                self.user_mut(me).hash = Some(new.to_string());
                let others = self.connections.iter().filter(|other| other.user == me && other.session != session);
                let others = others.filter(|other| self.token_of(other.session).is_none()).map(|other| other.session).collect();
                self.end_some(others)
            }
            (Request::Unregister(_), Some(me)) => self.remove(me),
            _ => return None,
        })
    }

    fn drops(&mut self, account: UserId, label: &str) -> Vec<Line> {
        let is_it = |token: &str| token.eq_ignore_ascii_case(label);
        let by_it = self.access.by_token.iter().filter(|(_, id, token)| *id == account && is_it(token));
        let sessions = by_it.map(|(session, ..)| *session).collect();
        self.access.tokens.retain(|token| token.account != account || !is_it(&token.label));
        self.end_some(sessions)
    }

    /// Ends connections at once, as when a node ends. If a channel passes to one of them in between, that need not be told.
    pub fn end_some(&mut self, sessions: Vec<SessionId>) -> Vec<Line> {
        let mut lines: Vec<_> = sessions.into_iter().flat_map(|session| self.end(session)).collect();
        let announces_all = self.limits.announce_members > self.limits.members;
        lines.iter_mut().for_each(|line| line.must &= line.text.starts_with("LEAVE ") && announces_all);
        lines
    }

    /// The operator gives a channel to a member.
    fn passes(&mut self, channel: Seq, to: UserId) -> Vec<Line> {
        let who = self.who(to);
        let channel = self.channels.iter_mut().find(|it| it.id == channel).expect("it was found");
        let is_new = channel.owner != Some(to);
        channel.owner = Some(to);
        is_new.then(|| line(channel, true, format!("OWNER #{} {who}", channel.name))).into_iter().collect()
    }

    fn remove(&mut self, account: UserId) -> Vec<Line> {
        let channels: Vec<_> = self.channels.iter().filter(|channel| channel.has(account)).map(|channel| channel.id).collect();
        let lines = channels.into_iter().flat_map(|channel| self.leave(account, channel, " unregistered")).collect();
        self.channels.iter_mut().for_each(|channel| channel.rules.invited.retain(|invited| *invited != account));
        self.ignored.retain(|ignored| ignored.by != account);
        self.away.retain(|away| away.user != account);
        let mine = |session: &SessionId| self.connections.iter().any(|it| it.user == account && it.session == *session);
        self.access.by_token.retain(|(session, ..)| !mine(session));
        self.connections.retain(|connection| connection.user != account);
        self.access.tokens.retain(|token| token.account != account);
        self.access.accounts.retain(|(id, _)| *id != account);
        self.users.retain(|user| user.id != account);
        lines
    }

    fn named(&self, to: &Recipient) -> UserId {
        match self.room(UserId(0), to) {
            Ok(RoomId::Inbox(id)) => id,
            _ => unreachable!("it was found"),
        }
    }

    fn sessions(&self, is_meant: impl Fn(&crate::model::Connection) -> bool) -> Vec<SessionId> {
        self.connections.iter().filter(|connection| is_meant(connection)).map(|connection| connection.session).collect()
    }

    fn operates(&mut self, act: &Act) -> Vec<Line> {
        let until = |now: Time, seconds: &Option<u64>| seconds.map(|seconds| Time(now.0 + 1000 * seconds as i64));
        match act {
            Act::DisconnectOne(id) => self.end_some(self.sessions(|it| it.hello == *id)),
            Act::Disconnect(to) => self.end_some(self.sessions(|it| it.user == self.named(to))),
            Act::Ban(Barred::Network(net), seconds) => {
                let now = self.now;
                self.access.networks.retain(|(banned, until)| banned != net && !is_over(*until, now));
                self.access.networks.push((*net, until(now, seconds)));
                self.end_some(self.sessions(|it| is_in(*net, it.address)))
            }
            Act::Ban(Barred::User(to), seconds) => {
                let id = self.named(to);
                self.access.accounts.retain(|(banned, _)| *banned != id);
                self.access.accounts.push((id, until(self.now, seconds)));
                self.end_some(self.sessions(|it| it.user == id))
            }
            Act::Unban(Barred::Network(net)) => {
                self.access.networks.retain(|(banned, _)| banned != net);
                vec![]
            }
            Act::Unban(Barred::User(to)) => {
                let id = self.named(to);
                self.access.accounts.retain(|(banned, _)| *banned != id);
                vec![]
            }
            Act::Reset(to, hash) => {
                let id = self.named(to);
                self.user_mut(id).hash = Some(hash.to_string());
                self.access.tokens.retain(|token| token.account != id);
                self.end_some(self.sessions(|it| it.user == id))
            }
            Act::Remove(to) => self.remove(self.named(to)),
            Act::Close(name) => {
                let channel = self.channel(name.as_str()).expect("it was found");
                let (id, closed): (Seq, _) = (channel.id, line(channel, true, format!("CLOSE #{} operator:0", channel.name)));
                self.channels.retain(|channel| channel.id != id);
                vec![closed]
            }
            Act::Give(name, to) => {
                let (id, channel) = (self.named(to), self.channel(name.as_str()).expect("it was found").id);
                self.passes(channel, id)
            }
            Act::Notice(_) | Act::Invite { .. } => vec![],
        }
    }
}
