//! Who is dear for the others waits: for what its lines cost them, and for bytes that make no line. Nobody is refused.

mod support;

use support::client::Client;
use support::server::Server;

/// Members of the channel, each of whom may do ten things at once and ten a second.
const MEMBERS: usize = 30;

/// A server, and the members of #rust. The first has only created it, and has heard who joined.
fn channel() -> (Server, Vec<Client>) {
    let server = Server::start(&["--limit", "commands-per-second=10"]);
    let mut people: Vec<_> = (0..MEMBERS).map(|_| server.connect()).collect();
    people[0].ok("CREATE #rust");
    people[1..].iter_mut().for_each(|person| drop(person.ok("JOIN #rust")));
    (1..MEMBERS).for_each(|_| drop(people[0].event("JOIN #rust ")));
    (server, people)
}

/// The sender is answered its first line at once, and its second only after somebody else has had time for much. Then it goes on.
fn waits(server: &Server, sender: &mut Client, first: &str) {
    let mut other = server.connect();
    sender.send(&format!("{first}\nPING later"));
    let answer = sender.line();
    assert!(answer.starts_with("OK ") && answer != "OK PING later", "{answer}");
    (0..9).for_each(|_| drop(other.ok("PING")));
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
    let server = Server::start(&["--limit", "commands-per-second=10"]);
    for wasted in ["\u{8}", "x\u{7f}", "x\u{3}"] {
        let mut ana = server.connect();
        let wasted = wasted.repeat(12_000 / wasted.len());
        waits(&server, &mut ana, &format!("{wasted}\u{3}PING"));
    }
}
