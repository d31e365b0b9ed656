//! The order of one machine: a queue in memory. Whoever proposes puts into it; its one replica takes out what has gathered.
//!
//! The more that waits, the larger the batches, and the less each proposal pays of a commit. It keeps nothing durably: that is
//! the store's commit.

use std::sync::{RwLock, RwLockReadGuard};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::clock::Clock;
use crate::event::{Batch, Proposal};
use crate::limits::{BATCH_PROPOSALS, QUEUE_BATCHES};
use crate::order::{Batches, Closed, NotNow, Order};

/// Turns of the others that a batch may fill for, as long as each adds to it; where they are busy with other things, one may take
/// milliseconds.
const FILLING_TURNS: usize = 8;

/// Where the replica runs that takes the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// In a task, beside the sessions: its store never blocks.
    InTask,
    /// In a thread of its own, which waits for the disk.
    InThread,
}

impl Runs {
    /// Whoever is ready may add to a batch before it is decided: what a commit costs beside its entries is shared by more of
    /// them. Where the sessions run on the same core, that is a quarter of the throughput (a channel of 100, disk and memory).
    async fn let_others_go_first(self) {
        match self {
            Self::InTask => tokio::task::yield_now().await,
            Self::InThread => std::thread::yield_now(),
        }
    }
}

/// The proposing side.
#[derive(Debug)]
pub struct Local {
    /// `None` once it is closed.
    queue: RwLock<Option<mpsc::Sender<Vec<Proposal>>>>,
}

/// The replica's side.
#[derive(Debug)]
pub struct LocalBatches {
    queue: mpsc::Receiver<Vec<Proposal>>,
    clock: Clock,
    runs: Runs,
    /// What is filling, kept here so that nothing is lost where nobody waits for it any more.
    filling: Vec<Proposal>,
}

/// An empty order.
pub fn open(clock: Clock, runs: Runs) -> (Local, LocalBatches) {
    let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
    let order = Local { queue: RwLock::new(Some(sender)) };
    (order, LocalBatches { queue: receiver, clock, runs, filling: Vec::new() })
}

impl Local {
    fn queue(&self) -> RwLockReadGuard<'_, Option<mpsc::Sender<Vec<Proposal>>>> {
        self.queue.read().expect("invariant: nothing panics under this lock")
    }
}

impl Order for Local {
    fn try_propose(&self, proposals: Vec<Proposal>) -> Result<(), NotNow> {
        let queue = self.queue();
        let Some(queue) = &*queue else { return Err(NotNow::Closed) };
        queue.try_send(proposals).map_err(|error| match error {
            TrySendError::Full(proposals) => NotNow::Full(proposals),
            TrySendError::Closed(_) => NotNow::Closed,
        })
    }

    fn propose(&self, proposals: Vec<Proposal>) -> BoxFuture<'_, Result<(), Closed>> {
        let queue = self.queue().clone();
        Box::pin(async { queue.ok_or(Closed)?.send(proposals).await.map_err(|_| Closed) })
    }

    fn close(&self) {
        // Whoever waits for room has a sender of their own, so that what they propose is ordered still.
        *self.queue.write().expect("invariant: nothing panics under this lock") = None;
    }
}

impl Batches for LocalBatches {
    async fn next(&mut self) -> Option<Batch> {
        if self.filling.is_empty() {
            self.filling = self.queue.recv().await?;
        }
        for _ in 0..FILLING_TURNS {
            let before = self.filling.len();
            self.runs.let_others_go_first().await;
            while self.filling.len() < BATCH_PROPOSALS
                && let Ok(more) = self.queue.try_recv()
            {
                self.filling.extend(more);
            }
            if self.filling.len() == before {
                break;
            }
        }
        Some(Batch { time: self.clock.time(), proposals: std::mem::take(&mut self.filling) })
    }
}
