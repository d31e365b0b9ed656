//! Restarts in the middle of anything change nothing that was answered OK: who is in charge of a channel, who is kept out of it, what
//! is set there, tokens, passwords and accounts, whom somebody ignores, what was marked as read, and what was retracted.
//!
//! Households of three do all of this at the same time, and the server is killed in the middle of it, again and again. Then each
//! asks for everything, and finds what was answered OK, and what was not answered wholly or not at all.
//! `LINECHAT_HOLDING_ROUNDS` kills more often, `LINECHAT_HOLDING_HOMES` has more of them, `LINECHAT_HOLDING_SEED` kills at other moments.

#[path = "holding/asking.rs"]
mod asking;
#[path = "histories/chance.rs"]
mod chance;
#[path = "holding/facts.rs"]
mod facts;
#[path = "holding/household.rs"]
mod household;
#[path = "holding/line.rs"]
mod line;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chance::Chance;
use household::Household;
use support::server::Server;
use support::wait::until;

const ROUNDS: usize = 8;
const HOMES: usize = 3;
const SEED: usize = 20_261_129;
const LIMITS: [&str; 6] = [
    "passwords-per-account=none",
    "passwords-per-minute=none",
    "passwords-per-address=none",
    "wrong-secrets-per-address=none",
    "commands-per-second=none",
    "commands-per-address=none",
];

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is not a number")))
}

#[test]
fn restarts_in_the_middle_of_anything_change_nothing_that_was_ok() {
    let (rounds, seed) = (setting("LINECHAT_HOLDING_ROUNDS", ROUNDS), setting("LINECHAT_HOLDING_SEED", SEED));
    let mut chance = Chance::new(seed as u64);
    let mut server = Server::start(&LIMITS.iter().flat_map(|limit| ["--limit", limit]).collect::<Vec<_>>());
    let begun = (0..setting("LINECHAT_HOLDING_HOMES", HOMES))
        .map(|number| Household::begin(number, (seed * 1000 + number) as u64, server.address()));
    let mut homes: Vec<_> = begun.map(|home| home.expect("the server is up")).collect();
    for _ in 0..rounds {
        let (address, oks) = (server.address(), AtomicUsize::new(0));
        let (count, moment) = (chance.below(60 * homes.len()), Duration::from_micros(chance.below(3000) as u64));
        std::thread::scope(|scope| {
            let oks = &oks;
            let living: Vec<_> = homes
                .iter_mut()
                .map(|home| {
                    scope.spawn(move || {
                        home.live(address, || {
                            oks.fetch_add(1, Ordering::Relaxed);
                        })
                    })
                })
                .collect();
            until("enough is done", || {
                let is_over = living.iter().any(std::thread::ScopedJoinHandle::is_finished);
                (is_over || oks.load(Ordering::Relaxed) >= count).then_some(())
            });
            std::thread::sleep(moment);
            server.kill();
        });
        server.restart();
        homes.iter_mut().for_each(|home| home.returns(server.address()).expect("the server is up"));
    }
    let oks: usize = homes.iter().map(|home| home.oks).sum();
    eprintln!("{rounds} kills from seed {seed}: {oks} OKs of {} households, all of which held", homes.len());
    assert!(oks > rounds, "something was done");
}
