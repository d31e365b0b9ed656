//! Whether this replica is equal to the others: now and then all say what their states are, and whoever is outnumbered must not
//! go on.
//!
//! It owns the digests of the last few times. It must never change the state: what is found here differs from node to node.

use std::collections::{BTreeMap, VecDeque};

use crate::event::NodeId;

/// The state of this server is not that of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this server's state at place {place} is not that of {differ} others: its copy is wrong, and is kept as wrong.db")]
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

/// The last few comparisons.
#[derive(Debug, Default)]
pub struct Vouching(VecDeque<Compared>);

/// Whether the states are compared after a batch: where it is the first beyond a multiple of `every` places.
pub fn is_due(before: Option<(u64, u64)>, after: Option<(u64, u64)>, every: u64) -> Option<u64> {
    let ((_, before), (_, after)) = (before?, after?);
    (before / every < after / every).then_some(after)
}

impl Vouching {
    /// The state of this replica after the batch at this place.
    pub fn own(&mut self, place: u64, digest: u64) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Compared { place, digest, others: BTreeMap::new() });
    }

    /// What another node says of its own.
    ///
    /// # Errors
    /// When those who differ from this replica are more than those who agree with it, itself included: it must not go on.
    pub fn other(&mut self, node: NodeId, place: u64, digest: u64) -> Result<(), Differs> {
        let Some(compared) = self.0.iter_mut().find(|compared| compared.place == place) else { return Ok(()) };
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
}

#[cfg(test)]
mod tests {
    use super::{NodeId, REMEMBERED, Vouching, is_due};

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
    fn states_are_compared_once_for_every_so_many_places() {
        let due = |before, after| is_due(Some((7, before)), Some((7, after)), 10);
        assert_eq!([due(8, 9), due(9, 10), due(9, 13), due(10, 11), due(11, 35)], [None, Some(10), Some(13), None, Some(35)]);
        assert_eq!((is_due(None, Some((7, 30)), 10), is_due(None, None, 10)), (None, None));
    }
}
