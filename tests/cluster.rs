//! Clusters: three servers over one simulated stream that loses, doubles, delays and reorders, and links, leaders and processes
//! that come and go by seed, in one thread and in a time of its own. Whatever happens, nothing that was answered OK is lost or
//! doubled, nothing that was retracted is shown by any server, nobody reads who was put out, everybody sees one order, a name has one
//! owner, every command is answered in time, and in the end all servers hold the same.
//!
//! `LINECHAT_CLUSTER_SEED=4711` plays one seed again and prints it if it fails, `LINECHAT_CLUSTER_SEEDS=10000` plays more.

#[path = "cluster/broker.rs"]
mod broker;
#[path = "histories/chance.rs"]
mod chance;
#[path = "simulation/disk.rs"]
#[allow(dead_code, reason = "here the disk does not fail")]
mod disk;
#[path = "holding/facts.rs"]
mod facts;
#[path = "simulation/fate.rs"]
#[allow(dead_code, reason = "here only processes end")]
mod fate;
#[path = "cluster/hidden.rs"]
mod hidden;
#[path = "cluster/judge.rs"]
mod judge;
#[path = "simulation/net.rs"]
#[allow(dead_code, reason = "here the network between people and servers is calm")]
mod net;
#[path = "cluster/node.rs"]
mod node;
#[path = "cluster/people.rs"]
mod people;
#[path = "histories/record.rs"]
mod record;
#[path = "cluster/ruling.rs"]
mod ruling;
#[path = "cluster/small.rs"]
mod small;
#[path = "cluster/world.rs"]
mod world;

use record::Figures;
use world::play;

const SEEDS: usize = 500;
const COMMANDS: usize = 200;
const SEEDS_PLAYED_TWICE: usize = 5;
/// What is done in so many of them, among other things.
const DONE: [&str; 9] = ["BAN", "DEOP", "IGNORE", "KICK", "OP", "RETRACT", "SET", "UNBAN", "UNIGNORE"];

fn setting(name: &str) -> Option<usize> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

#[test]
fn whatever_goes_wrong_the_servers_agree_and_keep_their_promises() {
    let one = setting("LINECHAT_CLUSTER_SEED");
    let seeds = setting("LINECHAT_CLUSTER_SEEDS").unwrap_or(if one.is_some() { 1 } else { SEEDS });
    let first = one.unwrap_or(1);
    let (mut figures, mut frames, mut cut_off, mut failed) = (Figures::default(), 0, 0, Vec::new());
    for seed in first..first + seeds {
        let played = play(seed as u64, COMMANDS);
        figures.add(&played.records);
        frames += played.frames;
        cut_off += played.records.iter().filter(|record| record.text.starts_with("* BYE this server was cut off")).count();
        if played.wrong.is_empty() {
            continue;
        }
        failed.push(seed);
        if one.is_some() {
            played.records.iter().for_each(|record| eprintln!("{record}"));
        }
        eprintln!("cluster {seed}: {} violations", played.wrong.len());
        played.wrong.iter().take(10).for_each(|wrong| eprintln!("  {wrong}"));
        eprintln!("again: LINECHAT_CLUSTER_SEED={seed} cargo nextest run --locked --test cluster whatever_goes_wrong");
    }
    eprintln!("{seeds} clusters from seed {first}: {figures:?}, {frames} frames, {cut_off} cut off, failed: {failed:?}");
    assert!(failed.is_empty(), "clusters that do not keep the promises: {failed:?}");
    if seeds >= SEEDS {
        let met =
            ["UNSURE", "UNAVAILABLE", "NAME_TAKEN", "CHANNEL_EXISTS"].iter().all(|code| figures.codes.contains_key(*code));
        assert!(met && cut_off > 10, "much went wrong: {figures:?}, {cut_off}");
        let done = DONE.iter().all(|verb| figures.verbs.contains_key(*verb));
        assert!(done && figures.oks > figures.commands / 2, "most was done, and of all kinds: {figures:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_cluster() {
    for seed in 1..=SEEDS_PLAYED_TWICE {
        let [first, second] = [0; 2].map(|_| play(seed as u64, COMMANDS).records);
        let other = first.iter().zip(&second).position(|(first, second)| first != second);
        assert!(other.is_none(), "seed {seed}: {} / {}", first[other.unwrap_or(0)], second[other.unwrap_or(0)]);
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}
