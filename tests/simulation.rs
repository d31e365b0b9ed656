//! Simulations: the real sessions, order, decisions, replica and hub, on a network, a disk and a clock that go wrong by seed, in
//! one thread and in a time of its own. What everybody saw is held against PROTOCOL.md by the checker of the histories.
//!
//! The same seed is always the same simulation: `LINECHAT_SIMULATION_SEED=4711` plays one again and prints it if it fails,
//! `LINECHAT_SIMULATION_SEEDS=10000` plays more of them, and `LINECHAT_SIMULATION_COMMANDS` longer ones. Play many with
//! `cargo test`: nextest ends a test of this file after ten minutes.

#[path = "histories/chance.rs"]
mod chance;
#[path = "histories/check/mod.rs"]
mod check;
#[path = "simulation/disk.rs"]
mod disk;
#[path = "simulation/fate.rs"]
mod fate;
#[path = "histories/habits.rs"]
mod habits;
#[path = "simulation/net.rs"]
mod net;
#[path = "simulation/people.rs"]
mod people;
#[path = "histories/record.rs"]
mod record;
#[path = "simulation/server.rs"]
mod server;
#[path = "simulation/world.rs"]
mod world;

use fate::Lie;
use record::{Figures, Record};
use world::play;

const SEEDS: usize = 200;
const COMMANDS: usize = 200;
const FIRST: usize = 1;
/// What is done in so many simulations, among other things: what is judged and never happens is not judged.
const DONE: [&str; 17] = [
    "ACK", "AWAY", "BAN", "BANS", "DEOP", "FOLLOW", "GIVE", "IGNORE", "IGNORES", "INVITE", "KICK", "OP", "RETRACT", "SET",
    "UNBAN", "UNIGNORE", "WAIT",
];
/// As many as show whether chance of the machine decides anything.
const SEEDS_PLAYED_TWICE: usize = 10;
/// Within so many simulations the checker must find a broken part.
const SEEDS_WITH_A_LIE: usize = 20;

fn setting(name: &str) -> Option<usize> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

fn commands() -> usize {
    setting("LINECHAT_SIMULATION_COMMANDS").unwrap_or(COMMANDS)
}

/// Everything that is wrong with the simulation of this seed.
fn judge(seed: usize, lie: Option<Lie>) -> (Vec<Record>, Vec<String>) {
    let played = play(seed as u64, commands(), lie);
    let mut wrong = played.problems;
    wrong.extend(check::check(&played.records));
    (played.records, wrong)
}

#[test]
fn whatever_goes_wrong_people_see_what_the_protocol_promises() {
    let one = setting("LINECHAT_SIMULATION_SEED");
    let seeds = setting("LINECHAT_SIMULATION_SEEDS").unwrap_or(if one.is_some() { 1 } else { SEEDS });
    let first = one.unwrap_or(FIRST);
    let (mut figures, mut failed) = (Figures::default(), Vec::new());
    for seed in first..first + seeds {
        let (records, wrong) = judge(seed, None);
        figures.add(&records);
        if wrong.is_empty() {
            continue;
        }
        failed.push(seed);
        if one.is_some() {
            records.iter().for_each(|record| eprintln!("{record}"));
        }
        eprintln!("simulation {seed}: {} violations", wrong.len());
        wrong.iter().take(20).for_each(|violation| eprintln!("  {violation}"));
        eprintln!(
            "again: LINECHAT_SIMULATION_SEED={seed} LINECHAT_SIMULATION_COMMANDS={} \
             cargo nextest run --locked --test simulation whatever_goes_wrong",
            commands()
        );
    }
    eprintln!("{seeds} simulations from seed {first}: {figures:?}, failed: {failed:?}");
    assert!(failed.is_empty(), "simulations that are not what PROTOCOL.md promises: {failed:?}");
    if seeds >= SEEDS {
        let met =
            ["STORE_FULL", "UNSURE", "INBOX_FULL", "QUOTA", "* MISSED"].iter().all(|code| figures.codes.contains_key(*code));
        let done = DONE.iter().all(|verb| figures.verbs.contains_key(*verb));
        assert!(done && figures.oks > figures.commands / 2, "most was done, and of all kinds: {figures:?}");
        assert!(met && figures.kills > seeds / 2, "much went wrong: {figures:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_simulation() {
    for seed in FIRST..FIRST + SEEDS_PLAYED_TWICE {
        let [first, second] = [0; 2].map(|_| play(seed as u64, commands(), None).records);
        let other = first.iter().zip(&second).position(|(first, second)| first != second);
        assert!(other.is_none(), "seed {seed}: {} / {}", first[other.unwrap_or(0)], second[other.unwrap_or(0)]);
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

#[test]
fn a_broken_part_is_found_out() {
    for lie in [Lie::LosesWrites, Lie::HidesFailure, Lie::LosesLines] {
        let found = (FIRST..FIRST + SEEDS_WITH_A_LIE).find(|&seed| !judge(seed, Some(lie)).1.is_empty());
        assert!(found.is_some(), "{lie:?} is not found in {SEEDS_WITH_A_LIE} simulations");
    }
}
