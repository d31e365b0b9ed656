//! What LIST and JOIN take in a channel of so many members. `scripts/bench-peers` runs it.
//!
//! `cargo bench --bench growth -- 127.0.0.1:12000 --members 1000` needs a server without limits on connections and commands.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

/// How often each command is timed.
const TIMES: usize = 41;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
struct Arguments {
    /// The server. Without one there is nothing to do, as when `cargo test` runs this.
    server: Option<String>,
    /// Members of the channel.
    #[arg(long, default_value_t = 1000)]
    members: usize,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(server: &str) -> Self {
        let stream = TcpStream::connect(server).expect("the server accepts");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        Self(BufReader::new(stream))
    }

    /// Sends a line and reads its answer, and all further pages of a list; returns how many lines of data came before the OKs.
    fn ask(&mut self, command: &str) -> usize {
        let (mut line, mut data, mut last) = (String::new(), 0, String::new());
        self.send(command);
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).expect("an answer comes") > 0, "{command}: the server closed the connection");
            match line.split(' ').next() {
                Some("OK") if line.ends_with(" more\n") => self.send(&format!("{command} after {last}")),
                Some("OK") => return data,
                Some("ERR") => panic!("{command}: {line}"),
                Some("-") => {
                    data += 1;
                    last.clear();
                    last.push_str(line.split(' ').nth(2).expect("a user"));
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, line: &str) {
        self.0.get_ref().write_all(format!("{line}\n").as_bytes()).expect("the server takes what is sent");
    }

    /// What a command takes, in microseconds: the median. After each, `undo` is sent.
    fn time(&mut self, command: &str, lines: usize, undo: Option<&str>) -> f64 {
        let mut times: Vec<_> = (0..TIMES)
            .map(|_| {
                let began = Instant::now();
                assert_eq!(self.ask(command), lines, "{command}");
                let taken = began.elapsed();
                undo.map(|undo| self.ask(undo));
                taken
            })
            .collect();
        times.sort();
        times[TIMES / 2].as_secs_f64() * 1e6
    }
}

fn main() {
    let Arguments { server, members, bench: _ } = Arguments::parse();
    let Some(server) = server else { return };
    rlimit::increase_nofile_limit(u64::MAX).expect("descriptors can be had");
    let mut held = Vec::with_capacity(members);
    for me in 0..members {
        let mut client = Client::connect(&server);
        client.ask(&format!("NAME growth-{me}"));
        client.ask(if me == 0 { "CREATE #growth" } else { "JOIN #growth" });
        held.push(client);
    }
    let mut guest = Client::connect(&server);
    let join = guest.time("JOIN #growth", 0, Some("LEAVE #growth"));
    let list = guest.time("LIST", members + 1, None);
    let member = &mut held[0];
    let list_channel = member.time("LIST #growth", members, None);
    let measured = json!({ "join_us": join, "list_us": list, "list_channel_us": list_channel });
    println!("{}", json!({ "work": "growth", "measured": measured }));
}
