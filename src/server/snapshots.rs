//! Snapshots of a cluster: the node that has been there longest stores one when enough has happened since the last, and lets the
//! brokers forget what two of them cover; a server whose copy is too old takes one before it begins.
//! Nothing of the stream may be forgotten that two stored snapshots do not cover.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::fs::File;
use tokio::time::sleep;

use crate::clock;
use crate::limits::NONE;
use crate::order::cluster::Broker;
use crate::order::nats::{Nats, Snapshots};
use crate::server::StartError;
use crate::server::supervisor::Ended;
use crate::session::Shared;
use crate::store;

/// How often it is looked at whether one is due.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits after something went wrong.
const REST: Duration = Duration::from_secs(600);
/// What is left of a snapshot that was not stored whole is cleared up after this long: nobody stores it any more.
const LEFT_OVER: Duration = Duration::from_secs(3600);
/// It rests this many times as long as the last one took: a large store is not copied all the time under a great load.
const RESTS: u32 = 9;
/// How often a server that needs one asks for it while it begins.
const RETRY: Duration = Duration::from_millis(500);

/// Stores snapshots while this is the node that has been there longest; `every` so many batches, or earlier if the stream fills up. Never ends.
pub async fn run(shared: Arc<Shared>, nats: Arc<Nats>, directory: PathBuf, every: u64) -> Ended {
    let (mut last, mut read_then) = (None, 0);
    let mut rests_until = clock::now();
    loop {
        sleep(LOOK).await;
        let (place, first) = {
            let state = shared.state.read().await;
            (state.order().map_or(0, |(_, place)| place), state.nodes().next().map(|(node, _)| node))
        };
        let life = shared.lives.newest();
        let is_filling = every != NONE && nats.space().is_filling(read_then);
        let (read, after) = (nats.space().read(), if is_filling { 1 } else { every });
        let rests = clock::now() < rests_until && !is_filling;
        if rests || first != Some(life.node) || life.is_over() || place < after_last(last, after) {
            continue;
        }
        let began = clock::now();
        match store_if_due(&nats, &directory, place, after).await {
            Ok(newest) => {
                (last, read_then) = (Some(newest), read);
                rests_until = clock::now() + clock::since(began) * RESTS;
            }
            Err(error) => {
                tracing::warn!(%error, "no snapshot could be stored; trying again later");
                sleep(REST).await;
            }
        }
    }
}

fn after_last(last: Option<u64>, every: u64) -> u64 {
    last.unwrap_or(0).saturating_add(every)
}

/// Stores one if the newest is old enough; returns the place of the newest.
async fn store_if_due(nats: &Nats, directory: &Path, place: u64, every: u64) -> Result<u64, String> {
    let snapshots = nats.snapshots().await?;
    let newest = snapshots.places().await?.last().copied();
    if place < after_last(newest, every) {
        return Ok(newest.unwrap_or(0));
    }
    // First, or one that cannot be stored for want of room would never find any.
    if let Err(error) = snapshots.clear_up(LEFT_OVER).await {
        tracing::warn!(%error, "what is left of old snapshots could not be cleared up yet");
    }
    let from = directory.to_owned();
    let copied = tokio::task::spawn_blocking(move || store::copy(&from)).await;
    let copied = copied.map_err(|error| error.to_string()).and_then(|copied| copied.map_err(|error| error.to_string()));
    let file = store::copy_path(directory);
    let stored = match copied {
        Ok(Some((stream, place))) if stream == nats.stream() => match File::open(&file).await {
            Ok(copy) => snapshots.put(place, copy).await.map(|()| place),
            Err(error) => Err(error.to_string()),
        },
        Ok(_) => Err("the copy is not one of this stream".to_owned()),
        Err(error) => Err(error),
    };
    let _ = std::fs::remove_file(&file);
    let place = stored?;
    match snapshots.forget_old().await {
        Ok(forgotten) => tracing::info!(place, forgotten, "a snapshot is stored"),
        Err(error) => tracing::warn!(place, %error, "a snapshot is stored; what it covers could not be forgotten yet"),
    }
    Ok(place)
}

/// Puts the newest snapshot in the place of this server's copy, which goes up to `place`, if the stream has not all that follows, or
/// much more has happened than `every` so many batches. Returns whether it did.
///
/// # Errors
/// [`StartError`] when there is none, or it cannot be written.
pub async fn take_if_needed(nats: &Nats, directory: &Path, place: u64, every: u64) -> Result<bool, StartError> {
    let (snapshots, oldest) = ask(nats).await;
    let newest = newest(&snapshots).await;
    let is_missing_some = oldest > place + 1;
    let Some(newest) = newest.filter(|newest| *newest > place) else {
        return if is_missing_some { Err(StartError::NoSnapshot { oldest, place }) } else { Ok(false) };
    };
    if !is_missing_some && newest < place.saturating_add(every) {
        return Ok(false);
    }
    match fetch(nats, &snapshots, directory, newest).await {
        Ok(()) => {}
        Err(error) if is_missing_some => return Err(StartError::Snapshot { place: newest, error }),
        Err(error) => {
            tracing::warn!(place = newest, %error, "the snapshot cannot be used; this server reads the stream instead");
            return Ok(false);
        }
    }
    store::replace(directory)?;
    tracing::info!(place = newest, "this server begins with a snapshot");
    Ok(true)
}

/// Fetches a snapshot to where a copy is expected, and looks whether it is one.
pub async fn fetch(nats: &Nats, snapshots: &Snapshots, directory: &Path, place: u64) -> Result<(), String> {
    let mut file = File::from_std(store::empty_copy(directory).map_err(|error| error.to_string())?);
    snapshots.get(place, &mut file).await?;
    drop(file);
    match store::copy_ends(directory) {
        Ok(found) if found == Some((nats.stream(), place)) => Ok(()),
        Ok(found) => Err(format!("it goes up to {found:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks until the brokers answer.
async fn ask(nats: &Nats) -> (Snapshots, u64) {
    loop {
        match (nats.snapshots().await, nats.oldest().await) {
            (Ok(snapshots), Ok(oldest)) => return (snapshots, oldest),
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "the brokers do not tell of snapshots; trying again"),
        }
        sleep(RETRY).await;
    }
}

async fn newest(snapshots: &Snapshots) -> Option<u64> {
    loop {
        match snapshots.places().await {
            Ok(places) => return places.last().copied(),
            Err(error) => tracing::debug!(%error, "the snapshots are not listed; trying again"),
        }
        sleep(RETRY).await;
    }
}
