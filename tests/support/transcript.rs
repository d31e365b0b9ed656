//! Conversations as a person would note them down, in `grammar/PROTOCOL.md` and in files, to be held against a server.
//!
//! ```text
//! ana> MSG bob hello                          ana types a line
//! ana< OK MSG 12 2026-11-22T13:00:01.007Z     ana receives a line
//! ana>>                                       ana's input ends
//! ana<<                                       the server closes ana's connection
//! ```
//!
//! People connect when they are first named, in that order, to a server that has just started. The greeting of one whose first
//! step is not `< * HELLO` is left out. Times, seqs, ids and tokens differ from run to run: [`Bindings`] compares them by what they
//! stand for. A received line that ends in ` …` may end in anything there; `- HELP …` stands for one or more such lines.
//! Empty lines and lines that begin with `#` are notes.

use std::collections::HashMap;

use super::abnf::Grammar;
use super::json::as_text;

/// Who does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `>`: types the line.
    Sends,
    /// `<`: receives the line.
    Receives,
    /// `>>`: has nothing more to send.
    EndsInput,
    /// `<<`: finds the connection closed.
    Closed,
}

/// One line of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The person.
    pub who: String,
    /// What happens.
    pub direction: Direction,
    /// The line without its ending; empty where the connection ends.
    pub line: String,
    /// Where it stands, counted from 1.
    pub number: usize,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// What happens, in order.
    pub steps: Vec<Step>,
}

impl Transcript {
    /// The conversation that `text` notes down. Panics, naming the line, on one that is no step.
    pub fn parse(text: &str) -> Self {
        Self::numbered(text.lines().zip(1..))
    }

    fn numbered<'a>(lines: impl Iterator<Item = (&'a str, usize)>) -> Self {
        let noted = lines.filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
        Self { steps: noted.map(|(line, number)| step(line, number)).collect() }
    }

    /// Everybody in it, in the order in which they connect.
    pub fn people(&self) -> Vec<&str> {
        let mut people = Vec::new();
        for step in &self.steps {
            if !people.contains(&step.who.as_str()) {
                people.push(&step.who);
            }
        }
        people
    }
}

fn step(line: &str, number: usize) -> Step {
    let (who, rest) = line.split_at(line.find(['>', '<']).unwrap_or_default());
    let named = !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(named, "line {number} is no step of a transcript: {line}");
    let (direction, line) = match rest {
        ">>" => (Direction::EndsInput, ""),
        "<<" => (Direction::Closed, ""),
        ">" => (Direction::Sends, ""),
        _ => match (rest.strip_prefix("> "), rest.strip_prefix("< ")) {
            (Some(line), _) => (Direction::Sends, line),
            (_, Some(line)) => (Direction::Receives, line),
            _ => panic!("line {number} is no step of a transcript: {line}"),
        },
    };
    Step { who: who.to_owned(), direction, line: line.to_owned(), number }
}

/// Every conversation between ```` ```chat ```` and ```` ``` ```` of a document.
pub fn chats(markdown: &str) -> Vec<Transcript> {
    let (mut chats, mut open) = (Vec::new(), None::<Vec<(&str, usize)>>);
    for (line, number) in markdown.lines().zip(1..) {
        match (line, &mut open) {
            ("```chat", None) => open = Some(Vec::new()),
            ("```", Some(lines)) => {
                chats.push(Transcript::numbered(std::mem::take(lines).into_iter()));
                open = None;
            }
            (line, Some(lines)) => lines.push((line, number)),
            _ => {}
        }
    }
    assert!(open.is_none(), "a chat is not closed");
    chats
}

/// Whether an expected line stands for one or more lines of its type.
pub fn stands_for_several(expected: &str) -> bool {
    expected == "- HELP …"
}

/// What the seqs and ids of a transcript are in this run.
#[derive(Debug, Default)]
pub struct Bindings {
    seqs: Pairs,
    ids: Pairs,
    /// Tokens of the transcript, and those of the run.
    tokens: HashMap<String, String>,
}

/// Numbers of the transcript and of the run, one to one.
#[derive(Debug, Default)]
struct Pairs {
    noted: HashMap<u64, u64>,
    real: HashMap<u64, u64>,
}

impl Pairs {
    fn bind(&mut self, noted: u64, real: u64) -> bool {
        *self.noted.entry(noted).or_insert(real) == real && *self.real.entry(real).or_insert(noted) == noted
    }

    fn real(&self, noted: u64) -> u64 {
        self.noted.get(&noted).copied().unwrap_or(noted)
    }
}

/// What a word of a line is.
#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    Plain(&'a str),
    Time,
    Seq(u64),
    /// An id by itself.
    Id(u64),
    /// `name:id`
    User(&'a str, u64),
    /// `guest-1000`, a name that holds an id.
    Guest(u64),
    /// `lct_...`
    Token(&'a str),
}

fn words(line: &str) -> Vec<Word<'_>> {
    let parts: Vec<&str> = line.split(' ').collect();
    let seqs: &[usize] = match parts[..] {
        ["OK", "ACK", channel, _] if channel.starts_with('#') => &[3],
        ["ACK", channel, _] if channel.starts_with('#') => &[2],
        ["-", "UNREAD", ..] => &[4],
        ["*", "RETRACT", ..] => &[3],
        ["OK", "MSG" | "SAY" | "ACK" | "WAIT" | "RETRACT", ..] | ["-" | "*", "MSG", ..] => &[2],
        ["-" | "*", "GAP", ..] => &[3, 4],
        ["ACK" | "RETRACT", ..] => &[1],
        ["HISTORY", _, "before" | "since" | "BEFORE" | "SINCE", ..] => &[3],
        ["WAIT", "since", ..] => &[2],
        ["WAIT" | "FOLLOW", _, "since", ..] => &[3],
        ["HISTORY", _, _, "before" | "since" | "BEFORE" | "SINCE", ..] => &[4],
        ["ERR", "KEY_REUSED", _, "you", "used", "this", "key", "for", "another", "message,", _, ..] => &[10],
        ["-" | "*", "MISSED", ..] => &[3, 4],
        _ => &[],
    };
    let last = [parts.len().saturating_sub(1)];
    let ids: &[usize] = match parts[..] {
        ["LIST", .., "after", _] => &last,
        ["MSG", key, ..] if key.starts_with('@') => &[2],
        ["MSG" | "WHOIS" | "IGNORE" | "UNIGNORE", ..] => &[1],
        _ => &[],
    };
    let number = |at: usize| parts[at].trim_end_matches(';').parse::<u64>().ok().filter(|&number| number > 0);
    let word = |at: usize| match (number(at), parts[at]) {
        (Some(seq), _) if seqs.contains(&at) => Word::Seq(seq),
        (Some(id), _) if ids.contains(&at) => Word::Id(id),
        (_, part) => named(part),
    };
    (0..parts.len()).map(word).collect()
}

fn named(part: &str) -> Word<'_> {
    if Grammar::load().matches("time", part.as_bytes()) {
        return Word::Time;
    }
    if Grammar::load().matches("secret", part.as_bytes()) {
        return Word::Token(part);
    }
    match part.split_once(':').map(|(name, id)| (name, id.parse())) {
        Some((name, Ok(id))) if Grammar::load().matches("user-name", name.as_bytes()) => Word::User(name, id),
        _ => match part.strip_prefix("guest-").map(str::parse) {
            Some(Ok(id)) => Word::Guest(id),
            _ => Word::Plain(part),
        },
    }
}

impl Bindings {
    /// Whether `received` is what the transcript expects, now that its seqs and ids are known or become known.
    pub fn agrees(&mut self, expected: &str, received: &str) -> bool {
        if expected.starts_with('{') != received.starts_with('{') {
            return false;
        }
        let (expected, received) = (as_text(expected), as_text(received));
        let (mut expected, mut received) = (words(&expected), words(&received));
        if expected.last() == Some(&Word::Plain("…")) {
            expected.pop();
            if received.len() <= expected.len() {
                return false;
            }
            received.truncate(expected.len());
        }
        expected.len() == received.len() && expected.iter().zip(&received).all(|(noted, real)| self.word(noted, real))
    }

    fn word(&mut self, noted: &Word<'_>, real: &Word<'_>) -> bool {
        match (noted, real) {
            (Word::Seq(noted), Word::Seq(real)) => self.seqs.bind(*noted, *real),
            (Word::Id(noted), Word::Id(real)) | (Word::Guest(noted), Word::Guest(real)) => self.ids.bind(*noted, *real),
            (Word::User(name, noted), Word::User(real_name, real)) => {
                self.word(&named(name), &named(real_name)) && self.ids.bind(*noted, *real)
            }
            (Word::Token(noted), Word::Token(real)) => {
                self.tokens.entry((*noted).to_owned()).or_insert_with(|| (*real).to_owned()) == real
            }
            _ => noted == real,
        }
    }

    /// What has to be typed in this run for a line of the transcript. Times are typed as they stand.
    pub fn typed(&self, line: &str) -> String {
        let word = |(word, part): (&Word<'_>, &str)| self.real(word, part);
        words(line).iter().zip(line.split(' ')).map(word).collect::<Vec<_>>().join(" ")
    }

    fn real(&self, word: &Word<'_>, part: &str) -> String {
        match word {
            Word::Seq(seq) => self.seqs.real(*seq).to_string(),
            Word::Id(id) => self.ids.real(*id).to_string(),
            Word::Guest(id) => format!("guest-{}", self.ids.real(*id)),
            Word::User(name, id) => format!("{}:{}", self.real(&named(name), name), self.ids.real(*id)),
            Word::Token(token) => self.tokens.get(*token).cloned().unwrap_or_else(|| part.to_owned()),
            Word::Time | Word::Plain(_) => part.to_owned(),
        }
    }
}
