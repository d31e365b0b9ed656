//! Real clusters of three servers and three brokers, of which one after the other dies or stands still while people talk: nothing
//! that was answered OK is lost or doubled. Nothing here may depend on how long that takes.
//!
//! `LINECHAT_CLUSTER_KILLS` kills more often than in everyday tests, and `LINECHAT_CLUSTER_KILL_SEED` at other moments.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::cluster::{Brokers, Cluster, LIMITS, answer, history, witness};
use support::server::{PATIENCE, Server};
use support::wait::until;

const PASSWORD: &str = "a long and open secret";
const KILLS: usize = 24;
const WRITERS: usize = 4;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// Says that it is over, however that comes about.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection that may end at any moment.
struct Line {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Line {
    fn login(address: SocketAddr, name: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
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

/// Where the servers listen; one that was started again listens elsewhere.
type Addresses = Mutex<Vec<SocketAddr>>;

/// Says one thing after the other until told to stop, each again and again until it is answered OK. Returns the seqs by text.
fn write(writer: usize, addresses: &Addresses, stop: &AtomicBool) -> BTreeMap<String, u64> {
    let (mut stored, mut line, mut at, name) = (BTreeMap::new(), None, writer, &format!("writer{writer}"));
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("{name}-{number}");
        let seq = until("a message is taken", || {
            at += 1;
            let address = {
                let addresses = addresses.lock().expect("nobody panics here");
                addresses[at % addresses.len()]
            };
            if line.is_none() {
                line = Line::login(address, name).ok();
            }
            let answer = line.as_mut()?.ask(&format!("MSG @k{number} #kill {text}"));
            match answer.as_deref().unwrap_or_default().split(' ').collect::<Vec<_>>()[..] {
                ["OK", "MSG", seq, ..] => seq.parse().ok(),
                ["ERR", "UNAVAILABLE" | "UNSURE", ..] => None,
                [""] => {
                    line = None;
                    None
                }
                _ => panic!("{text}: {answer:?}"),
            }
        });
        stored.insert(text, seq);
    }
    stored
}

/// Kills servers and brokers, and lets some stand still; a server is back before the next goes, and a broker runs again.
fn trouble(brokers: &mut Brokers, cluster: &mut Cluster, addresses: &Addresses, seed: usize) {
    let mut chance = 2 * seed as u64 + 1;
    let mut below = |end: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance % end as u64) as usize
    };
    for kill in 0..setting("LINECHAT_CLUSTER_KILLS", KILLS) {
        std::thread::sleep(Duration::from_millis(below(1500) as u64));
        match (kill % 4, below(3)) {
            (0 | 2, node) => {
                cluster.nodes[node].kill();
                std::thread::sleep(Duration::from_millis(below(300) as u64));
                cluster.nodes[node].restart();
                addresses.lock().expect("nobody panics here")[node] = cluster.nodes[node].address();
            }
            (1, broker) => {
                brokers.kill(broker);
                std::thread::sleep(Duration::from_millis(below(1500) as u64));
                brokers.start_one(broker);
            }
            (_, broker) => {
                brokers.signal(broker, "STOP");
                std::thread::sleep(Duration::from_millis(below(3000) as u64));
                brokers.signal(broker, "CONT");
            }
        }
    }
}

#[test]
fn whoever_dies_nothing_that_was_answered_ok_is_lost_or_doubled() {
    let seed = setting("LINECHAT_CLUSTER_KILL_SEED", 4711);
    let Some(mut brokers) = Brokers::start(3) else { return };
    let mut cluster = Cluster::start(&brokers, "kill", &LIMITS);
    for name in (0..WRITERS).map(|number| format!("writer{number}")) {
        let mut writer = until("the brokers take it", || {
            let mut writer = cluster.nodes[0].connect();
            let is_there = |answer: String| answer.starts_with("OK ");
            let there = is_there(answer(&mut writer, &format!("REGISTER {name} {PASSWORD}")))
                || is_there(answer(&mut cluster.nodes[0].connect(), &format!("LOGIN {name} {PASSWORD}")));
            there.then_some(writer)
        });
        until("it is in the channel", || {
            let line = if name == "writer0" { "CREATE #kill" } else { "JOIN #kill" };
            ["OK ", "ERR CHANNEL_EXISTS "].iter().any(|start| answer(&mut writer, line).starts_with(start)).then_some(())
        });
    }
    cluster.settle();
    let addresses = Mutex::new(cluster.nodes.iter().map(Server::address).collect::<Vec<_>>());
    let stop = AtomicBool::new(false);
    let stored: BTreeMap<String, u64> = std::thread::scope(|scope| {
        // The writers end whatever happens here.
        let until_here = Stops(&stop);
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (addresses, stop) = (&addresses, &stop);
                scope.spawn(move || write(number, addresses, stop))
            })
            .collect();
        trouble(&mut brokers, &mut cluster, &addresses, seed);
        drop(until_here);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not panic")).collect()
    });
    let mut witnesses: Vec<_> = cluster.nodes.iter().map(|node| witness(node.address())).collect();
    let histories = until("all servers have everything", || {
        let all: Vec<_> = witnesses.iter_mut().map(history).collect();
        let has_all = |history: &Vec<(u64, String)>| {
            let kept: BTreeSet<u64> = history.iter().map(|(seq, _)| *seq).collect();
            stored.values().all(|seq| kept.contains(seq))
        };
        (all.iter().all(has_all) && all.iter().all(|history| *history == all[0])).then_some(all)
    });
    println!("LINECHAT_CLUSTER_KILL_SEED={seed}: {} OKs", stored.len());
    for history in &histories {
        assert_eq!(history, &histories[0], "all servers have one history");
        let kept: BTreeMap<_, _> = history.iter().map(|(seq, text)| (text.clone(), *seq)).collect();
        assert_eq!(kept.len(), history.len(), "nothing is there twice");
        let lost: BTreeSet<_> = stored.iter().filter(|(text, seq)| kept.get(*text) != Some(seq)).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
    assert!(stored.len() > 100, "{} messages in all", stored.len());
}
