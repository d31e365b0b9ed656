//! Judging a simulation of a cluster: what everybody saw, against what all servers keep in the end. It knows PROTOCOL.md and not the
//! code.

use std::collections::{BTreeMap, BTreeSet};

use linechat::event::{Event, RoomId};
use linechat::names::Seq;
use linechat::store::{Query, Start, What as Which};

use super::disk::Platter;
use super::hidden;
use super::people::{Fate, Said};
use super::record::{Moment, NEVER, Record, What};

/// A message that is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its room.
    pub room: RoomId,
    /// Its seq.
    pub seq: u64,
    /// Its text; none, if it was retracted.
    pub text: String,
}

/// The highest number of a room that is looked for.
const ROOMS: u64 = 20_000;

/// Every message that is kept, in the order of their seqs.
pub async fn log(platter: &Platter) -> Vec<Kept> {
    let reader = platter.lock().expect("nothing panics under this lock").reader();
    let mut kept = Vec::new();
    for room in (1..ROOMS).flat_map(|number| [RoomId::Channel(Seq(number)), RoomId::Inbox(linechat::names::UserId(number))]) {
        let query = Query { room, start: Start::After(Seq(0)), count: usize::MAX, what: Which::Messages };
        let page = reader.read(query).await.expect("the store is whole");
        for entry in page.entries {
            let text = match &entry.event {
                Event::Said { text, .. } => text.to_string(),
                Event::Unsaid { .. } => String::new(),
                _ => continue,
            };
            kept.push(Kept { room, seq: entry.seq.0, text });
        }
    }
    kept.sort_by_key(|message| message.seq);
    kept
}

/// One connection, as it was recorded.
#[derive(Default)]
struct Connection<'a> {
    sent: Vec<(Moment, &'a str)>,
    /// Each answer, with the moment at which its line was sent.
    answers: Vec<(Moment, Moment, &'a str)>,
    shown: Vec<&'a str>,
    is_missing_some: bool,
    ended: Option<Moment>,
}

fn connections(records: &[Record]) -> BTreeMap<usize, Connection<'_>> {
    let mut all: BTreeMap<usize, Connection<'_>> = BTreeMap::new();
    for Record { at, connection, what, text } in records {
        let it = all.entry(*connection).or_default();
        match what {
            What::Sent => it.sent.push((*at, text)),
            What::Got if text.starts_with("OK ") || text.starts_with("ERR ") => {
                let sent = it.sent.get(it.answers.len()).map_or(*at, |(sent, _)| *sent);
                it.answers.push((sent, *at, text));
            }
            What::Got if text.starts_with("* MSG ") => it.shown.push(text),
            What::Got if text.starts_with("* MISSED") || text.starts_with("* GAP") => it.is_missing_some = true,
            What::Ended | What::Cut => it.ended = Some(it.ended.unwrap_or(*at)),
            _ => {}
        }
    }
    all
}

/// Everything that is wrong.
pub fn judge(records: &[Record], said: &[Said], log: &[Kept]) -> Vec<String> {
    let mut wrong = Vec::new();
    let connections = connections(records);
    // Connection 0 is what the servers report of themselves.
    wrong.extend(records.iter().filter(|record| record.connection == 0 && record.what == What::Got).map(|it| it.text.clone()));
    texts(said, log, &mut wrong);
    for (number, connection) in &connections {
        shown(*number, connection, log, &mut wrong);
    }
    hidden::hidden(records, &mut wrong);
    names(&connections, &mut wrong);
    created(&connections, &mut wrong);
    wrong
}

/// Nothing OK'd is lost, nothing is there twice, and what was refused is not there.
fn texts(said: &[Said], log: &[Kept], wrong: &mut Vec<String>) {
    let mut kept: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    log.iter().for_each(|message| kept.entry(&message.text).or_default().push(message.seq));
    for Said { text, fate } in said {
        let found = kept.get(text.as_str()).map_or(&[][..], Vec::as_slice);
        let is_right = match fate {
            Fate::Stored(seq) => found == [*seq],
            Fate::Refused => found.is_empty(),
            Fate::Unknown => found.len() <= 1,
            Fate::Retracted(_) => found.is_empty(),
            Fate::MaybeRetracted(seq) => found.is_empty() || found == [*seq],
        };
        if !is_right {
            wrong.push(format!("{text}: {fate:?}, but it is kept at {found:?}"));
        }
    }
}

/// What a connection is shown is what is kept, in its order and without holes.
fn shown(number: usize, connection: &Connection<'_>, log: &[Kept], wrong: &mut Vec<String>) {
    let own: BTreeSet<&str> = connection.sent.iter().filter_map(|(_, line)| line.split(' ').next_back()).collect();
    let mut rooms: BTreeMap<RoomId, Vec<u64>> = BTreeMap::new();
    for line in &connection.shown {
        let words: Vec<_> = line.split(' ').collect();
        let (seq, text) = (words[2].parse().unwrap_or(0), words.last().copied().unwrap_or_default());
        match log.iter().find(|message| message.seq == seq && (message.text == text || message.text.is_empty())) {
            Some(message) => rooms.entry(message.room).or_default().push(seq),
            None => wrong.push(format!("connection {number} was shown what is not kept: {line}")),
        }
    }
    for (room, seqs) in rooms {
        if !seqs.is_sorted_by(|one, next| one < next) {
            wrong.push(format!("connection {number} was shown {seqs:?} of {room:?}"));
        }
        let (first, last) = (seqs[0], seqs[seqs.len() - 1]);
        // What the first says may be ignored, and what is retracted need not have been shown.
        let is_heard = |it: &&Kept| !own.contains(it.text.as_str()) && !it.text.is_empty() && !it.text.starts_with("said-0-");
        let due = log.iter().filter(|it| it.room == room && (first..=last).contains(&it.seq)).filter(is_heard);
        let missing: Vec<_> = due.filter(|it| !seqs.contains(&it.seq)).map(|it| it.seq).collect();
        if !missing.is_empty() && !connection.is_missing_some {
            wrong.push(format!("connection {number} was not shown {missing:?} of {room:?}"));
        }
    }
}

/// A connection is an owner of a name until it takes another, or ends. Whoever was cut off may not know yet that it is not any
/// more; but nothing that it then asks for is done.
fn names(connections: &BTreeMap<usize, Connection<'_>>, wrong: &mut Vec<String>) {
    let mut held: Vec<(&str, usize, Moment, Moment)> = Vec::new();
    for (number, connection) in connections {
        let named = connection.answers.iter().filter_map(|(_, at, answer)| Some((*at, answer.strip_prefix("OK NAME ")?)));
        let named: Vec<_> = named.map(|(at, who)| (at, who.split(':').next().unwrap_or_default())).collect();
        for (place, (at, name)) in named.iter().enumerate() {
            let until = named.get(place + 1).map_or(connection.ended.unwrap_or(NEVER), |(next, _)| *next);
            held.push((name, *number, *at, until));
        }
    }
    for (name, number, from, until) in &held {
        for (_, other, taken, _) in held.iter().filter(|it| it.0 == *name && it.1 != *number && (*from..*until).contains(&it.2))
        {
            let changes =
                |answer: &str| ["OK MSG", "OK NAME", "OK CREATE", "OK JOIN", "OK ACK"].iter().any(|ok| answer.starts_with(ok));
            let later = connections[number].answers.iter().find(|it| it.0 > *taken && it.0 < *until && changes(it.2));
            if let Some((_, _, answer)) = later {
                wrong.push(format!("{name} is connection {number}, and {other} too; then {number} was answered {answer}"));
            }
        }
    }
}

/// A channel that is not closed is created once.
fn created(connections: &BTreeMap<usize, Connection<'_>>, wrong: &mut Vec<String>) {
    let answers = connections.values().flat_map(|connection| &connection.answers);
    let mut created: Vec<_> = answers.filter_map(|(_, _, answer)| answer.strip_prefix("OK CREATE ")).collect();
    created.sort_unstable();
    if let Some(twice) = created.windows(2).find(|pair| pair[0] == pair[1]) {
        wrong.push(format!("{} was created twice", twice[0]));
    }
}
