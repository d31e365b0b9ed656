//! What must be true of all that was ordered, whatever the order is.

use std::collections::{HashMap, HashSet};

use linechat::code::Code;
use linechat::event::{Batch, Origin, SessionId};

use crate::party::{PARTS, Party, is_of_people, until};

/// The proposals of people among these batches, in their order.
fn ordered(batches: &[Batch]) -> Vec<Origin> {
    let origins = batches.iter().flat_map(|batch| &batch.proposals).map(|proposal| proposal.origin);
    origins.filter(|origin| is_of_people(*origin)).collect()
}

/// Waits until it is known of every proposal what became of it, and everybody who still takes batches has taken as much.
pub async fn settle(parties: &[Party]) {
    let still_take: Vec<_> = parties.iter().filter(|party| !party.has_ended()).collect();
    // At the order of one machine nobody else is left.
    let taking = if still_take.is_empty() { parties.iter().collect() } else { still_take };
    let is_settled = || {
        // Looking closer takes longer.
        let count = |at: usize| parties.iter().map(|party| party.counts()[at]).sum::<usize>();
        let first = taking[0].counts()[0];
        if first + count(1) < count(2) || taking.iter().any(|party| party.counts()[0] != first) {
            return false;
        }
        let taken: Vec<HashSet<_>> =
            taking.iter().map(|party| ordered(&party.taken()).into_iter().map(key).collect()).collect();
        let is_known = |party: &Party, origin| taken[0].contains(&key(origin)) || party.refused(origin).is_some();
        taken.iter().all(|others| *others == taken[0])
            && parties.iter().all(|party| party.proposed().into_iter().all(|origin| is_known(party, origin)))
    };
    until("all is known of every proposal", is_settled).await;
}

fn key(origin: Origin) -> (SessionId, u64) {
    (origin.session, origin.tag)
}

/// Panics at the first thing that is not as the contract says.
pub fn judge(parties: &[Party]) {
    let all: Vec<_> = parties.iter().map(Party::taken).collect();
    let longest = all.iter().max_by_key(|taken| taken.len()).expect("there is somebody");
    for taken in &all {
        // One may have heard more. The times are those of the batches, and so the same.
        assert_eq!(taken[..], longest[..taken.len()], "everybody takes the same batches in the same order");
    }
    let ordered = ordered(longest);
    let once: HashSet<_> = ordered.iter().copied().map(key).collect();
    assert_eq!(once.len(), ordered.len(), "each is taken once");
    assert!(!ordered.is_empty(), "something is taken");
    let proposed: HashSet<_> = parties.iter().flat_map(Party::proposed).map(key).collect();
    assert!(once.is_subset(&proposed), "nothing is taken that nobody has proposed");
    for call in ordered.chunks(PARTS as usize) {
        let first = call[0];
        let whole: Vec<_> = (0..PARTS).map(|part| (first.session, first.tag + part)).collect();
        assert_eq!(call.iter().copied().map(key).collect::<Vec<_>>(), whole, "nothing comes between the proposals of a call");
        assert_eq!(first.tag % PARTS, 1, "a call is taken from its beginning");
    }
    let mut newest = HashMap::new();
    for origin in &ordered {
        let before = newest.insert(origin.session, origin.tag).unwrap_or(0);
        assert!(before < origin.tag, "the calls of one caller keep their order: {before}, {origin:?}");
    }
    for party in parties {
        for origin in party.proposed() {
            let refused = party.refused(origin);
            match once.contains(&key(origin)) {
                true => assert_ne!(refused, Some(Code::Unavailable), "{origin:?} was taken and refused"),
                false => assert!(matches!(refused, Some(Code::Unavailable | Code::Unsure)), "{origin:?} was lost: {refused:?}"),
            }
        }
    }
}
