//! A person who names several servers: when the one is gone they go on at the next, in their channel, without having missed or said
//! anything twice.
//!
//! Two addresses of one server are enough for most of it: a server behind two proxies, each of which can be cut off.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use crate::person::{OPTION, TALK, account, guest, joins, plain};
use crate::scripted::run;
use crate::support::client::Client;
use crate::support::cluster::{Brokers, Cluster, LIMITS};
use crate::support::pty::Pty;
use crate::support::recorder::Recorder;
use crate::support::server::Server;
use crate::support::wait::until;

/// Two ways to a server, and the list that names both.
fn two_ways(server: &Server) -> ([Recorder; 2], String) {
    let ways = [0; 2].map(|_| Recorder::start(server.address()));
    let list = format!("{},{}", ways[0].address(), ways[1].address());
    (ways, list)
}

/// Nobody can be reached until one of the ways leads somewhere again.
fn cut_off(ways: &[Recorder; 2]) {
    ways.iter().for_each(|way| way.lead_to(None));
    ways.iter().for_each(Recorder::cut);
}

/// What one of the others said, as it is on the screen.
fn heard(person: &Pty, who: &str) -> Vec<String> {
    let start = format!("{who}> ");
    person.screen().iter().filter_map(|line| line.strip_prefix(&start).map(str::to_owned)).collect()
}

/// Waits for a line anywhere on the screen: what comes at the moment in which a line is ended may appear below what came after it.
fn shows(person: &Pty, text: &str) {
    until(text, || person.screen().iter().any(|line| line.contains(text)).then_some(()));
}

/// An address where nobody listens.
fn nowhere() -> String {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free").local_addr().expect("it listens").to_string()
}

#[test]
fn an_account_goes_on_at_the_next_server_and_sees_what_it_missed_once() {
    let server = Server::start(&[]);
    let (ways, list) = two_ways(&server);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c attic");
    let mut phone = server.connect();
    phone.ok("REGISTER ann correct horse battery");
    phone.ok("QUIT");
    bob.ok("MSG ann from long ago");
    let mut ann = Pty::start(&[&list, "--login", "ann"]);
    ann.answers("Password of ann: ", "correct horse battery");
    ann.sees("You have 1 unread message");
    joins(&mut ann, "c attic");
    bob.ok("SAY #c before");
    bob.ok("MSG ann privately before");
    ann.sees("(private) bob> privately before");
    cut_off(&ways);
    ann.sees(&format!("No connection to {}: ", ways[1].address()));
    ann.sees("None of the servers lets you in; trying again in 1 s.");
    for line in ["SAY #c missed one", "MSG ann privately missed", "SAY #c missed two"] {
        bob.ok(line);
    }
    ann.enters("typed meanwhile");
    ways[1].lead_to(Some(server.address()));
    ann.sees(&format!("{} is gone: the server closed it; now at {}.", ways[0].address(), ways[1].address()));
    ann.sees("Connected again. You are ann:");
    ann.sees("You have 3 unread messages");
    ann.sees("(private) bob> privately missed");
    assert!(bob.event("MSG ").ends_with(" typed meanwhile"));
    bob.ok("SAY #c live");
    bob.ok("MSG ann privately live");
    ann.sees("(private) bob> privately live");
    assert_eq!(heard(&ann, "bob"), ["before", "missed one", "missed two", "live"]);
    assert_eq!(heard(&ann, "(private) bob"), ["privately before", "privately missed", "privately live"]);
    ann.asks(TALK);
}

#[test]
fn a_line_that_was_not_answered_is_said_again_at_the_next_server_and_once_in_all() {
    let server = Server::start(&[]);
    let (ways, list) = two_ways(&server);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = account(&server, &list, "nina");
    joins(&mut nina, "c");
    ways[0].swallow("OK SAY");
    nina.enters("just once");
    nina.sees(&format!("now at {}.", ways[1].address()));
    nina.asks(TALK);
    assert!(ways[1].received().iter().any(|line| line.starts_with("OK SAY ") && line.ends_with(" dup")));
    nina.enters("and on");
    assert!(bob.event("MSG ").ends_with(" just once"));
    assert!(bob.event("MSG ").ends_with(" and on"));
    ways[1].lead_to(None);
    ways[1].cut();
    nina.sees(&format!("{} is gone: the server closed it; now at {}.", ways[1].address(), ways[0].address()));
    nina.enters("and back");
    assert!(bob.event("MSG ").ends_with(" and back"));
}

#[test]
fn a_guest_waits_for_the_name_that_the_server_that_is_gone_still_holds() {
    let server = Server::start(&[]);
    let (ways, list) = two_ways(&server);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = guest(&list, "nina");
    joins(&mut nina, "c");
    cut_off(&ways);
    nina.sees("None of the servers lets you in");
    let mut holder = server.connect();
    until("her name is free", || holder.ask("NAME nina").concat().starts_with("OK ").then_some(()));
    bob.ok("SAY #c where is she?");
    ways[1].lead_to(Some(server.address()));
    nina.sees(&format!("The name nina is held until the other servers give {} up; waiting for it.", ways[0].address()));
    holder.ok("QUIT");
    nina.sees("Connected again. You are nina:");
    nina.sees("bob> where is she?");
    nina.enters("here");
    let said = bob.event("MSG ");
    assert!(said.contains(" nina:") && said.ends_with(" here"), "{said}");
}

#[test]
fn whoever_has_enough_of_trying_ends_it() {
    let server = Server::start(&[]);
    let (ways, list) = two_ways(&server);
    let mut nina = guest(&list, "nina");
    nina.asks(OPTION);
    cut_off(&ways);
    nina.sees("None of the servers lets you in");
    nina.types("\u{3}");
    assert_eq!(nina.ends(), 2);
}

/// What says that it is a server, gives each answer to the line in its turn, and closes the connection after the last.
fn pretends(answers: &'static [&str]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let lines = BufReader::new(stream.try_clone().expect("a socket can be cloned")).lines();
        stream.write_all(b"* HELLO linechat/0 1 guest-1:1 hint\n").expect("the client is there");
        for (answer, _) in answers.iter().zip(lines) {
            stream.write_all(format!("{answer}\n").as_bytes()).expect("the client is there");
        }
    });
    address
}

#[test]
fn what_a_stopping_server_does_not_take_the_next_one_does() {
    let server = Server::start(&[]);
    let stopping = pretends(&["OK NAME nina:1", "ERR SHUTTING_DOWN MSG the server is stopping"]);
    let mut bob = plain(&server, "bob");
    let mut nina = guest(&format!("{stopping},{}", server.address()), "nina");
    nina.answers(OPTION, "2");
    nina.answers("Enter your message: ", "hi");
    nina.answers("Enter recipient id: ", "bob");
    nina.sees("is gone: the server is stopping; now at ");
    nina.sees("Message sent!");
    assert!(bob.event("MSG ").ends_with(" hi"));
    assert_eq!(bob.ask("INBOX").last().map(String::as_str), Some("OK INBOX 1 0"));
}

/// A server that is cut off from the others lets people in and can do nothing for them.
#[test]
fn nobody_stays_where_they_could_only_be_somebody_else() {
    let server = Server::start(&[]);
    let dying = pretends(&["OK NAME nina:1", "OK JOIN #c 2", "OK HISTORY 0", "OK LIST 0", "OK CHANNELS 0", "OK SET #c"]);
    let nameless = pretends(&["ERR UNAVAILABLE NAME this server cannot reach the others now"]);
    let closed = pretends(&["OK NAME nina:1", "ERR UNAVAILABLE JOIN this server cannot reach the others now"]);
    let mut bob = plain(&server, "bob");
    bob.ok("CREATE #c");
    let mut nina = Pty::start(&[&format!("{dying},{nameless},{closed},{}", server.address()), "--name", "nina"]);
    nina.answers(OPTION, "5");
    nina.answers("Enter the channel id to join: ", "c");
    nina.sees(&format!("No connection to {nameless}: this server cannot reach the others now."));
    nina.sees(&format!("No connection to {closed}: this server cannot reach the others now."));
    nina.sees(&format!("{dying} is gone: the server closed it; now at {}.", server.address()));
    nina.asks(TALK);
    nina.enters("still here");
    let said = bob.event("MSG ");
    assert!(said.contains(" nina:") && said.ends_with(" still here"), "{said}");
}

#[test]
fn the_first_that_can_be_reached_will_do() {
    let server = Server::start(&[]);
    let (first, address) = (nowhere(), server.address().to_string());
    let list = format!("{first},{address}");
    let mut nina = Pty::start(&[&list, "--name", "nina"]);
    nina.sees(&format!("Cannot connect to {first}: "));
    nina.sees(&format!("Successfully connected to server: {}", address.replace(':', "/")));
    let output = run(&[&list, "-c", "MSG nina hi"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    nina.sees("New message from ");
    let output = run(&[&format!("{first},{}", nowhere()), "-c", "PING"], "");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr).matches("linechat: no connection to 127.0.0.1:").count(), 2);
}

/// Two of three servers die, one after the other, while people talk.
#[test]
fn people_whose_server_is_killed_go_on_at_another_on_a_cluster() {
    let Some(brokers) = Brokers::start(1) else { return };
    let mut cluster = Cluster::start(&brokers, "menu", &LIMITS);
    let mut bob = cluster.nodes[2].connect();
    bob.ok("NAME bob");
    bob.ok("CREATE #c");
    cluster.settle();
    let list = (0..3).map(|number| cluster.address(number).to_string()).collect::<Vec<_>>().join(",");
    let (mut nina, mut jose) = (account(&cluster.nodes[0], &list, "nina"), guest(&list, "jose"));
    joins(&mut nina, "c");
    joins(&mut jose, "c");
    let (mut said, mut typed) = (0, 0);
    for dies in 0..2 {
        let mut talk = |bob: &mut Client, nina: &mut Pty| {
            for _ in 0..40 {
                bob.send(&format!("SAY #c bob-{said}"));
                said += 1;
            }
            for _ in 0..4 {
                nina.types(&format!("nina-{typed}\r"));
                typed += 1;
            }
        };
        talk(&mut bob, &mut nina);
        cluster.nodes[dies].kill();
        talk(&mut bob, &mut nina);
        for line in [format!("{} is gone: ", cluster.address(dies)), format!("bob> bob-{}", said - 1)] {
            shows(&nina, &line);
        }
    }
    let spoken = until("all of hers is there", || {
        let lines = bob.ask("HISTORY #c 1000");
        let spoken: Vec<_> =
            lines.iter().filter_map(|line| line.split_once(" nina-").map(|(_, word)| word.to_owned())).collect();
        (spoken.len() >= typed).then_some(spoken)
    });
    assert_eq!(spoken, (0..typed).map(|number| number.to_string()).collect::<Vec<_>>(), "each once and in order");
    jose.sees("The name jose is held until the other servers give ");
    jose.sees("Connected again. You are jose:");
    bob.ok("SAY #c the last");
    jose.sees("bob> the last");
    nina.sees("bob> the last");
    let all: Vec<_> = (0..said).map(|number| format!("bob-{number}")).chain(["the last".to_owned()]).collect();
    assert_eq!(heard(&jose, "bob"), all, "each once and in order");
    let (shown, all) = (heard(&nina, "bob"), all.into_iter().collect::<BTreeSet<_>>());
    assert_eq!((shown.len(), shown.into_iter().collect()), (all.len(), all), "each once");
    assert_eq!(heard(&jose, "nina").len(), typed);
    jose.enters("I am here, too");
    nina.sees("jose> I am here, too");
}
