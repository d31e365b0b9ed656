//! One step of the server's work, COUNT times in one process: `steps NAME COUNT`, for counting what it costs.
//!
//! Prints how often the process has asked for memory. `tests/costs.rs` runs this twice with different counts, so that starting
//! cancels out. Clients live in the server's own thread: who runs when is decided by who has something to do, and by no clock.

use std::alloc::System;
use std::future::pending;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use linechat::config::{Config, JournalKind};
use linechat::event::{Draft, Event, Guard, Outcome, Room};
use linechat::journal::{self, Fed, Journal};
use linechat::limits::{Limits, NONE};
use linechat::names::{Name, Seq, UserId, Who};
use linechat::server::Server;
use linechat::wire::{Back, Command, LineDecoder, Next, parse};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// 64 bytes, as everywhere where messages are counted.
const TEXT: &str = "A message of sixty-four bytes, which is what a person types, ok.";
/// Who reads the channel: so many that what is said once, and not for each of them, hardly counts.
const READERS: usize = 50;

/// From bytes to command, as they come from a socket: many lines at a time.
fn parse_lines(count: usize) {
    const LINES: usize = 100;
    let input = format!("MSG bob {TEXT}\n").repeat(LINES);
    let mut parsed = 0;
    for _ in 0..count / LINES {
        let (mut decoder, mut back, mut rest) = (LineDecoder::default(), Back::default(), black_box(input.as_bytes()));
        while let Next::Line(line) = decoder.next(&mut rest, &mut back) {
            parsed += usize::from(matches!(black_box(parse(line)), Ok(Some(Command::Msg { text, .. })) if text == TEXT));
        }
    }
    assert_eq!(parsed, count);
}

/// A message to the journal, and what became of it from its feed, before the next is given to it.
async fn append(journal: Arc<dyn Journal>, count: usize) {
    let mut feed = journal.feed();
    assert!(matches!(feed.recv().await, Some(Fed::Live)), "the journal is empty");
    for number in 1..=count as u64 {
        let from = Who { name: Name::new("ana"), id: UserId(1000) };
        let event = Event::Said { via: from.id, from, text: TEXT.into(), key: None };
        let draft = Draft { room: Some(Room::Inbox(UserId(1001))), event, guard: Guard::None, origin: None };
        journal.append(vec![draft]).await.expect("the journal takes it");
        let Some(Fed::Done(done)) = feed.recv().await else { panic!("no outcome of message {number}") };
        assert!(matches!(&done[..], [done] if matches!(&done.outcome, Outcome::Committed(entry) if entry.seq == Seq(number))));
    }
    journal.close().await;
}

/// A connection whose other end is in the same thread.
struct Client {
    lines: BufReader<TcpStream>,
    line: String,
}

impl Client {
    async fn connect(server: SocketAddr) -> Self {
        let lines = BufReader::new(TcpStream::connect(server).await.expect("the server accepts"));
        let mut client = Self { lines, line: String::new() };
        client.receive("* HELLO ", "").await;
        client
    }

    /// Waits for a line that begins and ends so.
    async fn receive(&mut self, start: &str, end: &str) {
        self.line.clear();
        self.lines.read_line(&mut self.line).await.expect("the connection lasts");
        let line = self.line.trim_end();
        assert!(line.starts_with(start) && line.ends_with(end), "{line:?} instead of {start}…{end}");
    }

    async fn send(&mut self, line: &str) {
        self.lines.get_mut().write_all(line.as_bytes()).await.expect("the connection lasts");
    }

    async fn ok(&mut self, line: &str) {
        self.send(line).await;
        self.receive("OK ", "").await;
    }
}

/// A time is written anew for each millisecond: without this, a fast machine would write fewer of them than a slow one.
fn next_millisecond() {
    std::thread::sleep(Duration::from_millis(1));
}

async fn serve() -> SocketAddr {
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    // Nobody is told of joins: a reader's next line is a message. No passwords are counted: the clock for that sets itself by
    // spinning, now longer and now shorter.
    let mut limits = Limits { announce_members: 0, passwords_per_minute: NONE, ..Limits::default() };
    (limits.passwords_per_address, limits.channel_keys_per_minute) = (NONE, NONE);
    let config = Config { listen, data_dir: PathBuf::new(), journal: JournalKind::Memory, limits };
    let server = Server::start(&config).await.expect("the server starts");
    let address = server.addresses()[0];
    tokio::spawn(server.run(pending()));
    address
}

/// A line in a channel, copied to each of its readers: one step is one copy.
async fn deliver(count: usize) {
    assert_eq!(count % READERS, 0, "whole lines only");
    let server = serve().await;
    let mut sender = Client::connect(server).await;
    sender.ok("CREATE #rust\n").await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = Client::connect(server).await;
        reader.ok("JOIN #rust\n").await;
        readers.push(reader);
    }
    let line = format!("SAY #rust {TEXT}\n");
    for _ in 0..count / READERS {
        next_millisecond();
        sender.send(&line).await;
        sender.receive("OK SAY ", "Z").await;
        for reader in &mut readers {
            reader.receive("* MSG ", TEXT).await;
        }
    }
}

/// A message to a user who is online, its OK included.
async fn direct(count: usize) {
    let server = serve().await;
    let (mut ana, mut bob) = (Client::connect(server).await, Client::connect(server).await);
    bob.ok("NAME bob\n").await;
    let line = format!("MSG bob {TEXT}\n");
    for _ in 0..count {
        next_millisecond();
        ana.send(&line).await;
        ana.receive("OK MSG ", "Z").await;
        bob.receive("* MSG ", TEXT).await;
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, count, ..] = &arguments[..] else { panic!("usage: steps NAME COUNT") };
    let count = count.parse().expect("COUNT is a number");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match name.as_str() {
            "parse" => parse_lines(count),
            "append" => append(journal::open_memory(1 << 30), count).await,
            "append-disk" => {
                let directory = TempDir::new().expect("a directory");
                append(journal::open_disk(directory.path()).expect("the store opens"), count).await;
            }
            "deliver" => deliver(count).await,
            "direct" => direct(count).await,
            _ => panic!("there is no step {name}"),
        }
    });
    let counted = ALLOCATOR.stats();
    println!("{}", counted.allocations + counted.reallocations);
}
