//! Who is dear for the others waits: for what its lines cost them, and for bytes that make no line. Nobody is refused.

mod support;

use std::net::Ipv4Addr;

use support::client::Client;
use support::server::Server;

/// Members of the channel, each of whom may do five things at once and five a second: what they cost the others takes
/// seconds.
const MEMBERS: usize = 30;

/// A server, and the members of #rust. The first has only created it, and has heard who joined.
fn channel() -> (Server, Vec<Client>) {
    let server = Server::start(&["--limit", "commands-per-second=5"]);
    let mut people: Vec<_> = (0..MEMBERS).map(|_| server.connect()).collect();
    people[0].ok("CREATE #rust");
    people[1..].iter_mut().for_each(|person| drop(person.ok("JOIN #rust")));
    (1..MEMBERS).for_each(|_| drop(people[0].event("JOIN #rust ")));
    (server, people)
}

/// A connection from an address that nobody else has.
fn at(server: &Server, number: usize) -> Client {
    let last = u8::try_from(number).expect("there are few");
    Client::connect_from(Ipv4Addr::new(127, 0, 1, last), server.address())
}

/// The sender is answered its first line at once, and its second only after somebody else has had time for much. Then it goes on.
fn waits(server: &Server, sender: &mut Client, first: &str) {
    let mut other = at(server, 200);
    sender.send(&format!("{first}\nPING later"));
    let answer = sender.line();
    assert!(answer.starts_with("OK ") && answer != "OK PING later", "{answer}");
    (0..3).for_each(|_| drop(other.ok("PING")));
    assert!(sender.is_silent(), "the server has read on after {first:.20}");
    assert_eq!(sender.line(), "OK PING later");
}

#[test]
fn who_is_renamed_before_many_waits() {
    let (server, mut people) = channel();
    let (ana, others) = people.split_first_mut().expect("there are some");
    waits(&server, ana, "NAME ana");
    assert!(others[0].event("NAME #rust ").contains(" ana:1000 "));
}

#[test]
fn who_sets_a_topic_before_many_waits() {
    let (server, mut people) = channel();
    waits(&server, &mut people[0], "TOPIC #rust The borrow checker");
}

#[test]
fn bytes_that_make_no_line_are_paced() {
    let server = Server::start(&["--limit", "commands-per-second=5"]);
    for wasted in ["\u{8}", "x\u{7f}", "x\u{3}"] {
        let mut ana = server.connect();
        let wasted = wasted.repeat(12_000 / wasted.len());
        waits(&server, &mut ana, &format!("{wasted}\u{3}PING"));
    }
}

#[test]
fn who_leaves_debt_behind_and_comes_back_still_waits() {
    let server = Server::start(&["--limit", "commands-per-address=5"]);
    let mut ana = server.connect();
    ana.ok("CREATE #rust");
    let mut others: Vec<_> = (1..MEMBERS).map(|number| at(&server, number)).collect();
    others.iter_mut().for_each(|other| drop(other.ok("JOIN #rust")));
    (1..MEMBERS).for_each(|_| drop(ana.event("JOIN #rust ")));
    ana.ok("NAME ana");
    drop(ana);
    // Neither she nor anybody else at her address is served, and everybody else is.
    let (mut again, mut other) = (server.connect(), at(&server, 200));
    again.send("PING later");
    (0..3).for_each(|_| drop(other.ok("PING")));
    assert!(again.is_silent(), "she has to wait");
    assert_eq!(again.line(), "OK PING later");
}

#[test]
fn connections_from_one_address_wait_for_what_each_has_done() {
    let server = Server::start(&["--limit", "commands-per-address=5"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    assert_eq!(ana.ok(&format!("{}\u{3}PING", "\u{8}".repeat(12_000))), "OK PING");
    waits(&server, &mut bob, "PING");
    // Everything is answered, however much it is.
    ana.write(&b"PING\n".repeat(15));
    assert!((0..15).all(|_| ana.line() == "OK PING"));
}
