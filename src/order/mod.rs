//! The order: from many proposals to one order of batches.
//!
//! It knows bytes, durability and nothing of chat: what a proposal comes to is decided by each [replica](crate::replica) that
//! takes the batches.
//!
//! # Contract of every order
//!
//! 1. **One order.** Every replica is given the same batches in the same order, each once. Proposals of one call of
//!    [`Order::propose`] keep their order and are not interleaved with others; two calls of one caller keep theirs.
//! 2. **All or nothing.** What was proposed is ordered in the end, or it is certain that it never is: [`Closed`], and nothing was
//!    taken.
//! 3. **Durability.** Either the order keeps a batch durably before it gives it to anybody, so that a replica that restarts is given
//!    all that follow on what it has stored; or it says that it keeps nothing, and the one replica that there is stores each batch
//!    durably before it completes a proposal of it. [`local`] is of the second kind: its batches live in memory, and the
//!    store's commit, which is one sync for a whole batch, is their durability.
//! 4. **Time** comes with the batch, so that all replicas see the same.
//! 5. **Bounded.** Whoever proposes waits while too much waits already.

pub mod local;

use futures_util::future::BoxFuture;

use crate::event::{Batch, Proposal};

/// No more proposals are taken: the server is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order is closed")]
pub struct Closed;

/// Why proposals were not taken at once.
#[derive(Debug)]
pub enum NotNow {
    /// Too much waits already; they are given back.
    Full(Vec<Proposal>),
    /// As [`Closed`].
    Closed,
}

/// The side of those who propose; the contract is in the documentation of this module.
pub trait Order: Send + Sync {
    /// Has proposals ordered as [`Order::propose`] does, if that needs no waiting.
    ///
    /// # Errors
    /// [`NotNow`]; nothing was taken.
    fn try_propose(&self, proposals: Vec<Proposal>) -> Result<(), NotNow>;

    /// Has proposals ordered, together and in their order; waits while too much waits already. What they come to is heard from the
    /// replica.
    ///
    /// # Errors
    /// [`Closed`]; nothing was taken.
    fn propose(&self, proposals: Vec<Proposal>) -> BoxFuture<'_, Result<(), Closed>>;

    /// Takes no more proposals. Those that were taken are ordered still; then the batches end.
    fn close(&self);
}

/// The side of a replica.
pub trait Batches: Send {
    /// The next batch; `None` when the order was closed and everything was given. May be dropped and called again: no batch is
    /// lost by it.
    fn next(&mut self) -> impl Future<Output = Option<Batch>> + Send;
}
