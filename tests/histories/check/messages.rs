//! The messages of a recording: every text is sent once or with a key, so that a text is a message. It gathers what is known of
//! each, and holds the promises about one message: stored once, under one seq, and never where it was refused.

use std::collections::BTreeMap;

use super::read::{Item, Op, Story, User, id};
use super::stays::{Change, Presence};
use crate::record::{Moment, NEVER};

/// What is known of a message.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Its target as it was typed.
    pub target: String,
    /// Its text.
    pub text: String,
    /// The lines that sent it.
    pub ops: Vec<usize>,
    /// It was not stored before this.
    pub sent: Moment,
    /// It was stored before this, if ever.
    pub known: Moment,
    /// Its seq, if anybody was told.
    pub seq: Option<u64>,
    /// Its time.
    pub time: String,
    /// The channel, or `@id` of the user whose inbox it is in.
    pub room: Option<String>,
    /// Who sent it.
    pub from: User,
    /// When it was retracted, or may have been.
    pub retracted: Vec<Change>,
}

impl Message {
    /// Whether it may have been retracted before this.
    pub fn may_be_gone(&self, by: Moment) -> bool {
        self.retracted.iter().any(|change| change.from < by)
    }

    /// Whether it was certainly retracted before this.
    pub fn is_gone(&self, by: Moment) -> bool {
        self.retracted.iter().any(|change| change.sure && change.to < by)
    }

    /// Whether this user certainly ignored its sender all the while that it was on its way.
    pub fn is_ignored(&self, by: User, presence: &Presence) -> bool {
        presence.ignoring(by, self.from).certain(self.sent, self.known)
    }

    /// Whether this user may have ignored its sender then.
    pub fn may_be_ignored(&self, by: User, presence: &Presence) -> bool {
        presence.ignoring(by, self.from).possible(self.sent, self.known)
    }
}

/// A `MSG` line as it was shown, live or in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its seq.
    pub seq: u64,
    /// Its time.
    pub time: String,
    /// The channel, or `@id` of the user whose inbox it is in.
    pub room: String,
    /// Who sent it.
    pub from: User,
    /// Its text.
    pub text: String,
}

impl Shown {
    /// Reads `MSG seq time to from text`.
    pub fn read(line: &str) -> Option<Self> {
        let fields: Vec<_> = line.strip_prefix("MSG ")?.splitn(5, ' ').collect();
        let &[seq, time, to, from, text] = &fields[..] else { return None };
        let room = if to.starts_with('#') { to.to_owned() } else { format!("@{}", id(to)) };
        Some(Self { seq: seq.parse().ok()?, time: time.to_owned(), room, from: id(from), text: text.to_owned() })
    }
}

/// The key, the target and the text of `MSG [@key] target text`.
fn parts(op: &Op) -> Option<(Option<&str>, &str, &str)> {
    let rest = op.line.strip_prefix("MSG ")?;
    let (first, after) = rest.split_once(' ')?;
    if !first.starts_with('@') {
        return Some((None, first, after));
    }
    let (target, text) = after.split_once(' ')?;
    Some((Some(first), target, text))
}

/// Gathers all messages, and reports what cannot be of one message.
pub fn gather(story: &Story, wrong: &mut Vec<String>) -> Vec<Message> {
    let mut messages: BTreeMap<(User, String), Message> = BTreeMap::new();
    for (place, op) in story.ops.iter().enumerate() {
        if let Some((_, target, text)) = parts(op) {
            let message = messages.entry((op.user, text.to_owned())).or_insert_with(|| Message {
                target: target.to_owned(),
                text: text.to_owned(),
                sent: op.sent,
                known: NEVER,
                from: op.user,
                ..Message::default()
            });
            message.ops.push(place);
        }
    }
    for message in messages.values_mut() {
        answers(story, message, wrong);
    }
    for (at, line) in shown(story) {
        let Some(shown) = Shown::read(line) else {
            wrong.push(format!("a MSG of another form: {line}"));
            continue;
        };
        let Some(message) = messages.get_mut(&(shown.from, shown.text.clone())) else {
            wrong.push(format!("a message that nobody sent: {line}"));
            continue;
        };
        let same = message.seq.is_none_or(|seq| seq == shown.seq && message.time == shown.time)
            && message.room.as_ref().is_none_or(|room| *room == shown.room);
        let refused = message.ops.iter().all(|&op| !story.ops[op].may_have_been());
        if !same || refused || at < message.sent {
            wrong.push(format!("a message is shown as it was not stored ({message:?}): {line}"));
        }
        message.known = message.known.min(at);
        (message.seq, message.time, message.room) = (Some(shown.seq), shown.time, Some(shown.room));
    }
    for op in story.ops.iter().filter(|op| op.word(0) == "RETRACT" && op.may_have_been()) {
        let seq = op.word(1).parse().ok();
        messages.values_mut().filter(|it| it.seq == seq).for_each(|it| it.retracted.push(Change::of(op)));
    }
    let mut messages: Vec<_> = messages.into_values().collect();
    for message in &mut messages {
        let user = story.user(&message.target);
        let room = user.map_or_else(|| message.target.clone(), |user| format!("@{user}"));
        let elsewhere = message.room.as_ref().is_some_and(|known| *known != room);
        if elsewhere {
            wrong.push(format!("a message is not where it was sent: {message:?}"));
        }
        message.room = Some(room);
    }
    order(story, &messages, wrong);
    messages
}

/// Every `MSG` line that was shown to anybody, and by when it was there.
fn shown(story: &Story) -> impl Iterator<Item = (Moment, &str)> {
    let live = story.lives.values().flat_map(|life| &life.items).filter_map(|item| match item {
        Item::Event(at, line) if line.starts_with("MSG ") => Some((*at, line.as_str())),
        _ => None,
    });
    let pages = story.ops.iter().flat_map(|op| op.data.iter().map(|line| (op.done, line.as_str())));
    live.chain(pages.filter(|(_, line)| line.starts_with("MSG ")))
}

/// What the answers to a message and to its retries tell of it.
fn answers(story: &Story, message: &mut Message, wrong: &mut Vec<String>) {
    let ops: Vec<_> = message.ops.iter().map(|&op| &story.ops[op]).collect();
    let mut stored = 0;
    for op in &ops {
        let before = ops.iter().any(|other| other.done < op.sent && other.ok().is_some());
        let Some(fields) = op.ok() else {
            // Where only operators may speak now, the retry is refused as any line is.
            let gone = ["NO_SUCH_USER", "NO_SUCH_CHANNEL", "NOT_MEMBER", "NOT_ALLOWED"];
            let code = op.code().unwrap_or("NOT_MEMBER");
            let reused = code == "KEY_REUSED" && !(ops.len() > 1 && message.target.starts_with('#'));
            if reused || (before && !gone.contains(&code) && code != "KEY_REUSED") {
                wrong.push(format!("a retry is refused: {op:?}"));
            }
            continue;
        };
        let dup = fields.get(2) == Some(&"dup");
        let seq = fields.first().and_then(|seq| seq.parse().ok());
        let time = fields.get(1).copied().unwrap_or_default();
        if (message.seq.is_some() && (message.seq != seq || message.time != time)) || seq.is_none() {
            wrong.push(format!("a retry has another seq: {op:?}"));
        }
        let alone = ops.iter().all(|other| other.sent >= op.sent || !other.may_have_been());
        if (before && !dup) || (alone && dup) {
            wrong.push(format!("dup is said where it is not so: {op:?}"));
        }
        if !dup {
            stored += 1;
            message.sent = op.sent;
        }
        (message.seq, message.time) = (seq, time.to_owned());
        message.known = message.known.min(op.done);
    }
    if stored > 1 {
        wrong.push(format!("stored twice with one key: {message:?}"));
    }
}

/// In a room, seqs are given once, in real time, and in the order in which one connection sent.
fn order(story: &Story, messages: &[Message], wrong: &mut Vec<String>) {
    let mut rooms: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.seq.is_some()) {
        rooms.entry(message.room.as_deref().unwrap_or_default()).or_default().push(message);
    }
    for (room, mut messages) in rooms {
        messages.sort_by_key(|message| message.seq);
        if let Some(pair) = messages.windows(2).find(|pair| pair[0].seq == pair[1].seq) {
            wrong.push(format!("{room}: two messages of one seq: {pair:?}"));
        }
        let mut earliest = NEVER;
        for message in messages.iter().rev() {
            if earliest < message.sent {
                wrong.push(format!("{room}: a later seq was there before this was sent: {message:?}"));
            }
            earliest = earliest.min(message.known);
        }
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for message in messages.iter().filter(|message| message.ops.len() == 1) {
            let place = message.ops[0];
            let before = last.insert(story.ops[place].connection, place);
            if before.is_some_and(|before| before > place) {
                wrong.push(format!("{room}: a connection's messages changed places: {message:?}"));
            }
        }
    }
}
