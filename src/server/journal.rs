//! The journal of a server: its order, its store, and the replica between them, put together as the operator wants them.
//!
//! It owns nothing once they run: the supervisor watches them. A server is given its journal when everything that is stored has
//! been read and, in a cluster, when the others know of it.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Cluster, Config, JournalKind};
use crate::event::{Batch, NodeId, Proposal, Request};
use crate::hub::{Hub, News};
use crate::limits::{FEED_BATCHES, Limits};
use crate::metrics::Metrics;
use crate::order::cluster::{self, Broker, Features, Membership, Standing};
use crate::order::local::{self, Runs};
use crate::order::nats::{self, Nats};
use crate::order::{Batches, Order};
use crate::replica::{Node, Outlet, Replica, ReplicaError, SharedState};
use crate::search::{self, Search};
use crate::server::StartError;
use crate::server::cluster::refuse;
use crate::server::snapshots;
use crate::server::supervisor::{Ended, START_AGAIN, Supervisor};
use crate::state;
use crate::store::{self, Backend, Presence, Reader, Store, StoreError};

/// The node of a server that has its order to itself.
pub const ALONE: NodeId = NodeId(0);
/// How long the parts of a server that cannot start have to end.
const ENDING: Duration = Duration::from_secs(3);
/// What the supervisor calls the replica.
const JOURNAL: &str = "the journal";

/// What the sessions need of the journal.
pub struct Journal {
    /// Takes proposals.
    pub order: Arc<dyn Order>,
    /// The state.
    pub state: SharedState,
    /// Reads what is stored.
    pub reader: Arc<dyn Reader>,
    /// What an entry survives that was stored.
    pub durability: &'static str,
    /// Finds messages in it.
    pub search: Search,
    /// The node that the server is.
    pub node: NodeId,
    /// Where it stands among others.
    pub membership: Option<Arc<Membership>>,
    /// The brokers that it shares the journal over.
    pub nats: Option<Arc<Nats>>,
}

/// What runs the parts.
pub struct Parts<'a> {
    pub hub: &'a Arc<Hub>,
    pub limits: &'a Arc<Limits>,
    pub metrics: &'a Arc<Metrics>,
    pub supervisor: &'a mut Supervisor,
    pub stopping: CancellationToken,
}

/// Opens the journal that the operator wants.
///
/// # Errors
/// [`StartError`], for the operator.
pub async fn open(config: &Config, mut parts: Parts<'_>) -> Result<Journal, StartError> {
    if let (JournalKind::Nats, Some(cluster)) = (config.journal, &config.cluster) {
        return shared(config, cluster, parts).await;
    }
    let runs = if config.journal == JournalKind::Memory { Runs::InTask } else { Runs::InThread };
    let (order, batches) = local::open(Clock::System, runs);
    let (reader, state) = match runs {
        Runs::InThread => {
            let (store, reader) = store::open_disk(&config.data_dir, Presence::Forgotten)?;
            let replica = restore(store, parts.limits).await?;
            (reader, in_thread(replica.counted_in(parts.metrics), batches, &mut parts)?)
        }
        Runs::InTask => {
            let (store, reader) = store::open_memory(parts.limits.memory_journal_bytes, Presence::Forgotten);
            let replica = restore(store, parts.limits).await?;
            (reader, in_task(replica.counted_in(parts.metrics), batches, &mut parts))
        }
    };
    let directory = (runs == Runs::InThread).then_some(config.data_dir.as_path());
    let search = if config.search { index(&reader, directory, &mut parts)? } else { Search::nowhere() };
    let durability = reader.durability();
    Ok(Journal { order: Arc::new(order), state, reader, durability, search, node: ALONE, membership: None, nats: None })
}

/// Lets an index follow what this reader reads, in a file of this directory or in memory.
fn index(reader: &Arc<dyn Reader>, directory: Option<&Path>, parts: &mut Parts<'_>) -> Result<Search, StartError> {
    let (search, follower) = search::open(Arc::clone(reader), directory);
    let (closed, work) = (parts.stopping.clone(), follower.run());
    let following = async move {
        work.await;
        // Nobody asks any more; if the server has to end for another reason, that is to be reported.
        closed.cancelled().await;
        Ok(())
    };
    parts.supervisor.thread("the index of messages", "search", following).map_err(StartError::Thread)?;
    Ok(search)
}

/// A replica with the state from the store. Nobody is connected yet, so the guests of the last run are gone and their channels
/// pass on.
pub async fn restore<B: Backend>(store: Store<B>, limits: &Arc<Limits>) -> Result<Replica<B>, StoreError> {
    let mut replica = Replica::open(Node::Alone(ALONE), Arc::clone(limits), store)?;
    let ended = Proposal::of_node(ALONE, Request::EndNode(ALONE, 0));
    replica.take(Batch { time: Clock::System.time(), slot: None, proposals: vec![ended] }).await?;
    Ok(replica)
}

/// A journal that is shared with other servers. Waits until this server is one of the nodes.
async fn shared(config: &Config, cluster: &Cluster, mut parts: Parts<'_>) -> Result<Journal, StartError> {
    let broker = Arc::new(connect(cluster, parts.limits.stream_bytes).await?);
    let every = parts.limits.snapshot_batches;
    let place = copy_ends(config, &broker, parts.limits).await?;
    snapshots::take_if_needed(&broker, &config.data_dir, place, every).await?;
    let (store, reader) = store::open_disk(&config.data_dir, Presence::Kept)?;
    // What RandomState draws from the system is random enough to tell two processes apart.
    let token = RandomState::new().hash_one(std::process::id());
    let (name, limits) = (cluster.node.as_str().into(), state::deciding(parts.limits));
    let membership = Membership::new(name, limits, Features::CURRENT, Clock::System, token);
    let replica = Replica::open(Node::Member(Arc::clone(&membership)), Arc::clone(parts.limits), store)?;
    let state = replica.state();
    place_of(&state, &broker, config).await?;
    let after = state.read().await.read();
    let cluster::Cluster { order, publisher, batches } =
        cluster::open(Arc::clone(&broker), after, &membership, refuse(parts.hub));
    in_thread_unless_it_differs(replica.counted_in(parts.metrics), batches, &mut parts, config.data_dir.clone())?;
    parts.supervisor.task("the order", publisher.run());
    let entered = tokio::select! {
        biased;
        stands = until_inside(&membership) => stands,
        failure = parts.supervisor.failure() => {
            // It may have ended because this server is refused.
            Err(match &*membership.standing().borrow() {
                Standing::Refused(why) => StartError::Refused(why.clone()),
                _ => StartError::Failed(failure),
            })
        }
    };
    let node = match entered {
        Ok(node) => node,
        Err(error) => {
            // The replica's thread must not outlive the runtime that it waits in.
            parts.stopping.cancel();
            order.close();
            let _ = tokio::time::timeout(ENDING, parts.supervisor.finish()).await;
            return Err(error);
        }
    };
    let search = if config.search { index(&reader, Some(&config.data_dir), &mut parts)? } else { Search::nowhere() };
    let (order, durability, membership) = (Arc::new(order), broker.durability(), Some(membership));
    Ok(Journal { order, state, reader, durability, search, node, membership, nats: Some(broker) })
}

pub async fn connect(cluster: &Cluster, stream_bytes: u64) -> Result<Nats, StartError> {
    let parsed = cluster.servers.iter().map(|server| server.parse().map_err(|_| StartError::NoNatsServer(server.clone())));
    let options = nats::Options {
        servers: parsed.collect::<Result<_, _>>()?,
        credentials: cluster.credentials.clone(),
        authority: cluster.authority.clone(),
        stream: cluster.stream.clone(),
        stream_bytes,
        name: cluster.node.clone(),
    };
    Ok(nats::connect(&options).await?)
}

/// Up to which place of the stream the copy in the data directory goes, before it is used.
async fn copy_ends(config: &Config, broker: &Nats, limits: &Arc<Limits>) -> Result<u64, StartError> {
    let (store, _) = store::open_disk(&config.data_dir, Presence::Kept)?;
    let replica = Replica::open(Node::Alone(ALONE), Arc::clone(limits), store)?;
    place_of(&replica.state(), broker, config).await
}

/// Up to which place of the stream the copy of this state goes; an error if it is no copy of this stream.
async fn place_of(state: &SharedState, broker: &Nats, config: &Config) -> Result<u64, StartError> {
    let state = state.read().await;
    match state.order() {
        Some((stream, place)) if stream == broker.stream() => Ok(place),
        None if state.seq().0 == 0 => Ok(0),
        known => Err(StartError::OtherJournal { directory: config.data_dir.clone(), is_shared: known.is_some() }),
    }
}

async fn until_inside(membership: &Membership) -> Result<NodeId, StartError> {
    let mut standing = membership.standing();
    loop {
        match &*standing.borrow_and_update() {
            Standing::Inside { node, .. } => return Ok(*node),
            Standing::Refused(why) => return Err(StartError::Refused(why.clone())),
            Standing::Outside => {}
        }
        // The membership is kept here, and it says how it stands for as long as it is there.
        let _ = standing.changed().await;
    }
}

/// Why a replica has ended, and what to do. What the order says of itself says that already.
fn why(error: &ReplicaError) -> String {
    match error {
        ReplicaError::Store(error) => format!("{error}; {START_AGAIN}"),
        ReplicaError::Order(error) => error.to_string(),
        ReplicaError::Differs(error) => format!("{error}; start linechat again, to begin with what the others have"),
    }
}

/// Runs the replica of a store that waits for the disk.
fn in_thread<B: Backend>(
    replica: Replica<B>,
    batches: impl Batches + 'static,
    parts: &mut Parts<'_>,
) -> Result<SharedState, StartError> {
    let (state, (tell, told)) = (replica.state(), mpsc::channel(FEED_BATCHES));
    let work = replica.run(batches, Outlet::Channel(tell));
    run_in_thread(async { work.await.map_err(|error| why(&error)) }, told, parts)?;
    Ok(state)
}

/// The same, of a copy that others have, too: if it is not equal to theirs it is set aside, so that the next start takes another.
fn in_thread_unless_it_differs<B: Backend>(
    replica: Replica<B>,
    batches: impl Batches + 'static,
    parts: &mut Parts<'_>,
    directory: PathBuf,
) -> Result<(), StartError> {
    let (tell, told) = mpsc::channel(FEED_BATCHES);
    let work = replica.run(batches, Outlet::Channel(tell));
    let work = async move {
        let ended = work.await;
        if let Err(ReplicaError::Differs(_)) = ended {
            store::set_aside(&directory).map_err(|error| error.to_string())?;
        }
        ended.map_err(|error| why(&error))
    };
    run_in_thread(work, told, parts)
}

fn run_in_thread(
    work: impl Future<Output = Ended> + Send + 'static,
    told: mpsc::Receiver<Vec<News>>,
    parts: &mut Parts<'_>,
) -> Result<(), StartError> {
    parts.supervisor.thread(JOURNAL, "replica", work).map_err(StartError::Thread)?;
    parts.supervisor.task("telling what happened", carry(Arc::clone(parts.hub), told, parts.stopping.clone()));
    Ok(())
}

/// Carries the replica's news to the hub. It is a task beside the sessions, because waking them from there is much cheaper than
/// from the replica's thread.
async fn carry(hub: Arc<Hub>, mut told: mpsc::Receiver<Vec<News>>, stopping: CancellationToken) -> Ended {
    while let Some(mut news) = told.recv().await {
        hub.tell(&mut news);
    }
    // The replica has ended. If it should not have, its failure is to be reported, not the end of this task.
    stopping.cancelled().await;
    Ok(())
}

/// Runs the replica of a store that never blocks.
fn in_task<B: Backend>(replica: Replica<B>, batches: impl Batches + 'static, parts: &mut Parts<'_>) -> SharedState {
    let state = replica.state();
    let work = replica.run(batches, Outlet::Hub(Arc::clone(parts.hub)));
    parts.supervisor.task(JOURNAL, async { work.await.map_err(|error| why(&error)) });
    state
}
