//! Has a conversation with a real server, as a transcript notes it down, and finds the first step that went otherwise.
//!
//! A person connects when first named. Each received line is compared with the next one of that person's own connection. At
//! the end each connection that is still open says PING: what comes before its answer was not expected.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::abnf::Grammar;
use super::client::Client;
use super::host::{Host, Place};
use super::transcript::{Bindings, Direction, Step, Transcript, stands_for_several};

/// Conversations at the same time, each with a server of its own.
const AT_ONCE: usize = 6;
/// The same, each with three servers.
const CLUSTERS_AT_ONCE: usize = 2;
/// What a recorded line has instead of a time: all times agree, and a record that is made again is the same.
const NOTED_TIME: &str = "2026-11-22T13:00:00.000Z";
/// The same for a token: in one file there is one at a time.
const NOTED_TOKEN: &str = "lct_mfrggzdfmztwq2lkonxw4zdfmztwq2lk";
/// What no transcript says.
const BARRIER: &str = "the-end-of-the-conversation";

/// A conversation to be had.
pub struct Planned {
    /// What failures call it.
    pub name: String,
    /// What is said.
    pub transcript: Transcript,
    /// What its server is started with.
    pub options: Vec<String>,
}

/// A person's connection.
struct Person {
    client: Client,
    /// A line that was read too early.
    next: Option<String>,
    is_open: bool,
    /// Whether the input has ended and there is more to read.
    only_reads: bool,
}

/// A conversation in progress.
struct Conversation {
    host: Host,
    people: HashMap<String, Person>,
    order: Vec<String>,
    bindings: Bindings,
}

/// Has all conversations, several at a time; returns what went wrong, by name and line.
pub fn hold(planned: Vec<Planned>) -> Vec<String> {
    hold_at(Place::Alone, planned)
}

/// The same, at one server or at a cluster.
pub fn hold_at(place: Place<'_>, mut planned: Vec<Planned>) -> Vec<String> {
    planned.reverse();
    let (planned, failures) = (Mutex::new(planned), Mutex::new(Vec::new()));
    let at_once = if let Place::Cluster(_) = place { CLUSTERS_AT_ONCE } else { AT_ONCE };
    let next = || planned.lock().expect("nobody panics here").pop();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(Planned { name, transcript, options }) = next() {
                    if let Err(failure) = run(place, &name, &transcript, &options) {
                        failures.lock().expect("nobody panics here").push(format!("{name}, {failure}"));
                    }
                }
            });
        }
    });
    failures.into_inner().expect("nobody panics here")
}

/// The options of a transcript's server: `# with --limit inbox=2`.
pub fn options(text: &str) -> Vec<String> {
    let notes = text.lines().filter_map(|line| line.strip_prefix("# with "));
    notes.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Has one conversation with a fresh server, or with fresh ones.
fn run(place: Place<'_>, name: &str, transcript: &Transcript, options: &[String]) -> Result<(), String> {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut conversation = Conversation::new(Host::start(place, name, &options));
    for step in &transcript.steps {
        let happened = caught(|| conversation.step(transcript, step));
        happened.map_err(|failure| format!("line {}: {failure}", step.number))?;
    }
    conversation.host.settle();
    for who in conversation.order.clone() {
        caught(|| conversation.nothing_more(&who)).map_err(|failure| format!("at the end, {who}: {failure}"))?;
    }
    Ok(())
}

/// What a client panics with is a failure of the step like any other.
fn caught(act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default())
    })
}

impl Conversation {
    fn new(host: Host) -> Self {
        Self { host, people: HashMap::new(), order: Vec::new(), bindings: Bindings::default() }
    }

    /// The person, who connects now if this is the first step; the greeting is kept where the transcript begins with it.
    fn person(&mut self, transcript: &Transcript, who: &str) -> &mut Person {
        if !self.people.contains_key(who) {
            self.host.settle();
            let mut client = Client::connect_silently(self.host.address(self.order.len()));
            let hello = client.line();
            assert!(hello.starts_with("* HELLO linechat/"), "{hello}");
            let first = transcript.steps.iter().find(|step| step.who == who).expect("somebody who is named has a step");
            let next = first.line.starts_with("* HELLO ").then_some(hello);
            self.people.insert(who.to_owned(), Person { client, next, is_open: true, only_reads: false });
            self.order.push(who.to_owned());
        }
        self.people.get_mut(who).expect("who was not there has connected")
    }

    fn step(&mut self, transcript: &Transcript, Step { who, direction, line, .. }: &Step) -> Result<(), String> {
        self.person(transcript, who);
        let typed = self.bindings.typed(line);
        let person = self.people.get_mut(who).expect("they have connected");
        match direction {
            Direction::Sends => {
                self.host.settle();
                person.client.send(&typed);
            }
            Direction::EndsInput => person.client.end_input(),
            Direction::Closed => {
                person.is_open = false;
                if let Some(line) = person.line() {
                    return Err(format!("{who} should find the connection closed and received: {line}"));
                }
            }
            Direction::Receives => {
                let received = person.line().ok_or_else(|| format!("{who} found the connection closed"))?;
                if !self.bindings.agrees(line, &received) {
                    return Err(format!("{who} should receive\n  {line}\nand received\n  {received}"));
                }
                while stands_for_several(line) && person.has_next(|next| next.starts_with("- HELP ")) {
                    person.next = None;
                }
            }
        }
        Ok(())
    }

    fn nothing_more(&mut self, who: &str) -> Result<(), String> {
        let person = self.people.get_mut(who).expect("they have connected");
        if !person.is_open {
            return Ok(());
        }
        match person.barrier().as_slice() {
            [] => Ok(()),
            lines => Err(format!("was not expected to receive\n  {}", lines.join("\n  "))),
        }
    }
}

impl Person {
    fn line(&mut self) -> Option<String> {
        self.next.take().or_else(|| self.client.try_line())
    }

    fn has_next(&mut self, is: impl Fn(&str) -> bool) -> bool {
        self.next = self.line();
        self.next.as_deref().is_some_and(is)
    }

    fn is_answered(&self, line: &str) -> bool {
        self.is_open && !line.trim().is_empty()
    }

    /// Notes the lines up to the answer; returns whether that is ERR.
    fn note_answer(&mut self, who: &str, recorded: &mut String) -> bool {
        while let Some(line) = self.line() {
            *recorded += &noted(who, &line);
            if line.starts_with("ERR ") || line.starts_with("OK ") {
                return line.starts_with("ERR ");
            }
        }
        false
    }

    /// Notes everything that happened before now, and the end of the connection.
    fn note_all(&mut self, who: &str, recorded: &mut String) {
        self.barrier().iter().for_each(|line| *recorded += &noted(who, line));
        if !self.is_open {
            *recorded += &format!("{who}<<\n");
        }
    }

    /// Everything that happened before now, or to the end of the connection.
    fn barrier(&mut self) -> Vec<String> {
        if self.is_open {
            self.client.send(&format!("PING {BARRIER}"));
        }
        let answer = format!("OK PING {BARRIER}");
        let mut lines = Vec::new();
        loop {
            match self.line() {
                Some(line) if line == answer => return lines,
                Some(line) => lines.push(line),
                None => {
                    self.is_open = false;
                    return lines;
                }
            }
        }
    }
}

/// Types what the file's people type and writes down what each of them receives. Notes stay where they are.
pub fn record(text: &str) -> String {
    let (transcript, options) = (Transcript::parse(text), options(text));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let mut conversation = Conversation::new(Host::start(Place::Alone, "", &options));
    let mut recorded = String::new();
    for (line, number) in text.lines().zip(1..) {
        match transcript.steps.iter().find(|step| step.number == number) {
            None => recorded += &format!("{line}\n"),
            Some(step) if matches!(step.direction, Direction::Sends | Direction::EndsInput) => {
                conversation.record(&transcript, step, line, &mut recorded);
            }
            Some(step) => {
                // Somebody may connect by seeing the greeting.
                let is_new = !conversation.people.contains_key(&step.who);
                let person = conversation.person(&transcript, &step.who);
                if let Some(hello) = person.next.take().filter(|_| is_new) {
                    recorded += &noted(&step.who, &hello);
                } else if person.only_reads {
                    recorded += &person.line().map_or(format!("{}<<\n", step.who), |line| noted(&step.who, &line));
                }
            }
        }
    }
    conversation.note_others("", &mut recorded);
    recorded
}

impl Conversation {
    fn record(&mut self, transcript: &Transcript, step: &Step, line: &str, recorded: &mut String) {
        let who = step.who.as_str();
        let person = self.person(transcript, who);
        if let Some(hello) = person.next.take() {
            *recorded += &noted(who, &hello);
        }
        *recorded += &format!("{line}\n");
        if step.direction == Direction::EndsInput {
            person.client.end_input();
            person.is_open = false;
            // Whoever follows goes on to, and is read as it was noted: nobody can ask there whether that was all.
            person.only_reads = transcript.steps.iter().any(|later| later.who == who && later.number > step.number);
        } else {
            person.client.send(&step.line);
        }
        if person.only_reads {
            self.note_others(who, recorded);
        } else if person.is_answered(&step.line) && person.note_answer(who, recorded) {
            // PING is a command, and a transcript may be about many lines in a row that are none.
            self.note_others(who, recorded);
        } else {
            person.note_all(who, recorded);
            self.note_others(who, recorded);
        }
    }

    fn note_others(&mut self, sender: &str, recorded: &mut String) {
        for who in self.order.iter().filter(|who| *who != sender) {
            let person = self.people.get_mut(who).expect("they have connected");
            if person.is_open {
                person.note_all(who, recorded);
            }
        }
    }
}

fn noted(who: &str, line: &str) -> String {
    let is_time = |word: &str| Grammar::load().matches("time", word.as_bytes());
    let is_token = |word: &str| Grammar::load().matches("secret", word.as_bytes());
    let words = line.split(' ').map(|word| match word {
        word if is_time(word) => NOTED_TIME,
        word if is_token(word) => NOTED_TOKEN,
        word => word,
    });
    format!("{who}< {}\n", words.collect::<Vec<_>>().join(" "))
}
