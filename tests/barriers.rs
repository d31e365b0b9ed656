//! What an answer comes after: PING after everything that happened before it, and LOGIN and JOIN before anything of the channels
//! that they lead into.

mod support;

use support::raw::Raw;
use support::server::Server;

const OPTIONS: [&str; 6] =
    ["--limit", "commands-per-second=none", "--limit", "commands-per-address=none", "--limit", "stalled-seconds=none"];
const PASSWORD: &str = "correct horse battery";

fn login(server: &Server, name: &str) -> Raw {
    let mut raw = Raw::connect_narrowly(server.address());
    raw.write(format!("LOGIN {name} {PASSWORD}\n").as_bytes());
    raw.lines_until("OK LOGIN ");
    raw
}

/// Two connections of one account: at the desk it has said two thousand things in #rust, and the phone has read none of them.
fn behind() -> (Server, Raw, Raw) {
    let server = Server::start(&OPTIONS);
    let mut desk = Raw::connect(server.address());
    desk.write(format!("REGISTER ana {PASSWORD}\nCREATE #rust\n").as_bytes());
    desk.lines_until("OK CREATE ");
    let phone = login(&server, "ana");
    let long = "x".repeat(2000);
    desk.write_beside((0..2_000).flat_map(|number| format!("SAY #rust {number} {long}\n").into_bytes()).collect());
    (0..2_000).for_each(|_| assert!(desk.line().starts_with("OK SAY ")));
    (server, desk, phone)
}

/// The channel of an account that leaves it and joins it again is another room for whoever was still reading the first.
#[test]
fn who_is_behind_in_a_channel_that_was_left_and_joined_again_is_answered() {
    let (server, mut desk, mut phone) = behind();
    desk.write(b"LEAVE #rust\nJOIN #rust\nSAY #rust again\n");
    desk.lines_until("OK SAY ");
    phone.write(b"PING\n");
    let shown = phone.lines_until("OK PING");
    assert_eq!(shown.iter().filter(|line| line.starts_with("* MSG ")).count(), 2_001);
    let [.., last, _] = &shown[..] else { panic!("{shown:?}") };
    assert!(last.ends_with(" #rust ana:1000 again"), "{last}");
    // And nobody else has waited for that.
    server.connect().ok("PING");
}

/// Two channels that had one name, one after the other: whoever is behind is shown all of the first, and then the second.
#[test]
fn a_channel_that_was_closed_is_read_to_its_end_before_another_of_its_name() {
    let (_server, mut desk, mut phone) = behind();
    desk.write(b"LEAVE #rust\nJOIN #rust\nSAY #rust again\nCLOSE #rust\nCREATE #Rust\nSAY #rust anew\n");
    desk.lines_until("OK CREATE ");
    desk.lines_until("OK SAY ");
    phone.write(b"PING\n");
    let shown = phone.lines_until("OK PING");
    let verbs: Vec<_> = shown.iter().filter_map(|line| line.split(' ').nth(1)).filter(|verb| *verb != "MSG").collect();
    assert_eq!(verbs, ["LEAVE", "JOIN", "OWNER", "CLOSE", "JOIN", "PING"]);
    let seqs: Vec<u64> = shown.iter().filter_map(|line| line.strip_prefix("* MSG ")?.split(' ').next()?.parse().ok()).collect();
    assert!(seqs.len() == 2_002 && seqs.is_sorted(), "{} messages", seqs.len());
}

#[test]
fn nothing_of_the_accounts_channels_is_shown_before_login_is_answered() {
    let server = Server::start(&[&OPTIONS[..], &["--limit", "passwords-per-minute=none"]].concat());
    let mut ana = Raw::connect(server.address());
    ana.write(format!("REGISTER ana {PASSWORD}\nCREATE #mine\nCREATE #both\n").as_bytes());
    ana.lines_until("OK CREATE #both");
    for round in 0..10 {
        let mut guest = Raw::connect(server.address());
        guest.write(b"JOIN #both\n");
        guest.lines_until("OK JOIN ");
        let lines = (0..400).flat_map(|number| format!("SAY #both {number}\nSAY #mine {number}\n").into_bytes());
        drop(ana.write_beside(lines.collect()));
        guest.lines_until("* MSG ");
        guest.write(format!("LOGIN ana {PASSWORD}\n").as_bytes());
        let shown = guest.lines_until("OK LOGIN ");
        assert!(!shown.iter().any(|line| line.starts_with("* ") && line.contains(" #mine ")), "round {round}: {shown:?}");
        let listed = shown.iter().position(|line| line.starts_with("- CHANNEL ")).expect("they are listed");
        assert!(shown[listed..].iter().all(|line| !line.starts_with("* ")), "round {round}: {shown:?}");
        (0..800).for_each(|_| drop(ana.lines_until("OK SAY ")));
    }
}

/// Whoever is told of the end before the OK believes itself in a channel that is no more.
#[test]
fn a_channel_that_is_joined_and_at_once_closed_ends_after_the_ok() {
    let server = Server::start(&OPTIONS);
    // While this is written, commands gather and are decided together.
    let mut busy = Raw::connect(server.address());
    busy.write(b"CREATE #busy\n");
    busy.lines_until("OK CREATE ");
    drop(busy.write_beside((0..20_000).flat_map(|number| format!("SAY #busy {number}\n").into_bytes()).collect()));
    let (mut ana, mut bob) = (server.connect(), server.connect());
    let mut joined = 0;
    for round in 0..100 {
        let channel = format!("#c{round}");
        ana.ok(&format!("CREATE {channel}"));
        bob.send(&format!("JOIN {channel}"));
        ana.ok(&format!("CLOSE {channel}"));
        let first = bob.line();
        assert!(!first.starts_with("* "), "round {round}: {first} comes before the answer to JOIN");
        if first.starts_with("OK JOIN ") {
            joined += 1;
            bob.event(&format!("CLOSE {channel} "));
        }
    }
    assert!(joined > 0, "some came in before it was closed");
}

#[test]
fn nothing_is_shown_of_a_channel_that_is_left_while_its_account_logs_in() {
    let server = Server::start(&[&OPTIONS[..], &["--limit", "passwords-per-minute=none"]].concat());
    let mut owner = server.connect();
    owner.ok("CREATE #rust");
    let mut desk = Raw::connect(server.address());
    desk.write(format!("REGISTER ana {PASSWORD}\n").as_bytes());
    desk.lines_until("OK REGISTER ");
    for round in 0..10 {
        drop(desk.write_beside(b"JOIN #rust\nLEAVE #rust\n".repeat(200)));
        let mut phone = Raw::connect(server.address());
        phone.write(format!("LOGIN ana {PASSWORD}\n").as_bytes());
        let answer = phone.lines_until("OK LOGIN ");
        assert!(!answer.iter().any(|line| line.starts_with("* ") && line.contains(" #rust ")), "round {round}: {answer:?}");
        let mut is_in = answer.iter().any(|line| line.starts_with("- CHANNEL #rust "));
        (0..200).for_each(|_| drop(desk.lines_until("OK LEAVE ")));
        phone.write(b"PING\n");
        for line in phone.lines_until("OK PING").iter().filter(|line| line.contains(" #rust ana:")) {
            assert!(is_in || line.starts_with("* JOIN "), "round {round}: {line} of a channel that it does not know of");
            is_in = line.starts_with("* JOIN ");
        }
        assert!(!is_in, "round {round}: it was told that the account has left");
        phone.write(b"QUIT\n");
    }
}

#[test]
fn an_account_has_as_many_connections_as_it_may() {
    let server = Server::start(&["--limit", "connections-per-account=2"]);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    let mut phone = server.connect();
    phone.ok(&format!("LOGIN ana {PASSWORD}"));
    let mut third = server.connect();
    third.err(&format!("LOGIN ana {PASSWORD}"), "QUOTA");
    phone.ok("QUIT");
    third.ok(&format!("LOGIN ana {PASSWORD}"));
}
