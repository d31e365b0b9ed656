//! Real clusters of three servers and three brokers, of which one after the other dies or stands still while people talk: nothing
//! that was answered OK is lost or doubled. Nothing here may depend on how long that takes.
//!
//! `LINECHAT_CLUSTER_KILLS` kills more often than in everyday tests, and `LINECHAT_CLUSTER_KILL_SEED` at other moments.

mod support;

use std::time::Duration;

use support::cluster::{Brokers, Cluster, LIMITS, witness};
use support::server::Server;
use support::writers::{Addresses, compare, setting, settle_in, talk};

const KILLS: usize = 50;

/// Kills servers and brokers, and lets some stand still; a server is back before the next goes, and a broker runs again.
fn trouble(brokers: &mut Brokers, cluster: &mut Cluster, addresses: &Addresses, seed: usize) {
    let mut chance = 2 * seed as u64 + 1;
    let mut below = |end: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance % end as u64) as usize
    };
    for kill in 0..setting("LINECHAT_CLUSTER_KILLS", KILLS) {
        std::thread::sleep(Duration::from_millis(below(1500) as u64));
        match (kill % 4, below(3)) {
            (0 | 2, node) => {
                cluster.nodes[node].kill();
                std::thread::sleep(Duration::from_millis(below(300) as u64));
                cluster.nodes[node].restart();
                addresses.lock().expect("nobody panics here")[node] = cluster.nodes[node].address();
            }
            (1, broker) => {
                brokers.kill(broker);
                std::thread::sleep(Duration::from_millis(below(1500) as u64));
                brokers.start_one(broker);
            }
            (_, broker) => {
                brokers.signal(broker, "STOP");
                std::thread::sleep(Duration::from_millis(below(3000) as u64));
                brokers.signal(broker, "CONT");
            }
        }
    }
}

#[test]
fn whoever_dies_nothing_that_was_answered_ok_is_lost_or_doubled() {
    let seed = setting("LINECHAT_CLUSTER_KILL_SEED", 4711);
    let Some(mut brokers) = Brokers::start(3) else { return };
    let mut cluster = Cluster::start(&brokers, "kill", &LIMITS);
    let addresses = Addresses::new(cluster.nodes.iter().map(Server::address).collect());
    settle_in(&addresses);
    cluster.settle();
    let told = talk(&addresses, |_| trouble(&mut brokers, &mut cluster, &addresses, seed));
    let mut witnesses: Vec<_> = cluster.nodes.iter().map(|node| witness(node.address())).collect();
    compare(&told, &mut witnesses);
    println!("LINECHAT_CLUSTER_KILL_SEED={seed}: {} OKs, {} refused", told.stored.len(), told.refused.len());
    assert!(told.stored.len() > 100, "{} messages in all", told.stored.len());
}
