//! A rolling upgrade: three servers are replaced by newer ones, one after the other, while people are there. To the newer linechat
//! TOPIC is a new feature. It owns its cluster; here nothing goes wrong.

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

const NEWER: Features = Features { known: 2, needed: |request| if matches!(request, Request::Topic(..)) { 2 } else { 1 } };
const LOOK: Duration = Duration::from_millis(20);
/// Longer than a server needs to become a node.
const SOON: Duration = Duration::from_secs(60);

struct Upgrade {
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

impl Upgrade {
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
        self.people += 1;
        let mut line = node.connect(self.people, "somebody", &mut self.chance);
        assert!(ask(&mut line, "JOIN #rust").await.starts_with("OK "));
        line
    }

    /// What an older server says at its end, which has this store.
    async fn ends_saying(&mut self, platter: &Platter) -> String {
        let node = self.start("older", Features::CURRENT, platter).await;
        let said =
            || self.recorder.records().into_iter().map(|record| record.text).find(|text| text.contains("upgrade this server"));
        until("it ends", || said().is_some()).await;
        assert!(!node.serves());
        assert!(node.kill().await.is_empty());
        said().expect("it was there just now")
    }
}

async fn upgrade() {
    let (stream, recorder) = (Stream::new(Chance::new(1)), Arc::new(Recorder::new()));
    let mut upgrade = Upgrade { stream, limits: Arc::new(Limits::default()), recorder, chance: Chance::new(2), people: 0 };
    let platters = [(); 3].map(|()| platter());
    let names = ["ash", "birch", "cedar"];
    let mut nodes = Vec::new();
    for (name, platter) in names.iter().zip(&platters) {
        nodes.push(upgrade.started(name, Features::CURRENT, platter).await);
    }
    let mut founder = nodes[0].connect(0, "founder", &mut upgrade.chance);
    for line in ["REGISTER ana correct-horse", "CREATE #rust"] {
        let answer = ask(&mut founder, line).await;
        assert!(answer.starts_with("OK "), "{answer}");
    }
    for place in 0..3 {
        let newer = {
            nodes[place].stop().await;
            nodes[place].kill().await;
            upgrade.started(names[place], NEWER, &platters[place]).await
        };
        nodes[place] = newer;
        let mut ana = nodes[place].connect(10 + place, "ana", &mut upgrade.chance);
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
    let said = upgrade.ends_saying(&platter()).await;
    assert!(
        said.contains("it needs features of level 2, and this linechat knows them up to level 1; upgrade this server"),
        "{said}"
    );
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
