//! The real server's parts, put together as `src/server.rs` does it, on a simulated network, disk and clock: one life of it, from
//! its start until everything of the process is gone. It must never decide anything that the real parts decide.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use linechat::clock::Clock;
use linechat::event::{Batch, NodeId, Proposal, Request, Time};
use linechat::hub::{Hub, News};
use linechat::limits::Limits;
use linechat::order::local::{self, LocalBatches, Runs};
use linechat::order::{Batches, OrderError};
use linechat::replica::{Node, Outlet, Replica};
use linechat::search::Search;
use linechat::session::{Budgets, Life, Lives, Notable, Passwords, Session, Shared};
use linechat::store::{Presence, Store};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chance::Chance;
use super::disk::{Disk, Platter};
use super::fate::{Death, Fate};
use super::net::End;

/// How long a server that has failed goes on, as the real one does.
const FAREWELL: Duration = Duration::from_millis(300);
/// How long a server that is stopped lets its sessions finish.
const STOPPING: Duration = Duration::from_secs(4);
/// Batches that may wait to be told.
const FEED: usize = 8;
const DAY: usize = 86_400_000;

/// One life of the server.
pub struct Server {
    /// What ends it.
    pub fate: Arc<Fate>,
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

/// The local order, with a store that takes its time, and a time of day that jumps.
struct Uneven {
    batches: LocalBatches,
    chance: Chance,
    /// Milliseconds that a batch waits at most.
    slow: usize,
    /// By how much the clock is wrong.
    wrong: i64,
    waiting: Option<(Batch, Instant)>,
}

impl Batches for Uneven {
    async fn next(&mut self) -> Result<Option<Batch>, OrderError> {
        if self.waiting.is_none() {
            let Some(batch) = self.batches.next().await? else { return Ok(None) };
            let wait = if self.chance.below(4) == 0 { self.chance.below(self.slow + 1) } else { 0 };
            self.waiting = Some((batch, Instant::now() + Duration::from_millis(wait as u64)));
        }
        if let Some((_, until)) = &self.waiting {
            sleep_until(*until).await;
        }
        if self.chance.below(20) == 0 {
            self.wrong = self.chance.below(2 * DAY) as i64 - DAY as i64;
        }
        let waiting = self.waiting.take();
        Ok(waiting.map(|(batch, _)| Batch { time: Time(batch.time.0 + self.wrong), ..batch }))
    }
}

/// Carries the news to the hub, and takes its time.
async fn carry(hub: Arc<Hub>, mut told: mpsc::Receiver<Vec<News>>, mut chance: Chance, slow: usize) {
    while let Some(mut news) = told.recv().await {
        sleep(Duration::from_millis(chance.below(slow + 1) as u64)).await;
        hub.tell(&mut news);
    }
}

impl Server {
    /// Starts the server with what is on the disk.
    pub async fn start(fate: &Arc<Fate>, platter: &Platter, limits: &Arc<Limits>, chance: &mut Chance) -> Arc<Self> {
        let node = NodeId(0);
        let reader = platter.lock().expect("nothing panics under this lock").reader();
        let disk = Disk::new(Arc::clone(platter), Arc::clone(fate), Chance::new(chance.below(1 << 40) as u64));
        let mut replica =
            Replica::open(Node::Alone(node), Arc::clone(limits), Store::new(disk, Presence::Forgotten)).expect("it is whole");
        let noon = Time(1_700_000_000_000 + chance.below(30 * DAY) as i64);
        let ended = Proposal::of_node(node, Request::EndNode(node, 0));
        let restored = replica.take(Batch { time: noon, slot: None, proposals: vec![ended] }).await.map(drop);
        let clock = Clock::Running { from: Instant::now(), at: noon };
        let (order, batches) = local::open(clock, Runs::InTask);
        let (state, hub) = (replica.state(), Arc::new(Hub::new(limits)));
        let mut tasks = JoinSet::new();
        let slow = *chance.of(&[0, 3, 40, 400]);
        let outlet = if chance.below(2) == 0 {
            Outlet::Hub(Arc::clone(&hub))
        } else {
            let (tell, told) = mpsc::channel(FEED);
            tasks.spawn(carry(Arc::clone(&hub), told, Chance::new(chance.below(1 << 40) as u64), slow));
            Outlet::Channel(tell)
        };
        let uneven = Chance::new(chance.below(1 << 40) as u64);
        let batches = Uneven { batches, chance: uneven, slow, wrong: 0, waiting: None };
        let (ending, swept) = (Arc::clone(fate), Arc::clone(&hub));
        tasks.spawn(async move {
            // A store that has failed while the server started is the end of it, too.
            let ended = if restored.is_ok() { replica.run(batches, outlet).await.is_err() } else { true };
            if ended {
                ending.ending();
            }
        });
        tasks.spawn(async move {
            loop {
                swept.sweep_tails();
                sleep(Duration::from_secs(1)).await;
            }
        });
        let shared = Arc::new(Shared {
            membership: None,
            lives: Lives::new(Life::begin(node)),
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
        Arc::new(Self { fate: Arc::clone(fate), shared, tasks: Mutex::new(tasks) })
    }

    /// A connection begins.
    pub fn connect(&self, end: End) {
        let nobody = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let session = Session::new(Arc::clone(&self.shared), Box::new(end), nobody, self.shared.hub.admit());
        let work = self.shared.tracker.track_future(session.run());
        self.tasks.lock().expect("nothing panics under this lock").spawn(async {
            let _ = work.await;
        });
    }

    /// Ends as fate wants it, until nothing of the process is left. Returns what panicked.
    pub async fn end(&self) -> Vec<String> {
        let shared = &self.shared;
        let is_stop = matches!(self.fate.death, Death::Stops(_) | Death::None);
        if !self.fate.is_over() {
            if !is_stop {
                shared.failed.cancel();
            }
            shared.stopping.cancel();
            shared.hub.wake_all();
            shared.tracker.close();
            let _ = timeout(if is_stop { STOPPING } else { FAREWELL }, shared.tracker.wait()).await;
            if is_stop {
                shared.order.close();
                sleep(FAREWELL).await;
            }
        }
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
