//! One server of a simulated cluster, put together as the real one is, over a store that outlives it. It must never decide
//! anything that the real parts decide.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linechat::clock::Clock;
use linechat::event::{NodeId, Time};
use linechat::hub::Hub;
use linechat::limits::Limits;
use linechat::order::cluster::{self, Cluster, Features, Membership};
use linechat::replica::{self, Outlet, Replica, SharedState};
use linechat::search::Search;
use linechat::server::cluster as serving;
use linechat::session::{Budgets, Life, Lives, Notable, Passwords, Session, Shared};
use linechat::store::{Memory, Presence, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::broker::{Link, Stream};
use super::chance::Chance;
use super::disk::{Disk, Platter};
use super::fate::{Death, Fate};
use super::net::{Line, Weather, wire};
use super::record::{Recorder, What};

/// What a store holds; nothing is ever given up.
const DISK_BYTES: u64 = 1 << 30;

/// An empty store.
pub fn platter() -> Platter {
    Arc::new(Mutex::new(Memory::new(DISK_BYTES)))
}

/// One life of a process.
pub struct Node {
    /// Its connection to the stream.
    pub link: Arc<Link>,
    fate: Arc<Fate>,
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
    recorder: Arc<Recorder>,
}

fn open(platter: &Platter, fate: &Arc<Fate>, node: replica::Node, limits: &Arc<Limits>) -> Replica<Disk> {
    let disk = Disk::new(Arc::clone(platter), Arc::clone(fate), Chance::new(1));
    Replica::open(node, Arc::clone(limits), Store::new(disk, Presence::Kept)).expect("the store is whole")
}

fn fate(recorder: &Arc<Recorder>) -> Arc<Fate> {
    Fate::new(Death::None, None, Chance::new(1), Arc::new(AtomicBool::new(true)), Arc::clone(recorder))
}

/// The digests of the state and of the store of a node that has ended.
pub async fn digests(platter: &Platter, recorder: &Arc<Recorder>, limits: &Arc<Limits>) -> (u64, u64) {
    let replica = open(platter, &fate(recorder), replica::Node::Alone(NodeId(u64::MAX)), limits);
    replica.digests().await.expect("the store is whole")
}

impl Node {
    /// Starts a server of this name, which knows these features, with what its store has.
    pub async fn start(
        name: &str,
        features: Features,
        stream: &Arc<Stream>,
        platter: &Platter,
        limits: &Arc<Limits>,
        recorder: &Arc<Recorder>,
        chance: &mut Chance,
    ) -> Self {
        let (fate, link, hub) = (fate(recorder), Link::new(stream), Arc::new(Hub::new(limits)));
        let noon = Time(1_700_000_000_000 + chance.below(1_000_000) as i64);
        let clock = Clock::Running { from: Instant::now(), at: noon };
        let membership = Membership::new(name.into(), 1, features, clock, chance.below(1 << 40) as u64);
        let replica = open(platter, &fate, replica::Node::Member(Arc::clone(&membership)), limits);
        let (reader, state) = (platter.lock().expect("nothing panics under this lock").reader(), replica.state());
        let after = state.read().await.read();
        let Cluster { order, publisher, batches } = cluster::open(Arc::clone(&link), after, &membership, serving::refuse(&hub));
        let mut tasks = JoinSet::new();
        let (told, report, process) = (Arc::clone(&hub), Arc::clone(recorder), Arc::clone(&fate));
        tasks.spawn(async move {
            // The end of the process may come in the middle of a write.
            if let Err(error) = replica.run(batches, Outlet::Hub(told)).await
                && !process.is_over()
            {
                report.put(0, What::Got, &format!("a replica has ended: {error}"));
            }
        });
        tasks.spawn(async move { drop(publisher.run().await) });
        let over = Life::begin(NodeId(u64::MAX));
        over.end();
        let shared = Arc::new(Shared {
            lives: Lives::new(over),
            membership: Some(Arc::clone(&membership)),
            order: Arc::new(order),
            state,
            durability: reader.durability(),
            reader,
            search: Search::nowhere(),
            clock,
            hub,
            metrics: Arc::default(),
            passwords: Passwords::simulated(limits),
            budgets: Budgets::new(limits),
            notable: Notable::new(64),
            limits: Arc::clone(limits),
            stopping: CancellationToken::new(),
            failed: CancellationToken::new(),
            tracker: TaskTracker::new(),
        });
        let vouch = serving::vouch(Arc::clone(&shared), Arc::clone(&membership));
        let (live, watch) = (serving::live(Arc::clone(&shared), membership), serving::watch(Arc::clone(&shared)));
        let report = Arc::clone(recorder);
        tasks.spawn(async move {
            let ended = live.await;
            report.put(0, What::Got, &format!("the server may not go on: {ended:?}"));
        });
        // They end with the order.
        tasks.spawn(async move { drop(watch.await) });
        tasks.spawn(async move { drop(vouch.await) });
        Self { link, fate, shared, tasks: Mutex::new(tasks), recorder: Arc::clone(recorder) }
    }

    /// What it knows.
    pub fn state(&self) -> SharedState {
        Arc::clone(&self.shared.state)
    }

    /// Whether it lets people in.
    pub fn serves(&self) -> bool {
        !self.shared.lives.newest().is_over()
    }

    /// A connection to it.
    pub fn connect(&self, number: usize, who: &str, chance: &mut Chance) -> Line {
        self.recorder.put(number, What::Opened, who);
        let own = Chance::new(chance.below(1 << 40) as u64);
        let (end, line) = wire(number, Weather::calm(), own, Arc::clone(&self.fate), Arc::clone(&self.recorder));
        let nobody = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let session = Session::new(Arc::clone(&self.shared), Box::new(end), nobody, self.shared.hub.admit());
        let work = self.shared.tracker.track_future(session.run());
        self.tasks.lock().expect("nothing panics under this lock").spawn(async {
            let _ = work.await;
        });
        line
    }

    /// Ends it in order: the others are told.
    pub async fn stop(&self) {
        self.shared.stopping.cancel();
        self.shared.hub.wake_all();
        self.shared.tracker.close();
        let _ = tokio::time::timeout(Duration::from_secs(4), self.shared.tracker.wait()).await;
        self.shared.order.close();
        sleep(Duration::from_secs(3)).await;
    }

    /// The process is gone; [`Node::kill`] clears up after it.
    pub fn crash(&self) {
        self.fate.crash();
    }

    /// Nothing is left of the process. Returns what panicked.
    pub async fn kill(&self) -> Vec<String> {
        self.fate.crash();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().expect("nothing panics under this lock"));
        tasks.abort_all();
        let mut panics = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            panics
                .extend(ended.err().filter(tokio::task::JoinError::is_panic).map(|panic| format!("a task panicked: {panic}")));
        }
        panics
    }
}
