//! The deaths of other servers: a process that is gone is given up in two seconds, long before its lease is over. It decides nothing:
//! whether a node has ended is for the order to say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use crate::event::{NodeId, Proposal, Request};
use crate::order::cluster::{Membership, Standing};
use crate::order::nats::{Here, Nats};
use crate::server::supervisor::Ended;
use crate::session::Shared;

/// How often the others are asked whether they are here.
const ASK: Duration = Duration::from_millis(400);
/// So often in a row nobody must have answered: whose broker dies needs some hundred milliseconds to come back by another.
const MISSED: u32 = 4;
/// How long it waits when the brokers cannot be told that this server is here.
const REST: Duration = Duration::from_secs(1);

/// Answers for this server while it is a node. Never ends.
pub async fn answer(nats: Arc<Nats>, membership: Arc<Membership>) -> Ended {
    let mut standing = membership.standing();
    let mut answering: Option<(NodeId, _)> = None;
    loop {
        let node = match &*standing.borrow_and_update() {
            Standing::Inside { node, .. } => Some(*node),
            _ => None,
        };
        if answering.as_ref().map(|(node, _)| *node) != node {
            answering = None;
            if let Some(node) = node {
                match nats.answer_for(node).await {
                    Ok(asked) => answering = Some((node, asked)),
                    Err(_) => {
                        sleep(REST).await;
                        continue;
                    }
                }
            }
        }
        let answer = async {
            match &mut answering {
                Some((_, asked)) => nats.answer(asked).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return Ok(()) },
            () = answer => answering = None,
        }
    }
}

/// Gives up nodes whose processes have answered and are gone. Runs until the order is closed.
pub async fn watch(shared: Arc<Shared>, nats: Arc<Nats>, membership: Arc<Membership>) -> Ended {
    // How often in a row nobody has answered for a node; only of those that have answered before.
    let mut missed = BTreeMap::new();
    loop {
        sleep(ASK).await;
        let own = shared.lives.newest();
        if own.is_over() || membership.is_cut_off() {
            // Who is cut off hears of nobody.
            missed.clear();
            continue;
        }
        let others: Vec<_> = shared.state.read().await.nodes().map(|(node, row)| (node, row.number)).collect();
        let others: Vec<_> = others.into_iter().filter(|(node, _)| *node != own.node).collect();
        let answers = join_all(others.iter().map(|(node, _)| nats.is_here(*node))).await;
        missed.retain(|known, _| others.iter().any(|(node, _)| node == known));
        for ((node, number), here) in others.into_iter().zip(answers) {
            if !is_gone(&mut missed, node, here) {
                continue;
            }
            tracing::warn!(node = node.0, "the process of this node is gone; it is given up");
            let ended = Proposal::of_node(own.node, Request::EndNode(node, number));
            shared.order.propose(vec![ended]).await.map_err(|error| error.to_string())?;
        }
    }
}

/// Whether a node of which this was heard has to be given up now.
fn is_gone(missed: &mut BTreeMap<NodeId, u32>, node: NodeId, here: Here) -> bool {
    match here {
        Here::Answers => {
            missed.insert(node, 0);
        }
        Here::Nobody => {
            if let Some(times) = missed.get_mut(&node) {
                *times += 1;
                return times.is_multiple_of(MISSED);
            }
        }
        // It may stand still, or its broker: that is what leases are for.
        Here::Unknown => {
            missed.entry(node).and_modify(|times| *times = 0);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Here, NodeId, is_gone};

    #[test]
    fn only_who_has_answered_and_is_missed_for_long_is_gone() {
        use Here::{Answers, Nobody, Unknown};
        let mut missed = BTreeMap::new();
        let mut hears =
            |heard: &[Here]| heard.iter().map(|here| is_gone(&mut missed, NodeId(7), *here)).filter(|gone| *gone).count();
        assert_eq!(hears(&[Nobody; 9]), 0, "it has never answered");
        assert_eq!(hears(&[Answers, Nobody, Nobody, Nobody, Answers, Nobody, Nobody, Nobody]), 0, "it comes back");
        assert_eq!(hears(&[Unknown, Nobody, Nobody, Nobody]), 0, "nobody knows");
        assert_eq!(hears(&[Nobody]), 1);
        assert_eq!(hears(&[Nobody; 4]), 1, "it is tried again");
    }
}
