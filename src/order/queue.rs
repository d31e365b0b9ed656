//! The queue of an order: sessions put proposals in at one end; whoever makes batches of them takes them out at the other.
//!
//! It owns the proposals in it. It must never grow beyond its bound, nor change their order.

use std::sync::{RwLock, RwLockReadGuard};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::event::Proposal;
use crate::limits::QUEUE_BATCHES;
use crate::order::{Closed, NotNow, Order};

/// The side of those who propose.
#[derive(Debug)]
pub struct Queue {
    /// `None` once it is closed.
    sender: RwLock<Option<mpsc::Sender<Vec<Proposal>>>>,
}

/// The other side: the proposals of one call after the other; `None` once it is closed and empty.
pub type Queued = mpsc::Receiver<Vec<Proposal>>;

/// An empty queue.
pub fn open() -> (Queue, Queued) {
    let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
    (Queue { sender: RwLock::new(Some(sender)) }, receiver)
}

impl Queue {
    fn sender(&self) -> RwLockReadGuard<'_, Option<mpsc::Sender<Vec<Proposal>>>> {
        self.sender.read().expect("invariant: nothing panics under this lock")
    }
}

impl Order for Queue {
    fn try_propose(&self, proposals: Vec<Proposal>) -> Result<(), NotNow> {
        let sender = self.sender();
        let Some(sender) = &*sender else { return Err(NotNow::Closed) };
        sender.try_send(proposals).map_err(|error| match error {
            TrySendError::Full(proposals) => NotNow::Full(proposals),
            TrySendError::Closed(_) => NotNow::Closed,
        })
    }

    fn propose(&self, proposals: Vec<Proposal>) -> BoxFuture<'_, Result<(), Closed>> {
        let sender = self.sender().clone();
        Box::pin(async { sender.ok_or(Closed)?.send(proposals).await.map_err(|_| Closed) })
    }

    fn waiting(&self) -> usize {
        self.sender().as_ref().map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    fn close(&self) {
        // Callers that wait for room have a sender of their own, so their proposals are still ordered.
        *self.sender.write().expect("invariant: nothing panics under this lock") = None;
    }
}
