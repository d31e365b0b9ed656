//! Whether this replica is equal to the others: now and then all say what their states are, and whoever is outnumbered must not
//! go on.
//!
//! It owns the digests of the last few times. It must never change the state: what is found here differs from node to node.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{NodeId, Read, Slot};

/// What this server has is not what the others have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what this server has at place {place} is not what {differ} others have: its copy is wrong, and is kept as wrong.db")]
pub struct Differs {
    /// The place at which they were compared.
    pub place: u64,
    /// How many differ from it.
    pub differ: usize,
}

/// Of so many times the digests are remembered, in case that another node is behind.
const REMEMBERED: usize = 16;

/// A time at which the states are compared.
#[derive(Debug)]
struct Compared {
    place: u64,
    digest: u64,
    /// Whether the other nodes agree.
    others: BTreeMap<NodeId, bool>,
}

/// Of so many batches it is remembered what was read up to there, in case that another node is behind.
const READS: usize = 8192;

/// What was heard of the others: the last few comparisons of states, and whether what they have read is what was read here.
#[derive(Debug, Default)]
pub struct Vouching {
    states: VecDeque<Compared>,
    reads: VecDeque<Read>,
    /// Whether what a node had read last is what was read here.
    agree: BTreeMap<NodeId, bool>,
}

/// Whether the states are compared after a batch: where it is the first beyond a multiple of `every` places.
pub fn is_due(before: Option<(u64, u64)>, after: Option<(u64, u64)>, every: u64) -> Option<u64> {
    let ((_, before), (_, after)) = (before?, after?);
    (before / every < after / every).then_some(after)
}

impl Vouching {
    /// The state of this replica after the batch at this place.
    pub fn own(&mut self, place: u64, digest: u64) {
        if self.states.len() == REMEMBERED {
            self.states.pop_front();
        }
        self.states.push_back(Compared { place, digest, others: BTreeMap::new() });
    }

    /// What another node says of its own.
    ///
    /// # Errors
    /// When those who differ from this replica are more than those who agree with it, itself included: it must not go on.
    pub fn other(&mut self, node: NodeId, place: u64, digest: u64) -> Result<(), Differs> {
        let Some(compared) = self.states.iter_mut().find(|compared| compared.place == place) else { return Ok(()) };
        let agrees = compared.digest == digest;
        compared.others.insert(node, agrees);
        if agrees {
            return Ok(());
        }
        tracing::error!(node = node.0, place, "the state of another node is not equal to this server's");
        let differ = compared.others.values().filter(|agrees| !**agrees).count();
        if differ > compared.others.len() - differ + 1 {
            return Err(Differs { place, differ });
        }
        Ok(())
    }

    /// Forgets what those said who are no nodes any more: a server that comes back again and again has one vote.
    pub fn keep_only(&mut self, is_node: impl Fn(NodeId) -> bool) {
        self.agree.retain(|node, _| is_node(*node));
        self.states.iter_mut().for_each(|compared| compared.others.retain(|node, _| is_node(*node)));
    }

    /// A batch of this slot was read; `is_own` if this node has sent it. Its node says what it had read by
    /// then: brokers may hold different streams, although they must not.
    ///
    /// # Errors
    /// When those who have read something else are more than those who have read the same, itself included: it must not go on.
    pub fn read(&mut self, slot: Slot, is_own: bool) -> Result<(), Differs> {
        if self.reads.len() == READS {
            self.reads.pop_front();
        }
        self.reads.push_back(Read { place: slot.place, print: slot.print });
        // Whose entry it is, is not known yet: it may be this node's own.
        if is_own || slot.number == 0 {
            return Ok(());
        }
        let Ok(at) = self.reads.binary_search_by_key(&slot.seen.place, |read| read.place) else { return Ok(()) };
        let agrees = self.reads[at] == slot.seen;
        let before = self.agree.insert(slot.node, agrees);
        if agrees {
            return Ok(());
        }
        if before.is_none_or(|agreed| agreed) {
            tracing::error!(
                node = slot.node.0,
                place = slot.seen.place,
                "another node has read something else than this server: the brokers hold different streams"
            );
        }
        let differ = self.agree.values().filter(|agrees| !**agrees).count();
        if differ > self.agree.len() - differ + 1 {
            return Err(Differs { place: slot.seen.place, differ });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeId, REMEMBERED, Read, Slot, Vouching, is_due};

    #[test]
    fn whoever_is_alone_with_their_state_must_not_go_on() {
        let mut vouching = Vouching::default();
        vouching.own(100, 1);
        let mut says = |node, digest| vouching.other(NodeId(node), 100, digest).is_ok();
        assert!(says(2, 9), "one of two: nobody knows who is right");
        assert!(says(2, 9), "saying it twice counts once");
        assert!(says(3, 1) && says(4, 9), "two and two");
        assert!(!says(5, 9));
        assert!(vouching.other(NodeId(5), 99, 9).is_ok(), "what is not remembered is not compared");
        (0..REMEMBERED as u64).for_each(|place| vouching.own(101 + place, 1));
        assert!(vouching.other(NodeId(6), 100, 9).is_ok());
    }

    #[test]
    fn whoever_is_alone_with_what_they_have_read_must_not_go_on() {
        let mut vouching = Vouching::default();
        let hears = |vouching: &mut Vouching, place, node, seen: (u64, u32)| {
            let seen = Read { place: seen.0, print: seen.1 };
            let slot = Slot { place, node: NodeId(node), number: 1, print: 100 + place as u32, seen, ..Slot::default() };
            vouching.read(slot, node == 1).is_ok()
        };
        let mut hear = |place, node, seen| hears(&mut vouching, place, node, seen);
        assert!(hear(1, 1, (0, 0)) && hear(2, 2, (1, 101)) && hear(3, 3, (1, 101)), "all have read the same");
        assert!(hear(4, 2, (3, 9)), "one of two others");
        assert!(hear(5, 4, (99, 9)), "what is not remembered is not compared");
        assert!(!hear(6, 3, (4, 9)), "two against one");
        assert!(hear(7, 3, (6, 106)), "it has found its way back");
        assert!(hear(9, 5, (7, 107)) && hear(10, 2, (9, 9)) && hear(11, 5, (9, 9)), "two against two");
        vouching.keep_only(|node| node != NodeId(2));
        assert!(hears(&mut vouching, 12, 6, (11, 9)), "the earlier life of a server has no vote");
        assert!(!hears(&mut vouching, 13, 7, (12, 9)));
    }

    #[test]
    fn states_are_compared_once_for_every_so_many_places() {
        let due = |before, after| is_due(Some((7, before)), Some((7, after)), 10);
        assert_eq!([due(8, 9), due(9, 10), due(9, 13), due(10, 11), due(11, 35)], [None, Some(10), Some(13), None, Some(35)]);
        assert_eq!((is_due(None, Some((7, 30)), 10), is_due(None, None, 10)), (None, None));
    }
}
