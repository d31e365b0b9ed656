//! Limits are never silent: each is told with a code that names it, and ends when there is room again.

mod support;

use std::net::Ipv4Addr;

use support::client::Client;
use support::raw::{Raw, server_lines};
use support::server::Server;
use support::wait::until;

/// A server with these limits.
fn with(limits: &[&str]) -> Server {
    Server::start(&limits.iter().flat_map(|limit| ["--limit", limit]).collect::<Vec<_>>())
}

/// What a connection that is not admitted is told, to its end.
fn refusal(server: &Server) -> Vec<String> {
    server_lines(&Raw::connect_silently(server.address()).rest())
}

/// A connection, as soon as one is admitted.
fn admitted(server: &Server) -> Client {
    until("a connection that ends makes room for another", || {
        let mut client = Client::connect_silently(server.address());
        client.line().starts_with("* HELLO ").then_some(client)
    })
}

#[test]
fn connections_are_counted_in_all_and_for_each_address() {
    for limit in ["connections", "connections-per-address"] {
        let server = with(&[&format!("{limit}=2")]);
        let (mut ana, bob) = (server.connect(), server.connect());
        for _ in 0..3 {
            let told = refusal(&server);
            assert!(told.len() == 1 && told[0].starts_with("ERR QUOTA - "), "{told:?}");
            assert!(told[0].contains(&format!("(limit {limit})")), "{told:?}");
        }
        assert_eq!(ana.ask("LIST").pop().as_deref(), Some("OK LIST 2"), "who is refused is nobody");
        drop(bob);
        let mut carol = admitted(&server);
        assert_eq!(carol.ask("LIST").pop().as_deref(), Some("OK LIST 2"));
        assert!(refusal(&server)[0].starts_with("ERR QUOTA - "), "and then it is full again");
    }
}

#[test]
fn channels_are_counted_in_all_and_for_each_user() {
    let server = with(&["channels=3", "channels-per-user=2"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("CREATE #one");
    ana.ok("CREATE #two");
    assert!(ana.err("CREATE #three", "QUOTA").contains("(limit channels-per-user); LEAVE one first"));
    bob.ok("CREATE #three");
    assert!(ana.err("JOIN #three", "QUOTA").contains("(limit channels-per-user)"));
    assert!(bob.err("CREATE #four", "QUOTA").contains("(limit channels); JOIN one of them"));
    ana.ok("JOIN #two");
    ana.ok("LEAVE #two");
    ana.ok("JOIN #three");
    ana.ok("CLOSE #one");
    bob.ok("CREATE #four");
}

#[test]
fn channels_are_counted_for_each_address() {
    let server = with(&["channels-per-address=2"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("CREATE #one");
    bob.ok("CREATE #two");
    // Neither another name nor another connection gives the address more.
    bob.ok("NAME bob");
    let mut phone = server.connect();
    phone.ok("LOGIN ana correct horse battery");
    for person in [&mut ana, &mut bob, &mut phone, &mut server.connect()] {
        let refused = person.err("CREATE #three", "QUOTA");
        assert!(
            refused
                .ends_with("2 channels were created from your address (limit channels-per-address); CLOSE one of them first")
        );
        assert_eq!(person.ask("CHANNELS").len(), 3, "nothing was made");
    }
    // Leaving it is not its end, and whoever closes it frees the share of the address that made it.
    bob.ok("JOIN #one");
    ana.ok("LEAVE #one");
    ana.err("CREATE #three", "QUOTA");
    bob.ok("CLOSE #one");
    ana.ok("CREATE #three");
    bob.err("CREATE #four", "QUOTA");
}

#[test]
fn a_channel_that_ends_by_itself_frees_its_share() {
    let server = with(&["channels-per-address=1", "empty-channel-seconds=1"]);
    let mut ana = server.connect();
    ana.ok("CREATE #one");
    ana.err("CREATE #two", "QUOTA");
    ana.ok("LEAVE #one");
    until("a channel that nobody has ends", || (ana.ok("CHANNELS") == "OK CHANNELS 0").then_some(()));
    ana.ok("CREATE #two");
}

#[test]
fn members_of_a_channel_are_counted() {
    let server = with(&["members=2"]);
    let (mut ana, mut bob, mut carol) = (server.connect(), server.connect(), server.connect());
    ana.ok("CREATE #rust");
    bob.ok("JOIN #rust");
    assert!(carol.err("JOIN #rust", "QUOTA").contains("(limit members)"));
    assert_eq!(bob.ok("JOIN #rust"), "OK JOIN #rust 2", "who is in is in");
    bob.ok("LEAVE #rust");
    assert_eq!(carol.ok("JOIN #rust"), "OK JOIN #rust 2");
}

#[test]
fn accounts_are_counted() {
    let server = with(&["accounts=1"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("REGISTER ana correct horse battery");
    assert!(bob.err("REGISTER bob correct horse battery", "QUOTA").contains("(limit accounts)"));
    assert_eq!(bob.ask("WHOAMI"), ["OK WHOAMI guest-1001:1001 guest"]);
}

#[test]
fn an_inbox_that_is_full_works_again_after_ack() {
    let server = with(&["inbox=3"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("NAME ana");
    for round in 0..3 {
        for _ in 0..3 {
            bob.ok("MSG ana hello");
        }
        bob.err("MSG ana hello", "INBOX_FULL");
        assert_eq!(ana.ask("INBOX").pop().as_deref(), Some("OK INBOX 3 0"), "{round}");
        ana.ok("ACK *");
    }
    // In one write, the fourth is refused and the others are not.
    bob.write(&b"MSG ana hello\n".repeat(5));
    let answers: Vec<String> = (0..5).flat_map(|_| bob.answer()).map(|answer| answer[..6].to_owned()).collect();
    assert_eq!(answers, ["OK MSG", "OK MSG", "OK MSG", "ERR IN", "ERR IN"]);
}

/// A guest comes, sends so many messages at once, and goes; how many were taken, and what the last of the others was told.
fn spam(server: &Server, count: usize) -> (usize, String) {
    let mut guest = server.connect();
    guest.write("MSG ana spam\n".repeat(count).as_bytes());
    guest.send("QUIT");
    let answers = server_lines(&guest.raw_rest());
    assert_eq!(answers.len(), count + 1);
    let refused = answers.iter().rfind(|answer| answer.starts_with("ERR INBOX_FULL MSG ")).cloned();
    (answers.iter().filter(|answer| answer.starts_with("OK MSG ")).count(), refused.unwrap_or_default())
}

/// Long messages fill an inbox by their bytes, and its sharing begins by them.
#[test]
fn an_inbox_is_not_filled_by_one_senders_bytes() {
    let server = with(&["inbox=none", "inbox-bytes=20000", "inbox-per-sender=2", "inbox-per-address=none"]);
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    let mut bob = server.connect();
    let long = format!("MSG ana {}", "x".repeat(1000));
    // Two make the tenth that is nobody's, and two are his.
    (0..4).for_each(|_| drop(bob.ok(&long)));
    assert!(bob.err(&long, "INBOX_FULL").contains("(limit inbox-per-sender)"));
    server.connect().ok(&long);
}

/// Nobody is online to read it. One guest, and then many from one address, take their share and no more, over a restart too; a
/// friend from elsewhere is heard.
#[test]
fn an_inbox_is_not_filled_by_one_address() {
    const FRIEND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 77);
    let mut server = with(&["commands-per-second=none", "commands-per-address=none"]);
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    drop(ana);
    let (taken, told) = spam(&server, 2_200);
    assert!(taken == 2_000 && told.contains("(limit inbox-per-sender)"), "{taken}: {told}");
    server.kill();
    server.restart();
    assert_eq!(spam(&server, 1_100).0, 1_000, "another guest");
    let (taken, told) = spam(&server, 600);
    assert!(taken == 500 && told.contains("(limit inbox-per-address)"), "{taken}: {told}");
    let mut friend = Client::connect_from(FRIEND, server.address());
    friend.ok("MSG ana are you there?");
    let mut ana = server.connect();
    assert!(ana.ok("LOGIN ana correct horse battery").ends_with(" 3501"));
    ana.ok("ACK *");
    server.connect().ok("MSG ana I am sorry");
}

#[test]
fn an_inbox_is_bounded_in_bytes() {
    let server = with(&["inbox-bytes=4096"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("NAME ana");
    let sent = [1_000, 3_000, 96].map(|length| bob.ok(&format!("MSG ana {}", "x".repeat(length))));
    assert_eq!(
        bob.err("MSG ana y", "INBOX_FULL"),
        "ERR INBOX_FULL MSG their inbox is full of unread messages; nothing was stored, try later"
    );
    // What was read makes as much room as it had taken.
    ana.ok(&format!("ACK {}", sent[0].split(' ').nth(2).expect("it has a seq")));
    bob.err(&format!("MSG ana {}", "x".repeat(1_001)), "INBOX_FULL");
    bob.ok(&format!("MSG ana {}", "x".repeat(1_000)));
    bob.err("MSG ana y", "INBOX_FULL");
    ana.ok("ACK *");
    bob.ok(&format!("MSG ana {}", "x".repeat(3_600)));
}

#[test]
fn an_overloaded_server_turns_newcomers_away_and_recovers() {
    let server = with(&["buffered=65536", "half-line-seconds=none"]);
    let (mut ana, mut sleeper) = (server.connect(), Raw::connect(server.address()));
    ana.ok("CREATE #rust");
    sleeper.write(b"JOIN #rust\n");
    sleeper.lines_until("OK JOIN");
    // Together they are nearly as much as may be, and whoever has sent half a line is owed nothing that they could take.
    let mut halves: Vec<_> = (0..17).map(|_| Raw::connect(server.address())).collect();
    for half in &mut halves {
        half.write(&[&b"PING "[..], &[b'x'; 3595]].concat());
    }
    let told = until("more is buffered than may be", || {
        let mut newcomer = Client::connect_silently(server.address());
        Some(newcomer.line()).filter(|line| line.starts_with("ERR "))
    });
    assert!(told.starts_with("ERR UNAVAILABLE - ") && told.contains("(limit buffered)"), "{told}");
    // Who was there before notices nothing.
    assert!(ana.ok("SAY #rust hello").starts_with("OK SAY "));
    assert_eq!(ana.ask("HISTORY #rust").pop().as_deref(), Some("OK HISTORY 1"));
    // There is hardly any memory for recent lines, so whoever does not read at once is shown them from the store.
    let said: Vec<_> = (0..200).map(|number| ana.ok(&format!("SAY #rust {number} {}", "x".repeat(300)))).collect();
    sleeper.write(b"PING\n");
    let shown = sleeper.lines_until("OK PING");
    assert_eq!(shown.iter().filter(|line| line.starts_with("* MSG ")).count(), 1 + said.len());
    for mut half in halves {
        half.write(b"\n");
        assert!(half.line().starts_with("OK PING xxx"), "nobody was closed");
    }
    admitted(&server).ok("JOIN #rust");
}

#[test]
fn an_overloaded_server_closes_guests_who_take_nothing_first_and_no_more_than_it_must() {
    // Each of the deaf has 64 to 82 KiB waiting. One of them, with what the other has not read yet, is less than may be: whenever
    // it is too much, both take nothing and are judged together.
    let server = with(&["buffered=110000", "stalled-seconds=none", "commands-per-second=none"]);
    let mut ana = server.connect();
    ana.ok("CREATE #rust");
    let mut deaf: Vec<_> = (0..2).map(|_| Raw::connect_narrowly(server.address())).collect();
    for (number, one) in deaf.iter_mut().enumerate() {
        let who = if number == 1 { "REGISTER patient correct horse battery\n" } else { "PING\n" };
        one.write(format!("{who}JOIN #rust\n").as_bytes());
        one.lines_until("OK JOIN");
    }
    let floods: Vec<_> = deaf.iter().map(|one| one.write_beside(b"HELP\n".repeat(5_000))).collect();
    let left = until("the guest is closed", || {
        let listed = ana.ask("LIST #rust");
        (listed.len() == 3).then_some(listed)
    });
    assert!(left.iter().any(|line| line.starts_with("- USER patient:") && line.contains(" online ")), "{left:?}");
    // Now there is room again, and nobody else is closed.
    let mut late = admitted(&server);
    late.ok("JOIN #rust");
    assert!(ana.ok("SAY #rust hello").starts_with("OK SAY "));
    assert!(late.line().starts_with("* MSG "));
    let mut patient = deaf.swap_remove(1);
    drop(deaf);
    assert!(patient.lines_until("* MSG ").last().is_some_and(|line| line.ends_with(" hello")), "it has missed nothing");
    drop(floods);
}

#[test]
fn a_fast_script_is_paced_and_never_refused() {
    let server = with(&["commands-per-second=100"]);
    let (mut script, mut ana) = (Raw::connect(server.address()), server.connect());
    script.write(&b"PING\n".repeat(150));
    ana.ok("PING");
    assert!((0..150).all(|_| script.line() == "OK PING\n"));
    script.write(&[b"MSG guest-1001 hello\n".repeat(150), b"QUIT\n".to_vec()].concat());
    let answers = server_lines(&script.rest());
    assert!(answers.len() == 151 && answers[..150].iter().all(|line| line.starts_with("OK MSG ")), "{answers:?}");
}

/// The time to wait that an `ERR RATE_LIMITED` begins with.
fn retry_ms(line: &str) -> u64 {
    let text = line.split(' ').nth(3).expect("it has a text");
    text.strip_prefix("retry-ms=").and_then(|ms| ms.parse().ok()).unwrap_or_else(|| panic!("it says when: {line}"))
}

#[test]
fn passwords_are_not_tried_often() {
    // Of these, four are looked at.
    let server = with(&["passwords-per-minute=2", "passwords-per-address=4"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    for _ in 0..2 {
        bob.err("LOGIN ana wrong password", "LOGIN_FAILED");
    }
    let refused = bob.err("LOGIN ana wrong password", "RATE_LIMITED");
    assert!((1..=60_000).contains(&retry_ms(&refused)), "{refused}");
    ana.err("LOGIN ANA wrong password", "RATE_LIMITED");
    // Another name is another matter, until the address has had enough.
    ana.err("LOGIN nina wrong password", "LOGIN_FAILED");
    ana.ok("REGISTER ana correct horse battery");
    let mut carol = server.connect();
    let refused = carol.err("REGISTER carol correct horse battery", "RATE_LIMITED");
    assert!((1..=60_000).contains(&retry_ms(&refused)), "{refused}");
    carol.err("CREATE #attic up-the-ladder", "RATE_LIMITED");
    carol.ok("CREATE #rust");
}

#[test]
fn who_is_refused_to_register_is_who_they_were() {
    let server = with(&["passwords-per-address=1"]);
    let mut ana = server.connect();
    ana.err("LOGIN nobody correct horse battery", "LOGIN_FAILED");
    ana.err("REGISTER ana correct horse battery", "RATE_LIMITED");
    assert_eq!(ana.ask("WHOAMI"), ["OK WHOAMI guest-1000:1000 guest"], "ERR means certainly not done");
}

#[test]
fn the_key_of_a_channel_is_not_tried_often() {
    let server = with(&["channel-keys-per-minute=2"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("CREATE #attic up-the-ladder");
    ana.ok("CREATE #shed behind-it");
    for _ in 0..2 {
        bob.err("JOIN #attic wrong", "NOT_ALLOWED");
    }
    retry_ms(&bob.err("JOIN #attic up-the-ladder", "RATE_LIMITED"));
    bob.ok("JOIN #shed behind-it");
}

#[test]
fn a_large_channel_announces_nobody() {
    let server = with(&["announce-members=2"]);
    let mut people: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    people[0].ok("CREATE #rust");
    people[1..].iter_mut().for_each(|person| drop(person.ok("JOIN #rust")));
    people[2].ok("LEAVE #rust");
    people.pop().expect("the fourth").ok("QUIT");
    // OK QUIT comes before the user has gone.
    until("the fourth is gone", || (people[1].ok("LIST #rust") == "OK LIST 2").then_some(()));
    people[0].send("PING");
    let first = people[0].line();
    assert!(first.starts_with("* JOIN #rust guest-1001:1001 "), "{first}");
    assert_eq!(people[0].line(), "OK PING");
    people[1].ok("LEAVE #rust");
    assert!(people[0].line().starts_with("* LEAVE #rust guest-1001:1001 "));
}

#[test]
fn a_channel_that_nobody_has_ends_and_one_that_somebody_has_does_not() {
    let server = with(&["empty-channel-seconds=1"]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    ana.ok("CREATE #kept");
    bob.ok("CREATE #left");
    bob.ok("LEAVE #left");
    until("a channel that nobody has ends", || (ana.ok("CHANNELS") == "OK CHANNELS 1").then_some(()));
    assert_eq!(ana.ask("CHANNELS"), ["- CHANNEL #kept 1 guest-1000:1000", "OK CHANNELS 1"]);
    bob.err("JOIN #left", "NO_SUCH_CHANNEL");
    bob.ok("CREATE #left");
}
