//! Inboxes and histories as they were asked for: nothing that was answered OK is missing, nothing that was marked is shown, and
//! every count is one that was true at some moment between question and answer.

use std::collections::BTreeMap;

use super::messages::{Message, Shown};
use super::read::{Op, Story, User, id};
use super::stays::Presence;
use crate::record::Moment;

/// How many unread messages an inbox may hold in these histories.
pub const INBOX: usize = 9;

struct Inbox<'a> {
    user: User,
    /// Those that were stored, in the order of their seqs.
    stored: Vec<&'a Message>,
    /// Those of which nobody knows, and by when they were stored if they ever were.
    unknown: Vec<(&'a Message, Moment)>,
    acks: Vec<&'a Op>,
    /// The messages of all rooms, which have one order.
    all: &'a [Message],
    presence: &'a Presence,
}

/// The mark that an OK tells, or the highest that the line may have set.
fn highest(op: &Op) -> u64 {
    match op.ok() {
        Some(fields) => fields.first().and_then(|seq| seq.parse().ok()).unwrap_or(0),
        None => op.word(1).parse().unwrap_or(u64::MAX),
    }
}

impl Inbox<'_> {
    /// The lowest and highest place that the mark can have had between these moments.
    fn mark(&self, from: Moment, to: Moment) -> (u64, u64) {
        let low = self.acks.iter().filter(|op| op.done < from && op.ok().is_some()).map(|op| highest(op)).max();
        let high = self.acks.iter().filter(|op| op.sent < to).map(|op| highest(op)).max();
        (low.unwrap_or(0), high.unwrap_or(0))
    }

    /// How few and how many can have been unread between these moments.
    fn unread(&self, from: Moment, to: Moment) -> (usize, usize) {
        let (low, high) = self.mark(from, to);
        let seq = |message: &Message| message.seq.unwrap_or(0);
        let unread = self.stored.iter().filter(|message| message.known < from && seq(message) > high);
        let least = unread.filter(|message| !message.may_be_ignored(self.user, self.presence)).count();
        let unread = self.stored.iter().filter(|message| message.sent < to && seq(message) > low);
        let most = unread.filter(|message| !message.is_ignored(self.user, self.presence)).count();
        (least, most + self.unknown.iter().filter(|(message, _)| message.sent < to).count())
    }

    /// Whether it may be in the inbox and yet not be shown, nor counted, between these moments.
    fn may_be_hidden(&self, message: &Message, from: Moment, to: Moment) -> bool {
        let is_ignored = self.presence.ignoring(self.user, message.from).possible(from, to);
        is_ignored || message.may_be_gone(to) || message.may_be_ignored(self.user, self.presence)
    }

    /// The same as [`Inbox::unread`] as the owner is told of it.
    fn told(&self, from: Moment, to: Moment) -> (usize, usize) {
        let (_, high) = self.mark(from, to);
        let (_, most) = self.unread(from, to);
        let unread = self.stored.iter().filter(|message| message.known < from && message.seq.unwrap_or(0) > high);
        (unread.filter(|message| !self.may_be_hidden(message, from, to)).count(), most)
    }

    fn asked(&self, op: &Op, fields: &[&str], wrong: &mut Vec<String>) {
        let number = |place: usize| fields.get(place).and_then(|count| count.parse::<usize>().ok()).unwrap_or(usize::MAX);
        let (shown, remaining) = (number(0), number(1));
        let page: Vec<_> = op.data.iter().filter_map(|line| Shown::read(line)).collect();
        let asked: usize = if op.word(1).is_empty() { 100 } else { op.word(1).parse().unwrap_or(0) };
        let ordered = page.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        let own = page.iter().all(|message| message.room == format!("@{}", self.user));
        let form = page.len() == shown && shown <= asked && (remaining == 0 || shown == asked);
        if !ordered || !own || !form || op.data.len() != shown {
            wrong.push(format!("an INBOX that is none: {op:?}"));
        }
        let (least, most) = self.told(op.sent, op.done);
        let unread = shown.saturating_add(remaining);
        if !(least..=most).contains(&unread) {
            wrong.push(format!("INBOX counts {unread} and there are {least} to {most}: {op:?}"));
        }
        let (low, high) = self.mark(op.sent, op.done);
        let (first, last) = (page.first().map_or(u64::MAX, |page| page.seq), page.last().map_or(0, |page| page.seq));
        if first <= low {
            wrong.push(format!("INBOX shows what is marked up to {low}: {op:?}"));
        }
        for message in &self.stored {
            let seq = message.seq.unwrap_or(0);
            let missing = !page.iter().any(|shown| shown.seq == seq);
            let must = (first < seq && seq < last) || (message.known < op.sent && seq > high && (remaining == 0 || seq < last));
            if must && missing && !self.may_be_hidden(message, op.sent, op.done) {
                wrong.push(format!("INBOX does not show {seq}, stored and unread: {op:?}"));
            }
        }
    }

    /// Whether a message of which nobody knows can have this seq: no other message has it, and it was stored after those that
    /// were there before it was sent, and before those that were sent when it was over.
    fn may_be_unknown(&self, mark: u64, op: &Op) -> bool {
        self.unknown.iter().filter(|(message, _)| message.sent < op.done).any(|(message, done)| {
            let fits = |stored: &Message| {
                let seq = stored.seq.unwrap_or(0);
                seq != mark && (stored.known >= message.sent || seq < mark) && (stored.sent <= *done || seq > mark)
            };
            self.all.iter().filter(|message| message.seq.is_some()).all(fits)
        })
    }

    fn marked(&self, op: &Op, wrong: &mut Vec<String>) {
        let mark = highest(op);
        let asked = op.word(1).parse().unwrap_or(u64::MAX);
        let seq = |message: &&&Message| message.seq.unwrap_or(0);
        let certain = self.stored.iter().filter(|message| message.known < op.sent && message.seq.unwrap_or(0) <= asked);
        let certain = certain.filter(|message| !message.may_be_ignored(self.user, self.presence));
        let least = certain.map(|message| message.seq.unwrap_or(0)).max().unwrap_or(0).max(self.mark(op.sent, op.sent).0);
        let others = self.acks.iter().filter(|other| other.sent < op.done && !std::ptr::eq(**other, op));
        let most = others.map(|op| highest(op)).max().unwrap_or(0).max(asked);
        let one = mark == 0 || self.may_be_unknown(mark, op) || self.stored.iter().any(|message| seq(&message) == mark);
        let there = self.stored.iter().find(|message| seq(message) == mark).is_none_or(|message| message.sent < op.done);
        if mark < least || mark > most || !one || !there {
            wrong.push(format!("the mark is {mark}, and may be {least} to {most}: {op:?}"));
        }
    }
}

/// Whether this marks an inbox: a channel has marks of its own.
fn is_ack(op: &Op) -> bool {
    op.word(0) == "ACK" && !op.word(1).starts_with('#')
}

/// What INBOX, ACK and LOGIN answered.
pub fn inboxes(story: &Story, messages: &[Message], presence: &Presence, wrong: &mut Vec<String>) {
    let mut inboxes: BTreeMap<User, Inbox<'_>> = BTreeMap::new();
    let empty = |user| Inbox { user, stored: Vec::new(), unknown: Vec::new(), acks: Vec::new(), all: messages, presence };
    for message in messages {
        let Some(user) = message.room.as_ref().and_then(|room| room.strip_prefix('@')?.parse().ok()) else { continue };
        let inbox = inboxes.entry(user).or_insert_with(|| empty(user));
        if message.seq.is_some() {
            inbox.stored.push(message);
        } else {
            let ops = message.ops.iter().map(|&op| &story.ops[op]).filter(|op| op.may_have_been());
            inbox.unknown.extend(ops.map(|op| op.done).max().map(|done| (message, done)));
        }
    }
    for op in story.ops.iter().filter(|op| is_ack(op) && op.may_have_been()) {
        inboxes.entry(op.user).or_insert_with(|| empty(op.user)).acks.push(op);
    }
    for inbox in inboxes.values_mut() {
        inbox.stored.sort_by_key(|message| message.seq);
    }
    for op in &story.ops {
        let Some(fields) = op.ok() else { continue };
        let user = if op.word(0) == "LOGIN" { id(fields[0]) } else { op.user };
        let inbox = inboxes.entry(user).or_insert_with(|| empty(user));
        match op.word(0) {
            "INBOX" => inbox.asked(op, &fields, wrong),
            "ACK" if is_ack(op) => inbox.marked(op, wrong),
            "LOGIN" => {
                let (least, most) = inbox.told(op.sent, op.done);
                if !fields.get(1).and_then(|count| count.parse().ok()).is_some_and(|count| (least..=most).contains(&count)) {
                    wrong.push(format!("LOGIN counts other than {least} to {most}: {op:?}"));
                }
            }
            _ => (),
        }
    }
    full(story, messages, &inboxes, wrong);
}

/// An inbox takes what it has room for, and says so when it has none.
fn full(story: &Story, messages: &[Message], inboxes: &BTreeMap<User, Inbox<'_>>, wrong: &mut Vec<String>) {
    for message in messages {
        let Some(user) = message.room.as_ref().and_then(|room| room.strip_prefix('@')?.parse().ok()) else { continue };
        let Some(inbox) = inboxes.get(&user) else { continue };
        for op in message.ops.iter().map(|&op| &story.ops[op]) {
            let (least, most) = inbox.unread(op.sent, op.done);
            let stored = op.ok().is_some_and(|fields| fields.len() == 2);
            if (stored && least >= INBOX) || (op.code() == Some("INBOX_FULL") && most < INBOX) {
                wrong.push(format!("{least} to {most} of {INBOX} are unread: {op:?}"));
            }
        }
    }
}

/// What HISTORY answered.
pub fn histories(story: &Story, messages: &[Message], presence: &Presence, wrong: &mut Vec<String>) {
    for op in story.ops.iter().filter(|op| op.word(0) == "HISTORY") {
        let Some(fields) = op.ok() else { continue };
        let channel = op.word(1);
        let page: Vec<_> = op.data.iter().filter_map(|line| Shown::read(line)).collect();
        let count: usize = fields.first().and_then(|count| count.parse().ok()).unwrap_or(usize::MAX);
        let asked = op.word(2).parse().unwrap_or(100);
        // From where on it shows the oldest; otherwise it shows the newest.
        let since: Option<u64> = op.line.split_once(" since ").and_then(|(_, seq)| seq.parse().ok());
        let ordered = page.windows(2).all(|pair| pair[0].seq < pair[1].seq);
        let of_it = page.iter().all(|message| message.room == channel);
        if !ordered || !of_it || page.len() != count || op.data.len() != count || count > asked {
            wrong.push(format!("a HISTORY that is none: {op:?}"));
        }
        let (first, last) = (page.first().map_or(u64::MAX, |page| page.seq), page.last().map_or(0, |page| page.seq));
        let Some(stays) = presence.channels.get(channel) else { continue };
        for message in messages.iter().filter(|message| message.seq.is_some() && message.room.as_deref() == Some(channel)) {
            let seq = message.seq.unwrap_or(0);
            let shown = page.iter().any(|shown| shown.seq == seq);
            let on_page = count < asked || if since.is_some() { seq < last } else { seq > first };
            let asked_for = op.word(2) != "unread" && since.is_none_or(|since| seq > since);
            let stored = message.known < op.sent && stays.certain(message.sent, op.done) && on_page && asked_for;
            if shown && since.is_some_and(|since| seq <= since) {
                wrong.push(format!("HISTORY shows {seq}, which was not asked for: {op:?}"));
            }
            if message.may_be_gone(op.done) || presence.ignoring(op.user, message.from).possible(op.sent, op.done) {
                continue;
            }
            if !shown && (stored || (first < seq && seq < last)) {
                wrong.push(format!("HISTORY does not show {seq}, which is stored: {op:?}"));
            }
            let closed = |exit: &&super::stays::Change| exit.sure && exit.from > message.known && exit.to < op.sent;
            if shown && stays.exits.iter().any(|exit| closed(&exit)) {
                wrong.push(format!("HISTORY shows {seq} of a channel that was closed: {op:?}"));
            }
        }
    }
}
