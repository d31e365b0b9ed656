//! What no server of a cluster may show: what was retracted, to anybody who has been answered something of the order since; what is
//! said by somebody who is ignored; and what is said in a channel, to who was put out of it. It knows PROTOCOL.md and not the code.

use std::collections::BTreeMap;

use super::people::CHANNELS;
use super::record::{Moment, NEVER, Record, What};

/// Commands whose OK comes with their place in the order: the server knows all that was before.
const ORDERED: [&str; 5] = ["MSG", "JOIN", "NAME", "CREATE", "ACK"];

/// One connection, up to some line of it.
#[derive(Default)]
struct Connection<'a> {
    account: Option<&'a str>,
    /// Its id, from its HELLO or its LOGIN.
    id: &'a str,
    /// The line that is not answered, and when it was sent.
    asked: Option<(Moment, &'a str)>,
    /// When the last line was sent whose answer had a place in the order.
    ordered: Moment,
    is_out: bool,
}

#[derive(Default)]
struct Hiding<'a> {
    connections: BTreeMap<usize, Connection<'a>>,
    /// When each was answered OK.
    retracted: BTreeMap<&'a str, Moment>,
    /// When each text was first sent.
    sent: BTreeMap<&'a str, Moment>,
    /// Since when each account certainly ignores the first.
    ignoring: BTreeMap<&'a str, Moment>,
}

/// Reports whatever is shown and may not be.
pub fn hidden(records: &[Record], wrong: &mut Vec<String>) {
    let mut hiding = Hiding::default();
    for record in records {
        match record.what {
            What::Opened => drop(hiding.connections.insert(record.connection, Connection::default())),
            What::Sent => hiding.sent(record),
            What::Got => hiding.got(record, wrong),
            _ => {}
        }
    }
}

fn id(who: &str) -> &str {
    who.rsplit(':').next().unwrap_or_default()
}

impl<'a> Hiding<'a> {
    fn sent(&mut self, record: &'a Record) {
        let connection = self.connections.entry(record.connection).or_default();
        connection.asked = Some((record.at, &record.text));
        let words: Vec<_> = record.text.split(' ').collect();
        match (words[0], connection.account) {
            ("MSG", _) => drop(self.sent.entry(words[words.len() - 1]).or_insert(record.at)),
            // It may be heard again from here on.
            ("UNIGNORE", Some(account)) => drop(self.ignoring.remove(account)),
            _ => {}
        }
    }

    fn got(&mut self, record: &'a Record, wrong: &mut Vec<String>) {
        let connection = self.connections.entry(record.connection).or_default();
        let words: Vec<_> = record.text.split(' ').collect();
        match words[..] {
            ["*", "HELLO", _, _, who, ..] => connection.id = id(who),
            ["*", "KICK", channel, who, ..] if channel == CHANNELS[0] && id(who) == connection.id => connection.is_out = true,
            ["*" | "-", "MSG", seq, _, room, from, .., text] => {
                let is_gone = self.retracted.get(seq).is_some_and(|at| *at < connection.ordered);
                let since = connection.account.and_then(|account| self.ignoring.get(account)).copied().unwrap_or(NEVER);
                let is_ignored = from.starts_with("acc0:") && self.sent.get(text).is_some_and(|sent| *sent > since);
                let is_out = connection.is_out && room == CHANNELS[0];
                for (is, what) in [(is_gone, "was retracted"), (is_ignored, "is ignored"), (is_out, "is said without it")] {
                    if is {
                        wrong.push(format!("connection {} is shown what {what}: {}", record.connection, record.text));
                    }
                }
            }
            ["OK", ..] => self.answered(record, &words),
            ["ERR", ..] => connection.asked = None,
            _ => {}
        }
    }

    fn answered(&mut self, record: &'a Record, words: &[&'a str]) {
        let Some(connection) = self.connections.get_mut(&record.connection) else { return };
        let Some((sent, line)) = connection.asked.take() else { return };
        if ORDERED.contains(&words[1]) {
            connection.ordered = connection.ordered.max(sent);
        }
        match words[1] {
            "LOGIN" => {
                connection.account = line.split(' ').nth(1);
                connection.id = id(words[2]);
            }
            "JOIN" if words[2] == CHANNELS[0] => connection.is_out = false,
            "RETRACT" => drop(self.retracted.insert(words[2], record.at)),
            "IGNORE" => drop(connection.account.map(|account| self.ignoring.insert(account, record.at))),
            _ => {}
        }
    }
}
