//! Real clusters in trouble of other kinds: acknowledgements get lost, frames come twice, all brokers die at once, ways are cut, the
//! stream is not what it was. Whatever happens, nothing that was answered OK is lost or doubled, nothing that was refused is said,
//! and all servers have one history. Nothing here may depend on how long that takes.
//!
//! `LINECHAT_CLUSTER_FAULTS=20` is twenty times as much as in everyday tests, and `LINECHAT_CLUSTER_FAULT_SEED` another course.

#[path = "histories/chance.rs"]
#[allow(dead_code, reason = "nothing is drawn from a list here")]
mod chance;
#[path = "nats_faults/cuts.rs"]
mod cuts;
#[path = "nats_faults/misfortunes.rs"]
mod misfortunes;
#[path = "nats_faults/net.rs"]
mod net;
#[path = "nats_faults/proxy.rs"]
mod proxy;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use linechat::order::nats::{self, Options};
use tempfile::NamedTempFile;
use tokio::fs::File;

use chance::Chance;
use proxy::{Counts, Proxy};
use support::cluster::{Brokers, Cluster, LIMITS, witness};
use support::jetstream::ends;
use support::server::Server;
use support::writers::{Addresses, compare, setting, settle_in, talk};

/// How many OKs there are between two things that happen.
const PAUSE: usize = 20;

fn seed() -> usize {
    setting("LINECHAT_CLUSTER_FAULT_SEED", 4711)
}

/// How many times as much as in everyday tests.
fn times() -> usize {
    setting("LINECHAT_CLUSTER_FAULTS", 1)
}

fn people(cluster: &Cluster) -> Addresses {
    let addresses = Addresses::new(cluster.nodes.iter().map(Server::address).collect());
    settle_in(&addresses);
    cluster.settle();
    addresses
}

#[test]
fn acknowledgements_may_be_lost_or_late_or_come_twice_and_so_may_frames() {
    let Some(brokers) = Brokers::start(3) else { return };
    let proxy = |(number, broker)| Proxy::start(broker, "faults", (3 * seed() + number) as u64);
    let proxies: Vec<_> = brokers.addresses().enumerate().map(proxy).collect();
    let urls = proxies.iter().map(Proxy::url).collect::<Vec<_>>().join(",");
    let cluster = Cluster::start_over(&urls, "faults", &LIMITS);
    let addresses = people(&cluster);
    let sum = |which: fn(&Counts) -> &AtomicUsize| -> usize {
        proxies.iter().map(|proxy| which(proxy.counts()).load(Ordering::Relaxed)).sum()
    };
    let told = talk(&addresses, |talk| {
        proxies.iter().for_each(|proxy| proxy.trouble(true));
        (0..50 * times()).for_each(|_| talk.goes_on(PAUSE));
    });
    proxies.iter().for_each(|proxy| proxy.trouble(false));
    let mut witnesses: Vec<_> = cluster.nodes.iter().map(|node| witness(node.address())).collect();
    compare(&told, &mut witnesses);
    let (_, last) = ends(&brokers, "faults");
    let (frames, doubled) = (sum(|it| &it.frames), sum(|it| &it.doubled));
    let (acks, lost, late, twice, cut) =
        (sum(|it| &it.acks), sum(|it| &it.lost), sum(|it| &it.late), sum(|it| &it.twice), sum(|it| &it.cut));
    println!(
        "LINECHAT_CLUSTER_FAULT_SEED={}: {} OKs, {} refused; {frames} frames and {doubled} of them twice, {last} in the stream; \
         {acks} acknowledgements, {lost} lost, {late} late, {twice} twice; {cut} connections cut",
        seed(),
        told.stored.len(),
        told.refused.len()
    );
    assert!(last as usize > frames, "the stream has doubles: {last} of {frames}");
    assert!(lost > 10 && late > 10 && twice > 10, "{lost} lost, {late} late, {twice} twice");
}

/// Whoever reads a snapshot asks again for what gets no answer.
#[tokio::test]
async fn questions_may_be_lost_while_a_snapshot_is_read() {
    let Some(brokers) = Brokers::start(1) else { return };
    let proxy = Proxy::start(brokers.addresses().next().expect("a broker"), "asked", seed() as u64);
    let servers = vec![proxy.url().parse().expect("an address")];
    let (stream, name) = ("asked".to_owned(), "test".to_owned());
    let options = Options { servers, credentials: None, authority: None, stream, stream_bytes: 1 << 20, name };
    let nats = nats::connect(&options).await.expect("a stream");
    let snapshots = nats.snapshots().await.expect("a place for snapshots");
    // Three pieces and a mark: six questions, of which two are lost.
    let bytes = vec![7; 300_000];
    snapshots.put(10, &bytes[..]).await.expect("it is stored");
    let file = NamedTempFile::new().expect("a file");
    let mut copy = File::create(&file).await.expect("it can be written");
    proxy.trouble(true);
    assert_eq!(snapshots.get(10, &mut copy).await, Ok(()));
    assert!(proxy.counts().asked.load(Ordering::Relaxed) >= 6);
    assert!(std::fs::read(&file).expect("it can be read") == bytes);
}

#[test]
fn all_brokers_may_die_at_once() {
    let Some(mut brokers) = Brokers::start(3) else { return };
    let cluster = Cluster::start(&brokers, "dark", &LIMITS);
    let (addresses, mut chance) = (people(&cluster), Chance::new(seed() as u64));
    let told = talk(&addresses, |talk| {
        for _ in 0..2 * times() {
            talk.goes_on(PAUSE + chance.below(PAUSE));
            (0..brokers.count()).for_each(|number| brokers.kill(number));
            let mut all: Vec<_> = (0..brokers.count()).collect();
            all.rotate_left(chance.below(brokers.count()));
            brokers.start_some(&all);
        }
        talk.goes_on(PAUSE);
    });
    let mut witnesses: Vec<_> = cluster.nodes.iter().map(|node| witness(node.address())).collect();
    compare(&told, &mut witnesses);
    println!("LINECHAT_CLUSTER_FAULT_SEED={}: {} OKs, {} refused", seed(), told.stored.len(), told.refused.len());
}
