//! One life of a server as a node: its batches that are under way, and their numbers. It belongs to the publisher, and must never
//! forget a batch that may be stored and has not come back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::clock;
use crate::event::{NodeId, Origin, Proposal};
use crate::limits::BATCHES_UNDER_WAY;
use crate::order::cluster::broker::SendError;
use crate::order::cluster::membership::Standing;

/// After an error it is sent again this soon.
const SOON: Duration = Duration::from_millis(300);

/// So many callers are worth a batch of their own beside the ones under way.
const ENOUGH: usize = 64;

/// A batch that has not come back.
pub struct Sent {
    pub number: u64,
    pub frame: Bytes,
    pub origins: Vec<Origin>,
    /// Those of its proposals that say that somebody has gone.
    pub gone: Vec<Proposal>,
    pub at: Instant,
    /// How often it was sent without being told that it is not stored.
    pub unknown: usize,
    pub is_told_unsure: bool,
}

/// One life of the server as a node.
pub struct Life {
    pub node: NodeId,
    pub next: u64,
    pub under_way: VecDeque<Sent>,
    pub acks: FuturesUnordered<BoxFuture<'static, (u64, Result<(), SendError>)>>,
    /// When a batch came back last, or the first of those under way was sent.
    pub progress: Instant,
    pub sent: Instant,
    pub again_at: Option<Instant>,
    /// When it turned to another broker last, or began.
    pub turned: Instant,
    /// Those who have gone while nothing could be sent.
    pub gone: Vec<Proposal>,
}

impl Life {
    /// One that begins now.
    pub fn begin(node: NodeId) -> Self {
        let now = clock::now();
        let (under_way, acks) = (VecDeque::new(), FuturesUnordered::new());
        Self { node, next: 1, under_way, acks, progress: now, sent: now, again_at: None, turned: now, gone: Vec::new() }
    }

    /// Whether a batch may be sent while so many callers wait. A batch costs the brokers and every node much more than a proposal in
    /// it: as long as few wait, they wait for the one that is under way, and then go together.
    pub fn may_send(&self, waiting: usize) -> bool {
        let room = if waiting < ENOUGH { 1 } else { BATCHES_UNDER_WAY };
        self.under_way.len() < room && self.again_at.is_none()
    }

    /// Takes note of where the server stands; whether this life goes on.
    pub fn stands(&mut self, standing: &Standing) -> bool {
        let Standing::Inside { node, number } = *standing else { return false };
        if node != self.node {
            return false;
        }
        while self.under_way.pop_front_if(|sent| sent.number <= number).is_some() {
            self.progress = clock::now();
        }
        true
    }

    pub fn acked(&mut self, number: u64, acked: Result<(), SendError>) {
        let Err(error) = acked else { return };
        let Some(sent) = self.under_way.iter_mut().find(|sent| sent.number == number) else { return };
        tracing::debug!(number, %error, "a batch is sent again");
        if let SendError::NotStored(_) = error {
            sent.unknown -= 1;
        }
        self.goes_back();
    }

    pub fn goes_back(&mut self) {
        self.again_at.get_or_insert_with(|| clock::now() + SOON);
    }
}
