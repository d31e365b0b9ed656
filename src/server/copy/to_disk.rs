//! From a stream to a disk: the newest snapshot, and what the stream has after it, up to where it ends now. It never enters the
//! cluster, and writes nothing to the stream.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::care::bar;
use crate::clock::{self, Clock};
use crate::event::{Batch, Proposal, Request};
use crate::limits::{FEED_BATCHES, Limits};
use crate::order::cluster::{self, Features, Follower, Membership};
use crate::order::nats::Nats;
use crate::order::{Batches, OrderError};
use crate::replica::{Node, Outlet, Replica, SharedState};
use crate::server::copy::{Copied, CopyError, beside, work};
use crate::server::journal::{ALONE, restore};
use crate::server::snapshots;
use crate::state;
use crate::store::{self, Presence};

/// How long it waits for the next frame before it looks whether there is one.
const LOOK: Duration = Duration::from_secs(10);
/// How long nothing may come while there should be more.
const PATIENCE: Duration = Duration::from_secs(120);

/// Copies the journal of the cluster into this directory, in which there is none. It is made in a folder there, so that nobody takes a
/// part of it for the whole; the directory is held meanwhile, so that no server begins a journal that this would take the place of.
pub async fn copy(nats: &Arc<Nats>, directory: &Path, limits: &Arc<Limits>) -> Result<Copied, CopyError> {
    let _held = store::hold(directory)?;
    // A server may have been there since it was looked at.
    if store::is_there(directory)? {
        return Err(CopyError::HasJournal(directory.to_owned()));
    }
    let work = work(directory)?;
    let copied = copy_to(nats, work.path(), limits).await?;
    store::take_over(work.path(), directory, None)?;
    Ok(copied)
}

async fn copy_to(nats: &Arc<Nats>, directory: &Path, limits: &Arc<Limits>) -> Result<Copied, CopyError> {
    drop(store::open_disk(directory, Presence::Kept)?);
    snapshots::take_if_needed(nats, directory, 0, 1).await?;
    let (store, _) = store::open_disk(directory, Presence::Kept)?;
    let membership = Membership::new("copy".into(), state::deciding(limits), Features::CURRENT, Clock::System, 0);
    let replica = Replica::open(Node::Member(Arc::clone(&membership)), Arc::clone(limits), store)?;
    let state = replica.state();
    let own = state::deciding(limits);
    let (after, have_same) = {
        let state = state.read().await;
        (state.read(), state.nodes().all(|(_, row)| row.limits == own))
    };
    if !have_same {
        return Err(CopyError::OtherLimits);
    }
    let last = nats.last().await.map_err(CopyError::Brokers)?;
    let cluster = cluster::open(Arc::clone(nats), after, &membership, Box::new(|_, _| {}));
    let reading = bar(last.saturating_sub(after.place), "reading, batches");
    let upto = UpTo { follower: cluster.batches, last, from: after.place, limits: own, bar: reading.clone() };
    let (tell, mut told) = mpsc::channel(FEED_BATCHES);
    // Nobody is here who would want to know.
    let unheard = tokio::spawn(async move { while told.recv().await.is_some() {} });
    let taken = replica.run(upto, Outlet::Channel(tell)).await;
    unheard.abort();
    reading.finish_and_clear();
    taken?;
    let servers = settle(directory, &state, limits).await?;
    let checking = bar(store::count(directory)?, "reading back, entries");
    let (to, seen) = (directory.to_owned(), checking.clone());
    let checked = beside(move || store::check(&to, || seen.inc(1))).await?;
    checking.finish_and_clear();
    Ok(Copied { checked, servers })
}

/// Makes of the store of a node one that has its order to itself: nobody is connected any more. Returns how many servers were
/// there.
async fn settle(directory: &Path, state: &SharedState, limits: &Arc<Limits>) -> Result<usize, CopyError> {
    let end = |(node, number)| Proposal::of_node(ALONE, Request::EndNode(node, number));
    let nodes: Vec<_> = state.read().await.nodes().map(|(node, row)| (node, row.number)).collect();
    let servers = nodes.len();
    let (store, _) = store::open_disk(directory, Presence::Kept)?;
    let mut replica = Replica::open(Node::Alone(ALONE), Arc::clone(limits), store)?;
    let proposals = nodes.into_iter().map(end).collect();
    replica.take(Batch { time: Clock::System.time(), slot: None, proposals }).await?;
    drop(replica);
    // The first start as a server on its own forgets who was connected.
    let (store, _) = store::open_disk(directory, Presence::Forgotten)?;
    drop(restore(store, limits).await?);
    Ok(servers)
}

/// The batches up to a place of the stream.
struct UpTo {
    follower: Follower<Nats>,
    from: u64,
    last: u64,
    /// A hash of the limits by which all of the cluster decide.
    limits: u64,
    bar: ProgressBar,
}

impl Batches for UpTo {
    async fn next(&mut self) -> Result<Option<Batch>, OrderError> {
        let (mut place, mut since) = (self.follower.place(), clock::now());
        // The last frames may be none that count, and so no batch comes of them.
        while self.follower.place() < self.last {
            if let Ok(batch) = timeout(LOOK, self.follower.next()).await {
                self.bar.set_position(self.follower.place() - self.from);
                let batch = batch?;
                return self.has_same_limits(batch.as_ref()).map(|()| batch);
            }
            if self.follower.place() > place {
                (place, since) = (self.follower.place(), clock::now());
            } else if clock::since(since) > PATIENCE {
                return Err(OrderError(format!(
                    "the brokers give nothing after place {place}, and the stream goes up to {}",
                    self.last
                )));
            }
        }
        Ok(None)
    }
}

impl UpTo {
    fn has_same_limits(&self, batch: Option<&Batch>) -> Result<(), OrderError> {
        let enters_with = |proposal: &Proposal| match proposal.request {
            Request::Enter { limits, .. } => Some(limits),
            _ => None,
        };
        let mut entries = batch.into_iter().flat_map(|batch| &batch.proposals).filter_map(enters_with);
        if entries.all(|limits| limits == self.limits) {
            return Ok(());
        }
        Err(OrderError(
            "the servers of this cluster have other limits; give the same --limit options to copy as to them".to_owned(),
        ))
    }
}
