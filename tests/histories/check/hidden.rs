//! What must not be shown: what was retracted, and what somebody says whom its reader ignores. And marks in channels, which never
//! go back. It owns nothing, and must never report what may have been shown before it was to be hidden.

use std::collections::BTreeMap;

use super::messages::{Message, Shown};
use super::read::{Item, Life, Story, User, id};
use super::stays::Presence;
use crate::record::Moment;

struct Hiding<'a> {
    story: &'a Story,
    presence: &'a Presence,
    messages: BTreeMap<u64, &'a Message>,
}

/// Holds every message that was shown against what was retracted and who was ignored.
pub fn hidden(story: &Story, messages: &[Message], presence: &Presence, wrong: &mut Vec<String>) {
    let messages = messages.iter().filter_map(|message| Some((message.seq?, message))).collect();
    let hiding = Hiding { story, presence, messages };
    hiding.pages(wrong);
    for (number, life) in &story.lives {
        hiding.live(*number, life, wrong);
    }
}

impl Hiding<'_> {
    fn message(&self, line: &str) -> Option<&Message> {
        self.messages.get(&Shown::read(line)?.seq).copied()
    }

    fn pages(&self, wrong: &mut Vec<String>) {
        for op in &self.story.ops {
            for line in &op.data {
                let Some(message) = self.message(line) else { continue };
                let is_ignored = self.presence.ignoring(op.user, message.from).certain(op.sent, op.done);
                let was_for_nobody =
                    message.room == Some(format!("@{}", op.user)) && message.is_ignored(op.user, self.presence);
                if message.is_gone(op.sent) {
                    wrong.push(format!("what was retracted is shown: {line} in {op:?}"));
                }
                if is_ignored || was_for_nobody {
                    wrong.push(format!("what somebody said who is ignored is shown: {line} in {op:?}"));
                }
            }
        }
    }

    /// What comes after an answer was written after its question was read.
    fn live(&self, number: usize, life: &Life, wrong: &mut Vec<String>) {
        let (mut user, mut asked): (User, Moment) = (life.guest, 0);
        for item in &life.items {
            match item {
                Item::Answer(place) => {
                    let op = &self.story.ops[*place];
                    asked = asked.max(op.sent);
                    if let ("LOGIN", Some(fields)) = (op.word(0), op.ok()) {
                        user = id(fields[0]);
                    }
                }
                Item::Event(_, line) => {
                    let Some(message) = self.message(line) else { continue };
                    if message.is_gone(asked) {
                        wrong.push(format!("connection {number} is shown what was retracted: {line}"));
                    }
                    if message.is_ignored(user, self.presence) {
                        wrong.push(format!("connection {number} is shown what somebody says who is ignored: {line}"));
                    }
                }
            }
        }
    }
}

/// A mark, and the moments between which it was there.
struct Mark {
    sent: Moment,
    done: Moment,
    seq: u64,
}

/// A mark in a channel never goes back, whoever tells of it.
pub fn marks(story: &Story, wrong: &mut Vec<String>) {
    let mut marks: BTreeMap<(User, &str), Vec<Mark>> = BTreeMap::new();
    for op in &story.ops {
        let Some(fields) = op.ok() else { continue };
        let mut mark = |user, channel, seq: Option<&str>| {
            let seq = seq.and_then(|seq| seq.parse().ok()).unwrap_or_default();
            marks.entry((user, channel)).or_default().push(Mark { sent: op.sent, done: op.done, seq });
        };
        match op.word(0) {
            "ACK" if op.word(1).starts_with('#') => mark(op.user, op.word(1), fields.get(1).copied()),
            "LOGIN" => {
                for line in op.data.iter().filter(|line| line.starts_with("UNREAD ")) {
                    let words: Vec<_> = line.split(' ').collect();
                    mark(id(fields[0]), words[1], words.get(3).copied());
                }
            }
            _ => (),
        }
    }
    for ((user, channel), marks) in marks {
        for Mark { sent, seq, .. } in &marks {
            if let Some(before) = marks.iter().find(|before| before.done < *sent && before.seq > *seq) {
                wrong.push(format!("{user} has read {channel} up to {}, and then up to {seq}", before.seq));
            }
        }
    }
}
