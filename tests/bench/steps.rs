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

use linechat::clock::Clock;
use linechat::config::{Config, JournalKind};
use linechat::event::{NodeId, Origin, Proposal, Recipient, Request, SessionId};
use linechat::hub::News;
use linechat::limits::{Limits, NONE};
use linechat::names::UserId;
use linechat::order::Order;
use linechat::order::local::{self, Runs};
use linechat::replica::{Node, Outlet, Replica};
use linechat::server::{Handed, Server};
use linechat::store::{self, Backend, Presence, Store};
use linechat::wire::{Back, Command, LineDecoder, Next, parse};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

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

/// A message from its proposal through the order, the decision and the store, until its completion is told, before the next is
/// proposed. Two people are there: who sends it, and whose inbox it is for.
async fn append<B: Backend>(store: Store<B>, runs: Runs, count: usize) {
    let limits = Limits { inbox: NONE, ..Limits::default() };
    let (order, batches) = local::open(Clock::System, runs);
    let replica = Replica::open(Node::Alone(NodeId(0)), Arc::new(limits), store).expect("the store is empty");
    let (tell, mut told) = mpsc::channel(8);
    let work = replica.run(batches, Outlet::Channel(tell));
    let thread = match runs {
        Runs::InTask => {
            tokio::spawn(async { work.await.expect("the store goes on") });
            None
        }
        Runs::InThread => {
            let runtime = tokio::runtime::Handle::current();
            Some(std::thread::spawn(move || runtime.block_on(work).expect("the store goes on")))
        }
    };
    let propose = |session, request| {
        let origin = Origin { session: SessionId { node: NodeId(0), number: session }, tag: 0 };
        order.try_propose(vec![Proposal { origin, request }]).expect("the order has room");
    };
    for session in [1, 2] {
        propose(session, Request::Come { address: None });
        told.recv().await.expect("somebody came");
    }
    for number in 1..=count {
        let to = Recipient::Id(UserId(1001));
        propose(1, Request::Say { to, key: None, text: TEXT.into() });
        let news = told.recv().await.unwrap_or_else(|| panic!("nothing came of message {number}"));
        assert!(
            matches!(&news[..], [News::Happened(_), News::UpTo { .. }, News::Completed { completion, .. }] if completion.result.is_ok())
        );
    }
    order.close();
    assert!(told.recv().await.is_none(), "it ends when all is told");
    if let Some(thread) = thread {
        thread.join().expect("the replica holds");
    }
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
    (limits.passwords_per_address, limits.passwords_per_account) = (NONE, NONE);
    (limits.channel_keys_per_minute, limits.channel_keys_per_address) = (NONE, NONE);
    limits.channel_keys_per_channel = NONE;
    let (tls, plain_passwords) = (None, None);
    let (proxies, data_dir, journal) = (Vec::new(), PathBuf::new(), JournalKind::Memory);
    // The index is no step on the way of a message: `cargo bench --bench search` has its costs.
    let (admin_socket, search, cluster) = (None, false, None);
    let metrics_listen = None;
    let config = Config {
        listen,
        tls,
        plain_passwords,
        proxies,
        data_dir,
        admin_socket,
        metrics_listen,
        search,
        journal,
        cluster,
        limits,
    };
    let server = Server::start(&config, Handed::default()).await.expect("the server starts");
    let address = server.addresses()[0];
    tokio::spawn(server.run(pending()));
    address
}

/// A line in a channel, copied to each of its readers, as it is or as JSON: one step is one copy.
async fn deliver(count: usize, is_json: bool) {
    assert_eq!(count % READERS, 0, "whole lines only");
    let server = serve().await;
    let mut sender = Client::connect(server).await;
    sender.ok("CREATE #rust\n").await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = Client::connect(server).await;
        reader.ok("JOIN #rust\n").await;
        if is_json {
            reader.send("FORMAT json\n").await;
            reader.receive("{\"ok\":\"FORMAT\"", "}").await;
        }
        readers.push(reader);
    }
    let line = format!("SAY #rust {TEXT}\n");
    let (start, end) = if is_json { ("{\"event\":\"MSG\"", format!("{TEXT}\"}}")) } else { ("* MSG ", TEXT.to_owned()) };
    for _ in 0..count / READERS {
        next_millisecond();
        sender.send(&line).await;
        sender.receive("OK SAY ", "Z").await;
        for reader in &mut readers {
            reader.receive(start, &end).await;
        }
    }
}

/// A connection from its beginning to its greeting, and its end; the client is in it.
async fn connect(count: usize) {
    let server = serve().await;
    for _ in 0..count {
        next_millisecond();
        let client = Client::connect(server).await;
        let mut stream = client.lines.into_inner();
        // The server closes when it has seen the end, and so has done all that there is to do.
        stream.shutdown().await.expect("the connection lasts");
        assert_eq!(stream.read(&mut [0; 8]).await.expect("it ends well"), 0);
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
            "append" => append(store::open_memory(1 << 30, Presence::Forgotten).0, Runs::InTask, count).await,
            "append-disk" => {
                let directory = TempDir::new().expect("a directory");
                let (store, _) = store::open_disk(directory.path(), Presence::Forgotten).expect("the store opens");
                append(store, Runs::InThread, count).await;
            }
            "deliver" => deliver(count, false).await,
            "deliver-json" => deliver(count, true).await,
            "direct" => direct(count).await,
            "connect" => connect(count).await,
            _ => panic!("there is no step {name}"),
        }
    });
    let counted = ALLOCATOR.stats();
    println!("{}", counted.allocations + counted.reallocations);
}
