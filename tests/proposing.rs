//! The contract of `src/order/mod.rs`, held against every order there is: that of one machine, that of a cluster over a simulated
//! stream, where nothing or much goes wrong, and that of a cluster over a real nats-server.

#[path = "cluster/broker.rs"]
#[allow(dead_code, reason = "here no link is cut")]
mod broker;
#[path = "histories/chance.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod chance;
#[path = "proposing/judge.rs"]
mod judge;
#[path = "proposing/party.rs"]
mod party;
mod support;

use futures_util::FutureExt;
use futures_util::future::join_all;
use linechat::limits::QUEUE_BATCHES;
use linechat::order::{Closed, NotNow, Order};

use judge::{judge, settle};
use party::{World, on};

/// Whoever proposes at one server, all at once.
const CALLERS: u64 = 4;
/// How often each of them does.
const CALLS: u64 = 150;

/// One test for each kind of order that many servers share.
macro_rules! on_every_cluster {
    ($($name:ident)*) => {
        mod simulated {
            $(#[test] fn $name() { super::on(super::party::Kind::Simulated, super::$name); })*
        }
        mod troubled {
            $(#[test] fn $name() { super::on(super::party::Kind::Troubled, super::$name); })*
        }
        mod nats_on_a_cluster {
            $(#[test] fn $name() { super::on(super::party::Kind::Nats, super::$name); })*
        }
    };
}

on_every_cluster! {
    everybody_takes_the_same_each_once_and_calls_stay_whole
    whoever_proposes_waits_while_too_much_is_waiting
    what_was_taken_before_the_end_is_ordered_and_nothing_after_it
    whoever_begins_again_is_given_everything_after_what_it_has_stored
}

/// The order of one machine stores nothing, so that there is nothing to give to whoever begins again.
mod local {
    use super::party::Kind::Local;

    #[test]
    fn everybody_takes_the_same_each_once_and_calls_stay_whole() {
        super::on(Local, super::everybody_takes_the_same_each_once_and_calls_stay_whole);
    }

    #[test]
    fn whoever_proposes_waits_while_too_much_is_waiting() {
        super::on(Local, super::whoever_proposes_waits_while_too_much_is_waiting);
    }

    #[test]
    fn what_was_taken_before_the_end_is_ordered_and_nothing_after_it() {
        super::on(Local, super::what_was_taken_before_the_end_is_ordered_and_nothing_after_it);
    }
}

async fn everybody_takes_the_same_each_once_and_calls_stay_whole(world: World) {
    let parties = world.parties().await;
    let callers = parties.iter().flat_map(|party| (1..=CALLERS).map(|caller| party.calls(caller, CALLS)));
    join_all(callers).await;
    settle(&parties).await;
    judge(&parties);
}

async fn whoever_proposes_waits_while_too_much_is_waiting(world: World) {
    let parties = world.parties().await;
    let mut waiting = Vec::new();
    for party in &parties {
        // Nobody takes anything out meanwhile, because nothing here waits.
        let refused = loop {
            let call = party.call(1);
            if let Err(NotNow::Full(given_back)) = party.order.try_propose(call.clone()) {
                assert_eq!(given_back, call);
                break call;
            }
        };
        assert!(refused[0].origin.tag <= 3 * (QUEUE_BATCHES as u64 + 1), "it is bounded: {:?}", refused[0].origin);
        let mut propose = party.order.propose(refused);
        assert!((&mut propose).now_or_never().is_none(), "it waits");
        waiting.push(propose);
    }
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    settle(&parties).await;
    judge(&parties);
}

async fn what_was_taken_before_the_end_is_ordered_and_nothing_after_it(world: World) {
    let mut parties = world.parties().await;
    parties[0].calls(1, CALLS).await;
    settle(&parties).await;
    parties[0].calls(2, CALLS).await;
    parties[0].order.close();
    let (late, later) = (parties[0].call(3), parties[0].call(3));
    assert_eq!(parties[0].order.propose(late.clone()).await, Err(Closed));
    assert!(matches!(parties[0].order.try_propose(later.clone()), Err(NotNow::Closed)));
    parties[0].ends().await;
    parties[0].never(&[late, later]);
    settle(&parties).await;
    judge(&parties);
}

async fn whoever_begins_again_is_given_everything_after_what_it_has_stored(world: World) {
    let mut parties = world.parties().await;
    join_all(parties.iter().map(|party| party.calls(1, CALLS))).await;
    settle(&parties).await;
    let gone = parties.pop().expect("there are three");
    let gone = gone.crash();
    join_all(parties.iter().map(|party| party.calls(2, CALLS))).await;
    settle(&parties).await;
    parties.push(world.begin_again(gone).await);
    join_all(parties.iter().map(|party| party.calls(3, CALLS))).await;
    settle(&parties).await;
    judge(&parties);
}
