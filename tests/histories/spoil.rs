//! Spoils a recording by one line, as a server with a bug would have. It owns nothing and must never spoil what PROTOCOL.md
//! leaves open.

use std::collections::BTreeSet;

use crate::chance::Chance;
use crate::record::{Record, What};

/// A way to spoil a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoil {
    /// A message that was shown live is not.
    Dropped,
    /// It is shown twice.
    Doubled,
    /// Two messages of one room change places.
    Swapped,
    /// A count is another.
    Count,
    /// A channel is said to belong to another.
    Owner,
    /// A mark is another.
    Ack,
    /// A message that was OK is missing where everybody looks last.
    Lost,
    /// An event of a channel comes after it was left.
    AfterLeave,
    /// A message that was OK has another seq.
    Seq,
    /// A retry that was stored before is not told so.
    Retry,
    /// What is set in a channel was never set.
    Setting,
}

impl Spoil {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Dropped,
        Self::Doubled,
        Self::Swapped,
        Self::Count,
        Self::Owner,
        Self::Ack,
        Self::Lost,
        Self::AfterLeave,
        Self::Seq,
        Self::Retry,
        Self::Setting,
    ];

    /// A copy of these records with one line spoiled, or `None` where there is nothing to spoil; and which line it was.
    pub fn apply(self, records: &[Record], chance: &mut Chance) -> Option<(Vec<Record>, String)> {
        let places: Vec<_> = (0..records.len()).filter(|&place| self.may(records, place)).collect();
        if places.is_empty() {
            return None;
        }
        let place = *chance.of(&places);
        let mut spoiled = records.to_vec();
        let line = records[place].to_string();
        match self {
            Self::Dropped => drop(spoiled.remove(place)),
            Self::Doubled => spoiled.insert(place + 1, records[place].clone()),
            Self::Swapped => {
                let other = next_of_room(records, place)?;
                let text = std::mem::replace(&mut spoiled[place].text, records[other].text.clone());
                spoiled[other].text = text;
            }
            Self::Count => spoiled[place].text = counted(records, place, chance)?,
            Self::Owner => spoiled[place].text = owned(records, place, chance)?,
            // A mark is lost, or lies elsewhere.
            Self::Ack if chance.below(2) == 0 => "OK ACK 0".clone_into(&mut spoiled[place].text),
            Self::Ack | Self::Seq => spoiled[place].text = moved(&records[place].text, chance)?,
            Self::Lost => lose(&mut spoiled, place)?,
            Self::AfterLeave => {
                let event = left_event(records, place)?;
                spoiled.insert(place + 1, Record { text: event, ..records[place].clone() });
            }
            Self::Setting => spoiled[place].text = reset(&records[place].text)?,
            Self::Retry => spoiled[place].text = records[place].text.strip_suffix(" dup")?.to_owned(),
        }
        Some((spoiled, line))
    }

    /// Whether this line can be spoiled so.
    fn may(self, records: &[Record], place: usize) -> bool {
        let record = &records[place];
        if record.what != What::Got {
            return false;
        }
        let words: Vec<_> = record.text.split(' ').collect();
        let live = words[..2] == ["*", "MSG"];
        match (self, words[0], words[1]) {
            // What a connection is shown just before it is cut may as well not have come, and what was not answered may as
            // well not have been stored. The first message of a room may have been said before the connection came.
            // What was retracted, or said by somebody who is ignored, need not come.
            (Self::Dropped, _, _) => {
                let is_due = || !is_first(records, place) && is_open(records, &words);
                live && lives_on(records, place) && is_due()
            }
            (Self::Doubled, _, _) => live,
            (Self::Swapped, _, _) => live && next_of_room(records, place).is_some(),
            (Self::Count, "OK", "INBOX" | "HISTORY" | "LIST" | "CHANNELS" | "LOGIN" | "JOIN") => true,
            (Self::Count | Self::Owner, "-", "CHANNEL") => true,
            // A mark at a message that was not answered by then may as well lie elsewhere.
            (Self::Ack, "OK", "ACK") => was_ok(&records[..=place], place),
            (Self::Seq, "OK", "MSG") => true,
            (Self::Lost, "-", "MSG") => is_quiet(records, place) && was_ok(records, place),
            (Self::AfterLeave, "OK", "LEAVE") => left_event(records, place).is_some(),
            (Self::Setting, "-", "OPTION") => is_quiet(records, place) && reset(&record.text).is_some(),
            (Self::Retry, "OK", "MSG") => record.text.ends_with(" dup"),
            _ => false,
        }
    }
}

fn room(record: &Record) -> Option<&str> {
    let words: Vec<_> = record.text.split(' ').collect();
    (words[..2] == ["*", "MSG"]).then(|| words[4])
}

/// The next message of the same room on the same connection.
fn next_of_room(records: &[Record], place: usize) -> Option<usize> {
    let (number, of) = (records[place].connection, room(&records[place])?);
    let next = |other: &usize| records[*other].connection == number && records[*other].what == What::Got;
    (place + 1..records.len()).filter(next).find(|&other| room(&records[other]) == Some(of))
}

/// Whether the connection was shown nothing of this room before, since it last came into it.
fn is_first(records: &[Record], place: usize) -> bool {
    let (number, of) = (records[place].connection, room(&records[place]));
    let of_it = |record: &Record| record.connection == number && record.what == What::Got && room(record) == of;
    let came = ["JOIN", "FOLLOW"].map(|verb| format!("OK {verb} {}", of.unwrap_or_default()));
    let is_entry = |record: &Record| {
        record.connection == number && record.what == What::Got && came.iter().any(|ok| record.text.starts_with(ok))
    };
    let since = records[..place].iter().rposition(is_entry).unwrap_or_default();
    !records[since..place].iter().any(of_it)
}

/// Whether nobody has retracted this message or ignores who said it.
fn is_open(records: &[Record], words: &[&str]) -> bool {
    let (name, id) = words[5].split_once(':').unwrap_or_default();
    let lines = [format!("RETRACT {}", words[2]), format!("IGNORE {name}"), format!("IGNORE {id}")];
    !records.iter().any(|record| record.what == What::Sent && lines.contains(&record.text))
}

/// Whether the connection gets the answer to a PING that was sent after this line and after the message's OK, and stays in all its
/// rooms until then.
fn lives_on(records: &[Record], place: usize) -> bool {
    let number = records[place].connection;
    let Some(room) = room(&records[place]) else { return false };
    let Some(known) = oks(records, place).next() else { return false };
    // Their answers count, too: the command may have been sent before.
    let outs = [format!("LEAVE {room}"), format!("CLOSE {room}"), "LOGIN".to_owned()];
    let mut asked = false;
    for (at, record) in records.iter().enumerate().skip(place).filter(|(_, record)| record.connection == number) {
        let text = &*record.text;
        match record.what {
            What::Sent if text.starts_with("PING") => asked |= at > known,
            What::Got if asked && text.starts_with("OK PING") => return true,
            What::Got if ["* CLOSE", "* LEAVE", "* KICK"].iter().any(|end| text.starts_with(end)) => return false,
            What::Sent | What::Got if outs.iter().any(|out| text.strip_prefix("OK ").unwrap_or(text).starts_with(out)) => {
                return false;
            }
            _ => (),
        }
    }
    false
}

/// One of the numbers in this line is another. While people come and go, a count of members that is wrong by one may as well be
/// right at another moment; there it is wrong by more.
fn counted(records: &[Record], place: usize, chance: &mut Chance) -> Option<String> {
    let mut words: Vec<_> = records[place].text.split(' ').map(str::to_owned).collect();
    let of_members = ["JOIN", "CHANNEL"].contains(&words[1].as_str());
    let places: Vec<_> = match words[1].as_str() {
        "INBOX" => vec![2, 3],
        "JOIN" | "LOGIN" | "CHANNEL" => vec![3],
        _ => vec![2],
    };
    let word = *chance.of(&places);
    let count: usize = words[word].parse().ok()?;
    let far = if of_members && !is_quiet(records, place) { 2 + chance.below(3) } else { 1 };
    let other = if count >= far && chance.below(2) == 0 { count - far } else { count + far };
    words[word] = other.to_string();
    Some(words.join(" "))
}

/// Another owner: somebody who is heard of in this recording, or nobody.
fn owned(records: &[Record], place: usize, chance: &mut Chance) -> Option<String> {
    let is_somebody = |word: &&str| word.split_once(':').is_some_and(|(_, id)| !id.is_empty() && id.parse::<u64>().is_ok());
    let texts = records.iter().filter(|record| record.what == What::Got && record.text.starts_with("* MSG"));
    let somebody: BTreeSet<_> = texts.filter_map(|record| record.text.split(' ').nth(5)).filter(is_somebody).collect();
    let mut words: Vec<_> = records[place].text.split(' ').collect();
    let somebody: Vec<_> = somebody.into_iter().filter(|who| who.rsplit(':').next() != words[4].rsplit(':').next()).collect();
    if somebody.is_empty() {
        return None;
    }
    words[4] = somebody[chance.below(somebody.len())];
    Some(words.join(" "))
}

/// Another value of an option.
fn reset(text: &str) -> Option<String> {
    let values = [(" on", " off"), (" off", " 7"), (" everyone", " operators"), (" operators", " everyone")];
    let end = |(old, new): &(&str, &str)| text.strip_suffix(old).map(|rest| format!("{rest}{new}"));
    values.iter().find_map(end)
}

/// Another seq in an OK.
fn moved(text: &str, chance: &mut Chance) -> Option<String> {
    let mut words: Vec<_> = text.split(' ').map(str::to_owned).collect();
    let seq: u64 = words[2].parse().ok()?;
    let far = 1 + chance.below(9) as u64;
    words[2] = if chance.below(2) == 0 && seq > far { seq - far } else { seq + far }.to_string();
    Some(words.join(" "))
}

/// Whether this was asked when all others had come to their end.
fn is_quiet(records: &[Record], place: usize) -> bool {
    records[..place].iter().any(|record| record.what == What::Opened && record.text == "witness")
}

/// Whether somebody was answered OK for the message in this line.
fn was_ok(records: &[Record], place: usize) -> bool {
    oks(records, place).next().is_some()
}

/// Where the message in this line was answered OK.
fn oks(records: &[Record], place: usize) -> impl Iterator<Item = usize> {
    let seq = records[place].text.split(' ').nth(2).unwrap_or_default();
    let start = format!("OK MSG {seq} ");
    let is_ok = move |record: &Record| record.what == What::Got && record.text.starts_with(&start);
    (0..records.len()).filter(move |at| is_ok(&records[*at]))
}

/// Takes a message out of an answer, and out of its count: the server believes that it never was.
fn lose(records: &mut Vec<Record>, place: usize) -> Option<()> {
    let number = records.remove(place).connection;
    let answer = records[place..].iter_mut().find(|record| record.connection == number && record.text.starts_with("OK "))?;
    let mut words: Vec<_> = answer.text.split(' ').map(str::to_owned).collect();
    words[2] = (words[2].parse::<u64>().ok()? - 1).to_string();
    answer.text = words.join(" ");
    Some(())
}

/// An event of the channel that this connection has left, which others of it were shown.
fn left_event(records: &[Record], place: usize) -> Option<String> {
    let channel = records[place].text.strip_prefix("OK LEAVE ")?;
    let later = records[place..].iter().filter(|record| record.what == What::Got);
    let mut live = later.filter(|record| room(record) == Some(channel));
    live.next().map(|record| record.text.clone())
}
