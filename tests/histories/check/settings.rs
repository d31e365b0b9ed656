//! What is set in channels: the topic, the options, and the operators. What is told of them was set, and was not certainly replaced
//! before. It owns nothing.

use std::collections::BTreeMap;

use super::read::{Op, Story, id};
use super::stays::{Change, Presence};

/// What a channel has that nobody has set.
const DEFAULTS: [(&str, &str); 8] = [
    ("topic", ""),
    ("key", "off"),
    ("invite-only", "off"),
    ("slow", "off"),
    ("speak", "everyone"),
    ("hidden", "off"),
    ("keep", "off"),
    ("guests", "on"),
];

/// A channel's option, and a value of it.
type Set<'a> = ((&'a str, &'a str), &'a str);

/// What this line sets, if it does.
fn set(op: &Op) -> Option<Set<'_>> {
    match op.word(0) {
        "TOPIC" if !op.word(2).is_empty() => Some(((op.word(1), "topic"), op.word(2))),
        "SET" if !op.word(3).is_empty() => Some(((op.word(1), op.word(2)), op.word(3))),
        _ => None,
    }
}

/// What this line was told of options.
fn told(op: &Op) -> Vec<Set<'_>> {
    match (op.word(0), op.ok()) {
        ("TOPIC", Some(fields)) if op.word(2).is_empty() => {
            vec![((op.word(1), "topic"), fields.get(1).copied().unwrap_or_default())]
        }
        ("SET", Some(_)) if op.word(2).is_empty() => {
            let words = op.data.iter().map(|line| line.split(' ').collect::<Vec<_>>());
            let options = words.filter(|words| words.len() == 4 && words[0] == "OPTION");
            options.filter(|words| !["owner", "operator"].contains(&words[2])).map(|w| ((w[1], w[2]), w[3])).collect()
        }
        _ => Vec::new(),
    }
}

/// Holds all that was told of topics, options and operators against what was set.
pub fn settings(story: &Story, presence: &Presence, wrong: &mut Vec<String>) {
    let mut sets: BTreeMap<(&str, &str), Vec<(Change, &str)>> = BTreeMap::new();
    for op in story.ops.iter().filter(|op| op.may_have_been()) {
        if let Some((option, value)) = set(op) {
            sets.entry(option).or_default().push((Change::of(op), value));
        }
    }
    for op in &story.ops {
        for (option, value) in told(op) {
            let all = sets.get(&option).map_or(&[][..], Vec::as_slice);
            // A channel begins with its defaults; what was set goes with its channel.
            let begun = presence.channels.get(option.0).map_or(&[][..], |stays| &stays.enters);
            let between = |change: &Change, since| change.sure && change.from > since && change.to < op.sent;
            let holds = |since| {
                let replaced = all.iter().any(|(change, _)| between(change, since));
                !replaced && !begun.iter().any(|change| between(change, since))
            };
            let was_set = all.iter().any(|(change, set)| *set == value && change.from < op.done && holds(change.to));
            let was_begun = || begun.iter().any(|change| change.from < op.done && holds(change.to));
            let is_default = DEFAULTS.contains(&(option.1, value)) && was_begun();
            if !was_set && !is_default {
                wrong.push(format!("{} {} is {value}, which was not set: {op:?}", option.0, option.1));
            }
        }
        if op.word(0) == "SET" && op.word(2).is_empty() && op.ok().is_some() {
            operators(op, presence, wrong);
        }
    }
}

/// All who are certainly operators are told of, and nobody who cannot be one. Who owns the channel is more than that.
fn operators(op: &Op, presence: &Presence, wrong: &mut Vec<String>) {
    let in_charge = |what: &[&str]| {
        let words = op.data.iter().map(|line| line.split(' ').collect::<Vec<_>>());
        let lines = words.filter(|words| words[0] == "OPTION" && what.contains(&words[2]));
        lines.map(|words| id(words[3])).collect::<Vec<_>>()
    };
    let (shown, all) = (in_charge(&["operator"]), in_charge(&["operator", "owner"]));
    let of_it = presence.operators.iter().filter(|((_, of), _)| of == op.word(1));
    let certain = of_it.filter(|(_, stays)| stays.certain(op.sent, op.done)).find(|((user, _), _)| !all.contains(user));
    let possible = shown.iter().all(|user| presence.operator(*user, op.word(1)).possible(op.sent, op.done));
    if certain.is_some() || !possible {
        wrong.push(format!("other operators: {op:?}"));
    }
}
