//! Order: everyone sees the same, each once, whatever the load, and pages add up to the whole, at one server and at a cluster.

mod support;

use support::client::Client;
use support::cluster::Brokers;
use support::host::{Host, Place};
use support::raw::Raw;
use support::wait::until;

const UNPACED: [&str; 8] = [
    "--limit",
    "commands-per-second=none",
    "--limit",
    "commands-per-address=none",
    "--limit",
    "stalled-seconds=none",
    "--limit",
    "announce-members=0",
];

/// One test for each kind of order: that of a server alone, and that of a cluster whose servers people are spread over.
macro_rules! on_every_order {
    ($($name:ident)*) => {
        mod alone {
            $(#[test] fn $name() { super::$name(super::Place::Alone); })*
        }
        mod on_a_cluster {
            $(#[test] fn $name() {
                let Some(brokers) = super::Brokers::start(1) else { return };
                super::$name(super::Place::Cluster(&brokers));
            })*
        }
    };
}

on_every_order! {
    all_members_see_the_same_order_and_each_speaker_keeps_theirs
    pages_add_up_to_the_whole
    pages_add_up_to_the_whole_around_much_that_was_retracted
    a_channel_that_is_closed_is_read_to_its_end_first
    who_reads_a_closed_channel_late_is_told_that_it_is_closed
    no_guest_is_shown_what_they_said_however_far_behind_they_are
    no_account_is_shown_what_this_connection_said_however_far_behind_it_is
}

/// Somebody who has #rust, and somebody at every other place who has joined it.
fn rust(host: &Host, members: usize) -> (Raw, Vec<Raw>) {
    let mut owner = Raw::connect(host.address(0));
    owner.write(b"CREATE #rust\n");
    owner.lines_until("OK CREATE");
    host.settle();
    (owner, (1..=members).map(|number| member(host, number)).collect())
}

/// Joins #rust.
fn member(host: &Host, number: usize) -> Raw {
    let mut member = Raw::connect(host.address(number));
    member.write(b"JOIN #rust\n");
    member.lines_until("OK JOIN");
    member
}

/// Says `count` numbers in #rust, each with the speaker's `word` before it and `filler` bytes after it.
fn numbers(word: &str, count: usize, filler: usize) -> Vec<u8> {
    let filler = "x".repeat(filler);
    (0..count).flat_map(|number| format!("SAY #rust {word}{number} {filler}\n").into_bytes()).collect()
}

fn seq(line: &str) -> u64 {
    line.split(' ').nth(2).and_then(|seq| seq.parse().ok()).unwrap_or_else(|| panic!("this has no seq: {line}"))
}

fn is_message(line: &str) -> bool {
    line.starts_with("* MSG ") || line.starts_with("- MSG ")
}

/// The seqs of the messages among these lines.
fn seqs(lines: &[String]) -> Vec<u64> {
    lines.iter().filter(|line| is_message(line)).map(|line| seq(line)).collect()
}

fn all_members_see_the_same_order_and_each_speaker_keeps_theirs(place: Place<'_>) {
    let host = Host::start(place, "same", &UNPACED);
    let (_owner, mut readers) = rust(&host, 7);
    let mut speakers = readers.split_off(3);
    let count = 2_000;
    for (speaker, word) in speakers.iter_mut().zip(["a", "b", "c", "d"]) {
        drop(speaker.write_beside(numbers(word, count, 50)));
    }
    let mut said = Vec::new();
    for speaker in &mut speakers {
        let (mut own, mut heard) = (Vec::new(), 0);
        while own.len() < count || heard < 3 * count {
            let line = speaker.line();
            if is_message(&line) {
                heard += 1;
            } else {
                own.push(seq(&line));
            }
        }
        assert!(own.is_sorted_by(|a, b| a < b));
        said.extend(own);
    }
    said.sort_unstable();
    for mut reader in readers {
        let shown: Vec<String> = (0..4 * count).map(|_| reader.line()).collect();
        assert_eq!(seqs(&shown), said, "everything, once, in the order of the seqs");
        for word in ["a", "b", "c", "d"] {
            let own = shown.iter().filter_map(|line| line.split(' ').nth(6).and_then(|text| text.strip_prefix(word)));
            assert!(own.map(|number| number.parse::<usize>().expect("a number")).eq(0..count), "{word}");
        }
    }
}

fn pages_add_up_to_the_whole(place: Place<'_>) {
    let host = Host::start(place, "pages", &[&UNPACED[..], &["--limit", "inbox-per-sender=none"]].concat());
    let (mut bob, _) = rust(&host, 0);
    let mut ana = Client::connect(host.address(1));
    ana.ok("NAME ana");
    ana.ok("JOIN #rust");
    host.settle();
    // Runs longer than what the server reads at once: within one, the next seq is the next message's, and a page may not skip it.
    let run = |at| ["SAY #rust", "MSG ana"].map(|to| (at..at + 50).map(|n| format!("{to} {n}\n")).collect::<String>()).concat();
    let both: Vec<u8> = (0..2_500).step_by(50).flat_map(|at| run(at).into_bytes()).collect();
    drop(bob.write_beside(both));
    let answers: Vec<String> = (0..5_000).map(|_| bob.line()).collect();
    host.settle();
    let of = |start: &str| answers.iter().filter(|line| line.starts_with(start)).map(|line| seq(line)).collect::<Vec<u64>>();
    let (said, sent) = (of("OK SAY"), of("OK MSG"));
    assert_eq!(ana.ask("INBOX").pop().as_deref(), Some("OK INBOX 100 2400"));
    let mut read = Vec::new();
    for left in [1500, 500, 0] {
        let page = ana.ask("INBOX 1000");
        assert_eq!(page.last(), Some(&format!("OK INBOX {} {left}", page.len() - 1)));
        read.extend(seqs(&page));
        ana.ok(&format!("ACK {}", read.last().expect("a page is not empty")));
    }
    assert_eq!(read, sent);
    let newest = seqs(&ana.ask("HISTORY #rust"));
    assert_eq!(newest, said[2_400..]);
    let (mut since, mut before) = (Vec::new(), newest);
    loop {
        let page = seqs(&ana.ask(&format!("HISTORY #rust 700 since {}", since.last().unwrap_or(&0))));
        since.extend(&page);
        if page.len() < 700 {
            break;
        }
    }
    while before.len() < said.len() {
        let page = seqs(&ana.ask(&format!("HISTORY #rust 900 before {}", before[0])));
        before.splice(0..0, page);
    }
    assert!(since == said && before == said);
}

/// No answer reads through all that was retracted: it says where it has stopped, and whoever goes on from there finds everything.
fn pages_add_up_to_the_whole_around_much_that_was_retracted(place: Place<'_>) {
    let host = Host::start(place, "retracted", &UNPACED);
    let (mut bob, _) = rust(&host, 0);
    bob.write(&numbers("", 4_500, 0));
    let said: Vec<u64> = (0..4_500).map(|_| seq(&bob.line())).collect();
    let kept = [&said[..2], &said[4_490..]].concat();
    drop(bob.write_beside(said[2..4_490].iter().flat_map(|seq| format!("RETRACT {seq}\n").into_bytes()).collect()));
    (2..4_490).for_each(|_| assert!(bob.line().starts_with("OK RETRACT ")));
    let mut ana = Client::connect(host.address(1));
    ana.ok("JOIN #rust");
    host.settle();
    let bound = |line: &str, field| line.split(' ').nth(field).and_then(|seq| seq.parse().ok()).expect("a seq");
    let (mut found, mut before, mut gaps) = (Vec::new(), u64::MAX >> 1, 0);
    loop {
        let page = ana.ask(&format!("HISTORY #rust 5 before {before}"));
        found.splice(0..0, seqs(&page));
        let Some(first) = page.first().filter(|line| line.starts_with("- ")) else { break };
        gaps += usize::from(first.starts_with("- GAP "));
        before = if first.starts_with("- GAP ") { bound(first, 3) } else { seq(first) };
    }
    assert_eq!((&found, gaps), (&kept, 2), "backward");
    let (mut found, mut since, mut gaps) = (Vec::new(), 0, 0);
    loop {
        let page = ana.ask(&format!("HISTORY #rust 5 since {since}"));
        found.extend(seqs(&page));
        let Some(last) = page.iter().rfind(|line| line.starts_with("- ")) else { break };
        gaps += usize::from(last.starts_with("- GAP "));
        since = if last.starts_with("- GAP ") { bound(last, 4) } else { seq(last) };
    }
    assert_eq!((&found, gaps), (&kept, 2), "forward");
    let mut waited = vec![kept[1]];
    while waited.last() != Some(&kept[2]) {
        let answer = ana.ok(&format!("WAIT #rust since {}", waited[waited.len() - 1]));
        waited.push(seq(&answer));
    }
    assert_eq!(waited.len(), 4, "two gaps, and then a message: {waited:?}");
}

/// What a reader is shown who reads on after #rust was closed and has been silent for a while: all that was said, and then this.
fn shown_after_the_end(place: Place<'_>) -> Vec<String> {
    let host = Host::start(place, "end", &[&UNPACED[..], &["--limit", "empty-channel-seconds=4"]].concat());
    let (mut ana, mut sleepers) = rust(&host, 1);
    let mut sleeper = sleepers.pop().expect("one has joined");
    drop(ana.write_beside([numbers("", 4_000, 2000), b"CLOSE #rust\nCREATE #clock\nLEAVE #clock\n".to_vec()].concat()));
    let answers = ana.lines_until("OK LEAVE");
    // A channel that nobody has ends after so many seconds.
    until("#clock ends", || {
        ana.write(b"CHANNELS\n");
        (ana.lines_until("OK CHANNELS").len() == 1).then_some(())
    });
    host.settle();
    for answer in &answers[..4_000] {
        let line = sleeper.line();
        assert!(is_message(&line) && seq(&line) == seq(answer), "{line}");
    }
    sleeper.write(b"SAY #rust anybody?\n");
    sleeper.lines_until("ERR NO_SUCH_CHANNEL SAY")
}

fn a_channel_that_is_closed_is_read_to_its_end_first(place: Place<'_>) {
    shown_after_the_end(place);
}

fn who_reads_a_closed_channel_late_is_told_that_it_is_closed(place: Place<'_>) {
    let shown = shown_after_the_end(place);
    assert!(shown[0].starts_with("* CLOSE #rust guest-1000:1000 "), "{shown:?}");
}

/// What she said herself and is shown, she who is behind and says something before she reads on.
fn shown_of_her_own(place: Place<'_>, register: &str) -> Vec<String> {
    let host = Host::start(place, "own", &UNPACED);
    let mut ana = Raw::connect_narrowly(host.address(0));
    ana.write(format!("{register}\nCREATE #rust\n").as_bytes());
    ana.lines_until("OK CREATE");
    host.settle();
    let mut bob = member(&host, 1);
    let flood = |bob: &mut Raw| {
        drop(bob.write_beside(numbers("", 2_500, 2000)));
        (0..2_500).for_each(|_| assert!(bob.line().starts_with("OK SAY ")));
    };
    flood(&mut bob);
    ana.write(b"SAY #rust of her own\n");
    bob.lines_until("* MSG ");
    flood(&mut bob);
    bob.write(b"SAY #rust the last\n");
    bob.lines_until("OK SAY ");
    let mut shown = Vec::new();
    loop {
        let line = ana.line();
        if line.ends_with(" the last\n") {
            return shown;
        }
        if line.ends_with(" of her own\n") {
            shown.push(line);
        }
    }
}

fn no_guest_is_shown_what_they_said_however_far_behind_they_are(place: Place<'_>) {
    assert_eq!(shown_of_her_own(place, "PING"), Vec::<String>::new());
}

fn no_account_is_shown_what_this_connection_said_however_far_behind_it_is(place: Place<'_>) {
    assert_eq!(shown_of_her_own(place, "REGISTER ana correct horse battery"), Vec::<String>::new());
}
