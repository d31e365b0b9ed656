//! The promise that OK makes: `kill -9` at random moments, again and again, and nothing that was answered OK is lost.
//!
//! Writers with accounts send messages with keys, many in flight, to a channel and to an inbox, whose owner reads and marks
//! meanwhile. After each kill the store is looked at as it was left; then the server starts on it, and what was not answered is
//! sent again. `LINECHAT_KILL_ROUNDS` kills more often than in everyday tests, `LINECHAT_KILL_WRITERS` has more of them write,
//! `LINECHAT_KILL_SERIES` does all of it several times on fresh stores, and `LINECHAT_KILL_SEED` kills at other moments.

#[path = "support/store.rs"]
mod store;
mod support;

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linechat::event::{Entry, Event, RoomId};
use linechat::names::Seq;
use linechat::store::Start;
use socket2::{Domain, Socket, Type};
use support::server::{PATIENCE, Server, data_dir};
use support::wait::until;

/// How many messages each writer has on the way: one at a time, a few, and whole batches.
const IN_FLIGHT: [usize; 4] = [1, 7, 32, 200];
const PASSWORD: &str = "a long and open secret";
const LIMITS: [&str; 14] = [
    "--limit",
    "passwords-per-account=none",
    "--limit",
    "passwords-per-minute=none",
    "--limit",
    "passwords-per-address=none",
    "--limit",
    "inbox=none",
    "--limit",
    "inbox-bytes=none",
    "--limit",
    "commands-per-second=none",
    "--limit",
    "commands-per-address=none",
];

/// A number that looks random and is the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// A connection that may end at any moment.
struct Line {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Line {
    /// Many people have several addresses: from each of them only so many passwords wait to be checked.
    fn login(address: SocketAddr, name: &str) -> io::Result<Self> {
        let number: u8 = name.trim_start_matches(char::is_alphabetic).parse().unwrap_or(0);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1 + number / 25], 0)).into())?;
        socket.connect(&address.into())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut line = Self { lines: BufReader::new(stream.try_clone()?), stream };
        let answer = line.ask(&format!("LOGIN {name} {PASSWORD}"))?;
        assert!(answer.starts_with("OK LOGIN "), "{answer}");
        Ok(line)
    }

    /// The next OK or ERR; an error when the server has gone.
    fn answer(&mut self) -> io::Result<String> {
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line)?;
            // A line that the kill has cut off was never received.
            let Some(line) = line.strip_suffix('\n') else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            if line.starts_with("OK ") || line.starts_with("ERR ") {
                return Ok(line.to_owned());
            }
        }
    }

    fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes())
    }

    fn ask(&mut self, line: &str) -> io::Result<String> {
        self.send(line)?;
        self.answer()
    }
}

/// What a writer knows of one of its messages.
#[derive(Debug, Default, Clone)]
struct Sent {
    /// The seq of its OK.
    answered: Option<Seq>,
    /// The seq with which it was found in a store that a kill had left.
    found: Option<Seq>,
}

struct Writer {
    name: String,
    in_flight: usize,
    sent: Vec<Sent>,
}

impl Writer {
    /// Even ones go to the channel and odd ones to the inbox.
    fn message(&self, number: usize) -> String {
        let target = if number.is_multiple_of(2) { "#kill" } else { "ina" };
        format!("MSG @{}-{number} {target} {}", self.name, self.text(number))
    }

    fn text(&self, number: usize) -> String {
        format!("{} {number} {}", self.name, "x".repeat(number % 200))
    }

    /// Sends what was not answered, then new messages, until the server has gone or `most` are sent and answered.
    fn write(&mut self, address: SocketAddr, oks: &AtomicU64, most: usize) -> io::Result<()> {
        let mut line = Line::login(address, &self.name)?;
        let mut waiting = VecDeque::new();
        let mut again: VecDeque<_> = (0..self.sent.len()).filter(|&at| self.sent[at].answered.is_none()).collect();
        loop {
            if waiting.len() < self.in_flight && (!again.is_empty() || self.sent.len() < most) {
                let number = again.pop_front().unwrap_or_else(|| {
                    self.sent.push(Sent::default());
                    self.sent.len() - 1
                });
                waiting.push_back(number);
                line.send(&self.message(number))?;
            } else if let Some(number) = waiting.pop_front() {
                let answer = line.answer()?;
                self.answered(number, &answer);
                oks.fetch_add(1, Ordering::Relaxed);
            } else {
                return Ok(());
            }
        }
    }

    fn answered(&mut self, number: usize, answer: &str) {
        let fields: Vec<_> = answer.split(' ').collect();
        let (seq, duplicate) = match fields[..] {
            ["OK", "MSG", seq, _] => (seq, false),
            ["OK", "MSG", seq, _, "dup"] => (seq, true),
            _ => panic!("{}: {answer}", self.message(number)),
        };
        let seq = Seq(seq.parse().expect("a seq is a number"));
        let sent = &mut self.sent[number];
        assert_eq!(duplicate.then_some(seq), sent.found, "a retry is a duplicate exactly where the message was stored");
        assert_eq!(sent.answered.replace(seq), None, "answered once");
    }
}

/// The owner of the inbox.
#[derive(Debug, Default)]
struct Owner {
    /// The mark that was answered OK.
    marked: Seq,
    /// The mark whose answer did not come.
    asked: Option<Seq>,
}

impl Owner {
    /// Reads and marks until the server has gone or `stop` says so.
    fn read(&mut self, address: SocketAddr, stop: &AtomicU64) -> io::Result<()> {
        let mut line = Line::login(address, "ina")?;
        while stop.load(Ordering::Relaxed) == 0 {
            line.send("INBOX 7")?;
            let mut last = None;
            loop {
                let mut text = String::new();
                line.lines.read_line(&mut text)?;
                let Some(text) = text.strip_suffix('\n') else { return Err(io::ErrorKind::UnexpectedEof.into()) };
                match text.strip_prefix("- MSG ") {
                    Some(message) => last = message.split(' ').next().map(|seq| seq.parse().expect("a seq is a number")),
                    None if text.starts_with("OK INBOX ") => break,
                    None => assert!(text.starts_with("* "), "{text}"),
                }
            }
            let Some(last) = last else { continue };
            assert!(Seq(last) > self.marked, "what was marked is not shown again");
            self.asked = Some(Seq(last));
            assert_eq!(line.ask(&format!("ACK {last}"))?, format!("OK ACK {last}"));
            (self.marked, self.asked) = (Seq(last), None);
        }
        Ok(())
    }
}

/// What a kill has left, looked at in a copy, so that the server recovers from the same.
struct Left {
    channel: Vec<Entry>,
    inbox: Vec<Entry>,
    unread: u64,
}

impl Left {
    fn behind(server: &Server) -> Self {
        let copy = tempfile::TempDir::with_prefix("linechat-left-").expect("a directory");
        for file in fs::read_dir(server.dir()).expect("the data is there") {
            let file = file.expect("an entry can be read");
            // All but the operator's socket.
            if file.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::copy(file.path(), copy.path().join(file.file_name())).expect("it can be copied");
            }
        }
        let store = store::Store::disk(copy.path()).expect("the store opens after a kill");
        let channel = store.state().iter().find(|entry| matches!(entry.event, Event::Created { .. })).expect("the channel").seq;
        let owner = store.state().iter().find_map(|entry| match &entry.event {
            Event::Registered { who, .. } if who.name.as_str() == "ina" => Some(who.id),
            _ => None,
        });
        let inbox = RoomId::Inbox(owner.expect("ina is registered"));
        let all = |room| store.read(room, Start::After(Seq(0)), usize::MAX >> 1).entries;
        Self {
            channel: all(RoomId::Channel(channel)),
            inbox: all(inbox),
            unread: store.read(inbox, Start::Unread, 0).remaining,
        }
    }

    fn check(&self, writers: &mut [Writer], owner: &mut Owner) {
        let mut stored: HashMap<String, Vec<(Seq, String)>> = HashMap::new();
        for (room, is_inbox) in [(&self.channel, false), (&self.inbox, true)] {
            assert!(room.windows(2).all(|pair| pair[0].seq < pair[1].seq), "a room is ordered by seq");
            for entry in room {
                let Event::Said { from, text, key: Some(key), .. } = &entry.event else { panic!("{entry:?}") };
                let number: usize =
                    key.rsplit('-').next().and_then(|number| number.parse().ok()).expect("keys end in a number");
                assert_eq!(number % 2 == 1, is_inbox, "{key} is in the other room");
                stored.entry(from.name.as_str().to_owned()).or_default().push((entry.seq, text.to_string()));
            }
        }
        for writer in writers {
            let mut stored = stored.remove(&writer.name).unwrap_or_default();
            stored.sort();
            // In sending order, each once and whole, and none left out: the first is number 0, the next number 1.
            for (number, (seq, text)) in stored.iter().enumerate() {
                assert_eq!(*text, writer.text(number), "what is stored is what was sent, in its order");
                let sent = &mut writer.sent[number];
                assert!(sent.answered.is_none_or(|answered| answered == *seq), "{text} has another seq than its OK");
                sent.found = Some(*seq);
            }
            let answered = writer.sent.iter().rposition(|sent| sent.answered.is_some()).map_or(0, |last| last + 1);
            assert!(stored.len() >= answered, "{}: {answered} were OK and {} are there", writer.name, stored.len());
        }
        let read = self.inbox.len() - self.unread as usize;
        let mark = read.checked_sub(1).map_or(Seq(0), |last| self.inbox[last].seq);
        assert!(mark == owner.marked || Some(mark) == owner.asked, "the mark is {mark}, and the owner knows {owner:?}");
        (owner.marked, owner.asked) = (mark, None);
    }
}

/// A server, and the writers, who are all in the channel.
fn start(directory: &Path, count: usize) -> (Server, Vec<Writer>) {
    let in_flight = IN_FLIGHT.iter().cycle();
    let writers: Vec<_> = (0..count)
        .zip(in_flight)
        .map(|(number, &in_flight)| Writer { name: format!("writer{number}"), in_flight, sent: Vec::new() })
        .collect();
    let names = writers.iter().map(|writer| writer.name.as_str());
    store::accounts(directory, PASSWORD, names.chain(["ina"]));
    let server = Server::start_in(directory, &LIMITS);
    for (number, writer) in writers.iter().enumerate() {
        let mut client = server.connect();
        client.ok(&format!("LOGIN {} {PASSWORD}", writer.name));
        client.ok(if number == 0 { "CREATE #kill" } else { "JOIN #kill" });
    }
    (server, writers)
}

/// Lets everybody work until `end` returns; then `most` stops the writers, or the server has gone.
fn work(server: &mut Server, writers: &mut [Writer], owner: &mut Owner, most: usize, kill_after: Option<(u64, Duration)>) {
    let (address, oks, stop) = (server.address(), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (oks, stop) = (&oks, &stop);
        let reading = scope.spawn(move || owner.read(address, stop));
        let writing: Vec<_> = writers.iter_mut().map(|writer| scope.spawn(move || writer.write(address, oks, most))).collect();
        if let Some((count, moment)) = kill_after {
            until("enough is answered", || (oks.load(Ordering::Relaxed) >= count).then_some(()));
            std::thread::sleep(moment);
            server.kill();
        }
        for writing in writing {
            let ended = writing.join().expect("the writer holds");
            assert!(kill_after.is_some() || ended.is_ok(), "{ended:?}");
        }
        stop.store(1, Ordering::Relaxed);
        let ended = reading.join().expect("the owner holds");
        assert!(kill_after.is_some() || ended.is_ok(), "{ended:?}");
    });
}

#[test]
fn nothing_that_was_ok_is_lost_when_the_server_is_killed() {
    let (first, series) = (setting("LINECHAT_KILL_SEED", 20_260_107), setting("LINECHAT_KILL_SERIES", 2));
    let (rounds, writers) = (setting("LINECHAT_KILL_ROUNDS", 25), setting("LINECHAT_KILL_WRITERS", 4));
    let oks: usize = (first..first + series).map(|seed| one_series(seed, rounds, writers as usize)).sum();
    eprintln!("{} kills, {writers} writers: {oks} OKs, each for a message that is there exactly once", series * rounds);
}

/// How many messages were OK.
fn one_series(seed: u64, rounds: u64, count: usize) -> usize {
    let mut chance = Chance(seed.max(1));
    let directory = data_dir();
    let (mut server, mut writers) = start(directory.path(), count);
    let mut owner = Owner::default();
    for round in 0..rounds {
        // Some kills come while the first are still logging in, most in the middle of the work.
        let count = if round % 5 == 4 { 0 } else { 1 + chance.below(1500.max(50 * count as u64)) };
        let moment = Duration::from_micros(chance.below(if count == 0 { 200_000 } else { 5_000 }));
        work(&mut server, &mut writers, &mut owner, usize::MAX, Some((count, moment)));
        Left::behind(&server).check(&mut writers, &mut owner);
        server.restart();
    }
    // What was not answered is sent once more, and then everything that was ever sent is there exactly once.
    work(&mut server, &mut writers, &mut owner, 0, None);
    assert!(writers.iter().flat_map(|writer| &writer.sent).all(|sent| sent.answered.is_some()));
    let mut member = server.connect();
    member.ok(&format!("LOGIN {} {PASSWORD}", writers[0].name));
    let mut shown = Vec::new();
    loop {
        let since = shown.last().copied().unwrap_or(0);
        let page = member.ask(&format!("HISTORY #kill 1000 since {since}"));
        let seqs = page.iter().filter_map(|line| line.strip_prefix("- MSG ")?.split(' ').next()?.parse::<u64>().ok());
        let before = shown.len();
        shown.extend(seqs);
        if shown.len() == before {
            break;
        }
    }
    server.kill();
    let left = Left::behind(&server);
    left.check(&mut writers, &mut owner);
    assert!(left.channel.iter().map(|entry| entry.seq.0).eq(shown), "what the server shows is what is stored");
    let sent: usize = writers.iter().map(|writer| writer.sent.len()).sum();
    assert_eq!(left.channel.len() + left.inbox.len(), sent, "each key is there exactly once");
    eprintln!("{rounds} kills, seed {seed}: {sent} messages, each there exactly once");
    sent
}
