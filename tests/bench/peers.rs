//! The same load on other servers: IRC daemons, Redis and NATS, by the engine of `linechat bench`. `scripts/bench-peers` runs it.
//!
//! `cargo bench --bench peers -- redis fanout 127.0.0.1:6379 --connections 104 --json`

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use linechat::bench::Work;
use linechat::bench::dialect::{Dialect, Seen};
use linechat::bench::process::Process;
use linechat::bench::report::Report;
use linechat::bench::{Options, crowd, load, plan};

#[derive(Debug, Parser)]
struct Arguments {
    /// Whose protocol.
    #[arg(value_enum)]
    peer: Peer,
    #[command(flatten)]
    options: Options,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Peer {
    Irc,
    Redis,
    Nats,
    Floor,
}

struct Irc;
struct Redis;
struct Nats;
/// The epoll loop of `tests/bench/floor.rs`, which writes raw lines to all others.
struct Floor;

impl Dialect for Irc {
    const ECHOES: bool = false;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, me: usize, _room: Option<&str>) -> String {
        format!("NICK b{me}x\r\nUSER b{me}x 0 * :b\r\n")
    }

    fn create(&self, _room: &str) -> String {
        self.enter(0, None)
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        for part in ["PRIVMSG ", room, " :", text, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        out.extend_from_slice(format!("PRIVMSG b{to}x :{text}\r\n").as_bytes());
    }

    fn read<'a>(&self, line: &'a str) -> Seen<'a> {
        let mut words = line.splitn(4, ' ');
        let (source, command) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match (source, command) {
            (_, "PRIVMSG") => words.nth(1).and_then(|text| text.strip_prefix(':')).map_or(Seen::Other, Seen::Message),
            // The end of the welcome, and of the list of names after a JOIN.
            (_, "376" | "422") => Seen::Demand("JOIN #bench\r\n"),
            (_, "366") => Seen::Entered,
            ("PING", _) => Seen::Demand("PONG x\r\n"),
            ("ERROR", _) => Seen::Refused(line),
            (_, "401" | "403" | "404" | "433" | "437" | "439" | "451" | "471" | "473" | "475") => Seen::Refused(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static str {
        "QUIT\r\n"
    }
}

impl Dialect for Redis {
    const ECHOES: bool = false;
    const ANSWERS: bool = true;
    const SENDERS_LISTEN: bool = false;

    fn enter(&self, _me: usize, room: Option<&str>) -> String {
        room.map_or("PING\r\n".to_owned(), |room| format!("SUBSCRIBE {room}\r\nPING\r\n"))
    }

    fn create(&self, _room: &str) -> String {
        "PING\r\n".to_owned()
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        let head = format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n{room}\r\n${}\r\n", room.len(), text.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn tell(&self, _out: &mut Vec<u8>, _to: usize, _text: &str) {
        unreachable!("Redis has no users to write to")
    }

    fn read<'a>(&self, line: &'a str) -> Seen<'a> {
        match line.as_bytes().first() {
            // A subscriber's PONG is an array.
            _ if line == "+PONG" || line == "pong" => Seen::Entered,
            Some(b':') => Seen::Accepted,
            Some(b'-') => Seen::Refused(line),
            Some(b'b') => Seen::Message(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static str {
        "QUIT\r\n"
    }
}

impl Dialect for Nats {
    const ECHOES: bool = false;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, me: usize, room: Option<&str>) -> String {
        let subject = room.map_or_else(|| format!("b{me}"), |room| room.trim_start_matches('#').to_owned());
        format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"echo\":false}}\r\nSUB {subject} 1\r\nPING\r\n")
    }

    fn create(&self, room: &str) -> String {
        self.enter(0, Some(room))
    }

    fn say(&self, out: &mut Vec<u8>, room: &str, text: &str) {
        out.extend_from_slice(format!("PUB {} {}\r\n{text}\r\n", room.trim_start_matches('#'), text.len()).as_bytes());
    }

    fn tell(&self, out: &mut Vec<u8>, to: usize, text: &str) {
        out.extend_from_slice(format!("PUB b{to} {}\r\n{text}\r\n", text.len()).as_bytes());
    }

    fn read<'a>(&self, line: &'a str) -> Seen<'a> {
        match line {
            "PONG" => Seen::Entered,
            "PING" => Seen::Demand("PONG\r\n"),
            _ if line.starts_with("-ERR") => Seen::Refused(line),
            _ if line.starts_with('b') => Seen::Message(line),
            _ => Seen::Other,
        }
    }

    fn leave(&self) -> &'static str {
        "\r\n"
    }
}

impl Dialect for Floor {
    const ECHOES: bool = false;
    const ANSWERS: bool = false;
    const SENDERS_LISTEN: bool = true;

    fn enter(&self, _me: usize, _room: Option<&str>) -> String {
        String::new()
    }

    fn create(&self, _room: &str) -> String {
        String::new()
    }

    fn say(&self, out: &mut Vec<u8>, _room: &str, text: &str) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }

    fn tell(&self, _out: &mut Vec<u8>, _to: usize, _text: &str) {
        unreachable!("the floor knows no users")
    }

    fn read<'a>(&self, line: &'a str) -> Seen<'a> {
        if line == "ready" { Seen::Entered } else { Seen::Message(line) }
    }

    fn leave(&self) -> &'static str {
        ""
    }
}

async fn measure<D: Dialect + 'static>(dialect: D, options: &Options) -> Result<Report> {
    let (server, room, process) = (options.server.as_str(), "#bench", options.pid.map(Process));
    match options.work {
        Work::Idle => crowd::idle(&dialect, server, room, options, process).await,
        Work::Connect => crowd::connect(&dialect, server, room, options, process).await,
        Work::Fanout | Work::Direct => {
            Ok(Report::of_load(options, &load::run(dialect, server, room, plan(options)?, process).await?))
        }
    }
}

fn main() -> Result<()> {
    let Arguments { peer, options, bench: _ } = Arguments::parse();
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let limit = Duration::from_secs_f64(options.seconds + options.warm_up + 180.0);
        tokio::time::timeout(limit, async {
            match peer {
                Peer::Irc => measure(Irc, &options).await,
                Peer::Redis => measure(Redis, &options).await,
                Peer::Nats => measure(Nats, &options).await,
                Peer::Floor => measure(Floor, &options).await,
            }
        })
        .await?
    })?;
    println!("{}", if options.json { report.json().to_string() } else { report.table() });
    Ok(())
}
