//! WAIT and FOLLOW: what a script asks for in one line, over connections whose input ends, that are cut, or whose reader pauses.

#[path = "support/pipe.rs"]
mod pipe;
mod support;

use std::time::Duration;

use support::client::Client;
use support::raw::Raw;
use support::server::Server;

/// Options with which much can be said at once, and nobody is told who comes.
const QUIET: [&str; 6] =
    ["--limit", "commands-per-second=none", "--limit", "commands-per-address=none", "--limit", "announce-members=0"];

/// The seq of an OK or a message.
fn seq(line: &str) -> u64 {
    line.split(' ').nth(2).and_then(|seq| seq.parse().ok()).unwrap_or_else(|| panic!("this has no seq: {line}"))
}

/// The text of a message.
fn text(line: &str) -> &str {
    line.splitn(7, ' ').nth(6).unwrap_or_else(|| panic!("this is no message: {line}"))
}

/// A server with #ops, and its founder.
fn ops(options: &[&str]) -> (Server, Client) {
    let server = Server::start(&[&QUIET[..], options].concat());
    let mut ana = server.connect();
    ana.ok("NAME ana");
    ana.ok("CREATE #ops");
    (server, ana)
}

fn member(server: &Server) -> Client {
    let mut member = server.connect();
    member.ok("JOIN #ops");
    member
}

#[test]
fn a_wait_is_answered_with_the_first_message_after_a_seq_and_misses_none_in_a_row() {
    let (server, mut ana) = ops(&[]);
    let mut bob = member(&server);
    let first = seq(&ana.ok("SAY #ops 0"));
    let mut last = first - 1;
    let writing = std::thread::spawn(move || {
        (1..200).for_each(|number| drop(ana.ok(&format!("SAY #ops {number}"))));
        ana
    });
    for number in 0..200 {
        let answer = bob.ask(&format!("WAIT #ops since {last} 30"));
        assert_eq!(answer.len(), 2, "{answer:?}");
        assert!(answer[0].starts_with("- MSG ") && text(&answer[0]) == number.to_string(), "{answer:?}");
        last = seq(&answer[0]);
        assert_eq!(answer[1], format!("OK WAIT {last}"));
    }
    drop(writing.join().expect("it was all said"));
}

/// The order is one for all that a connection reads, and so is the seq that a script goes on from.
#[test]
fn waiting_for_anything_gives_everything_in_its_order() {
    let (server, mut ana) = ops(&[]);
    let mut bob = member(&server);
    bob.ok("NAME bob");
    bob.ok("CREATE #den");
    ana.ok("JOIN #den");
    let writing = std::thread::spawn(move || {
        for number in 0..60 {
            for place in ["#ops", "#den", "bob"] {
                ana.ok(&format!("MSG {place} {number}"));
            }
        }
        ana
    });
    let mut last = 0;
    for number in 0..60 {
        for place in ["#ops", "#den", "bob:1001"] {
            let answer = bob.ask(&format!("WAIT since {last}"));
            assert_eq!((text(&answer[0]), answer[0].split(' ').nth(4)), (&*number.to_string(), Some(place)), "{answer:?}");
            last = seq(&answer[0]);
        }
    }
    drop(writing.join().expect("it was all said"));
}

#[test]
fn what_a_connection_has_said_itself_is_no_answer_to_it() {
    let (server, mut ana) = ops(&[]);
    let mut bob = member(&server);
    let said = seq(&bob.ok("SAY #ops mine"));
    (0..50).for_each(|_| drop(bob.ok("SAY #ops mine, too")));
    ana.ok("SAY #ops yours");
    let answer = bob.ask(&format!("WAIT #ops since {}", said - 1));
    assert_eq!(text(&answer[0]), "yours");
}

/// What happens meanwhile is shown as always, and all of it before the answer.
#[test]
fn events_go_on_while_somebody_waits() {
    let (server, mut ana) = ops(&[]);
    let mut bob = member(&server);
    bob.ok("CREATE #den");
    ana.ok("JOIN #den");
    bob.send("WAIT inbox since 1");
    bob.send("PING behind");
    let said = seq(&ana.ok("SAY #ops one"));
    assert_eq!(seq(&bob.line()), said);
    ana.ok("SAY #den two");
    ana.ok("MSG 1001 three");
    assert!(bob.line().ends_with(" two"));
    let (event, answer) = (bob.line(), bob.line());
    assert!(event.starts_with("* MSG ") && answer.starts_with("- MSG ") && event[1..] == answer[1..], "{event}\n{answer}");
    assert_eq!((bob.line(), bob.line()), (format!("OK WAIT {}", seq(&answer)), "OK PING behind".to_owned()));
}

#[test]
fn the_end_of_the_input_does_not_end_a_wait() {
    let (server, mut ana) = ops(&[]);
    let mut bob = member(&server);
    let last = seq(&ana.ok("SAY #ops not yet"));
    assert!(bob.line().ends_with(" not yet"));
    bob.send(&format!("WAIT #ops since {last}"));
    bob.end_input();
    ana.ok("SAY #ops at last");
    let lines = bob.rest();
    assert!(lines[0].starts_with("* MSG ") && lines[1].ends_with(" at last") && lines[2].starts_with("OK WAIT "), "{lines:?}");
    assert_eq!(lines.len(), 3);
}

/// A connection that is gone for good is noticed although nobody writes to it.
#[test]
fn whoever_vanishes_waits_and_follows_no_more() {
    let server = Server::start(&[]);
    let mut ana = server.connect();
    ana.ok("CREATE #ops");
    for line in ["WAIT inbox 3600", "FOLLOW #ops"] {
        let mut bob = server.connect();
        bob.ok("JOIN #ops");
        ana.event("JOIN #ops ");
        bob.send(line);
        if line.starts_with("FOLLOW") {
            bob.answer();
            bob.end_input();
        }
        bob.vanish();
        assert!(ana.event("LEAVE #ops ").ends_with(" disconnected"));
    }
}

#[test]
fn a_wait_ends_with_its_room_and_with_the_server() {
    let (mut server, mut ana) = ops(&[]);
    let (mut bob, mut carol) = (member(&server), member(&server));
    bob.send("WAIT #ops");
    carol.send("WAIT");
    ana.ok("CLOSE #ops");
    assert!(bob.answer()[0].starts_with("ERR NO_SUCH_CHANNEL WAIT "));
    bob.err("WAIT #ops", "NO_SUCH_CHANNEL");
    bob.err("WAIT inbox 0", "BAD_SYNTAX");
    bob.err("WAIT inbox 3601", "BAD_SYNTAX");
    ana.ok("CREATE #den");
    bob.err("WAIT #den", "NOT_MEMBER");
    server.signal("TERM");
    assert!(carol.answer()[0].starts_with("ERR SHUTTING_DOWN WAIT "));
    assert!(carol.event("SHUTDOWN ").ends_with("is kept"));
    server.wait();
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_its_time() {
    let shared = pipe::shared();
    let ana = pipe::connect(&shared);
    ana.lines_until("* HELLO ").await;
    for (line, seconds) in [("WAIT", 60), ("WAIT 3600", 3600), ("WAIT since 1 7", 7)] {
        ana.types(line);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(Duration::from_millis(seconds * 1000 - 10)).await;
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(ana.is_silent(), "{line}");
        tokio::time::advance(Duration::from_millis(20)).await;
        let answer = ana.lines_until("ERR ").await;
        assert_eq!(answer, [format!("ERR TIMEOUT WAIT nothing came within {seconds} seconds")]);
    }
}

/// The rest of a line that will not come is waited for by nobody.
#[tokio::test(start_paused = true)]
async fn half_a_line_before_the_end_of_the_input_ends_no_following() {
    let shared = pipe::shared();
    let (ana, tail) = (pipe::connect(&shared), pipe::connect(&shared));
    ana.lines_until("* HELLO ").await;
    tail.lines_until("* HELLO ").await;
    tail.types("FOLLOW inbox");
    tail.lines_until("OK FOLLOW ").await;
    tail.sends(b"PIN");
    tail.ends();
    tail.lines_until("ERR INCOMPLETE ").await;
    tokio::time::advance(Duration::from_secs(40)).await;
    ana.types("MSG 1001 still there?");
    assert!(tail.lines_until("* MSG ").await[0].ends_with(" still there?"));
}

#[test]
fn one_line_follows_a_channel_although_its_input_ends() {
    let (server, mut ana) = ops(&[]);
    ana.ok("SAY #ops before");
    let mut tail = server.connect();
    tail.send("FOLLOW #OPS");
    tail.end_input();
    assert_eq!(tail.answer(), ["OK FOLLOW #ops"]);
    for number in 0..100 {
        ana.ok(&format!("SAY #ops {number}"));
        assert_eq!(text(&tail.line()), number.to_string());
    }
    // Other events of the channel, and its end: nothing is left to stay for.
    ana.ok("TOPIC #ops quiet, please");
    ana.ok("CLOSE #ops");
    let rest = tail.rest();
    assert!(rest[0].starts_with("* TOPIC #ops ana:1000 ") && rest[1].starts_with("* CLOSE #ops "), "{rest:?}");
    assert_eq!(rest.len(), 2);
}

/// From the disk, from memory, and from both, whoever else reads there.
#[test]
fn following_since_a_seq_misses_nothing_and_repeats_nothing() {
    let (mut server, mut ana) = ops(&[]);
    ana.ok("REGISTER ana correct horse battery");
    let seqs: Vec<u64> = (0..150).map(|number| seq(&ana.ok(&format!("SAY #ops {number}")))).collect();
    server.signal("TERM");
    server.wait();
    server.restart();
    let mut tails: Vec<(usize, Client)> = Vec::new();
    let mut ana = Client::connect(server.address());
    for from in [0, 1, 75, 149] {
        if from == 75 {
            // The account reads there too, from now on.
            ana.ok("LOGIN ana correct horse battery");
        }
        let mut tail = Client::connect(server.address());
        tail.send(&format!("FOLLOW #ops since {}", if from == 0 { 0 } else { seqs[from - 1] }));
        tail.end_input();
        assert_eq!(tail.answer(), ["OK FOLLOW #ops"]);
        tails.push((from, tail));
    }
    (150..300).for_each(|number| drop(ana.ok(&format!("SAY #ops {number}"))));
    // What was said last is in memory by now.
    let mut late = Client::connect(server.address());
    late.ok(&format!("FOLLOW #ops since {}", seqs[149]));
    tails.push((150, late));
    ana.ok("CLOSE #ops");
    for (from, mut tail) in tails {
        for number in from..300 {
            let line = tail.line();
            assert!(line.starts_with("* MSG ") && text(&line) == number.to_string(), "{number} from {from}: {line}");
        }
        assert!(tail.line().starts_with("* CLOSE #ops "));
    }
}

#[test]
fn an_inbox_is_followed_and_everything_else_goes_on() {
    let (server, mut ana) = ops(&[]);
    let mut robot = server.connect();
    robot.ok("REGISTER robot correct horse battery");
    let first = seq(&ana.ok("MSG robot one"));
    let mut tail = server.connect();
    tail.ok("LOGIN robot correct horse battery");
    assert_eq!(tail.ok(&format!("FOLLOW inbox since {}", first - 1)), "OK FOLLOW inbox");
    assert_eq!(text(&tail.line()), "one");
    // A line that never ends is told of once, and is not waited for.
    tail.write(b"PING\nPIN");
    tail.end_input();
    assert_eq!(tail.line(), "OK PING");
    assert!(tail.line().starts_with("ERR INCOMPLETE - "));
    ana.ok("MSG robot two");
    assert_eq!(text(&tail.line()), "two");
    let mut server = server;
    server.signal("TERM");
    assert!(tail.rest()[0].starts_with("* SHUTDOWN "));
    server.wait();
}

#[test]
fn whoever_may_not_join_does_not_follow_and_a_typed_end_is_an_end() {
    let (server, mut ana) = ops(&[]);
    ana.ok("CREATE #attic up-the-ladder");
    let mut bob = server.connect();
    bob.err("FOLLOW #attic", "NOT_ALLOWED");
    bob.err("FOLLOW #nowhere", "NO_SUCH_CHANNEL");
    bob.end_input();
    assert!(bob.try_line().is_none(), "nothing is followed");
    let mut carol = server.connect();
    carol.ok("FOLLOW #ops");
    carol.ok("LEAVE #ops");
    carol.end_input();
    assert!(carol.try_line().is_none(), "nothing is followed any more");
    for end in [&b"QUIT\n"[..], b"\x04"] {
        let mut dave = server.connect();
        dave.ok("FOLLOW #ops");
        dave.write(end);
        assert_eq!(dave.rest().len(), usize::from(end[0] == b'Q'));
    }
}

/// A reader who pauses is cut off in a while; one who follows is waited for, and then misses nothing.
#[test]
fn a_follower_may_pause() {
    const MESSAGES: usize = 6_000;
    let (server, _ana) = ops(&["--limit", "stalled-seconds=1"]);
    let (mut bob, mut tail) = (Raw::connect_narrowly(server.address()), Raw::connect_narrowly(server.address()));
    bob.write(b"JOIN #ops\n");
    tail.write(b"FOLLOW #ops\n");
    assert!(bob.line().starts_with("OK JOIN ") && tail.line().starts_with("OK FOLLOW "));
    let mut eve = Raw::connect(server.address());
    eve.write(b"JOIN #ops\n");
    eve.lines_until("OK JOIN");
    let filler = "x".repeat(1_000);
    let writing = eve.write_beside((0..MESSAGES).flat_map(|n| format!("SAY #ops {n} {filler}\n").into_bytes()).collect());
    (0..MESSAGES).for_each(|_| assert!(eve.lines_until("OK SAY ").len() == 1));
    writing.join().expect("it was all sent");
    // Bob has been cut off when he is no member any more.
    loop {
        eve.write(b"LIST #ops\n");
        if eve.lines_until("OK LIST ").last().is_some_and(|answer| answer == "OK LIST 3") {
            break;
        }
    }
    for number in 0..MESSAGES {
        assert_eq!(tail.line().split(' ').nth(6), Some(&*number.to_string()));
    }
}
