//! A server among others: it lives as one node after the other, and gives up nodes of which nothing was heard.
//!
//! It decides nothing: whether a node has ended is for the order to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;
use crate::event::{Completion, NodeId, Proposal, Request};
use crate::hub::Hub;
use crate::order::cluster::{Broker, LEASE, Membership, Refuse, Standing};
use crate::order::nats::Nats;
use crate::server::supervisor::Ended;
use crate::session::{Life, Shared};

/// A node that heard nothing of itself for this long, which is twice as long as it takes to renew a lease, was cut off.
const OUTAGE: Duration = Duration::from_secs(10);
/// How often the nodes are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Answers proposals that were not ordered, or may not have been.
pub fn refuse(hub: &Arc<Hub>) -> Refuse {
    let hub = Arc::clone(hub);
    Box::new(move |origin, refusal| {
        hub.complete(origin.session.number, Completion { tag: origin.tag, result: Err(refusal), told: 0 });
    })
}

/// Begins a life of the sessions whenever the server has entered, and ends it when the order says that the node has ended. Never
/// ends itself.
///
/// # Errors
/// Why the server may not enter, for its operator.
pub async fn live(shared: Arc<Shared>, membership: Arc<Membership>) -> Ended {
    let mut standing = membership.standing();
    // The server was inside before it let anybody in.
    let mut life = Some(shared.lives.newest()).filter(|life| !life.is_over()).map(|life| (*life).clone());
    loop {
        let stands = standing.borrow_and_update().clone();
        let node = match stands {
            Standing::Inside { node, .. } => Some(node),
            Standing::Outside => None,
            Standing::Refused(why) => return Err(why),
        };
        if life.as_ref().map(|life| life.node) != node {
            if let Some(life) = life.take() {
                life.end();
                shared.hub.wake_all();
            }
            life = node.map(Life::begin);
            life.iter().for_each(|life| shared.lives.begin(life.clone()));
        }
        if standing.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// Tells the others what the state of this server is, whenever its replica says so. Runs until the order is closed.
pub async fn vouch(shared: Arc<Shared>, membership: Arc<Membership>) -> Ended {
    let mut vouched = membership.vouched();
    while vouched.changed().await.is_ok() {
        let Some((place, digest)) = *vouched.borrow_and_update() else { continue };
        let vouch = Proposal::of_node(shared.lives.newest().node, Request::Vouch { place, digest });
        shared.order.propose(vec![vouch]).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Asks how full the stream is, again and again. Never ends.
pub async fn measure(nats: Arc<Nats>) -> Ended {
    let mut was_full = false;
    loop {
        if let Err(error) = nats.measure().await {
            tracing::debug!(%error, "it is not known how full the stream is");
        }
        let is_full = nats.is_nearly_full();
        match (was_full, is_full) {
            (false, true) => tracing::error!(
                "the stream is nearly full: messages are refused until a snapshot lets some of it be forgotten; see --limit stream"
            ),
            (true, false) => tracing::info!("the stream has room again"),
            _ => {}
        }
        was_full = is_full;
        tokio::time::sleep(LOOK).await;
    }
}

/// Gives up nodes that are silent for longer than their lease. Runs until the order is closed.
pub async fn watch(shared: Arc<Shared>) -> Ended {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut heard = BTreeMap::new();
    loop {
        looks.tick().await;
        let numbers: Vec<_> = shared.state.read().await.nodes().map(|(node, row)| (node, row.number)).collect();
        let own = shared.lives.newest().node;
        let silent = silent(&mut heard, own, &numbers, clock::now());
        for (node, number) in silent {
            tracing::warn!(node = node.0, "nothing was heard of this node for longer than its lease; it is given up");
            let ended = Proposal::of_node(own, Request::EndNode(node, number));
            shared.order.propose(vec![ended]).await.map_err(|error| error.to_string())?;
        }
    }
}

/// The nodes whose lease is over, with the numbers of their newest batches. `heard` has the numbers of all nodes, and since when
/// they have been the newest. Whoever is behind sees silence where there is none: so the lease counts only once a batch of this
/// node itself, `own`, has come back after it was over, for everything that came before has then been seen.
fn silent(
    heard: &mut BTreeMap<NodeId, (u64, Instant)>,
    own: NodeId,
    numbers: &[(NodeId, u64)],
    now: Instant,
) -> Vec<(NodeId, u64)> {
    // After an outage everybody is heard again one after the other: whoever is first must not give up the rest.
    let was_cut_off = matches!((heard.get(&own), numbers.iter().find(|(node, _)| *node == own)),
        (Some((known, since)), Some((_, number))) if known != number && now.duration_since(*since) >= OUTAGE);
    if was_cut_off {
        heard.clear();
    }
    let since = |node, number| match heard.get(&node) {
        Some((known, since)) if *known == number => *since,
        _ => now,
    };
    *heard = numbers.iter().map(|&(node, number)| (node, (number, since(node, number)))).collect();
    let Some((_, own_since)) = heard.get(&own).copied() else { return Vec::new() };
    let is_silent = |(_, (_, since)): &(&NodeId, &(u64, Instant))| own_since.duration_since(*since) >= LEASE;
    heard.iter().filter(is_silent).map(|(node, (number, _))| (*node, *number)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::silent;
    use crate::clock;
    use crate::event::NodeId;

    #[test]
    fn silence_counts_once_an_own_batch_has_come_back_after_the_lease() {
        let (own, other, now) = (NodeId(1), NodeId(2), clock::now());
        let mut heard = BTreeMap::new();
        let mut at = |seconds, mine, theirs| {
            silent(&mut heard, own, &[(own, mine), (other, theirs)], now + Duration::from_secs(seconds))
        };
        assert_eq!([at(0, 1, 1), at(8, 2, 1), at(14, 3, 1), at(16, 3, 1)], [(); 4].map(|()| vec![]));
        assert_eq!(at(17, 4, 1), [(other, 1)]);
        assert_eq!(at(18, 4, 2), [], "it was only slow");
        assert_eq!([at(26, 5, 2), at(45, 5, 2)], [(); 2].map(|()| vec![]), "nothing was heard of anybody");
        assert_eq!([at(46, 6, 2), at(55, 7, 2)], [(); 2].map(|()| vec![]), "after an outage the others have their time, too");
        assert_eq!(at(62, 8, 2), [(other, 2)]);
        assert_eq!(silent(&mut heard, NodeId(9), &[(other, 2)], now), [], "a server that is no node gives up nobody");
    }
}
