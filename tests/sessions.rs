//! Sessions under load: pipelines, readers who stop, and what they cost the others. Nothing here depends on how long it takes.

mod support;

use std::fs;
use std::ops::RangeInclusive;

use support::admin::done;
use support::raw::Raw;
use support::server::Server;
use support::wait::until;

/// Options without pacing, for tests that say much at once.
const UNPACED: [&str; 4] = ["--limit", "commands-per-second=none", "--limit", "commands-per-address=none"];
/// Lines said while a reader does not read, 20 MB and more; an unoptimized server is slow.
const MISSED: usize = if cfg!(debug_assertions) { 60_000 } else { 200_000 };
/// What the server's memory may grow by while a reader does not read. It is far below what is said meanwhile.
const GROWTH_BYTES: u64 = 12 * 1024 * 1024;

/// `count` lines that say numbers from 0 on, each followed by `filler` bytes.
fn numbered(command: &str, count: usize, filler: usize) -> Vec<u8> {
    let filler = "x".repeat(filler);
    (0..count).flat_map(|number| format!("{command} {number} {filler}\n").into_bytes()).collect()
}

/// The seq of `OK SAY`, `* MSG` or `- MSG`.
fn seq(line: &str) -> u64 {
    line.split(' ').nth(2).and_then(|seq| seq.parse().ok()).unwrap_or_else(|| panic!("this has no seq: {line}"))
}

/// The number that a message of [`numbered`] says.
fn number(line: &str) -> usize {
    line.split(' ').nth(6).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("this says no number: {line}"))
}

/// Joins #rust, and is told of nobody who joins later.
fn member(server: &Server) -> Raw {
    let mut member = Raw::connect(server.address());
    member.write(b"JOIN #rust\n");
    member.lines_until("OK JOIN");
    member
}

/// Says `count` numbers in #rust; returns the seqs of their OKs, which rise.
fn say(speaker: &mut Raw, count: usize, filler: usize) -> Vec<u64> {
    let writing = speaker.write_beside(numbered("SAY #rust", count, filler));
    let mut seqs = Vec::new();
    while seqs.len() < count {
        let line = speaker.line();
        assert!(line.starts_with("OK SAY "), "{line}");
        seqs.push(seq(&line));
    }
    writing.join().expect("it was all sent");
    assert!(seqs.is_sorted_by(|a, b| a < b), "seqs rise");
    seqs
}

fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("Linux tells what a process is like");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory too");
    line.trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// A server with #rust, made by the one who is returned, who speaks.
fn open(options: &[&str]) -> (Server, Raw) {
    let server = Server::start(&[&UNPACED[..], &["--limit", "announce-members=0"], options].concat());
    let mut speaker = Raw::connect(server.address());
    speaker.write(b"CREATE #rust\n");
    speaker.lines_until("OK CREATE");
    (server, speaker)
}

#[test]
fn ten_thousand_messages_in_one_write_are_answered_in_order() {
    let (server, mut ana) = open(&[]);
    let mut bob = member(&server);
    let seqs = say(&mut ana, 10_000, 0);
    bob.write(b"PING\n");
    let shown = bob.lines_until("OK PING");
    assert_eq!(shown.len(), seqs.len() + 1);
    for (expected, (line, answered)) in shown.iter().zip(&seqs).enumerate() {
        assert_eq!((seq(line), number(line)), (*answered, expected), "{line}");
    }
}

#[test]
fn answers_keep_the_order_of_all_kinds_of_commands() {
    let (server, mut ana) = open(&[]);
    let bob = Raw::connect(server.address());
    let round = "SAY #rust a\nPING 1\nMSG 1001 b\nNOPE\nINBOX\nSAY #nowhere c\nWHOAMI\nHISTORY #rust 1\nACK *\n";
    let writing = ana.write_beside(round.repeat(1000).into_bytes());
    let kinds =
        ["OK SAY", "OK PING 1", "OK MSG", "ERR UNKNOWN_COMMAND NOPE", "OK INBOX 0 0", "ERR NO_SUCH_CHANNEL SAY", "OK WHOAMI"];
    for _ in 0..1000 {
        for kind in kinds.iter().chain(&["- MSG", "OK HISTORY 1", "OK ACK 0"]) {
            let line = ana.line();
            assert!(line.starts_with(kind), "{line} instead of {kind}");
        }
    }
    writing.join().expect("it was all sent");
    drop(bob);
}

#[test]
fn a_reader_who_stops_costs_the_others_nothing_and_misses_nothing() {
    let (server, mut ana) = open(&["--limit", "stalled-seconds=none"]);
    let (mut bob, mut sleeper) = (member(&server), member(&server));
    let (rounds, count, filler) = (10, MISSED / 10, 300);
    // Once around, so that what a server has anyway is not counted.
    let mut said = say(&mut ana, count, filler);
    let before = memory(&server);
    for _ in 1..rounds {
        said.extend(say(&mut ana, count, filler));
        bob.write(b"PING\n");
        bob.lines_until("OK PING");
    }
    let grown = memory(&server).saturating_sub(before);
    assert!(grown < GROWTH_BYTES, "{grown} bytes for a reader who does not read");
    for (expected, answered) in said.iter().enumerate() {
        let line = sleeper.line();
        assert_eq!((seq(&line), number(&line)), (*answered, expected % count), "{line}");
    }
    sleeper.write(b"PING\n");
    assert_eq!(sleeper.line(), "OK PING\n");
}

#[test]
fn a_ping_is_answered_after_everything_before_it_however_far_behind_its_sender_is() {
    let (server, mut ana) = open(&["--limit", "stalled-seconds=none"]);
    let mut sleeper = member(&server);
    let said = say(&mut ana, 8_000, 2000);
    sleeper.write(b"PING\n");
    let shown = sleeper.lines_until("OK PING");
    assert_eq!(shown.len(), said.len() + 1, "messages and the answer");
}

#[test]
fn what_can_no_longer_be_had_is_said() {
    let options = ["--journal", "memory", "--limit", "memory-journal=65536", "--limit", "stalled-seconds=none"];
    let (server, mut ana) = open(&options);
    let mut sleeper = member(&server);
    let said = say(&mut ana, 10_000, 2000);
    let (mut expected, mut gaps) = (said.iter().copied().peekable(), 0);
    while expected.peek().is_some() {
        let line = sleeper.line();
        if let Some(range) = gap(&line) {
            gaps += 1;
            assert_eq!(expected.peek(), Some(range.start()), "a gap begins with what was not shown");
            while expected.next_if(|seq| range.contains(seq)).is_some() {}
        } else {
            assert_eq!(expected.next(), Some(seq(&line)), "what is in no gap is shown");
        }
    }
    assert!(gaps > 0, "so much fits into no buffer");
}

/// The seqs of `* GAP #rust <first> <last>`.
fn gap(line: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = line.trim_end().strip_prefix("* GAP #rust ")?.split_once(' ').expect("two seqs");
    Some(first.parse().expect("a seq")..=last.parse().expect("a seq"))
}

#[test]
fn who_takes_nothing_for_too_long_is_closed() {
    let (server, mut ana) = open(&["--limit", "stalled-seconds=1", "--limit", "announce-members=9"]);
    let sleeper = member(&server);
    assert!(ana.line().starts_with("* JOIN #rust guest-1001:1001 "));
    let asker = Raw::connect_narrowly(server.address());
    let mut left = 0;
    // Until the buffers of the system are full and a second has passed.
    let writing = asker.write_beside(b"HELP\n".repeat(20_000));
    ana.write(&numbered("SAY #rust", 8_000, 3000));
    for line in std::iter::repeat_with(|| ana.line()).take(8_001) {
        left += usize::from(line.starts_with("* LEAVE #rust guest-1001:1001 ") && line.ends_with(" disconnected\n"));
    }
    assert_eq!(left, 1);
    writing.join().expect("it ends with the connection");
    ana.write(b"LIST\n");
    assert_eq!(ana.lines_until("OK LIST").pop().as_deref(), Some("OK LIST 1"), "who asks and does not read goes too");
    drop((sleeper, asker));
}

#[test]
fn a_stopped_server_goes_on_where_it_was() {
    let (server, mut ana) = open(&[]);
    let mut bob = member(&server);
    server.signal("STOP");
    ana.write(&numbered("SAY #rust", 100, 0));
    bob.write(b"PING\n");
    server.signal("CONT");
    assert_eq!((0..100).map(|_| ana.line()).filter(|line| line.starts_with("OK SAY ")).count(), 100);
    bob.write(b"PING again\n");
    let shown = bob.lines_until("OK PING again");
    assert_eq!(shown.iter().filter(|line| line.starts_with("* MSG ")).count(), 100);
}

/// A follower may take nothing for long, but not longer than an operator wants, also in the middle of an answer.
#[test]
fn who_stops_within_an_answer_can_be_ended() {
    let (server, mut ana) = open(&["--limit", "stalled-seconds=none", "--limit", "follower-stalled-seconds=none"]);
    let mut deaf = Raw::connect_narrowly(server.address());
    deaf.write(b"JOIN #rust\nFOLLOW #rust\n");
    deaf.lines_until("OK FOLLOW");
    say(&mut ana, 2_000, 3000);
    (0..2_000).for_each(|_| assert!(deaf.line().starts_with("* MSG ")));
    deaf.write(b"HISTORY #rust 1000\n");
    let number = |name: &str| {
        let metrics = done(&server, &["metrics"]);
        let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        found.unwrap_or_else(|| panic!("there is no {name} in {metrics}"))
    };
    until("it leaves what it was sent", || (number("linechat_buffered_bytes ") > 10_000).then_some(()));
    done(&server, &["disconnect", "guest-1001"]);
    until("its place is free", || (number("linechat_connections ") == 1).then_some(()));
}
