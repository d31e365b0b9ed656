//! Streams to which something has happened: they were deleted, made anew, put back to what they were before, or have a hole. A
//! server that cannot go on says so and ends, and takes nothing that the others would not have.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PAUSE;
use super::support::client::Client;
use super::support::cluster::{Brokers, Cluster, LIMITS, answer, history, place, witness};
use super::support::jetstream::{ask, ends};
use super::support::server::{Server, data_dir};
use super::support::wait::until;

/// How long a server may take to end: a broker that is behind has 30 s to catch up.
const LONG: Duration = Duration::from_secs(90);

/// A server whose words are kept. Killed when it is dropped.
struct Heard(Child);

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Heard {
    /// A server of this name over this stream, with its data, and what it says, in this directory.
    fn start(brokers: &Brokers, stream: &str, node: &str, directory: &Path, options: &[&str]) -> Self {
        let file = |name| File::create(directory.join(name)).expect("it can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_linechat"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--journal", "nats", "--nats", &brokers.urls()]);
        command
            .args(["--nats-stream", stream, "--node", node, "--data-dir"])
            .arg(directory)
            .args(options)
            .env("RUST_LOG", "off");
        let child = command.stdin(Stdio::null()).stdout(file("said")).stderr(file("words")).spawn().expect("the binary runs");
        Self(child)
    }

    /// The same, once it serves.
    fn serving(brokers: &Brokers, stream: &str, node: &str, directory: &Path) -> Self {
        let server = Self::start(brokers, stream, node, directory, &LIMITS);
        let said = || fs::read_to_string(directory.join("said")).unwrap_or_default();
        until("it serves", || said().contains("type HELP").then_some(()));
        server
    }

    /// Waits until it has ended because it cannot go on; returns why.
    fn last_words(mut self, directory: &Path) -> String {
        let began = Instant::now();
        let ended = loop {
            if let Some(ended) = self.0.try_wait().expect("it can be waited for") {
                break ended;
            }
            assert!(began.elapsed() < LONG, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        let words = fs::read_to_string(directory.join("words")).expect("it can be read");
        assert_eq!(ended.code(), Some(1), "{words}");
        words
    }
}

/// What a linechat makes, but for what is said here.
fn stream(name: &str, identity: u64, deny_delete: bool) -> String {
    let description = format!("the order of a linechat cluster, {identity:016x}");
    serde_json::json!({
        "name": name, "subjects": [format!("{name}.batches")], "description": description, "storage": "file",
        "retention": "limits", "discard": "new", "num_replicas": 1, "deny_delete": deny_delete,
    })
    .to_string()
}

#[test]
fn a_stream_that_is_gone_ends_its_servers_and_so_does_another_of_its_name() {
    let Some(brokers) = Brokers::start(1) else { return };
    for (name, is_made_anew) in [("gone", false), ("anew", true)] {
        let own = data_dir();
        let server = Heard::serving(&brokers, name, "node0", own.path());
        let mut other = Cluster::join(&brokers, name, "node1", &LIMITS);
        let mut ana = other.connect();
        ana.ok("CREATE #kill");
        ask(&brokers, &format!("STREAM.DELETE.{name}"), "");
        if is_made_anew {
            ask(&brokers, &format!("STREAM.CREATE.{name}"), &stream(name, 7, true));
        }
        ana.send("SAY #kill into nothing");
        let told = ana.rest();
        assert!(!told.iter().any(|line| line.starts_with("OK ")), "{told:?}");
        let words = server.last_words(own.path());
        assert!(
            words.contains(&format!("the stream {name} is gone, or another one has its name; start this server again")),
            "{words}"
        );
        assert_eq!(other.wait().code(), Some(1));
        // With its data it is no part of what comes after, and without it is.
        let words = Heard::start(&brokers, name, "node0", own.path(), &LIMITS).last_words(own.path());
        assert!(words.contains("holds a copy of another cluster's journal"), "{words}");
        Cluster::join(&brokers, name, "node0", &LIMITS).connect().ok("CREATE #kill");
    }
}

/// Two servers of which the broker was given back an older copy of its data.
struct Short {
    brokers: Brokers,
    own: TempDir,
    server: Heard,
    other: Server,
    /// Somebody at the other server.
    ana: Client,
    /// Where the stream ends now.
    end: u64,
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success());
}

fn short(name: &str) -> Option<Short> {
    let (mut brokers, own, kept) = (Brokers::start(1)?, data_dir(), data_dir());
    let server = Heard::serving(&brokers, name, "node0", own.path());
    let other = Cluster::join(&brokers, name, "node1", &LIMITS);
    let mut ana = other.connect();
    ana.ok("CREATE #kill");
    ana.ok("SAY #kill kept");
    brokers.kill(0);
    copy(&brokers.store(0), &kept.path().join("copy"));
    brokers.start_one(0);
    let (_, end) = ends(&brokers, name);
    until("it is taken again", || answer(&mut ana, "SAY #kill lost").starts_with("OK ").then_some(()));
    (0..3).for_each(|_| drop(ana.ok("SAY #kill lost")));
    let (_, newest) = ends(&brokers, name);
    until("the first server has it", || (place(own.path()) >= newest).then_some(()));
    brokers.kill(0);
    // This is sent again and again, and must not make the stream long enough.
    ana.send("SAY #kill under way");
    fs::remove_dir_all(brokers.store(0)).expect("it was there");
    copy(&kept.path().join("copy"), &brokers.store(0));
    brokers.start_one(0);
    Some(Short { brokers, own, server, other, ana, end })
}

#[test]
fn a_stream_that_is_shorter_than_a_copy_of_it_does_not_grow_and_ends_its_servers() {
    let Some(Short { brokers, own, server, mut other, mut ana, end }) = short("short") else { return };
    let told = ana.answer().concat();
    assert!(["ERR UNSURE ", "ERR UNAVAILABLE "].iter().any(|start| told.starts_with(start)), "{told}");
    until("it is cut off", || answer(&mut ana, "CAPS").ends_with(" cluster=cut-off").then_some(()));
    ana.err("SAY #kill and now?", "UNAVAILABLE");
    assert_eq!(ana.ok("HISTORY #kill"), "OK HISTORY 5");
    let words = server.last_words(own.path());
    assert!(words.contains("the brokers have lost the end of the stream: it ends at place "), "{words}");
    assert_eq!(other.wait().code(), Some(1));
    // The library sends once, when it is connected again, what it was given before.
    let (_, last) = ends(&brokers, "short");
    assert!(last <= end + 1, "nobody has sent anything to it: {last}, and it was {end}");
}

#[test]
fn a_stream_that_has_lost_its_end_and_has_grown_since_ends_its_servers() {
    let Some(Short { brokers, own, server, mut other, end, .. }) = short("forked") else { return };
    let new = Cluster::join(&brokers, "forked", "node2", &LIMITS);
    let mut bob = witness(new.address());
    until("the stream is long again", || {
        bob.ok("SAY #kill instead");
        (ends(&brokers, "forked").1 > end + 20).then_some(())
    });
    let words = server.last_words(own.path());
    assert!(words.contains("the brokers have lost the end of the stream and gone on without it"), "{words}");
    assert_eq!(other.wait().code(), Some(1));
}

#[test]
fn a_hole_in_the_stream_is_said_and_a_snapshot_helps() {
    let Some(brokers) = Brokers::start(1) else { return };
    let options = [&LIMITS[..], &["--limit", "snapshot-batches=40"]].concat();
    // One that a linechat makes lets nobody delete anything.
    ask(&brokers, "STREAM.CREATE.hole", &stream("hole", 7, false));
    let own = data_dir();
    drop(Heard::serving(&brokers, "hole", "node0", own.path()));
    let other = Cluster::join(&brokers, "hole", "node1", &options);
    let mut ana = other.connect();
    ana.ok("CREATE #kill");
    (0..PAUSE).for_each(|_| drop(ana.ok("SAY #kill said")));
    let (_, newest) = ends(&brokers, "hole");
    let hole = newest - 5;
    ask(&brokers, "STREAM.MSG.DELETE.hole", &format!("{{\"seq\":{hole}}}"));
    let words = Heard::start(&brokers, "hole", "node0", own.path(), &options).last_words(own.path());
    assert!(words.contains(&format!("the frame at place {hole} is missing from the stream")), "{words}");
    assert!(words.contains("start this server with an empty data directory"), "{words}");
    until("a snapshot is there", || {
        ana.ok("SAY #kill said");
        let snapshots = ask(&brokers, "STREAM.NAMES", "");
        snapshots["streams"].as_array()?.iter().any(|name| name == "OBJ_hole-snapshots").then_some(())
    });
    until("the hole is forgotten", || {
        ana.ok("SAY #kill said");
        (ends(&brokers, "hole").0 > hole).then_some(())
    });
    let new = Cluster::join(&brokers, "hole", "node2", &options);
    let histories = [&other, &new].map(|server| history(&mut witness(server.address())));
    assert_eq!(histories[0], histories[1]);
}
