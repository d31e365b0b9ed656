//! Reads a recording: which answer belongs to which line, who a connection was at each line, and when a connection can have
//! ended. It owns nothing; what breaks the form of the protocol it reports, and the rest it leaves to the rules.

use std::collections::{BTreeMap, VecDeque};

use crate::record::{Moment, NEVER, Record, What};

/// A user's id.
pub type User = u64;

/// A line that was sent, and what came of it.
#[derive(Debug, Clone)]
pub struct Op {
    /// The connection that sent it.
    pub connection: usize,
    /// Who that was.
    pub user: User,
    /// The line.
    pub line: String,
    /// When it was sent.
    pub sent: Moment,
    /// When it had certainly been done if it ever was: when its answer was there, or the server dead.
    pub done: Moment,
    /// Its OK or ERR, if one came.
    pub answer: Option<String>,
    /// The data before that.
    pub data: Vec<String>,
}

impl Op {
    /// The word at this place of the line.
    pub fn word(&self, place: usize) -> &str {
        self.line.split(' ').nth(place).unwrap_or_default()
    }

    /// The fields of its OK behind the verb.
    pub fn ok(&self) -> Option<Vec<&str>> {
        self.answer.as_ref()?.strip_prefix("OK ").map(|rest| rest.split(' ').skip(1).collect())
    }

    /// The code of its ERR.
    pub fn code(&self) -> Option<&str> {
        self.answer.as_ref()?.strip_prefix("ERR ")?.split(' ').next()
    }

    /// Whether it was done or may have been.
    pub fn may_have_been(&self) -> bool {
        self.code().is_none()
    }
}

/// What a connection received, in its order.
#[derive(Debug, Clone)]
pub enum Item {
    /// An event, without its `* `.
    Event(Moment, String),
    /// The answer to this line, by its place among all.
    Answer(usize),
}

/// A connection's life.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// The guest that it began as.
    pub guest: User,
    /// What it received.
    pub items: Vec<Item>,
    /// The earliest and the latest moment at which the server can have let go of it.
    pub ended: (Moment, Moment),
}

/// A recording that was read.
#[derive(Debug, Default)]
pub struct Story {
    /// All lines that were sent, in the order of their sending.
    pub ops: Vec<Op>,
    /// The connections by their number.
    pub lives: BTreeMap<usize, Life>,
    /// Accounts by their names.
    pub accounts: BTreeMap<String, User>,
    /// What is against the protocol's form.
    pub wrong: Vec<String>,
}

impl Story {
    /// The user whom a word of this line means: as its OK says, or as it was typed.
    pub fn whom(&self, op: &Op, place: usize) -> Option<User> {
        let told = op.ok().and_then(|fields| fields.get(place - 1)?.rsplit_once(':')?.1.parse().ok());
        told.or_else(|| self.user(op.word(place)))
    }

    /// The user whom a target means.
    pub fn user(&self, target: &str) -> Option<User> {
        self.accounts.get(target).copied().or_else(|| target.parse().ok())
    }
}

/// `name:id`.
pub fn id(who: &str) -> User {
    who.rsplit(':').next().and_then(|id| id.parse().ok()).unwrap_or_default()
}

#[derive(Default)]
struct Reading {
    story: Story,
    users: BTreeMap<usize, User>,
    waiting: BTreeMap<usize, VecDeque<usize>>,
    data: BTreeMap<usize, Vec<String>>,
    killings: Vec<(Moment, Moment)>,
    unsure: Vec<usize>,
}

/// Reads a recording.
pub fn read(records: &[Record]) -> Story {
    let mut reading = Reading::default();
    for record in records {
        reading.take(record);
    }
    let Reading { mut story, waiting, killings, unsure, .. } = reading;
    for op in waiting.into_values().flatten().chain(unsure) {
        let op = &mut story.ops[op];
        op.done = killings.iter().map(|&(_, dead)| dead).find(|&dead| dead > op.sent).unwrap_or(NEVER);
    }
    let first = |life: &Life| life.items.first().map_or(0, |item| if let Item::Event(at, _) = item { *at } else { 0 });
    for life in story.lives.values_mut() {
        let opened = first(life);
        if let Some(&(killing, dead)) = killings.iter().find(|&&(_, dead)| dead > opened) {
            life.ended = (life.ended.0.min(killing), life.ended.1.min(dead));
        }
    }
    narrow(&mut story);
    settle(&mut story);
    let registered = story.ops.iter().filter(|op| op.word(0) == "REGISTER" && op.ok().is_some());
    story.accounts = registered.map(|op| (op.word(1).to_owned(), op.user)).collect();
    story
}

/// What somebody sent and was not answered was done, if ever, before LIST did not show them any more.
fn settle(story: &mut Story) {
    let lists: Vec<_> = story.ops.iter().filter(|op| op.line == "LIST" && op.ok().is_some()).cloned().collect();
    for op in story.ops.iter_mut().filter(|op| op.answer.is_none()) {
        let (named, ended) = (format!(":{} ", op.user), story.lives[&op.connection].ended.0);
        let without = |list: &&Op| list.sent > ended && !list.data.iter().any(|line| line.contains(&named));
        op.done = lists.iter().filter(without).map(|list| list.done).min().unwrap_or(NEVER).min(op.done);
    }
}

/// A guest that LIST does not show any more, or whose LEAVE was shown, has gone by then.
fn narrow(story: &mut Story) {
    let mut gone: BTreeMap<User, Moment> = BTreeMap::new();
    for life in story.lives.values() {
        for item in &life.items {
            if let Item::Event(at, event) = item
                && event.starts_with("LEAVE ")
                && event.ends_with(" disconnected")
            {
                let known = gone.entry(id(event.split(' ').nth(2).unwrap_or_default())).or_insert(*at);
                *known = (*known).min(*at);
            }
        }
    }
    for life in story.lives.values_mut() {
        let listed = story.ops.iter().filter(|op| op.line == "LIST" && op.sent > life.ended.0 && op.ok().is_some());
        let named = format!(":{} ", life.guest);
        let without = listed.filter(|op| !op.data.iter().any(|line| line.contains(&named)));
        let unlisted = without.map(|op| op.done).min().unwrap_or(NEVER);
        life.ended.1 = life.ended.1.min(unlisted).min(gone.get(&life.guest).copied().unwrap_or(NEVER));
    }
}

impl Reading {
    fn take(&mut self, record: &Record) {
        let (at, number) = (record.at, record.connection);
        match record.what {
            What::Opened => {
                self.story.lives.insert(number, Life { ended: (NEVER, NEVER), ..Life::default() });
            }
            What::Sent => self.sent(record),
            What::Got => self.got(record),
            What::Cut => self.let_go(number, at),
            What::Ended => {
                let explained = self.life(number).ended.0 != NEVER || self.killings.iter().any(|&(begun, _)| begun < at);
                self.need(explained, record, "the server closes a connection without a word");
            }
            What::Killing => self.killings.push((at, NEVER)),
            What::Dead => self.killings.last_mut().expect("it was being killed").1 = at,
        }
    }

    fn life(&mut self, number: usize) -> &mut Life {
        self.story.lives.entry(number).or_default()
    }

    /// The server may let go of the connection from this moment on.
    fn let_go(&mut self, number: usize, at: Moment) {
        let life = self.life(number);
        life.ended.0 = life.ended.0.min(at);
    }

    fn need(&mut self, holds: bool, record: &Record, what: &str) {
        if !holds {
            self.story.wrong.push(format!("{what}: {record}"));
        }
    }

    fn sent(&mut self, record: &Record) {
        let user = self.users.get(&record.connection).copied().unwrap_or_default();
        let (connection, line) = (record.connection, record.text.clone());
        if line == "QUIT" {
            self.let_go(connection, record.at);
        }
        self.waiting.entry(connection).or_default().push_back(self.story.ops.len());
        self.story.ops.push(Op { connection, user, line, sent: record.at, done: NEVER, answer: None, data: Vec::new() });
    }

    fn got(&mut self, record: &Record) {
        let number = record.connection;
        let data = self.data.entry(number).or_default();
        if let Some(event) = record.text.strip_prefix("* ") {
            let between = data.is_empty();
            self.need(between, record, "an event between data and its answer");
            if event.starts_with("HELLO ") {
                let who = id(event.split(' ').nth(3).unwrap_or_default());
                self.users.insert(number, who);
                self.life(number).guest = who;
            }
            self.life(number).items.push(Item::Event(record.at, event.to_owned()));
        } else if let Some(line) = record.text.strip_prefix("- ") {
            data.push(line.to_owned());
        } else {
            self.answered(record);
        }
    }

    fn answered(&mut self, record: &Record) {
        let number = record.connection;
        let Some(place) = self.waiting.get_mut(&number).and_then(VecDeque::pop_front) else {
            return self.need(false, record, "an answer to nothing");
        };
        if record.text.starts_with("ERR UNSURE ") && !self.killings.is_empty() {
            // A server that fails says that it does not know: it is as good as no answer.
            self.data.remove(&number);
            return self.unsure.push(place);
        }
        let data = std::mem::take(self.data.entry(number).or_default());
        let op = &mut self.story.ops[place];
        let words: Vec<_> = record.text.split(' ').collect();
        let verb = if words[0] == "OK" { words.get(1) } else { words.get(2) };
        // A stopping server refuses a line that it has not looked at.
        let is_unread = words[..2] == ["ERR", "SHUTTING_DOWN"] && verb == Some(&"-");
        let fits = is_unread || verb.is_some_and(|verb| *verb == op.word(0));
        (op.done, op.data, op.answer) = (record.at, data, Some(record.text.clone()));
        if words[..2] == ["OK", "LOGIN"] {
            self.users.insert(number, id(words.get(2).copied().unwrap_or_default()));
        }
        self.life(number).items.push(Item::Answer(place));
        self.need(fits, record, "an answer to another line");
        let failed = words[0] == "ERR" && ["INTERNAL", "UNSURE", "UNAVAILABLE", "BAD_SYNTAX"].contains(&words[1]);
        self.need(!failed, record, "a server that fails");
    }
}
