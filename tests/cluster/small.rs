//! Small clusters in which one thing happens. A rolling upgrade: three servers are replaced by newer ones, one after the other, while
//! people are there; to the newer linechat TOPIC is a new feature. And a broker that holds another stream than the others. It owns its
//! clusters; here nothing else goes wrong.

use std::sync::Arc;
use std::time::Duration;

use linechat::event::Request;
use linechat::limits::Limits;
use linechat::order::cluster::Features;
use tokio::time::{Instant, sleep};

use super::broker::Stream;
use super::chance::Chance;
use super::disk::Platter;
use super::net::Line;
use super::node::{Node, digests, platter};
use super::record::Recorder;

/// Those of a later linechat, which has changed what TOPIC comes to.
const NEWER: Features = Features { known: 9, needed: |request| if matches!(request, Request::Topic(..)) { 9 } else { 1 } };
const LOOK: Duration = Duration::from_millis(20);
const NAMES: [&str; 3] = ["ash", "birch", "cedar"];
/// Longer than a server needs to become a node.
const SOON: Duration = Duration::from_secs(60);

struct Small {
    stream: Arc<Stream>,
    limits: Arc<Limits>,
    recorder: Arc<Recorder>,
    chance: Chance,
    people: usize,
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < SOON, "{what}: not in time");
        sleep(LOOK).await;
    }
}

async fn ask(line: &mut Line, text: &str) -> String {
    line.send(text);
    loop {
        let said = line.read().await.expect("the server is there");
        if said.starts_with("OK ") || said.starts_with("ERR ") {
            return said;
        }
    }
}

impl Small {
    /// A cluster of three servers that serve.
    async fn begin(platters: &[Platter; 3]) -> (Self, Vec<Node>) {
        let (stream, recorder) = (Stream::new(Chance::new(1)), Arc::new(Recorder::new()));
        let mut small = Self { stream, limits: Arc::new(Limits::default()), recorder, chance: Chance::new(2), people: 0 };
        let mut nodes = Vec::new();
        for (name, platter) in NAMES.iter().zip(platters) {
            nodes.push(small.started(name, Features::CURRENT, platter).await);
        }
        (small, nodes)
    }

    /// Somebody at this server, who is nowhere yet.
    fn newcomer(&mut self, node: &Node) -> Line {
        self.people += 1;
        node.connect(self.people, "somebody", &mut self.chance)
    }

    async fn start(&mut self, name: &str, features: Features, platter: &Platter) -> Node {
        Node::start(name, features, &self.stream, platter, &self.limits, &self.recorder, &mut self.chance).await
    }

    async fn started(&mut self, name: &str, features: Features, platter: &Platter) -> Node {
        let node = self.start(name, features, platter).await;
        until("it serves", || node.serves()).await;
        node
    }

    /// Somebody at this server, in the channel.
    async fn person(&mut self, node: &Node) -> Line {
        let mut line = self.newcomer(node);
        assert!(ask(&mut line, "JOIN #rust").await.starts_with("OK "));
        line
    }

    /// What an older server says at its end, which has this store.
    async fn older_says(&mut self, platter: &Platter) -> String {
        let node = self.start("older", Features::CURRENT, platter).await;
        let said = self.ends_saying("upgrade this server").await;
        assert!(!node.serves() && node.kill().await.is_empty());
        said
    }

    /// Waits until a server has ended for a reason like this, and returns all of it.
    async fn ends_saying(&self, what: &str) -> String {
        let said = || self.recorder.records().into_iter().map(|record| record.text).find(|text| text.contains(what));
        until(what, || said().is_some()).await;
        said().expect("it was there just now")
    }
}

async fn upgrade() {
    let platters = [(); 3].map(|()| platter());
    let (mut upgrade, mut nodes) = Small::begin(&platters).await;
    let mut founder = upgrade.newcomer(&nodes[0]);
    for line in ["REGISTER ana correct-horse", "CREATE #rust"] {
        let answer = ask(&mut founder, line).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    for place in 0..3 {
        let newer = {
            nodes[place].stop().await;
            nodes[place].kill().await;
            upgrade.started(NAMES[place], NEWER, &platters[place]).await
        };
        nodes[place] = newer;
        let mut ana = upgrade.newcomer(&nodes[place]);
        assert!(ask(&mut ana, "LOGIN ana correct-horse").await.starts_with("OK "));
        assert!(ask(&mut ana, "SAY #rust we are upgrading").await.starts_with("OK "), "what is old goes on");
        let answer = ask(&mut ana, "TOPIC #rust new").await;
        if place < 2 {
            assert!(answer.starts_with("ERR UNAVAILABLE TOPIC not every server of this cluster knows this yet"), "{answer}");
            let mut other = upgrade.person(&nodes[2]).await;
            assert!(ask(&mut other, "SAY #rust so do the old servers").await.starts_with("OK "));
        } else {
            assert!(answer.starts_with("OK TOPIC "), "{answer}");
        }
    }
    let said = upgrade.older_says(&platter()).await;
    let known = Features::CURRENT.known;
    let needed =
        format!("use features of linechat up to level 9, and this one knows them up to level {known}; upgrade this server");
    assert!(said.contains(&needed), "{said}");
    nodes.iter().for_each(Node::crash);
    let mut found = Vec::new();
    for (node, platter) in nodes.iter().zip(&platters) {
        assert!(node.kill().await.is_empty());
        found.push(digests(platter, &upgrade.recorder, &upgrade.limits).await);
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_feature_is_used_once_all_servers_are_upgraded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime needs nothing").block_on(upgrade());
}

async fn fork() {
    let platters = [(); 3].map(|()| platter());
    let (mut small, nodes) = Small::begin(&platters).await;
    let mut ana = small.newcomer(&nodes[0]);
    assert!(ask(&mut ana, "CREATE #rust").await.starts_with("OK "));
    nodes[2].link.fork();
    for number in 0..3 {
        assert!(ask(&mut ana, &format!("SAY #rust line {number}")).await.starts_with("OK "), "the others go on");
    }
    let said = small.ends_saying("a replica has ended").await;
    assert!(said.contains("is not what 2 others have: its copy is wrong"), "{said}");
    let mut bob = small.person(&nodes[1]).await;
    assert!(ask(&mut bob, "SAY #rust and on").await.starts_with("OK "));
    nodes.iter().for_each(Node::crash);
    for node in &nodes {
        assert!(node.kill().await.is_empty());
    }
}

/// nats-server 2.9.10 does this now and then, when the leader of a stream is cut off.
#[test]
fn whoever_reads_another_stream_than_the_others_says_so_and_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime needs nothing").block_on(fork());
}
