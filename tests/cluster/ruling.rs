//! What the owner of a channel has done in it, as far as it was answered: nobody else does anything there, so that it must hold in the
//! end. It owns what holds; it sends nothing.

use std::collections::BTreeSet;

use super::chance::Chance;
use super::facts::{Change, Facts, differences};
use super::people::CHANNELS;

/// What is set, with the values.
const OPTIONS: [(&str, [&str; 2]); 3] = [("hidden", ["on", "off"]), ("keep", ["1000", "2000"]), ("guests", ["off", "on"])];
/// Those who are kept out, or made operators.
const OTHERS: [&str; 2] = ["acc1", "acc2"];

/// What holds.
#[derive(Debug, Default)]
pub struct Ruling {
    facts: Facts,
    /// What was not answered may hold, and may come later than what was.
    unknown: BTreeSet<String>,
}

impl Ruling {
    /// Something to do, and what holds after it.
    pub fn next(chance: &mut Chance) -> (String, Change) {
        let (channel, other) = (CHANNELS[0], *chance.of(&OTHERS));
        let out = |change: Change| change.without(format!("operator {other}"));
        match chance.below(10) {
            0 => (format!("KICK {channel} {other} enough"), out(Change::default())),
            1 => {
                let reason = format!("reason-{}", chance.below(1000));
                (format!("BAN {channel} {other} {reason}"), out(Change::default().and(format!("ban {other}"), reason)))
            }
            2..5 => (format!("UNBAN {channel} {other}"), Change::default().without(format!("ban {other}"))),
            5 => (format!("OP {channel} {other}"), Change::default().and(format!("operator {other}"), "")),
            6 => (format!("DEOP {channel} {other}"), Change::default().without(format!("operator {other}"))),
            _ => {
                let (option, values) = *chance.of(&OPTIONS);
                let value = *chance.of(&values);
                (format!("SET {channel} {option} {value}"), Change::default().and(format!("option {option}"), value))
            }
        }
    }

    /// Whoever owns it is not to be heard, or is again.
    pub fn ignores(chance: &mut Chance) -> &'static str {
        if chance.below(2) == 0 { "IGNORE acc0" } else { "UNIGNORE acc0" }
    }

    /// Notes what came of it.
    pub fn note(&mut self, change: &Change, answer: Option<&str>) {
        match answer {
            Some(answer) if answer.starts_with("OK ") => change.apply(&mut self.facts, None),
            Some(answer) if !answer.starts_with("ERR UNSURE ") => {}
            _ => self.unknown.extend(change.names()),
        }
    }

    /// In what these lines of `SET` and `BANS` tell something else.
    pub fn differences(&self, lines: &[String]) -> Vec<String> {
        let mut shown = Facts::new();
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            let name = |who: &str| who.split(':').next().unwrap_or_default().to_owned();
            match words[..] {
                ["OPTION", _, "operator", who] => shown.insert(format!("operator {}", name(who)), String::new()),
                ["OPTION", _, option, value] => shown.insert(format!("option {option}"), value.to_owned()),
                ["BAN", _, who, _, _, _, reason] => shown.insert(format!("ban {}", name(who)), reason.to_owned()),
                _ => None,
            };
        }
        // Options that were never set are as they are.
        shown.retain(|name, _| !self.unknown.contains(name) && (!name.starts_with("option ") || self.facts.contains_key(name)));
        let holds = self.facts.iter().filter(|(name, _)| !self.unknown.contains(*name));
        differences(&holds.map(|(name, value)| (name.clone(), value.clone())).collect(), &shown)
    }
}
