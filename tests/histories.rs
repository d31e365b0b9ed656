//! Histories: what many people do and see at the same time, recorded line by line and held against PROTOCOL.md.
//!
//! Accounts with several connections, guests, slow readers, cut connections, retries and `kill -9`, on a server with tiny
//! limits. The checker knows the protocol and not the code; it is itself tested with recordings in which one line is spoiled.
//! `LINECHAT_HISTORIES` plays more of them, `LINECHAT_HISTORY_COMMANDS` longer ones, `LINECHAT_HISTORY_SEED` others.

#[path = "histories/chance.rs"]
mod chance;
#[path = "histories/check/mod.rs"]
mod check;
#[path = "histories/habits.rs"]
mod habits;
#[path = "histories/people.rs"]
mod people;
#[path = "histories/record.rs"]
mod record;
#[path = "histories/spoil.rs"]
mod spoil;
mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chance::Chance;
use habits::{Habits, PASSWORD, last_words, looks};
use people::{Line, Person, World};
use record::{Figures, Record, Recorder, What};
use spoil::Spoil;
use support::server::Server;
use support::wait::until;

const HISTORIES: usize = 6;
const COMMANDS: usize = 250;
const SEED: usize = 20_261_125;
/// So few that they are met in every history.
const LIMITS: [&str; 9] = [
    "passwords-per-minute=none",
    "passwords-per-address=none",
    "commands-per-second=none",
    "commands-per-address=none",
    "announce-after-seconds=0",
    "inbox=9",
    "channels=4",
    "channels-per-user=3",
    "tails=65536",
];

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

/// Plays a history and returns its recording.
fn play(seed: usize, commands: usize) -> Vec<Record> {
    let mut chance = Chance::new(seed as u64);
    let mut server = Server::start(&LIMITS.iter().flat_map(|limit| ["--limit", limit]).collect::<Vec<_>>());
    let accounts: Vec<_> = (0..4 + chance.below(5)).map(|number| format!("acc{number}")).collect();
    let mut roles = Vec::new();
    for account in &accounts {
        (0..=chance.below(3)).for_each(|_| roles.push(Some(account.clone())));
    }
    (0..4 + chance.below(8)).for_each(|_| roles.push(None));
    let world = World {
        recorder: Recorder::new(),
        address: Mutex::new(Some(server.address())),
        left: AtomicUsize::new(commands),
        connections: AtomicUsize::new(0),
        known: Mutex::new(accounts.clone()),
        people: roles.len(),
        done: AtomicUsize::new(0),
    };
    for (number, name) in accounts.iter().enumerate() {
        let mut line = Line::open(&world, name, false).expect("the server is up");
        line.ask(&world, &format!("REGISTER {name} {PASSWORD}")).expect("the server is up");
        if let Some(channel) = ["#ash", "#birch", "#cedar"].get(number) {
            line.ask(&world, &format!("CREATE {channel}")).expect("the server is up");
        }
        line.ask(&world, "QUIT").expect("the server is up");
    }
    let mut kills: Vec<_> = (0..chance.below(4)).map(|_| chance.below(commands)).collect();
    kills.sort_unstable();
    std::thread::scope(|scope| {
        for (number, account) in roles.into_iter().enumerate() {
            let slow = chance.below(5) == 0;
            let habits = Habits::new(number, account, Chance::new((seed * 1000 + number) as u64));
            let world = &world;
            scope.spawn(move || Person::new(world, habits, slow).live());
        }
        while let Some(left) = kills.pop() {
            until("enough is sent", || (world.left.load(Ordering::Relaxed) <= left).then_some(()));
            world.recorder.put(0, What::Killing, "");
            *world.address.lock().expect("nobody panics with it") = None;
            server.kill();
            world.recorder.put(0, What::Dead, "");
            server.restart();
            *world.address.lock().expect("nobody panics with it") = Some(server.address());
        }
    });
    last_look(&world, &accounts);
    world.recorder.records()
}

/// What is kept, asked for when nobody does anything any more.
fn last_look(world: &World, accounts: &[String]) {
    let mut witness = Line::open(world, "witness", false).expect("the server is up");
    let mut ask = |text: &str| witness.ask(world, text).expect("the server is up");
    until("the guests have gone", || ask("LIST").ends_with("LIST 1").then_some(()));
    ask("CHANNELS");
    for text in looks() {
        ask(&text);
    }
    ask("QUIT");
    for account in accounts {
        let mut line = Line::open(world, account, false).expect("the server is up");
        for text in last_words(account) {
            line.ask(world, &text).expect("the server is up");
        }
    }
}

/// Keeps a recording where a person can read it.
fn keep(name: &str, records: &[Record]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut text = String::new();
    for record in records {
        let _ = writeln!(text, "{record}");
    }
    std::fs::write(&path, text).expect("the recording can be kept");
    path
}

#[test]
fn what_people_saw_is_what_the_protocol_promises() {
    let histories = setting("LINECHAT_HISTORIES", HISTORIES);
    let commands = setting("LINECHAT_HISTORY_COMMANDS", COMMANDS);
    let first = setting("LINECHAT_HISTORY_SEED", SEED);
    let mut figures = Figures::default();
    let mut failed = 0;
    for seed in first..first + histories {
        let records = play(seed, commands);
        figures.add(&records);
        let violations = check::check(&records);
        if !violations.is_empty() {
            failed += 1;
            let path = keep(&format!("history-{seed}.txt"), &records);
            eprintln!("history {seed}: {} violations, recorded in {}", violations.len(), path.display());
            violations.iter().take(20).for_each(|violation| eprintln!("  {violation}"));
            eprintln!(
                "again: LINECHAT_HISTORIES=1 LINECHAT_HISTORY_SEED={seed} LINECHAT_HISTORY_COMMANDS={commands} \
                 cargo nextest run --locked --test histories what_people_saw"
            );
        }
    }
    eprintln!("{histories} histories from seed {first}: {figures:?}, {failed} failed");
    assert_eq!(failed, 0, "histories that are not what PROTOCOL.md promises");
    assert!(figures.oks > figures.commands / 2, "most was done: {figures:?}");
}

/// How often each way to spoil a recording is tried.
const SPOILINGS: usize = 80;

/// How many times five recordings are made before a rate that is too low counts: five may hold few lines of a kind, and those
/// that the protocol leaves open among them.
const ROUNDS: usize = 4;

#[test]
fn a_recording_that_is_spoiled_by_one_line_is_found_out() {
    let mut chance = Chance::new(SEED as u64);
    let mut rates: Vec<_> = Spoil::ALL.map(|spoil| (spoil, 0, 0, Vec::new())).into();
    for round in 0..ROUNDS {
        let recordings: Vec<_> = (0..5).map(|number| play(SEED + 1000 + 5 * round + number, COMMANDS)).collect();
        let before: Vec<_> = recordings.iter().map(|records| check::check(records).len()).collect();
        for (spoil, found, tried, missed) in &mut rates {
            for turn in 0..SPOILINGS {
                let recording = turn % recordings.len();
                let Some((spoiled, line)) = spoil.apply(&recordings[recording], &mut chance) else { continue };
                *tried += 1;
                if check::check(&spoiled).len() > before[recording] {
                    *found += 1;
                } else {
                    missed.push(format!("{recording}: {line}"));
                }
            }
            eprintln!("{spoil:?}: {found} of {tried} found");
        }
        let poor: Vec<_> =
            rates.iter().filter(|(_, found, tried, _)| *tried < SPOILINGS / 5 || found * 10 < tried * 9).collect();
        if poor.is_empty() {
            return;
        }
        for (number, records) in recordings.iter().enumerate() {
            keep(&format!("spoiled-{number}.txt"), records);
        }
        assert!(round + 1 < ROUNDS, "too seldom found: {poor:#?}");
    }
}
