//! Real clusters: servers over nats-servers, which are killed, stopped and started again while people talk.
//!
//! `LINECHAT_CLUSTER_KILLS` kills more often than in everyday tests, and `LINECHAT_CLUSTER_KILL_SEED` at other moments.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::client::Client;
use support::cluster::{Brokers, Cluster};
use support::server::{PATIENCE, data_dir};
use support::wait::until;

const PASSWORD: &str = "a long and open secret";
const LIMITS: [&str; 8] = [
    "--limit",
    "passwords-per-account=none",
    "--limit",
    "passwords-per-minute=none",
    "--limit",
    "passwords-per-address=none",
    "--limit",
    "commands-per-second=none",
];
const KILLS: usize = 24;
const WRITERS: usize = 4;
/// Longer than an election of the brokers and every wait for it.
const RECOVERY: Duration = Duration::from_secs(90);

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// The last line of an answer.
fn answer(client: &mut Client, line: &str) -> String {
    client.ask(line).pop().expect("an answer has a last line")
}

#[test]
fn a_name_and_a_channel_that_two_want_at_once_have_one_owner() {
    let brokers = Brokers::start(1);
    let cluster = Cluster::start(&brokers, "race", &LIMITS);
    for round in 0..20 {
        for (line, code) in [(format!("NAME wren{round}"), "NAME_TAKEN"), (format!("CREATE #wren{round}"), "CHANNEL_EXISTS")] {
            let mut people: Vec<_> = cluster.nodes.iter().map(|node| node.connect()).collect();
            people.iter_mut().for_each(|person| person.send(&line));
            let answers: Vec<_> = people.iter_mut().map(|person| person.answer().concat()).collect();
            let taken = answers.iter().filter(|answer| answer.starts_with("OK ")).count();
            let refused = answers.iter().filter(|answer| answer.starts_with(&format!("ERR {code} "))).count();
            assert_eq!((taken, refused), (1, 2), "{answers:?}");
        }
    }
}

#[test]
fn without_brokers_reading_goes_on_and_nothing_is_taken() {
    let mut brokers = Brokers::start(1);
    let cluster = Cluster::start(&brokers, "lost", &LIMITS);
    let (mut ana, mut bob) = (cluster.nodes[0].connect(), cluster.nodes[1].connect());
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    ana.ok("SAY #rust before");
    cluster.settle();
    bob.ok("JOIN #rust");
    brokers.kill(0);
    // What was on its way when the broker died is answered in its time; what comes later at once.
    let refused =
        until("it is refused", || Some(answer(&mut ana, "SAY #rust meanwhile")).filter(|it| it.contains("UNAVAILABLE")));
    assert!(refused.starts_with("ERR UNAVAILABLE SAY "), "{refused}");
    assert!(
        answer(&mut ana, "CAPS").ends_with(" durable=process line=4096 text=3600 name=32 keys=256 page=1000 cluster=cut-off")
    );
    assert_eq!(ana.ok("HISTORY #rust"), "OK HISTORY 1");
    assert_eq!(bob.ok("LIST #rust"), "OK LIST 2");
    bob.err("NAME bob", "UNAVAILABLE");
    brokers.start_one(0);
    until("it is taken", || {
        answer(&mut bob, "@k SAY")
            .is_empty()
            .then_some(())
            .or_else(|| answer(&mut bob, "SAY #rust after").starts_with("OK SAY ").then_some(()))
    });
    let shown: Vec<_> = std::iter::from_fn(|| Some(ana.event("MSG "))).take(1).collect();
    assert!(shown[0].ends_with(" after") || shown[0].ends_with(" meanwhile"), "{shown:?}");
    until("it says so", || answer(&mut ana, "CAPS").ends_with(" cluster=reached").then_some(()));
}

#[test]
fn a_server_that_is_silent_for_longer_than_its_lease_is_given_up_and_begins_anew() {
    let brokers = Brokers::start(1);
    let cluster = Cluster::start(&brokers, "silent", &LIMITS);
    let (mut ana, mut bob) = (cluster.nodes[0].connect(), cluster.nodes[1].connect());
    ana.ok("NAME ana");
    ana.ok("CREATE #rust");
    cluster.settle();
    bob.ok("JOIN #rust");
    cluster.nodes[0].signal("STOP");
    let gone = bob.event("LEAVE ");
    assert!(gone.contains(" ana:") && gone.ends_with(" disconnected"), "{gone}");
    bob.ok("NAME ana");
    ana.send("SAY #rust I am still here");
    cluster.nodes[0].signal("CONT");
    let told: Vec<_> = ana.rest();
    assert!(told.last().is_some_and(|line| line.starts_with("* BYE this server was cut off")), "{told:?}");
    assert!(!told.iter().any(|line| line.starts_with("OK ")), "{told:?}");
    let again = until("it begins anew", || {
        let mut client = Client::connect_silently(cluster.nodes[0].address());
        client.line().starts_with("* HELLO ").then_some(client)
    });
    drop(again);
    until("it knows", || {
        let mut client = Client::connect_silently(cluster.nodes[0].address());
        client.line().starts_with("* HELLO ").then_some(())?;
        client.ask("LIST").iter().any(|line| line.contains(" ana:")).then_some(())
    });
}

#[test]
fn a_server_that_cannot_be_a_node_says_why() {
    let brokers = Brokers::start(1);
    let cluster = Cluster::start(&brokers, "why", &[]);
    let urls = brokers.urls();
    let refused = |directory: &std::path::Path, options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_linechat"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .args(options)
            .env("RUST_LOG", "off")
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).trim_start_matches("linechat: ").trim_end().to_owned()
    };
    let own = data_dir();
    let node = |stream: &'static str| {
        ["--journal", "nats", "--nats", &urls, "--nats-stream", stream, "--node", "other"].map(str::to_owned)
    };
    let with = |stream, more: &[&str]| {
        let options: Vec<_> = node(stream).into_iter().chain(more.iter().map(|&it| it.to_owned())).collect();
        refused(own.path(), &options.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(
        with("why", &["--limit", "inbox=7"]),
        "the cluster refuses this server: other has other limits than node0; give all servers of a cluster the same --limit options"
    );
    let shown = own.path().display();
    assert_eq!(
        with("another", &[]),
        format!(
            "{shown} holds a copy of another cluster's journal, and not a copy of this cluster's; give a --data-dir that is empty or this \
             server's own"
        )
    );
    assert_eq!(
        refused(own.path(), &["--journal", "nats"]),
        "--journal nats needs to know where the NATS servers are; give --nats nats://HOST:4222"
    );
    assert_eq!(
        refused(own.path(), &["--nats", &urls]),
        "--nats is for a journal that is shared by many servers; give --journal nats too"
    );
    assert_eq!(
        refused(own.path(), &["--journal", "nats", "--nats", "http://[", "--node", "other"]),
        "'http://[' is not the address of a NATS server; give --nats nats://HOST:4222"
    );
    drop(cluster);
}

/// The first place that the stream still has, as its broker tells in its own words.
fn oldest(brokers: &Brokers, stream: &str) -> u64 {
    let address = brokers.urls().trim_start_matches("nats://").parse::<SocketAddr>().expect("one broker");
    let mut connection = TcpStream::connect(address).expect("it is there");
    let lines = "CONNECT {\"verbose\":false}\r\nSUB told 1\r\n";
    connection.write_all(format!("{lines}PUB $JS.API.STREAM.INFO.{stream} told 0\r\n\r\n").as_bytes()).expect("it is sent");
    let info = BufReader::new(connection).lines().map(|line| line.expect("a line")).find(|line| line.contains("first_seq"));
    let info: serde_json::Value = serde_json::from_str(&info.expect("it tells")).expect("it is JSON");
    info["state"]["first_seq"].as_u64().expect("a place")
}

#[test]
fn a_snapshot_brings_a_server_up_to_date_and_lets_the_stream_be_forgotten() {
    let brokers = Brokers::start(1);
    let options = [&LIMITS[..], &["--limit", "snapshot-batches=40"]].concat();
    let mut cluster = Cluster::start(&brokers, "snap", &options);
    let mut ana = cluster.nodes[0].connect();
    ana.ok("NAME ana");
    ana.ok("CREATE #kill");
    let mut absent = cluster.nodes.pop().expect("three servers");
    absent.signal("TERM");
    absent.wait();
    let mut said = 0;
    until("two snapshots are there", || {
        for _ in 0..20 {
            ana.ok(&format!("SAY #kill said-{said}"));
            said += 1;
        }
        (oldest(&brokers, "snap") > 60).then_some(())
    });
    cluster.settle();
    let all = history(cluster.nodes[1].address());
    assert_eq!(all.len(), said);
    // One that was away for longer than the stream goes back, and one that knows nothing.
    absent.restart();
    let new = Cluster::join(&brokers, "snap", "node3", &options);
    for server in [&absent, &new] {
        assert_eq!(history(server.address()), all);
        let mut client = server.connect();
        assert!(client.ask("LIST").iter().any(|line| line.contains(" ana:")), "who is there is in a snapshot, too");
    }
    ana.ok("SAY #kill and it goes on");
    cluster.nodes.extend([absent, new]);
    cluster.settle();
    let histories: Vec<_> = cluster.nodes.iter().map(|node| history(node.address())).collect();
    assert!(histories.iter().all(|history| history.len() == said + 1 && *history == histories[0]));
}

/// Whoever holds something else than the others ends, and begins again with what they hold.
#[test]
fn a_copy_that_is_not_equal_to_the_others_is_set_aside() {
    let brokers = Brokers::start(1);
    let options = [&LIMITS[..], &["--limit", "digest-batches=20"]].concat();
    let mut cluster = Cluster::start(&brokers, "wrong", &options);
    let mut ana = cluster.nodes[0].connect();
    ana.ok("CREATE #kill");
    ana.ok("TOPIC #kill what is right");
    let mut wrong = cluster.nodes.pop().expect("three servers");
    wrong.signal("TERM");
    wrong.wait();
    let copy = rusqlite::Connection::open(wrong.dir().join("journal.db")).expect("there is a copy");
    assert_eq!(copy.execute("DELETE FROM state WHERE key LIKE 'c/%/t'", []), Ok(1));
    drop(copy);
    wrong.restart();
    for number in 0..60 {
        ana.ok(&format!("SAY #kill said-{number}"));
    }
    assert_eq!(wrong.wait().code(), Some(1));
    assert!(wrong.dir().join("wrong.db").exists());
    wrong.restart();
    let mut client = wrong.connect();
    client.ok("JOIN #kill");
    let topic = client.ask("TOPIC #kill").concat();
    assert!(topic.contains("what is right"), "{topic}");
    assert_eq!(history(wrong.address()).len(), 60);
    // The others never doubted.
    ana.ok("SAY #kill it goes on");
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
fn write(name: &str, addresses: &Addresses, stop: &AtomicBool) -> BTreeMap<String, u64> {
    let (mut stored, mut line, mut at) = (BTreeMap::new(), None, name.len());
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
                [] | [""] => {
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

/// The whole channel, as a server has it.
fn history(address: SocketAddr) -> Vec<(u64, String)> {
    let mut client = Client::connect(address);
    client.ok("JOIN #kill");
    let (mut all, mut since) = (Vec::new(), 0);
    loop {
        let lines = client.ask(&format!("HISTORY #kill 1000 since {since}"));
        let before = all.len();
        for line in lines.iter().filter_map(|line| line.strip_prefix("- MSG ")) {
            let (seq, rest) = line.split_once(' ').expect("a message has a seq");
            since = seq.parse().expect("a seq is a number");
            all.push((since, rest.rsplit(' ').next().expect("a message has a text").to_owned()));
        }
        if all.len() == before {
            return all;
        }
    }
}

/// Kills servers and brokers, and lets some stand still; each is back before the next goes.
fn trouble(brokers: &mut Brokers, cluster: &mut Cluster, addresses: &Addresses, seed: usize) {
    let mut chance = seed as u64 | 1;
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
    let mut brokers = Brokers::start(3);
    let mut cluster = Cluster::start(&brokers, "kill", &LIMITS);
    let mut owner = cluster.nodes[0].connect();
    for name in (0..WRITERS).map(|number| format!("writer{number}")) {
        let mut writer = cluster.nodes[0].connect();
        until("the brokers take it", || {
            answer(&mut writer, &format!("REGISTER {name} {PASSWORD}")).starts_with("OK ").then_some(())
        });
        if name == "writer0" {
            writer.ok("CREATE #kill");
        } else {
            writer.ok("JOIN #kill");
        }
    }
    owner.ok("JOIN #kill");
    cluster.settle();
    let addresses = Mutex::new(cluster.nodes.iter().map(support::server::Server::address).collect::<Vec<_>>());
    let stop = AtomicBool::new(false);
    let stored: BTreeMap<String, u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (addresses, stop) = (&addresses, &stop);
                scope.spawn(move || write(&format!("writer{number}"), addresses, stop))
            })
            .collect();
        trouble(&mut brokers, &mut cluster, &addresses, seed);
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not panic")).collect()
    });
    // Whoever was given up enters again.
    std::thread::sleep(Duration::ZERO);
    let began = std::time::Instant::now();
    let histories = loop {
        let all: Vec<_> = cluster.nodes.iter().map(|node| history(node.address())).collect();
        let has_all = |history: &Vec<(u64, String)>| stored.values().all(|seq| history.iter().any(|(found, _)| found == seq));
        if all.iter().all(has_all) || began.elapsed() > RECOVERY {
            break all;
        }
    };
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
