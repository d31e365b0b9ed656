//! Passwords and keys that are guessed: by many, from many addresses, and what their owners notice of it.

mod support;

use std::net::Ipv4Addr;

use support::client::Client;
use support::server::Server;

/// A server with these limits, and Ana's account.
fn with(limits: &[&str]) -> (Server, Client) {
    let server = Server::start(&limits.iter().flat_map(|limit| ["--limit", limit]).collect::<Vec<_>>());
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    (server, ana)
}

/// Somebody at an address of their own.
fn stranger(server: &Server, number: u8) -> Client {
    Client::connect_from(Ipv4Addr::new(127, 0, 1, number), server.address())
}

/// How many of `strangers` passwords for this name, each from another address, were hashed; the others were told when to come
/// again.
fn hashed(server: &Server, name: &str, strangers: u8) -> usize {
    let mut clients: Vec<_> = (1..=strangers).map(|number| stranger(server, number)).collect();
    clients.iter_mut().for_each(|client| client.send(&format!("LOGIN {name} wrong horse battery")));
    let answers: Vec<_> = clients.iter_mut().flat_map(Client::answer).collect();
    let is_told = |line: &&String| line.starts_with("ERR RATE_LIMITED LOGIN retry-ms=");
    let failed = answers.iter().filter(|line| line.starts_with("ERR LOGIN_FAILED LOGIN ")).count();
    assert_eq!(failed + answers.iter().filter(is_told).count(), usize::from(strangers), "{answers:?}");
    failed
}

#[test]
fn guessing_from_many_addresses_is_slow_and_the_owner_gets_in() {
    let (server, ana) = with(&["passwords-per-account=4"]);
    drop(ana);
    assert_eq!(hashed(&server, "ana", 20), 4);
    stranger(&server, 30).err("LOGIN ana correct horse battery", "RATE_LIMITED");
    // Where Ana has been before, nobody else's guesses count.
    assert!(server.connect().ok("LOGIN ana correct horse battery").starts_with("OK LOGIN ana:"));
    // Another account is another matter, and a name that nobody has is like one that somebody has.
    assert_eq!(hashed(&server, "nobody", 20), 4);
}

#[test]
fn where_an_account_has_logged_in_it_is_known_from_then_on() {
    let (server, ana) = with(&["passwords-per-account=4"]);
    drop(ana);
    stranger(&server, 30).ok("LOGIN ana correct horse battery");
    assert_eq!(hashed(&server, "ana", 20), 4, "the right one did not count");
    stranger(&server, 30).ok("LOGIN ANA correct horse battery");
    // Known to be Ana's is not known to be Bob's.
    server.connect().ok("REGISTER bob correct horse battery");
    assert_eq!(hashed(&server, "bob", 20), 4);
    stranger(&server, 30).err("LOGIN bob correct horse battery", "RATE_LIMITED");
}

#[test]
fn an_owner_may_not_guess_either() {
    let (server, ana) = with(&["passwords-per-minute=3", "passwords-per-account=1"]);
    drop(ana);
    let mut home = server.connect();
    (0..3).for_each(|_| drop(home.err("LOGIN ana wrong horse battery", "LOGIN_FAILED")));
    home.err("LOGIN ana correct horse battery", "RATE_LIMITED");
}

/// Bob mistypes a name whose guesses strangers have used up: that is no reason to keep him from his own.
#[test]
fn what_was_not_looked_at_is_no_guess() {
    let (server, ana) = with(&["passwords-per-account=1", "passwords-per-address=2"]);
    drop(ana);
    assert_eq!(hashed(&server, "ana", 1), 1);
    let mut bob = stranger(&server, 2);
    (0..5).for_each(|_| drop(bob.err("LOGIN ana correct horse battery", "RATE_LIMITED")));
    bob.err("LOGIN bob wrong horse battery", "LOGIN_FAILED");
    bob.err("LOGIN nina wrong horse battery", "LOGIN_FAILED");
    bob.err("LOGIN bert wrong horse battery", "RATE_LIMITED");
}

/// A script that is run eight times at once, say.
#[test]
fn any_number_of_right_passwords_gets_in_at_once() {
    let (server, ana) = with(&["passwords-per-minute=1", "passwords-per-account=1", "passwords-per-address=2"]);
    drop(ana);
    let mut scripts: Vec<_> = (0..8).map(|_| stranger(&server, 40)).collect();
    scripts.iter_mut().for_each(|script| script.send("LOGIN ana correct horse battery"));
    for script in &mut scripts {
        let answer = script.answer();
        assert!(answer.last().is_some_and(|line| line.starts_with("OK LOGIN ana:")), "{answer:?}");
    }
    stranger(&server, 40).err("LOGIN ana wrong horse battery", "LOGIN_FAILED");
    stranger(&server, 40).err("LOGIN ana correct horse battery", "RATE_LIMITED");
}

#[test]
fn keys_of_many_channels_are_counted_for_an_address() {
    let (server, mut ana) = with(&["channel-keys-per-address=4"]);
    (0..6).for_each(|number| drop(ana.ok(&format!("CREATE #attic{number} up-the-ladder"))));
    let mut bob = server.connect();
    (0..4).for_each(|number| drop(bob.err(&format!("JOIN #attic{number} wrong"), "NOT_ALLOWED")));
    let refused = bob.err("JOIN #attic4 up-the-ladder", "RATE_LIMITED");
    assert!(refused.contains(" retry-ms="), "{refused}");
    stranger(&server, 1).ok("JOIN #attic4 up-the-ladder");
}

#[test]
fn a_key_guessed_from_many_addresses_is_guessed_slowly_and_who_had_it_gets_in() {
    let (server, mut ana) = with(&["channel-keys-per-channel=4"]);
    ana.ok("CREATE #attic up-the-ladder");
    ana.ok("CREATE #shed behind-it");
    let mut nina = server.connect();
    nina.ok("JOIN #attic up-the-ladder");
    nina.ok("LEAVE #attic");
    let answers = (1..=20).map(|number| stranger(&server, number).ask("JOIN #attic wrong").pop());
    let (tried, refused): (Vec<_>, Vec<_>) = answers.flatten().partition(|answer| answer.starts_with("ERR NOT_ALLOWED JOIN "));
    assert!(refused.iter().all(|answer| answer.starts_with("ERR RATE_LIMITED JOIN retry-ms=")), "{refused:?}");
    assert_eq!(tried.len(), 3, "and Nina's was the fourth");
    stranger(&server, 30).err("JOIN #attic up-the-ladder", "RATE_LIMITED");
    // Where the key was right before, nobody else's guesses count.
    nina.ok("JOIN #attic up-the-ladder");
    stranger(&server, 30).ok("JOIN #shed behind-it");
}

/// One address has far more to hash than the server does at a time, all of it before somebody else comes with one key. Ana sees
/// in which order they got in.
#[test]
fn who_comes_with_one_key_does_not_wait_for_those_with_many() {
    let (server, mut ana) =
        with(&["channel-keys-per-address=none", "channel-keys-per-minute=none", "channel-keys-per-channel=none"]);
    ana.ok("CREATE #attic up-the-ladder");
    let mut many: Vec<_> = (0..24).map(|_| stranger(&server, 1)).collect();
    let mut bob = stranger(&server, 2);
    bob.ok("NAME bob");
    // The server finds all lines at once.
    server.signal("STOP");
    many.iter_mut().chain([&mut bob]).for_each(|client| client.send("JOIN #attic up-the-ladder"));
    server.signal("CONT");
    let joined: Vec<_> = (0..25).map(|_| ana.event("JOIN #attic ")).collect();
    let place = joined.iter().position(|line| line.starts_with("* JOIN #attic bob:")).expect("Bob gets in");
    assert!(place < 12, "Bob was the {place}th");
    many.iter_mut().for_each(|client| assert!(client.answer()[0].starts_with("OK JOIN ")));
}
