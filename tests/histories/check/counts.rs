//! Counts: what an answer counted is still so unless something changed it. It owns nothing; what may have changed it is told by
//! the other parts of the checker.

use std::collections::BTreeMap;

use super::messages::Message;
use super::read::{Op, Story, User, id};
use super::stays::{Change, Presence};
use crate::record::{Moment, NEVER};

/// At some moment between these, there were so many.
struct Count<'a> {
    from: Moment,
    to: Moment,
    count: usize,
    told: &'a Op,
}

fn word<T: std::str::FromStr>(line: &str, place: usize) -> Option<T> {
    line.split(' ').nth(place)?.parse().ok()
}

/// Holds each count against the one before: it is more only by what may have come meanwhile, and less by what may have gone.
fn follow(what: &str, mut counts: Vec<Count<'_>>, come: &[Change], go: &[Change], wrong: &mut Vec<String>) {
    counts.sort_by_key(|count| count.to);
    for (place, count) in counts.iter().enumerate() {
        let Some(before) = counts[..place].iter().rfind(|before| before.to < count.from) else { continue };
        let own = |change: &Change| ["JOIN", "LEAVE"].contains(&before.told.word(0)) && change.from == before.from;
        let meanwhile = |change: &&Change| change.from < count.to && change.to > before.from && !own(change);
        let most = before.count + come.iter().filter(meanwhile).count();
        let least = before.count.saturating_sub(go.iter().filter(meanwhile).count());
        if !(least..=most).contains(&count.count) {
            let (was, is) = (before.count, count.count);
            wrong
                .push(format!("{what}: {was} became {is}, and can be {least} to {most}: {:?} / {:?}", before.told, count.told));
        }
    }
}

/// How many members a channel has.
pub fn members(story: &Story, presence: &Presence, wrong: &mut Vec<String>) {
    let mut counts: BTreeMap<&str, Vec<Count<'_>>> = BTreeMap::new();
    for op in story.ops.iter().filter(|op| op.ok().is_some()) {
        let mut count = |channel, count: Option<usize>| {
            if let Some(count) = count {
                counts.entry(channel).or_default().push(Count { from: op.sent, to: op.done, count, told: op });
            }
        };
        let answer = op.answer.as_deref().unwrap_or_default();
        match op.word(0) {
            "JOIN" => count(op.word(1), word(answer, 3)),
            "LIST" if !op.word(1).is_empty() => count(op.word(1), word(answer, 2)),
            _ => (),
        }
        for line in op.data.iter().filter(|line| line.starts_with("CHANNEL ")) {
            count(line.split(' ').nth(1).unwrap_or_default(), word(line, 2));
        }
    }
    for (channel, counts) in counts {
        let stays = || presence.members.iter().filter(|((_, of), _)| of == channel).map(|(_, stays)| stays);
        let come: Vec<_> = stays().flat_map(|stays| stays.enters.iter().copied()).collect();
        let go: Vec<_> = stays().flat_map(|stays| stays.exits.iter().copied()).collect();
        follow(channel, counts, &come, &go, wrong);
    }
}

/// How many unread messages an inbox has.
pub fn unread(story: &Story, messages: &[Message], wrong: &mut Vec<String>) {
    let mut counts: BTreeMap<User, Vec<Count<'_>>> = BTreeMap::new();
    for op in &story.ops {
        let Some(fields) = op.ok() else { continue };
        let number = |place: usize| fields.get(place).and_then(|count| count.parse::<usize>().ok());
        let (user, count) = match op.word(0) {
            "LOGIN" => (id(fields[0]), number(1)),
            "INBOX" => (op.user, number(0).zip(number(1)).map(|(shown, remaining)| shown.saturating_add(remaining))),
            _ => continue,
        };
        if let Some(count) = count {
            counts.entry(user).or_default().push(Count { from: op.sent, to: op.done, count, told: op });
        }
    }
    for (user, counts) in counts {
        let room = format!("@{user}");
        let mut come = Vec::new();
        for message in messages.iter().filter(|message| message.room.as_ref() == Some(&room)) {
            let ops = || message.ops.iter().map(|&op| &story.ops[op]).filter(|op| op.may_have_been());
            if let Some(last) = ops().map(|op| op.done).max() {
                come.push(Change { from: message.sent, to: last.min(message.known), sure: true });
            }
        }
        // One ACK marks any number of them, and whom one ignores may have said all of them.
        let of_any = |verbs: &[&str]| {
            let ops = story.ops.iter().filter(|op| op.user == user && verbs.contains(&op.word(0)) && op.may_have_been());
            ops.flat_map(|op| std::iter::repeat_n(Change::of(op), super::inbox::INBOX)).collect::<Vec<_>>()
        };
        let mut go = of_any(&["ACK", "IGNORE"]);
        come.extend(of_any(&["UNIGNORE"]));
        // What was retracted is counted among what is left, and not among what is shown.
        for message in messages.iter().filter(|message| message.room.as_ref() == Some(&room)) {
            let either = message.retracted.iter().map(|change| Change { to: NEVER, ..*change });
            come.extend(either.clone());
            go.extend(either);
        }
        follow(&room, counts, &come, &go, wrong);
    }
}
