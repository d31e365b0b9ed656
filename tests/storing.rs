//! Who fills the disk: what one address and one account may have stored, and that others notice nothing of it.

mod support;

use std::net::Ipv4Addr;

use support::client::Client;
use support::server::Server;

/// As many bytes of text as one message may have; an hour's worth is a few of these.
const LONG: usize = 3600;

/// A server with this limit, and two people at one address: Ana, who has an account, and Bob, who is a guest.
fn with(limit: &str) -> (Server, Client, Client) {
    let server = Server::start(&["--limit", limit]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("CREATE #rust");
    bob.ok("NAME bob");
    bob.ok("JOIN #rust");
    (server, ana, bob)
}

fn elsewhere(server: &Server) -> Client {
    Client::connect_from(Ipv4Addr::new(127, 0, 1, 1), server.address())
}

fn long(to: &str) -> String {
    format!("MSG {to} {}", "x".repeat(LONG))
}

/// Sends long messages until one is refused; returns how many were stored.
fn fill(client: &mut Client, to: &str, limit: &str) -> usize {
    for stored in 0..100 {
        client.send(&long(to));
        let answer = client.answer().pop().expect("there is an answer");
        if !answer.starts_with("OK MSG ") {
            is_told(&answer, limit);
            return stored;
        }
    }
    panic!("it goes on and on");
}

fn is_told(refused: &str, limit: &str) {
    let text = refused.strip_prefix("ERR RATE_LIMITED ").unwrap_or_else(|| panic!("{refused}"));
    let ms = text.split("retry-ms=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(ms.is_some_and(|ms| (1..=3_600_000).contains(&ms)), "it says when: {refused}");
    assert!(refused.ends_with(&format!("(limit {limit}); nothing was stored")), "{refused}");
}

#[test]
fn an_address_fills_its_share_of_the_disk_and_no_more() {
    let (server, mut ana, mut bob) = with("stored-per-address=50000");
    let stored = fill(&mut bob, "ana", "stored-per-address");
    assert_eq!(stored, 50_000 / (LONG + 128));
    assert_eq!(ana.ask("INBOX").pop().as_deref(), Some(&*format!("OK INBOX {stored} 0")), "what was refused is not there");
    // Neither an account nor another connection gives the address more.
    is_told(&ana.err(&long("#rust"), "RATE_LIMITED"), "stored-per-address");
    is_told(&server.connect().err(&long("ana"), "RATE_LIMITED"), "stored-per-address");
    is_told(&ana.err(&format!("TOPIC #rust {}", "x".repeat(LONG)), "RATE_LIMITED"), "stored-per-address");
    // Everything else goes on, and so does everybody else.
    assert_eq!(ana.ok("TOPIC #rust"), "OK TOPIC #rust");
    ana.ok("ACK *");
    let mut carol = elsewhere(&server);
    carol.ok("JOIN #rust");
    assert_eq!(fill(&mut carol, "#rust", "stored-per-address"), stored);
}

#[test]
fn an_account_has_its_share_wherever_it_is() {
    let (server, mut ana, mut bob) = with("stored-per-account=50000");
    let stored = fill(&mut ana, "#rust", "stored-per-account");
    assert_eq!(stored, 50_000 / (LONG + 128));
    let mut phone = elsewhere(&server);
    phone.ok("LOGIN ana correct horse battery");
    is_told(&phone.err(&long("#rust"), "RATE_LIMITED"), "stored-per-account");
    // A guest has no account, and another account is another matter.
    (0..2 * stored).for_each(|_| drop(bob.ok(&long("#rust"))));
    bob.ok("REGISTER bob correct horse battery");
    assert_eq!(fill(&mut bob, "#rust", "stored-per-account"), stored);
}

#[test]
fn what_is_not_stored_takes_nothing() {
    let (_server, mut ana, mut bob) = with("stored-per-address=20000");
    bob.ok(&long("@once ana"));
    for _ in 0..20 {
        assert!(bob.ok(&long("@once ana")).ends_with(" dup"));
        bob.err(&long("nobody"), "NO_SUCH_USER");
        bob.err(&long("@once #rust"), "KEY_REUSED");
        bob.err(&format!("TOPIC #rust {}", "x".repeat(LONG)), "NOT_ALLOWED");
    }
    assert_eq!(fill(&mut bob, "ana", "stored-per-address"), 20_000 / (LONG + 128) - 1);
    assert_eq!(ana.ask("INBOX").pop().as_deref(), Some("OK INBOX 5 0"));
}

#[test]
fn a_refusal_keeps_its_place_among_the_answers() {
    let (_server, _ana, mut bob) = with("stored-per-address=20000");
    bob.write(format!("{}PING last\n", format!("{}\n", long("ana")).repeat(8)).as_bytes());
    let answers: Vec<String> = (0..9).flat_map(|_| bob.answer()).map(|answer| answer[..7].to_owned()).collect();
    assert_eq!(answers[..5], ["OK MSG "; 5]);
    assert_eq!(answers[5..8], ["ERR RAT"; 3]);
    assert_eq!(answers[8], "OK PING");
}

/// What comes and goes is stored, too.
#[test]
fn memberships_take_their_share() {
    let (server, mut ana, _bob) = with("stored-per-address=20000");
    let mut left = 0;
    let refused = loop {
        ana.ok("LEAVE #rust");
        left += 1;
        match ana.ask("JOIN #rust").pop() {
            Some(answer) if answer.starts_with("OK JOIN ") => assert!(left < 100, "it never ends"),
            answer => break answer.unwrap_or_default(),
        }
    };
    is_told(&refused, "stored-per-address");
    assert!((30..40).contains(&left), "{left}");
    is_told(&server.connect().err("CREATE #other", "RATE_LIMITED"), "stored-per-address");
    elsewhere(&server).ok("JOIN #rust");
}
