//! People who talk on all servers of a cluster while it is in trouble, and the answers they had, held against what the servers
//! have in the end. It owns the writers' connections. It must never ask a server twice for what was refused for certain, and never
//! let a message go of which nobody knows what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::cluster::{answer, history};
use super::server::PATIENCE;
use super::wait::until;

const PASSWORD: &str = "a long and open secret";

/// How long people rest after each message: servers that come back must catch up with what was said meanwhile.
const BREATH: Duration = Duration::from_millis(20);
/// After so many messages they go to the next server.
const STAY: usize = 25;
/// How many there are.
pub const WRITERS: usize = 4;

/// A whole number that the operator of a test may set.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// How one comes to a server; they are counted on and on, one after the other.
pub trait Reach: Sync {
    /// A connection.
    ///
    /// # Errors
    /// When the server cannot be reached now.
    fn reach(&self, number: usize) -> io::Result<TcpStream>;
}

/// Where the servers listen; one that was started again listens elsewhere.
pub type Addresses = Mutex<Vec<SocketAddr>>;

impl Reach for Addresses {
    fn reach(&self, number: usize) -> io::Result<TcpStream> {
        let address = {
            let addresses = self.lock().expect("nobody panics here");
            addresses[number % addresses.len()]
        };
        TcpStream::connect_timeout(&address, PATIENCE)
    }
}

/// Says that it is over, however that comes about.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What writers were told.
#[derive(Debug, Default)]
pub struct Told {
    /// The seqs of what was answered OK, by text.
    pub stored: BTreeMap<String, u64>,
    /// What nothing was done with, as they were told.
    pub refused: BTreeSet<String>,
}

/// How far the writers are.
#[derive(Debug, Default)]
pub struct Talk {
    oks: AtomicUsize,
    is_over: AtomicBool,
}

/// A connection that may end at any moment.
struct Line {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Line {
    fn login(stream: TcpStream, name: &str) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut line = Self { lines: BufReader::new(stream.try_clone()?), stream };
        if line.ask(&format!("LOGIN {name} {PASSWORD}"))?.starts_with("OK LOGIN ") {
            Ok(line)
        } else {
            Err(io::ErrorKind::Other.into())
        }
    }

    fn ask(&mut self, line: &str) -> io::Result<String> {
        self.stream.write_all(format!("{line}\n").as_bytes())?;
        loop {
            let mut answer = String::new();
            self.lines.read_line(&mut answer)?;
            let Some(answer) = answer.strip_suffix('\n') else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            if answer.starts_with("OK ") || answer.starts_with("ERR ") {
                return Ok(answer.to_owned());
            }
        }
    }
}

/// One who talks: the connection, if there is one, and which server is next.
struct Writer<'a> {
    name: String,
    reach: &'a dyn Reach,
    at: usize,
    line: Option<Line>,
}

impl Writer<'_> {
    /// Says something again and again until it is answered OK: then its seq. `None` when it was refused for certain, before it
    /// may have been stored.
    fn say(&mut self, number: usize, text: &str) -> Option<u64> {
        let mut is_unsure = false;
        until("a message is taken", || {
            if self.line.is_none() {
                self.at += 1;
                self.line = self.reach.reach(self.at).and_then(|stream| Line::login(stream, &self.name)).ok();
            }
            let answer = self.line.as_mut()?.ask(&format!("MSG @k{number} #kill {text}"));
            match answer.as_deref().unwrap_or_default().split(' ').collect::<Vec<_>>()[..] {
                ["OK", "MSG", seq, ..] => Some(Some(seq.parse().expect("a seq is a number"))),
                ["ERR", "UNAVAILABLE", ..] if !is_unsure => Some(None),
                [""] | ["ERR", "UNAVAILABLE" | "UNSURE", ..] => {
                    // Perhaps another server knows.
                    (self.line, is_unsure) = (None, true);
                    None
                }
                _ => panic!("{text}: {answer:?}"),
            }
        })
    }

    fn write(mut self, talk: &Talk) -> Told {
        let mut told = Told::default();
        for number in 0.. {
            if talk.is_over.load(Ordering::Relaxed) {
                break;
            }
            if number % STAY == STAY - 1 {
                self.line = None;
            }
            let text = format!("{}-{number}", self.name);
            if let Some(seq) = self.say(number, &text) {
                told.stored.insert(text, seq);
                talk.oks.fetch_add(1, Ordering::Relaxed);
            } else {
                told.refused.insert(text);
            }
            std::thread::sleep(BREATH);
        }
        told
    }
}

impl Talk {
    /// Waits until so many more messages were answered OK.
    pub fn goes_on(&self, more: usize) {
        let enough = self.oks.load(Ordering::Relaxed) + more;
        until("people are answered OK", || (self.oks.load(Ordering::Relaxed) >= enough).then_some(()));
    }
}

/// Registers the writers, and lets them in.
pub fn settle_in(reach: &dyn Reach) {
    for name in (0..WRITERS).map(|number| format!("writer{number}")) {
        let connect = || Client::over(reach.reach(0).expect("the server accepts"));
        let is_there = |answer: String| answer.starts_with("OK ");
        let mut writer = until("the brokers take it", || {
            let mut writer = connect();
            let there = is_there(answer(&mut writer, &format!("REGISTER {name} {PASSWORD}")))
                || is_there(answer(&mut connect(), &format!("LOGIN {name} {PASSWORD}")));
            there.then_some(writer)
        });
        until("it is in the channel", || {
            let line = if name == "writer0" { "CREATE #kill" } else { "JOIN #kill" };
            ["OK ", "ERR CHANNEL_EXISTS "].iter().any(|start| answer(&mut writer, line).starts_with(start)).then_some(())
        });
    }
}

/// All talk until the trouble is over. Returns what they were told.
pub fn talk(reach: &dyn Reach, trouble: impl FnOnce(&Talk)) -> Told {
    let talk = Talk::default();
    std::thread::scope(|scope| {
        // The writers end whatever happens here.
        let until_here = Stops(&talk.is_over);
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let writer = Writer { name: format!("writer{number}"), reach, at: number, line: None };
                let talk = &talk;
                scope.spawn(move || writer.write(talk))
            })
            .collect();
        trouble(&talk);
        drop(until_here);
        writers.into_iter().fold(Told::default(), |mut all, writer| {
            let told = writer.join().expect("a writer does not panic");
            all.stored.extend(told.stored);
            all.refused.extend(told.refused);
            all
        })
    })
}

/// Holds what people were told against what all servers show: each has what was answered OK, once and in its place, and nothing
/// else; and nobody overtook themselves.
pub fn compare(told: &Told, witnesses: &mut [Client]) {
    let began = Instant::now();
    let histories = loop {
        let all: Vec<_> = witnesses.iter_mut().map(history).collect();
        let has_all = |history: &Vec<(u64, String)>| {
            let kept: BTreeSet<u64> = history.iter().map(|(seq, _)| *seq).collect();
            told.stored.values().all(|seq| kept.contains(seq))
        };
        if all.iter().all(has_all) && all.iter().all(|history| *history == all[0]) {
            break all;
        }
        assert!(began.elapsed() < PATIENCE, "{}", difference(told, &all));
        std::thread::sleep(BREATH);
    };
    let kept: BTreeMap<_, _> = histories[0].iter().map(|(seq, text)| (text.clone(), *seq)).collect();
    assert_eq!(kept.len(), histories[0].len(), "nothing is there twice");
    let lost: BTreeSet<_> = told.stored.iter().filter(|(text, seq)| kept.get(*text) != Some(seq)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let refused: Vec<_> = kept.keys().filter(|text| told.refused.contains(*text)).collect();
    assert!(refused.is_empty(), "refused, and yet said: {refused:?}");
    let unasked: Vec<_> = kept.keys().filter(|text| !told.stored.contains_key(*text)).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
    let mut newest = BTreeMap::new();
    for (_, text) in &histories[0] {
        let (name, number) = text.split_once('-').expect("a writer's text");
        let number: usize = number.parse().expect("a number");
        let before = newest.insert(name, number);
        assert!(before < Some(number), "{text} comes after {before:?}");
    }
}

/// In which way servers that have had enough time do not have the same, or not everything.
fn difference(told: &Told, histories: &[Vec<(u64, String)>]) -> String {
    let mut text = format!("waited in vain: all servers have everything; {} were answered OK", told.stored.len());
    for (number, history) in histories.iter().enumerate() {
        let kept: BTreeMap<u64, &str> = history.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
        let lost: Vec<_> = told.stored.iter().filter(|(text, seq)| kept.get(seq) != Some(&text.as_str())).take(5).collect();
        let other = history.iter().zip(&histories[0]).find(|(own, first)| own != first);
        text += &format!("\nserver {number}: {} messages, the first that differs {other:?}, lost {lost:?}", history.len());
    }
    text
}
