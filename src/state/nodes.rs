//! The servers that share the order, as the state knows them, and which of their batches count.
//!
//! A batch may be sent twice, and may arrive after its node has ended. Which one counts is decided here, from what has been
//! applied alone, so that it is decided alike everywhere.

use std::sync::Arc;

use blake2::{Blake2b512, Digest};

use crate::event::{Event, NodeId, Read, Slot, Time};
use crate::limits::Limits;
use crate::state::State;

/// A server among those that share the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name that its operator has given it.
    pub name: Arc<str>,
    /// Which entry under this name it is: the highest so far.
    pub incarnation: u64,
    /// What tells its process from another.
    pub token: u64,
    /// A hash of the limits by which it decides.
    pub limits: u64,
    /// Up to which level it knows the features of linechat.
    pub features: u8,
    /// The number of its newest batch; 0 before the first.
    pub number: u64,
    /// When that was taken.
    pub heard: Time,
}

impl State {
    /// The node, if it has entered and has not ended.
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node)
    }

    /// All nodes, the one that has been there longest first.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().map(|(node, row)| (*node, row))
    }

    /// The stream that is the order, if many nodes share it, and the place in it of the newest batch that counted.
    pub fn order(&self) -> Option<(u64, u64)> {
        self.counters.order
    }

    /// How far the stream that is the order was read.
    pub fn read(&self) -> Read {
        Read { place: self.counters.order.map_or(0, |(_, place)| place), print: self.counters.print }
    }

    /// Up to which level the features of linechat are in use: all nodes knew them at some time. It never falls, because what was
    /// decided by a feature must be understood by whoever comes later.
    pub fn features(&self) -> u8 {
        self.counters.features
    }

    /// Whether the features of this level are in use: a server that shares its order with nobody uses all that it knows.
    pub fn uses(&self, level: u8) -> bool {
        self.order().is_none() || self.features() >= level
    }

    /// What happens with a batch of this slot, which the order took at this time, before anything in it is decided; `None` if the batch does not count: its node
    /// has not entered or has ended, or another with its number came before it, or the one before it is missing.
    pub fn takes(&self, slot: Slot, time: Time) -> Option<Event> {
        let Slot { stream, place, node, number, print, seen: _ } = slot;
        if self.order().is_some_and(|(known, newest)| known != stream || newest >= place) {
            return None;
        }
        let is_entry = number == 0 && node == NodeId(place);
        if !is_entry && self.node(node)?.number.checked_add(1) != Some(number) {
            return None;
        }
        let number_of = |(of, row): (NodeId, &Node)| {
            let (number, heard) = if of == node { (number, time) } else { (row.number, row.heard) };
            (of, number, heard)
        };
        let known_to_all = self.nodes().map(|(_, row)| row.features).min().unwrap_or(1);
        let (numbers, features) = (self.nodes().map(number_of).collect(), self.features().max(known_to_all));
        Some(Event::Ordered { stream, place, print, numbers, features })
    }

    /// The time of a batch that the order took at `time`: the clock of a broker may go back, the order's does not.
    pub fn time_after(&self, time: Time) -> Time {
        time.max(self.counters.time)
    }
}

/// A hash of the limits by which proposals are decided. Nodes that share an order must have the same, or they would not stay equal.
pub fn deciding(limits: &Limits) -> u64 {
    let decide = [
        limits.accounts,
        limits.announce_members,
        limits.channels,
        limits.channels_per_address,
        limits.channels_per_user,
        limits.connections_per_account,
        limits.digest_batches,
        limits.ignored,
        limits.inbox,
        limits.inbox_bytes,
        limits.inbox_per_address,
        limits.inbox_per_sender,
        limits.members,
        limits.owner_away_days,
        limits.registration as u64,
    ];
    // An older server does not know this limit; it is let in where it has its default.
    let newer = Some(limits.announce_after_seconds).filter(|it| *it != Limits::default().announce_after_seconds);
    let bytes: Vec<u8> = decide.into_iter().chain(newer).flat_map(u64::to_le_bytes).collect();
    let hash = Blake2b512::digest(bytes);
    u64::from_le_bytes(hash[..8].try_into().expect("invariant: a hash has 64 bytes"))
}
