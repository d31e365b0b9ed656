//! The order of one machine: a queue in memory. Sessions put proposals in; the one replica takes out whatever has gathered.
//!
//! The more proposals wait, the larger the batches, and the smaller each proposal's share of a commit. The queue itself is not
//! durable; the store's commit is.

use crate::clock::Clock;
use crate::event::{Batch, Proposal, Request};
use crate::limits::BATCH_PROPOSALS;
use crate::order::queue::{self, Queue, Queued};
use crate::order::{Batches, OrderError};

/// For how many turns of the other tasks a batch may fill, as long as each adds to it. A turn may take milliseconds when they
/// are busy.
const FILLING_TURNS: usize = 8;

/// Where the replica that takes the batches runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// In a task, beside the sessions: its store never blocks.
    InTask,
    /// In a thread of its own, because it waits for the disk.
    InThread,
}

impl Runs {
    /// Lets tasks that are ready add to a batch before it is decided, so that more proposals share the fixed cost of a commit.
    /// When the sessions run on the same core, this is a quarter of the throughput (measured with a channel of 100, on disk and
    /// in memory).
    async fn let_others_go_first(self) {
        match self {
            Self::InTask => tokio::task::yield_now().await,
            Self::InThread => std::thread::yield_now(),
        }
    }
}

/// The side of the replica.
#[derive(Debug)]
pub struct LocalBatches {
    queue: Queued,
    clock: Clock,
    runs: Runs,
    /// The batch being filled. It is kept here so that nothing is lost when the future of [`Batches::next`] is dropped.
    filling: Vec<Proposal>,
}

/// An empty order: the side of those who propose, and the side of the replica.
pub fn open(clock: Clock, runs: Runs) -> (Queue, LocalBatches) {
    let (order, queue) = queue::open();
    (order, LocalBatches { queue, clock, runs, filling: Vec::new() })
}

impl Batches for LocalBatches {
    async fn next(&mut self) -> Result<Option<Batch>, OrderError> {
        if self.filling.is_empty() {
            let Some(first) = self.queue.recv().await else { return Ok(None) };
            self.filling = first;
        }
        // Nobody but the newcomer waits for the news that they have come, and with company there would be no less of it.
        let is_newcomer = matches!(&self.filling[..], [Proposal { request: Request::Come { .. }, .. }]);
        let turns = if is_newcomer { 0 } else { FILLING_TURNS };
        for _ in 0..turns {
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
        Ok(Some(Batch { time: self.clock.time(), slot: None, proposals: std::mem::take(&mut self.filling) }))
    }
}
