//! The order: it puts the proposals of many into one sequence of batches.
//!
//! It knows nothing of chat: each [replica](crate::replica) that takes the batches decides what the proposals in them come to.
//!
//! # Contract of every order
//!
//! 1. **One order.** Every replica gets the same batches in the same order, each once. The proposals of one call of
//!    [`Order::propose`] keep their order and are not interleaved with others; so do successive calls of one caller.
//! 2. **All or nothing.** Proposals are ordered in the end, or it is certain that they never will be: then the result is
//!    [`Closed`], and nothing was taken. What an order of many nodes has taken and cannot order in time, it [refuses](cluster::Refuse):
//!    as certainly not ordered, or as not known.
//! 3. **Durability.** Either the order stores each batch durably before it gives it to anybody, so that a replica that restarts
//!    gets all batches after those it has stored. Or it keeps nothing; then there is only one replica, which stores each batch
//!    durably before it completes any proposal in it. [`local`] is of the second kind: its batches live in memory, and one sync
//!    in the store's commit makes a whole batch durable.
//! 4. **Time** comes with the batch, so that all replicas see the same time.
//! 5. **Bounded.** When too much is waiting, [`Order::propose`] waits.
//!
//! `tests/proposing.rs` checks every implementation against this contract.

pub mod cluster;
pub mod local;
pub mod nats;
mod queue;

use futures_util::future::BoxFuture;

use crate::event::{Batch, Proposal};

pub use queue::Queue;

/// No more proposals are taken: the server is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order is closed")]
pub struct Closed;

/// Why proposals were not taken at once.
#[derive(Debug)]
pub enum NotNow {
    /// Too much is waiting already; the proposals are given back.
    Full(Vec<Proposal>),
    /// The same as [`Closed`].
    Closed,
}

/// The side of those who propose; the contract is in the documentation of this module.
pub trait Order: Send + Sync {
    /// Does what [`Order::propose`] does, if that needs no waiting.
    ///
    /// # Errors
    /// [`NotNow`]; nothing was taken.
    fn try_propose(&self, proposals: Vec<Proposal>) -> Result<(), NotNow>;

    /// Submits proposals, which are ordered together and in their order. Waits while too much is waiting already. The replica
    /// tells what they come to.
    ///
    /// # Errors
    /// [`Closed`]; nothing was taken.
    fn propose(&self, proposals: Vec<Proposal>) -> BoxFuture<'_, Result<(), Closed>>;

    /// How many calls' proposals wait to be ordered.
    fn waiting(&self) -> usize;

    /// Takes no more proposals. Those already taken are still ordered, or refused; then the batches end.
    fn close(&self);
}

/// The side of a replica.
pub trait Batches: Send {
    /// The next batch; `None` once the order is closed and every batch was given. The future may be dropped and `next` called
    /// again: no batch is lost.
    ///
    /// # Errors
    /// [`OrderError`]; then there is no next batch for this replica.
    fn next(&mut self) -> impl Future<Output = Result<Option<Batch>, OrderError>> + Send;
}

/// Why a replica cannot be given the next batch. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OrderError(pub String);
