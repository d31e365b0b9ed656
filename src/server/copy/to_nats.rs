//! From a disk into a stream: the store as a server would find it at its start is the first snapshot. It owns a folder in the data
//! directory while it works, and removes it.

use std::path::Path;
use std::sync::Arc;

use tokio::fs::File;

use crate::care::bar;
use crate::clock::Clock;
use crate::event::{Entry, Event};
use crate::limits::Limits;
use crate::names::{Seq, UserId};
use crate::order::cluster::Broker;
use crate::order::nats::{Nats, Snapshots};
use crate::replica::{Node, Replica};
use crate::server::copy::{Copied, CopyError, beside, work};
use crate::server::journal::ALONE;
use crate::server::{journal, snapshots};
use crate::store::{self, Checked, Presence, StoreError};

/// Copies the journal in this directory, whose server must not run, into the stream.
pub async fn copy(directory: &Path, nats: &Arc<Nats>, limits: &Arc<Limits>) -> Result<Copied, CopyError> {
    // Opened as what it is not, the copy of a cluster's server would lose what makes it one.
    let (store, _) = store::open_disk(directory, Presence::Kept)?;
    let is_shared = Replica::open(Node::Alone(ALONE), Arc::clone(limits), store)?.state().read().await.order().is_some();
    if is_shared {
        return Err(CopyError::OfCluster(directory.to_owned()));
    }
    let from = directory.to_owned();
    beside(move || tidy(&from)).await?;
    // It keeps the directory until the copy is done.
    let (store, _) = store::open_disk(directory, Presence::Forgotten)?;
    let replica = journal::restore(store, limits).await?;
    let (seq, next_id) = {
        let state = replica.state();
        let state = state.read().await;
        (state.seq(), state.next_id())
    };
    let snapshots = nats.snapshots().await.map_err(CopyError::Brokers)?;
    let in_use = || CopyError::InUse(nats.name().to_owned());
    if !snapshots.places().await.map_err(CopyError::Brokers)?.is_empty() {
        return Err(in_use());
    }
    let place = nats.begin_after_nothing().await.map_err(CopyError::Brokers)?.ok_or_else(in_use)?;
    let work = work(directory)?;
    let (from, to, stream) = (directory.to_owned(), work.path().to_owned(), nats.stream());
    let making = bar(1, "making a snapshot");
    beside(move || make(&from, &to, seq, next_id, (stream, place))).await?;
    making.finish_and_clear();
    let copied = upload(nats, &snapshots, work.path(), place, directory).await;
    if copied.is_err() {
        // What is not known to be right must not be begun with. One that was not stored whole is no snapshot.
        if let Err(error) = snapshots.forget(place).await {
            tracing::warn!(%error, "the copy may still be there; use another --nats-stream");
        }
    }
    Ok(Copied { checked: copied?, servers: 0 })
}

async fn upload(nats: &Nats, snapshots: &Snapshots, work: &Path, place: u64, directory: &Path) -> Result<Checked, CopyError> {
    let path = store::copy_path(work);
    let failed = |error| CopyError::Write { path: path.clone(), error };
    let file = File::open(&path).await.map_err(failed)?;
    let sending = bar(file.metadata().await.map_err(failed)?.len(), "storing it, bytes");
    snapshots.put(place, sending.wrap_async_read(file)).await.map_err(CopyError::Brokers)?;
    sending.finish_and_clear();
    let fetching = bar(1, "fetching it again");
    snapshots::fetch(nats, snapshots, work, place).await.map_err(CopyError::Brokers)?;
    fetching.finish_and_clear();
    let comparing = bar(store::count(directory)?, "comparing, entries");
    let (from, to, seen) = (directory.to_owned(), work.to_owned(), comparing.clone());
    let checked = beside(move || store::compare(&from, &to, || seen.inc(1))).await?.map_err(CopyError::Differs)?;
    comparing.finish_and_clear();
    Ok(checked)
}

/// Deletes what a server would delete after its start: nobody of a cluster knows any more that it is waste.
fn tidy(directory: &Path) -> Result<(), StoreError> {
    let failed = |error: store::OpenError| StoreError::Failed(error.to_string());
    let (mut store, _) = store::open_disk(directory, Presence::Forgotten).map_err(failed)?;
    store.load(&mut |_| {})?;
    while store.tidy()? {}
    store.close();
    Ok(())
}

/// Makes the snapshot in `work`: the store, with what only the stores of a cluster keep: where in the order it ends, and which ids
/// are given out.
fn make(directory: &Path, work: &Path, seq: Seq, next_id: UserId, (stream, place): (u64, u64)) -> Result<(), StoreError> {
    store::copy_to(directory, work)?;
    let failed = |error: store::OpenError| StoreError::Failed(error.to_string());
    let (mut store, _) = store::open_disk(work, Presence::Kept).map_err(failed)?;
    store.load(&mut |_| {})?;
    let given = Event::Given { id: UserId(next_id.0 - 1) };
    let ordered = Event::Ordered { stream, place, print: 0, numbers: Vec::new(), features: 1 };
    for (seq, event) in (seq.0 + 1..).zip([given, ordered]) {
        store.put(&Entry { seq: Seq(seq), time: Clock::System.time(), room: None, via: None, event })?;
    }
    store.commit()?;
    store.close();
    drop(store);
    store::copy(work).map(drop)
}
