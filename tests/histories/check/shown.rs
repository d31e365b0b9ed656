//! What a connection is shown: everything of a room between entering and leaving it, once, in the one order of that room, and
//! nothing before or after.

use std::collections::{BTreeMap, BTreeSet};

use super::messages::{Message, Shown};
use super::read::{Item, Life, Op, Story, User, id};
use super::stays::Presence;
use crate::record::Moment;

/// A room as one connection sees it, from entering to leaving.
#[derive(Debug, Default, Clone)]
pub struct Span {
    /// The connection.
    pub connection: usize,
    /// Who it is.
    pub user: User,
    /// Whether that is somebody who was never anything but a guest.
    pub guest: bool,
    /// The room.
    pub room: String,
    /// It has not begun before this line was sent, if it began with one.
    pub asked: Option<Moment>,
    /// It has certainly begun by then.
    pub begun: Moment,
    /// The seqs that were shown.
    pub seqs: Vec<u64>,
    /// The events that were shown, each with how many seqs were shown before.
    pub events: Vec<(usize, String)>,
    /// When the last barrier within it was asked for.
    pub barrier: Option<Moment>,
    /// Each barrier, and how many seqs were shown before its answer.
    pub barriers: Vec<(Moment, usize)>,
    /// Seqs of which it was said that they cannot be had.
    pub gaps: Vec<(u64, u64)>,
    /// Whether it was told that it missed something.
    pub missed: bool,
}

struct Walk<'a> {
    story: &'a Story,
    wrong: &'a mut Vec<String>,
    open: BTreeMap<String, Span>,
    closed: Vec<Span>,
    number: usize,
    user: User,
}

/// Walks through what each connection received, and reports what was shown outside of any span.
pub fn spans(story: &Story, wrong: &mut Vec<String>) -> Vec<Span> {
    let mut closed = Vec::new();
    for (&number, life) in &story.lives {
        let mut walk = Walk { story, wrong, open: BTreeMap::new(), closed: Vec::new(), number, user: life.guest };
        walk.life(life);
        closed.append(&mut walk.closed);
        closed.extend(walk.open.into_values());
    }
    closed
}

impl Walk<'_> {
    fn life(&mut self, life: &Life) {
        for item in &life.items {
            match item {
                Item::Event(at, event) if event.starts_with("HELLO ") => self.begin(&format!("@{}", life.guest), None, *at),
                Item::Event(at, event) => self.event(*at, event),
                Item::Answer(op) => self.answer(*op),
            }
        }
    }

    fn begin(&mut self, room: &str, asked: Option<Moment>, at: Moment) {
        let became = self.story.ops.iter().any(|op| op.word(0) == "REGISTER" && op.user == self.user && op.may_have_been());
        let guest = !became && self.story.lives.get(&self.number).is_some_and(|life| life.guest == self.user);
        let (connection, user) = (self.number, self.user);
        let span = Span { connection, user, guest, room: room.to_owned(), asked, begun: at, ..Span::default() };
        self.open.entry(room.to_owned()).or_insert(span);
    }

    fn end(&mut self, room: &str) {
        self.closed.extend(self.open.remove(room));
    }

    fn answer(&mut self, place: usize) {
        let op = &self.story.ops[place];
        let Some(fields) = op.ok() else { return };
        match op.word(0) {
            "JOIN" | "CREATE" | "FOLLOW" => self.begin(op.word(1), Some(op.sent), op.done),
            "LEAVE" | "CLOSE" => self.end(op.word(1)),
            "PING" => {
                for span in self.open.values_mut() {
                    span.barrier = Some(op.sent);
                    span.barriers.push((op.sent, span.seqs.len()));
                }
            }
            "LOGIN" => {
                self.closed.extend(std::mem::take(&mut self.open).into_values());
                self.user = id(fields[0]);
                self.begin(&format!("@{}", self.user), Some(op.sent), op.done);
                for channel in op.data.iter().filter_map(|line| line.strip_prefix("CHANNEL ")?.split(' ').next()) {
                    self.begin(channel, Some(op.sent), op.done);
                }
            }
            _ => (),
        }
    }

    /// Whether another connection of this account may have taken it into this channel with one of these verbs.
    fn may_have_been_taken(&self, verbs: &[&str], channel: &str, at: Moment) -> bool {
        let enters = self.story.ops.iter().filter(|op| verbs.contains(&op.word(0)) && op.word(1) == channel);
        enters.filter(|op| op.user == self.user && op.connection != self.number && op.may_have_been()).any(|op| op.sent < at)
    }

    fn event(&mut self, at: Moment, event: &str) {
        let words: Vec<_> = event.split(' ').collect();
        let shown = Shown::read(event);
        let room = match (&shown, words[0]) {
            (Some(shown), _) => shown.room.clone(),
            (None, "SHUTDOWN" | "BYE" | "AWAY") => return,
            (None, "GAP" | "RETRACT") if !words[1].starts_with('#') => format!("@{}", id(words[1])),
            (None, _) => words.get(1).copied().unwrap_or_default().to_owned(),
        };
        let own = words.get(2).is_some_and(|who| id(who) == self.user);
        if words[0] == "INVITE" && own {
            return;
        }
        if !self.open.contains_key(&room) {
            // What was missed is told when the reader has caught up, and that may be at the end of what it reads.
            if ["MISSED", "GAP"].contains(&words[0])
                && let Some(span) = self.closed.iter_mut().rfind(|span| span.room == room)
            {
                span.missed |= words[0] == "MISSED";
                return;
            }
            // Where it is in, it was shown to come in; only a channel that it created elsewhere begins without a word.
            let verbs: &[_] = if words[0] == "JOIN" && own { &["CREATE", "JOIN", "FOLLOW"] } else { &["CREATE"] };
            if !room.starts_with('#') || !self.may_have_been_taken(verbs, &room, at) {
                return self.wrong.push(format!("connection {} is shown what is not of its rooms: {event}", self.number));
            }
            self.begin(&room, None, at);
        }
        let span = self.open.get_mut(&room).expect("it is open");
        let number = |place: usize| words.get(place).and_then(|seq| seq.parse().ok()).unwrap_or_default();
        match (shown, words[0]) {
            (Some(shown), _) => {
                let last = span.seqs.last().copied().unwrap_or(0);
                span.seqs.push(shown.seq);
                if shown.seq <= last {
                    self.wrong.push(format!("connection {}: {room}: {} is shown after {last}", self.number, shown.seq));
                }
            }
            (None, "GAP") => span.gaps.push((number(2), number(3))),
            (None, "MISSED") => span.missed = true,
            (None, _) => span.events.push((span.seqs.len(), event.to_owned())),
        }
        if words[0] == "CLOSE" || (["LEAVE", "KICK"].contains(&words[0]) && own) {
            self.end(&room);
        }
    }
}

/// Where others were shown this user to come: after this seq, and before that one, if they were shown any. Who came more than
/// once came in several places, and a `JOIN` of an account may only tell that it is back.
fn joined(span: &Span, spans: &[Span]) -> (u64, Option<u64>) {
    let start = format!("JOIN {} ", span.room);
    let by_it = |event: &str| event.starts_with(&start) && event.split(' ').nth(2).is_some_and(|who| id(who) == span.user);
    let (mut event, mut after, mut before) = (None, 0, None);
    let of_it = |other: &&Span| other.room == span.room && other.connection == span.connection;
    if !span.guest || spans.iter().filter(of_it).count() > 1 {
        return (after, before);
    }
    for other in spans.iter().filter(|other| other.room == span.room && other.user != span.user) {
        for (count, text) in other.events.iter().filter(|(_, text)| by_it(text)) {
            if event.is_some_and(|known| known != text) {
                return (0, None);
            }
            event = Some(text);
            after = after.max(count.checked_sub(1).map_or(0, |last| other.seqs[last]));
            before = before.into_iter().chain(other.seqs.get(*count).copied()).min();
        }
    }
    (after, before)
}

/// Everything of a room within a span is shown, but for what the connection sent itself.
pub fn complete(story: &Story, messages: &[Message], presence: &Presence, spans: &[Span], wrong: &mut Vec<String>) {
    let mut rooms: BTreeMap<&str, Vec<&Message>> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.seq.is_some()) {
        rooms.entry(message.room.as_deref().unwrap_or_default()).or_default().push(message);
    }
    for span in spans {
        let (before_it, within_it) = joined(span, spans);
        let messages = rooms.get(span.room.as_str()).map(Vec::as_slice).unwrap_or_default();
        let shown: BTreeSet<_> = span.seqs.iter().copied().collect();
        let after = messages.iter().filter(|message| message.sent > span.begun).filter_map(|message| message.seq).min();
        let low = span.seqs.first().copied().into_iter().chain(after).chain(within_it).min();
        if span.seqs.first().is_some_and(|first| *first <= before_it) {
            wrong.push(format!("connection {} in {} is shown what was said before it came", span.connection, span.room));
        }
        // Whoever was in it already, by another connection, may be shown what is a little older.
        let came = span.asked.filter(|asked| !presence.member(span.user, &span.room).possible(*asked, asked + 1));
        if let Some(early) = messages.iter().find(|it| came > Some(it.known) && shown.contains(&it.seq.unwrap_or(0))) {
            wrong.push(format!("connection {} is shown what was said while it was out: {}", span.connection, early.text));
        }
        let early = |barrier| messages.iter().filter(move |message| message.known < barrier).filter_map(|message| message.seq);
        let before = span.barrier.and_then(|barrier| early(barrier).max());
        let high = span.seqs.last().copied().into_iter().chain(before).max();
        let (Some(low), Some(high)) = (low, high) else { continue };
        let of_own = |message: &Message| message.ops.iter().any(|&op| story.ops[op].connection == span.connection);
        for message in messages {
            let seq = message.seq.expect("it has one");
            let lost = span.gaps.iter().any(|&(first, last)| (first..=last).contains(&seq));
            let may_be_hidden = !message.retracted.is_empty() || message.may_be_ignored(span.user, presence);
            // A guest who is far behind is not told who has put them out, nor when, but that they have missed something.
            let there = || presence.member(span.user, &span.room).certain(message.sent, message.sent);
            let due = !of_own(message) && !lost && !may_be_hidden && (!span.missed || there());
            if (low..=high).contains(&seq) && due && !shown.contains(&seq) {
                let (connection, room) = (span.connection, &span.room);
                wrong.push(format!("connection {connection} in {room} is not shown {seq} ({low} to {high}): {}", message.text));
            }
            let echoed = message.ops.iter().any(|&op| {
                let op = &story.ops[op];
                op.connection == span.connection && op.ok().is_some_and(|fields| fields.len() == 2)
            });
            if echoed && shown.contains(&seq) {
                wrong.push(format!("connection {} is shown what it sent: {seq}", span.connection));
            }
        }
        for &(barrier, count) in &span.barriers {
            let newest = messages.iter().filter(|message| message.known < barrier && shown.contains(&message.seq.unwrap_or(0)));
            let must = newest.filter_map(|message| message.seq).max();
            let had = span.seqs[..count].last().copied();
            if must > had {
                wrong.push(format!("connection {} in {}: {must:?} is shown after the barrier", span.connection, span.room));
            }
        }
    }
}

/// A room's events, messages among them, are shown to all in one order: laid side by side they make no circle. And what one is
/// shown between two messages is shown to everybody who was shown both.
pub fn one_order(story: &Story, spans: &[Span], wrong: &mut Vec<String>) {
    let mut rooms: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.room.starts_with('#')) {
        rooms.entry(&span.room).or_default().push(span);
    }
    for (room, spans) in rooms {
        let twins = twins(&spans);
        // For each event, the seqs between which all have seen it.
        let mut places: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for span in &spans {
            for (count, event) in span.events.iter().filter(|(_, event)| !twins.contains(event.as_str())) {
                let low = count.checked_sub(1).map_or(0, |last| span.seqs[last]);
                let high = span.seqs.get(*count).copied().unwrap_or(u64::MAX);
                let place = places.entry(event).or_insert((low, high));
                *place = (place.0.max(low), place.1.min(high));
            }
        }
        for (event, (low, high)) in places.iter().filter(|(_, (low, high))| low >= high) {
            wrong.push(format!("{room}: some see it before {high} and some after {low}: {event}"));
        }
        for span in &spans {
            let mut between = span.events.windows(2).filter(|pair| pair[0].1 == pair[1].1 && pair[0].0 == pair[1].0);
            if let Some(pair) = between.next() {
                wrong.push(format!("connection {} is shown twice: {}", span.connection, pair[0].1));
            }
            let gave = |op: &Op| op.connection == span.connection && op.word(0) == "GIVE" && op.word(1) == room;
            everything(room, span, &places, story.ops.iter().any(gave), wrong);
        }
        pairs(room, &spans, &twins, wrong);
    }
}

/// What reads alike and was shown to somebody twice: somebody came, went and came again within a millisecond. Nothing tells which
/// of them another saw.
fn twins<'a>(spans: &[&'a Span]) -> BTreeSet<&'a str> {
    let mut twins = BTreeSet::new();
    for span in spans {
        let mut seen = BTreeSet::new();
        twins.extend(span.events.iter().map(|(_, event)| event.as_str()).filter(|event| !seen.insert(*event)));
    }
    twins
}

/// Whoever gave the channel to somebody is not shown that it has another owner.
fn everything(room: &str, span: &Span, places: &BTreeMap<&str, (u64, u64)>, gave: bool, wrong: &mut Vec<String>) {
    let (Some(&first), Some(&last)) = (span.seqs.first(), span.seqs.last()) else { return };
    let seen: BTreeSet<_> = span.events.iter().map(|(_, event)| event.as_str()).collect();
    for (event, (low, high)) in places {
        // Who did it, or to whom it was done.
        let own = event.split(' ').skip(2).take(2).any(|who| id(who) == span.user) || (gave && event.starts_with("OWNER "));
        if *low >= first && *high <= last && !own && !span.missed && !seen.contains(event) {
            wrong.push(format!("connection {} in {room} is not shown: {event} (between {low} and {high})", span.connection));
        }
    }
}

/// No two events are shown in one order to some and in the other to others.
fn pairs(room: &str, spans: &[&Span], twins: &BTreeSet<&str>, wrong: &mut Vec<String>) {
    let mut orders: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for span in spans {
        let events: Vec<_> =
            span.events.iter().map(|(_, event)| event.as_str()).filter(|event| !twins.contains(event)).collect();
        for (place, first) in events.iter().enumerate() {
            for second in events[place + 1..].iter().filter(|second| *second != first) {
                orders.insert((first, second), span.connection);
            }
        }
    }
    for ((first, second), connection) in &orders {
        if first < second
            && let Some(other) = orders.get(&(second, first))
        {
            wrong.push(format!("{room}: connections {connection} and {other} see these in two orders: {first} / {second}"));
        }
    }
}
