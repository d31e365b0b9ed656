//! The order of many nodes: each sends batches to the end of one stream, and each reads all of it, from the beginning on or from
//! where its own store ends.
//!
//! ```text
//!  sessions ─▶ queue ─▶ publisher ─frame─▶ broker: one stream ─▶ follower ─batch─▶ replica
//!                          ▲                                                          │
//!                          └───────────────── where it stands ◀────────── membership ─┘
//! ```
//!
//! The [broker] gives order and durability, and is not trusted with more. It may take a frame twice, and say that it failed
//! although it did not. So every batch has a number, and every replica takes number n of a node only after n − 1, once
//! ([`State::takes`](crate::state::State::takes)). The publisher goes back to the first batch that has not come back whenever
//! something goes wrong. A server is a node from when its own entry comes back until an entry of the order says that it ended:
//! because it left, because another server entered under its name, or because the others heard nothing of it for so long that
//! they gave it up. What it sends afterwards is taken by nobody.

pub mod broker;
mod features;
mod follower;
mod frame;
mod life;
mod membership;
mod publisher;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::code::Refusal;
use crate::event::{Origin, Read};
use crate::order::queue::{self, Queue};

pub use broker::Broker;
pub use features::Features;
pub use follower::Follower;
pub use frame::{FrameError, decode, encode};
pub use membership::{Membership, Standing};
pub use publisher::{LEASE, Publisher};

use follower::Pulse;

/// Tells a session that its proposal was refused before it was ordered, or that nobody knows what became of it.
pub type Refuse = Box<dyn Fn(Origin, Refusal) + Send + Sync>;

/// The parts of an order of many nodes.
pub struct Cluster<B: Broker> {
    /// The side of those who propose.
    pub order: Queue,
    /// Sends batches, in a task of its own.
    pub publisher: Publisher<B>,
    /// The side of the replica.
    pub batches: Follower<B>,
}

/// Takes part in the order that a broker keeps, after what the replica has read of it. The server is no node yet.
pub fn open<B: Broker>(broker: Arc<B>, after: Read, membership: &Arc<Membership>, refuse: Refuse) -> Cluster<B> {
    let (order, queue) = queue::open();
    let (left, pulse) = (CancellationToken::new(), Arc::new(Pulse::new(after)));
    let batches = Follower::new(Arc::clone(&broker), after, membership.features(), Arc::clone(&pulse), left.clone());
    let publisher = Publisher { broker, queue, membership: Arc::clone(membership), refuse, pulse, left };
    Cluster { order, publisher, batches }
}
