//! Stopping: what was received is answered, everybody is told, and nothing that was answered OK is lost.

mod support;

use std::collections::BTreeSet;

use support::client::Client;
use support::raw::{Raw, server_lines};
use support::server::Server;

const CLIENTS: usize = 40;
const LINES: usize = 200;

/// Ana has an account and is away.
fn open(options: &[&str]) -> Server {
    let server = Server::start(options);
    let mut ana = server.connect();
    ana.ok("REGISTER ana correct horse battery");
    ana.ok("QUIT");
    server
}

/// What is in Ana's inbox, all of it.
fn inbox(server: &Server) -> BTreeSet<u64> {
    let mut ana = server.connect();
    ana.ok("LOGIN ana correct horse battery");
    let mut seqs = BTreeSet::new();
    loop {
        let page = ana.ask("INBOX 1000");
        seqs.extend(page.iter().filter(|line| line.starts_with("- MSG ")).map(|line| seq(line)));
        match seqs.last() {
            Some(last) if page.len() > 1 => ana.ok(&format!("ACK {last}")),
            _ => return seqs,
        };
    }
}

fn seq(line: &str) -> u64 {
    line.split(' ').nth(2).and_then(|seq| seq.parse().ok()).expect("it has a seq")
}

#[test]
fn a_signal_in_the_middle_of_many_pipelines() {
    for signal in ["TERM", "INT"] {
        let mut server = open(&["--limit", "inbox=none"]);
        let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| Raw::connect(server.address())).collect();
        let lines: Vec<u8> = (0..LINES).flat_map(|number| format!("MSG ana {number}\n").into_bytes()).collect();
        clients.iter_mut().for_each(|client| client.write(&lines));
        let mut answered: BTreeSet<u64> = [seq(clients[0].line().trim_end())].into();
        server.signal(signal);
        for client in clients {
            let mut lines = server_lines(&client.rest());
            let last = lines.pop().expect("at least SHUTDOWN");
            assert!(last.starts_with("* SHUTDOWN "), "{last}");
            let seqs: Vec<u64> = lines.iter().filter(|line| line.starts_with("OK MSG ")).map(|line| seq(line)).collect();
            assert!(seqs.len() == lines.len() && seqs.is_sorted(), "{:?}", lines.iter().find(|line| !line.starts_with("OK ")));
            answered.extend(seqs);
        }
        assert!(server.wait().success());
        server.restart();
        let stored = inbox(&server);
        assert!(stored.is_superset(&answered), "{} of {} are stored", stored.intersection(&answered).count(), answered.len());
        // Nobody's answer was cut off, so there is nothing that was stored and not answered.
        assert_eq!(stored.len(), answered.len());
    }
}

#[test]
fn everybody_is_told_and_what_they_had_begun_is_not_executed() {
    let mut server = open(&[]);
    let idle = server.connect();
    let (mut half, mut member, mut owner) = (server.connect(), server.connect(), server.connect());
    half.write(b"PING\nMSG ana half");
    assert_eq!(half.line(), "OK PING");
    owner.ok("CREATE #rust");
    member.ok("JOIN #rust");
    owner.ok("SAY #rust last words");
    server.signal("TERM");
    for (client, others) in [(idle, 0), (half, 0), (member, 1)] {
        let lines = client.rest();
        assert!(lines.last().is_some_and(|line| line.starts_with("* SHUTDOWN ")), "{lines:?}");
        assert!(lines.iter().filter(|line| line.contains(" last words")).count() == others, "{lines:?}");
    }
    drop(owner);
    assert!(server.wait().success());
    server.restart();
    assert_eq!(inbox(&server).len(), 0);
}

#[test]
fn nobody_connects_while_it_stops_and_it_can_be_started_at_once() {
    let mut server = open(&[]);
    let address = server.address();
    let waiting = server.connect();
    server.signal("TERM");
    assert!(waiting.rest().pop().is_some_and(|line| line.starts_with("* SHUTDOWN ")));
    assert!(server.wait().success());
    assert!(std::net::TcpStream::connect(address).is_err());
    server.restart();
    Client::connect(server.address()).ok("MSG ana good morning");
}

#[test]
fn who_never_pauses_is_told_where_it_was_cut_off() {
    // An answer that is known at once, and one for which the disk is waited for.
    // Who is cut off has three tenths of these seconds left, and a slow disk needs more than a second's.
    for (asked, answer, seconds) in [("PING\n", "OK PING", 1), ("MSG ana x\n", "OK MSG ", 5)] {
        let mut server = open(&["--limit", &format!("shutdown-seconds={seconds}"), "--limit", "inbox=none"]);
        let mut busy = Raw::connect(server.address());
        drop(busy.write_beside(asked.repeat(8 << 20).into_bytes()));
        busy.lines_until(answer);
        server.signal("TERM");
        let lines = server_lines(&busy.rest());
        let [answered @ .., cut_off, last] = &lines[..] else { panic!("{lines:?}") };
        assert!(answered.iter().all(|line| line.starts_with(answer)), "{:?}", answered.last());
        assert!(cut_off.starts_with("ERR SHUTTING_DOWN - "), "{cut_off}");
        assert!(last.starts_with("* SHUTDOWN "), "{last}");
        assert!(server.wait().success());
    }
}

#[test]
fn who_does_not_take_the_last_lines_is_not_waited_for_long() {
    let mut server = open(&["--limit", "shutdown-seconds=1", "--limit", "stalled-seconds=none"]);
    let stuck = stuck(&server);
    server.connect().ok("MSG ana hello");
    assert!(log_bytes(&server) > 0, "the message is in the store's log");
    server.signal("TERM");
    assert!(server.wait().success());
    drop(stuck);
    // They have not used up the time that closing the store takes.
    assert_eq!(log_bytes(&server), 0);
}

/// The size of what the store has not folded into its database.
fn log_bytes(server: &Server) -> u64 {
    let files = std::fs::read_dir(server.dir()).expect("it has a directory").map(|file| file.expect("it can be listed"));
    let logs = files.filter(|file| file.file_name().to_string_lossy().ends_with("-wal"));
    logs.map(|log| log.metadata().map_or(0, |metadata| metadata.len())).sum()
}

/// Asks for much and reads nothing, so that the server can soon write no more.
fn stuck(server: &Server) -> Raw {
    let stuck = Raw::connect_narrowly(server.address());
    drop(stuck.write_beside(b"HELP\n".repeat(10_000)));
    let mut other = server.connect();
    (0..100).for_each(|_| drop(other.ok("HELP")));
    stuck
}

#[test]
fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    let options = ["shutdown-seconds=3600", "stalled-seconds=none", "commands-per-second=none", "commands-per-address=none"];
    let options: Vec<&str> = options.iter().flat_map(|limit| ["--limit", limit]).collect();
    let mut server = open(&options);
    let stuck = stuck(&server);
    let mut bob = server.connect();
    let answered = (0..50).map(|_| seq(&bob.ok("MSG ana hello"))).collect::<BTreeSet<u64>>();
    server.signal("TERM");
    assert!(bob.rest().pop().is_some_and(|line| line.starts_with("* SHUTDOWN ")), "the first signal has been heard");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
    drop(stuck);
    server.restart();
    assert_eq!(inbox(&server), answered);
}
