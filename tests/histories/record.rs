//! The recording of a history: every line that anybody sent or received, with the moment, and every cut and kill. It owns the
//! one clock of the recording; it must never judge what it records.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::Mutex;

use tokio::time::Instant;

/// Nanoseconds since the recording began.
pub type Moment = u64;

/// Later than anything that was recorded.
pub const NEVER: Moment = Moment::MAX;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A connection was made; the text names its person.
    Opened,
    /// A line is about to be sent.
    Sent,
    /// A line was received.
    Got,
    /// The client is about to close the connection without a word.
    Cut,
    /// The client saw the connection's end.
    Ended,
    /// The server is about to be killed.
    Killing,
    /// The server is dead.
    Dead,
}

impl What {
    const SIGNS: [(Self, char); 7] = [
        (Self::Opened, '+'),
        (Self::Sent, '>'),
        (Self::Got, '<'),
        (Self::Cut, 'x'),
        (Self::Ended, '.'),
        (Self::Killing, 'k'),
        (Self::Dead, 'K'),
    ];
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When: before a line was sent, after one was received.
    pub at: Moment,
    /// The connection's number; 0 is the server.
    pub connection: usize,
    /// What happened.
    pub what: What,
    /// The line, or the person's name.
    pub text: String,
}

impl Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = What::SIGNS.iter().find(|(what, _)| *what == self.what).map_or('?', |&(_, sign)| sign);
        write!(f, "{:12.3} {:3} {sign} {}", self.at as f64 / 1e6, self.connection, self.text)
    }
}

/// Where everybody records.
pub struct Recorder {
    began: Instant,
    records: Mutex<Vec<Record>>,
}

impl Recorder {
    /// An empty recording that begins now.
    pub fn new() -> Self {
        Self { began: Instant::now(), records: Mutex::new(Vec::new()) }
    }

    /// Records that this happens now. No two records have the same moment: a simulation's time stands still while much happens.
    pub fn put(&self, connection: usize, what: What, text: &str) {
        let mut records = self.records.lock().expect("nobody panics while recording");
        let now = u64::try_from(self.began.elapsed().as_nanos()).expect("a history takes no centuries");
        let at = records.last().map_or(0, |last| last.at + 1).max(now);
        records.push(Record { at, connection, what, text: text.to_owned() });
    }

    /// All that was recorded, in the order of its moments.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().expect("nobody panics while recording").clone()
    }
}

/// What a recording amounts to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Lines sent.
    pub commands: usize,
    /// Lines answered OK.
    pub oks: usize,
    /// Lines received.
    pub lines: usize,
    /// `kill -9`s of the server.
    pub kills: usize,
    /// How often each code was answered.
    pub codes: BTreeMap<String, usize>,
    /// How often each verb was answered OK.
    pub verbs: BTreeMap<String, usize>,
}

impl Figures {
    /// Counts a recording in.
    pub fn add(&mut self, records: &[Record]) {
        for record in records {
            match record.what {
                What::Sent => self.commands += 1,
                What::Dead => self.kills += 1,
                What::Got => {
                    self.lines += 1;
                    self.oks += usize::from(record.text.starts_with("OK "));
                    let mut words = record.text.split(' ');
                    match (words.next(), words.next()) {
                        (Some("OK"), Some(verb)) => *self.verbs.entry(verb.to_owned()).or_default() += 1,
                        (Some("ERR"), Some(code)) => *self.codes.entry(code.to_owned()).or_default() += 1,
                        (Some("*"), Some(event @ ("GAP" | "MISSED"))) => {
                            *self.codes.entry(format!("* {event}")).or_default() += 1;
                        }
                        _ => (),
                    }
                }
                _ => (),
            }
        }
    }
}
