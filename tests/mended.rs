//! Bugs of the past: reading late, leaving, and inheriting a channel.

mod support;

use std::thread;

use support::client::Client;
use support::race::{ROUNDS, account, events, login, members_and_owner, rounds, seq, shown, unpaced, whoami};
use support::raw::Raw;
use support::server::Server;

/// Lets people stop reading for as long as they like.
const PATIENT: [&str; 1] = ["stalled-seconds=none"];
/// How many lines of 2,000 bytes are said at a time: more than fits into a slow reader's buffers, and more than the server
/// keeps in memory for them.
const FLOOD: usize = 2_000;

/// The next OK or ERR; other lines before it are skipped.
fn answer(raw: &mut Raw) -> String {
    loop {
        let line = raw.line();
        if line.starts_with("OK ") || line.starts_with("ERR ") {
            return line.trim_end().to_owned();
        }
    }
}

/// Types a line that is answered with OK.
fn done(raw: &mut Raw, line: &str) {
    raw.write(format!("{line}\n").as_bytes());
    let answer = answer(raw);
    assert!(answer.starts_with("OK "), "{line}: {answer}");
}

/// A new account, in a hurry.
fn raw_account(server: &Server, name: &str) -> Raw {
    let mut raw = Raw::connect(server.address());
    done(&mut raw, &format!("REGISTER {name} correct horse battery"));
    raw
}

/// Says a lot in #rust; returns the seqs.
fn flood(raw: &mut Raw) -> Vec<u64> {
    drop(raw.write_beside(format!("SAY #rust {}\n", "x".repeat(2_000)).repeat(FLOOD).into_bytes()));
    (0..FLOOD).map(|_| answer(raw)).inspect(|answer| assert!(answer.starts_with("OK SAY "))).map(|ok| seq(&ok)).collect()
}

/// What happens in #rust while a member does not read.
#[derive(Default)]
struct Chronicle {
    /// What must be shown, in order: messages by their seqs, everything else as [`events`] gives it.
    lasting: Vec<String>,
    /// The newest message.
    newest: u64,
    /// The newest message that was read before.
    read: u64,
    /// What may be missing, and the messages before and after it.
    passing: Vec<(String, u64, u64)>,
}

impl Chronicle {
    /// Somebody says a lot.
    fn flood(&mut self, speaker: &mut Raw) {
        let seqs = flood(speaker);
        self.passing.iter_mut().filter(|(_, _, after)| *after == 0).for_each(|(_, _, after)| *after = seqs[0]);
        self.newest = seqs[FLOOD - 1];
        self.lasting.extend(seqs.iter().map(|seq| format!("MSG {seq}")));
    }

    /// Somebody does something that must be shown like this.
    fn lasts(&mut self, who: &mut Raw, line: &str, shown: &[&str]) {
        done(who, line);
        self.lasting.extend(shown.iter().map(|event| (*event).to_owned()));
    }

    /// A guest does something that need not be shown.
    fn passes(&mut self, guest: &mut Raw, line: &str, shown: &str) {
        done(guest, line);
        self.passing.push((shown.to_owned(), self.newest, 0));
    }

    /// The late reader reads on, up to now.
    fn read_on(&mut self, late: &mut Raw) {
        late.write(b"PING\n");
        let (mut lasting, mut shown, mut missed, mut newest) = (Vec::new(), Vec::new(), Vec::new(), self.read);
        for line in late.lines_until("OK PING") {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["*", "MSG", ..] => {
                    newest = seq(&line);
                    lasting.push(format!("MSG {newest}"));
                }
                ["*", "MISSED", "#rust", first, last] => {
                    let [first, last]: [u64; 2] = [first, last].map(|seq| seq.parse().expect("a seq"));
                    assert!(self.read < first && first <= last && newest <= last, "after {newest}: {line}");
                    missed.push((first, last));
                }
                _ => {
                    for event in events(&[line], "#rust") {
                        let passing = self.passing.iter().find(|(passing, ..)| *passing == event);
                        assert!(passing.is_none_or(|(_, before, _)| *before == newest), "after {newest}: {event}");
                        if passing.is_some() { &mut shown } else { &mut lasting }.push(event);
                    }
                }
            }
        }
        let differ = lasting.iter().zip(&self.lasting).find(|(shown, happened)| shown != happened);
        assert!(lasting == self.lasting, "{} of {} lines, and these differ: {differ:?}", lasting.len(), self.lasting.len());
        assert!(missed.is_sorted_by(|a, b| a.1 < b.0), "nothing is missed twice: {missed:?}");
        for (event, before, after) in self.passing.drain(..).filter(|(event, ..)| !shown.contains(event)) {
            let told = missed.iter().filter(|(first, last)| *first < after && before < *last).count();
            assert_eq!(told, 1, "{event}, between {before} and {after}: {missed:?}");
        }
        self.lasting.clear();
        self.read = newest;
    }
}

#[test]
fn who_reads_late_is_shown_what_lasts_in_its_place_and_told_of_what_they_missed() {
    let server = unpaced(&PATIENT);
    let [mut ana, mut bob, mut dora] = ["ana", "bob", "dora"].map(|name| raw_account(&server, name));
    let [mut late, mut guest] = [Raw::connect_narrowly(server.address()), Raw::connect(server.address())];
    done(&mut ana, "CREATE #rust");
    done(&mut bob, "JOIN #rust");
    done(&mut late, "JOIN #rust");
    let mut told = Chronicle::default();
    told.flood(&mut bob);
    told.lasts(&mut ana, "TOPIC #rust breakfast", &["TOPIC #rust ana:1000 breakfast"]);
    told.lasts(&mut dora, "JOIN #rust", &["JOIN #rust dora:1002"]);
    told.flood(&mut bob);
    told.passes(&mut guest, "JOIN #rust", "JOIN #rust guest-1004:1004");
    told.flood(&mut bob);
    told.passes(&mut guest, "NAME gert", "NAME #rust guest-1004:1004 gert:1004");
    told.lasts(&mut dora, "LEAVE #rust", &["LEAVE #rust dora:1002"]);
    told.lasts(&mut ana, "LEAVE #rust", &["LEAVE #rust ana:1000", "OWNER #rust bob:1001"]);
    told.lasts(&mut bob, "TOPIC #rust lunch", &["TOPIC #rust bob:1001 lunch"]);
    told.flood(&mut bob);
    told.read_on(&mut late);
    // And once more, after they were up to date.
    told.flood(&mut bob);
    told.passes(&mut guest, "LEAVE #rust", "LEAVE #rust gert:1004");
    told.flood(&mut bob);
    told.read_on(&mut late);
    // Readers who are up to date are told at once, and miss nothing.
    done(&mut guest, "JOIN #rust");
    late.write(b"PING\n");
    let shown = late.lines_until("OK PING");
    assert_eq!(events(&shown, "#rust"), ["JOIN #rust gert:1004"]);
    assert_eq!(shown.len(), 2);
}

/// A member is behind when #rust is closed and created again, and joins the new channel before reading on.
fn joins_the_next_before_they_have_read_the_last(mut late: Raw, server: &Server) {
    let mut ana = raw_account(server, "ana");
    done(&mut ana, "CREATE #rust");
    done(&mut late, "JOIN #rust");
    flood(&mut ana);
    done(&mut ana, "CLOSE #rust");
    done(&mut ana, "CREATE #rust");
    late.write(b"JOIN #rust\nSAY #rust hi\n");
    assert_eq!(answer(&mut late), "OK JOIN #rust 2");
    let said = answer(&mut late);
    assert!(said.starts_with("OK SAY "), "{said}");
    let told = ana.lines_until("* MSG ").pop().expect("what was said");
    assert!(told.ends_with(" hi") && seq(&told) == seq(&said), "{told}");
}

#[test]
fn a_guest_who_is_behind_speaks_in_a_channel_that_was_created_again() {
    let server = unpaced(&PATIENT);
    joins_the_next_before_they_have_read_the_last(Raw::connect_narrowly(server.address()), &server);
}

#[test]
fn an_account_that_is_behind_speaks_in_a_channel_that_was_created_again() {
    let server = unpaced(&PATIENT);
    let mut late = Raw::connect_narrowly(server.address());
    done(&mut late, "REGISTER late correct horse battery");
    joins_the_next_before_they_have_read_the_last(late, &server);
}

#[test]
fn who_has_left_is_shown_nothing_more() {
    let server = unpaced(&[]);
    let mut people = [server.connect(), account(&server, "ana")];
    let mut speakers = [(); 3].map(|()| server.connect());
    speakers[0].ok("CREATE #rust");
    speakers[1..].iter_mut().for_each(|speaker| drop(speaker.ok("JOIN #rust")));
    thread::scope(|scope| {
        let leaving = scope.spawn(|| {
            for round in 0..ROUNDS {
                let person = &mut people[round % 2];
                person.ok("JOIN #rust");
                person.event("MSG ");
                person.ok("LEAVE #rust");
                assert_eq!(shown(person), Vec::<String>::new(), "after {round} others");
            }
        });
        while !leaving.is_finished() {
            speakers.iter_mut().for_each(|speaker| speaker.write(&b"SAY #rust on and on\n".repeat(20)));
            speakers.iter_mut().for_each(|speaker| (0..20).for_each(|_| drop(speaker.answer())));
        }
    });
}

#[test]
fn who_is_behind_and_leaves_is_shown_nothing_more() {
    let server = unpaced(&PATIENT);
    let mut ana = raw_account(&server, "ana");
    done(&mut ana, "CREATE #rust");
    for register in ["PING", "REGISTER late correct horse battery"] {
        let mut late = Raw::connect_narrowly(server.address());
        done(&mut late, register);
        done(&mut late, "JOIN #rust");
        flood(&mut ana);
        late.write(b"LEAVE #rust\nPING\n");
        late.lines_until("OK LEAVE #rust");
        assert_eq!(late.line(), "OK PING\n");
    }
}

#[test]
fn who_leaves_while_the_channel_is_closed_has_left_or_is_told_of_the_end() {
    let server = unpaced(&[]);
    let gather = |thread: usize| (server.connect(), [server.connect(), account(&server, &format!("bob{thread}"))]);
    rounds(gather, |(ana, people), number| {
        let (bob, den) = (&mut people[number % 2], format!("#den{number}"));
        ana.ok(&format!("CREATE {den}"));
        bob.ok(&format!("JOIN {den}"));
        ana.send(&format!("{}CLOSE {den}", format!("SAY {den} on and on\n").repeat(20)));
        // Early or late.
        (0..number / 2 % 21).for_each(|_| drop(bob.event("MSG ")));
        bob.send(&format!("LEAVE {den}"));
        let mut told = Vec::new();
        while told.last().is_none_or(|line: &String| line.starts_with("* ")) {
            told.push(bob.line());
        }
        (0..21).for_each(|_| assert!(ana.answer().last().is_some_and(|answer| answer.starts_with("OK "))));
        let (left, after) = (told.pop().expect("an answer"), shown(bob));
        if left == format!("OK LEAVE {den}") {
            assert_eq!(after, Vec::<String>::new(), "who has left has left");
        } else {
            assert!(left.starts_with("ERR NO_SUCH_CHANNEL LEAVE "), "{left}");
            told.extend(after);
            let ends = events(&told, &den).iter().filter(|event| event.starts_with("CLOSE ")).count();
            assert_eq!(ends, 1, "{told:?}");
        }
    });
}

#[test]
fn who_takes_another_name_is_announced_as_who_comes_and_goes_is() {
    let server = unpaced(&["announce-members=2"]);
    let [mut ana, mut bob, mut carol] = [(); 3].map(|()| server.connect());
    ana.ok("CREATE #rust");
    bob.ok("JOIN #rust");
    carol.ok("JOIN #rust");
    assert_eq!(events(&shown(&mut ana), "#rust"), ["JOIN #rust guest-1001:1001"]);
    bob.ok("NAME bob");
    for person in [&mut ana, &mut carol] {
        assert_eq!(shown(person), Vec::<String>::new(), "there are three of them");
    }
    carol.ok("LEAVE #rust");
    bob.ok("NAME robert");
    let told = shown(&mut ana);
    assert!(told.len() == 1 && told[0].starts_with("* NAME #rust bob:1001 robert:1001 "), "{told:?}");
    assert_eq!(shown(&mut carol), Vec::<String>::new());
}

fn restarted(mut server: Server) -> Server {
    server.kill();
    server.restart();
    server
}

/// Ana's channel, with Gina, who joined as a guest and has registered since, and with Bob, who joined after her.
fn with_heirs(server: &Server) -> (Client, String) {
    let mut ana = account(server, "ana");
    ana.ok("CREATE #rust");
    let mut gina = server.connect();
    gina.ok("JOIN #rust");
    account(server, "bob").ok("JOIN #rust");
    gina.ok("REGISTER gina correct horse battery");
    (ana, format!("2 {}", whoami(&mut gina)))
}

#[test]
fn who_has_been_there_longest_inherits_even_if_they_registered_later() {
    let server = unpaced(&[]);
    let (mut ana, heir) = with_heirs(&server);
    ana.ok("LEAVE #rust");
    assert_eq!(members_and_owner(&mut ana, "#rust"), heir);
}

#[test]
fn who_has_been_there_longest_inherits_after_a_restart_too() {
    let server = unpaced(&[]);
    let (_, heir) = with_heirs(&server);
    let server = restarted(server);
    let mut ana = login(&server, "ana");
    ana.ok("LEAVE #rust");
    assert_eq!(members_and_owner(&mut ana, "#rust"), heir);
    let server = restarted(server);
    assert_eq!(members_and_owner(&mut server.connect(), "#rust"), heir);
}

#[test]
fn what_a_guest_inherited_is_after_a_restart_the_longest_members_or_nobodys() {
    let server = unpaced(&[]);
    let (mut ana, mut gert, mut bob) = (account(&server, "ana"), server.connect(), account(&server, "bob"));
    for channel in ["#kept", "#lost"] {
        ana.ok(&format!("CREATE {channel}"));
        gert.ok(&format!("JOIN {channel}"));
    }
    gert.ok("CREATE #own");
    bob.ok("JOIN #kept");
    bob.ok("JOIN #own");
    let [bob, guest] = [whoami(&mut bob), whoami(&mut gert)];
    for (channel, members) in [("#kept", 2), ("#lost", 1)] {
        ana.ok(&format!("LEAVE {channel}"));
        assert_eq!(members_and_owner(&mut gert, channel), format!("{members} {guest}"));
    }
    let server = restarted(server);
    let mut carol = server.connect();
    let owner = |person: &mut Client| ["#kept", "#own", "#lost"].map(|channel| members_and_owner(person, channel));
    let bobs = format!("1 {bob}");
    assert_eq!(owner(&mut carol), [&*bobs, &*bobs, "0 -"]);
    assert_eq!(carol.ok("JOIN #lost"), "OK JOIN #lost 1");
    let carols = format!("1 {}", whoami(&mut carol));
    assert_eq!(owner(&mut carol), [&*bobs, &*bobs, &*carols]);
    carol.ok("TOPIC #lost and found");
    login(&server, "bob").ok("TOPIC #kept his");
    let server = restarted(server);
    assert_eq!(owner(&mut server.connect()), [&*bobs, &*bobs, "0 -"]);
}

#[test]
fn a_mark_between_two_messages_is_at_the_older_one() {
    let server = unpaced(&[]);
    let (mut ana, mut bob) = (account(&server, "ana"), server.connect());
    bob.ok("CREATE #rust");
    let one = seq(&bob.ok("MSG ana one"));
    let between = seq(&bob.ok("SAY #rust something else"));
    let two = seq(&bob.ok("MSG ana two"));
    assert!(one < between && between < two);
    for _ in 0..2 {
        assert_eq!(ana.ok(&format!("ACK {between}")), format!("OK ACK {one}"));
        let unread = ana.ask("INBOX");
        assert!(unread.len() == 2 && unread[0].ends_with(" two") && unread[1] == "OK INBOX 1 0", "{unread:?}");
    }
    ana.ok(&format!("ACK {two}"));
    assert_eq!(ana.ok(&format!("ACK {between}")), format!("OK ACK {two}"), "it never goes back");
}
