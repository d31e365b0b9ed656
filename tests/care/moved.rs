//! What was said to a server is what is read from one that was restored, and from one into which everything was imported.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::client::Client;
use crate::support::server::{Server, data_dir};
use crate::support::wait::until;
use crate::{PASSWORD, command, done, ended, files, log_in, stop, text};

/// People talk: accounts and guests, channels that are open, closed to others, and ended; bans, topics, keys and unread letters. Returns
/// a token of ana's.
fn talk(server: &Server) -> String {
    let [mut ana, mut bob, mut eve, mut zoe] = [(); 4].map(|()| server.connect());
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    bob.ok(&format!("REGISTER bob {PASSWORD}"));
    zoe.ok(&format!("REGISTER zoe {PASSWORD}"));
    eve.ok("NAME eve");
    ana.ok("CREATE #rust");
    ana.ok("TOPIC #rust the borrow checker");
    ana.ok("SET #rust hidden off");
    ana.ok("CREATE #secret xyzzy");
    ana.ok("SAY #secret nobody knows");
    bob.ok("CREATE #gone");
    bob.ok("SAY #gone soon over");
    bob.ok("CLOSE #gone");
    for person in [&mut bob, &mut eve, &mut zoe] {
        person.ok("JOIN #rust");
    }
    ana.ok("OP #rust bob");
    ana.ok("SAY @hello #rust h\u{e9}llo \\ \"all\" \u{1f980}");
    let mistake = bob.ok("SAY @mistake #rust a mistake");
    bob.ok(&format!("RETRACT {}", seq(&mistake)));
    eve.ok("SAY @guests #rust hi from a guest");
    for number in 0..40 {
        bob.ok(&format!("SAY #rust line {number}"));
        bob.ok(&format!("MSG @letter{number} ana letter {number}"));
    }
    ana.ok("ACK *");
    ana.ok(&format!("ACK #rust {}", seq(&bob.ok("SAY #rust read"))));
    for number in 0..5 {
        bob.ok(&format!("MSG @more{number} ana unread {number}"));
        zoe.ok(&format!("MSG ana hello {number}"));
    }
    let regretted = bob.ok("MSG ana never mind");
    bob.ok(&format!("RETRACT {}", seq(&regretted)));
    ana.ok("MSG bob for bob");
    ana.ok("BAN #rust zoe rude");
    ana.ok("IGNORE zoe");
    ana.ok("GIVE #rust bob");
    zoe.ok("CREATE #zoes");
    zoe.ok(&format!("UNREGISTER {PASSWORD}"));
    ana.ok("TOKEN NEW script say:#rust").rsplit(' ').next().expect("a word").to_owned()
}

fn seq(answer: &str) -> String {
    answer.split(' ').nth(2).expect("it has a seq").to_owned()
}

/// All that these people can read, and what their retries come to.
fn all(server: &Server, token: &str) -> Vec<String> {
    let (mut ana, mut bob) = (server.connect(), server.connect());
    let mut read = ana.ask(&format!("LOGIN ana {PASSWORD}"));
    read.extend(bob.ask(&format!("LOGIN bob {PASSWORD}")));
    let both =
        ["INBOX 1000", "HISTORY #rust 1000", "HISTORY #rust unread", "SET #rust", "TOPIC #rust", "BANS #rust", "IGNORES"];
    let alone = ["HISTORY #secret", "HISTORY bob 1000", "TOKEN LIST", "SAY @hello #rust x", "CHANNELS"];
    let of = |client: &mut Client, lines: &[&str]| lines.iter().flat_map(|line| client.ask(line)).collect::<Vec<_>>();
    read.extend(of(&mut ana, &both));
    read.extend(of(&mut ana, &alone));
    read.extend(of(&mut bob, &both));
    read.extend(of(
        &mut bob,
        &["MSG @letter7 ana letter 7", "MSG @letter7 ana x", "SAY @mistake #rust a mistake", "WHOIS zoe"],
    ));
    read.extend(of(
        &mut server.connect(),
        &["JOIN #secret", "JOIN #secret wrong", "JOIN #secret xyzzy", "CREATE #rust", "NAME ana"],
    ));
    let mut script = server.connect();
    read.extend(of(&mut script, &[&format!("LOGIN {token}"), "SAY @hello #rust h\u{e9}llo \\ \"all\" \u{1f980}", "INBOX"]));
    read
}

/// The next seq and the next id of a guest are above all that were given out.
fn goes_on(server: &Server, newest: u64) {
    let mut bob = log_in(server, "bob");
    let next: u64 = seq(&bob.ok("SAY #rust and on")).parse().expect("a number");
    assert!(next > newest, "{next} after {newest}");
    assert!(bob.ask("HISTORY #rust 1").concat().ends_with("and onOK HISTORY 1"));
}

fn mode(file: &Path) -> u32 {
    file.metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_backup_and_an_export_hold_all_that_is_read() {
    let (mut server, place) = (Server::start(&[]), data_dir());
    let token = talk(&server);
    let newest: u64 = seq(&log_in(&server, "ana").ok("MSG ana to myself")).parse().expect("a number");
    // Each who goes is an entry, and a backup and an export are to be of one moment.
    let mut last = server.connect();
    until("all others have gone", || (last.ask("LIST").len() == 2).then_some(()));
    let at = |name: &str| place.path().join(name);
    let [backup, lines, restored, imported, piped] = ["backup", "lines", "restored", "imported", "piped"].map(at);
    // Both while it serves: what guests had is there, too.
    let said = done(&["backup", text(&backup), "--data-dir", text(server.dir())]);
    assert!(said.starts_with("backed up ") && said.contains(&format!(" entries to {}, ", backup.display())), "{said}");
    let said = done(&["export", "--jsonl", text(&lines), "--data-dir", text(server.dir())]);
    assert!(said.contains(" entries to ") && said.ends_with("the hashes of passwords and tokens\n"), "{said}");
    assert_eq!((mode(&backup), mode(&lines)), (0o600, 0o600));
    stop(&mut server);
    server.restart();
    let before = all(&server, &token);
    assert!(before.len() > 150 && before.iter().any(|line| line.contains(" dup")), "{before:#?}");

    let said = done(&["restore", text(&backup), "--data-dir", text(&restored)]);
    assert!(said.starts_with("restored ") && said.ends_with(&format!(" entries to {}\n", restored.display())), "{said}");
    let said = done(&["import", text(&lines), "--data-dir", text(&imported)]);
    assert!(said.starts_with("imported "), "{said}");
    // An export of the backup is the same, also through a pipe.
    let export = command(&["export", "--jsonl", "--from", text(&backup)]).output().expect("it runs");
    assert!(export.stdout == std::fs::read(&lines).expect("it is there"), "{}", ended(export).1);
    let file = std::fs::File::open(&lines).expect("it is there");
    let output = command(&["import", "-", "--data-dir", text(&piped)]).stdin(file).output().expect("it runs");
    assert_eq!(ended(output).0, Some(0));
    for directory in [&restored, &imported, &piped] {
        assert_eq!(files(directory), ["journal.db", "lock"], "nothing is left over");
        assert_eq!((mode(directory), mode(&directory.join("journal.db"))), (0o700, 0o600));
        assert!(done(&["check", "--data-dir", text(directory)]).contains(" is sound: "));
        let server = Server::start_in(directory, &[]);
        let after = all(&server, &token);
        let other = after.iter().zip(&before).find(|(after, before)| after != before);
        assert!(other.is_none() && after.len() == before.len(), "{}: {other:?}", directory.display());
        goes_on(&server, newest);
    }
    assert!(done(&["check", text(&backup)]).contains(" is sound: "), "whoever restores it does not change it");
    assert_eq!(files(place.path()), ["backup", "imported", "lines", "piped", "restored"]);
}

/// Last night's backup replaces what was said since. That is kept aside, and what it has given out is not given out again.
#[test]
fn what_is_replaced_is_kept_and_its_numbers_are_not_used_again() {
    let (mut server, place) = (Server::start(&[]), data_dir());
    server.connect().ok(&format!("REGISTER bob {PASSWORD}"));
    log_in(&server, "bob").ok("CREATE #rust");
    let backup = place.path().join("backup");
    done(&["backup", text(&backup), "--data-dir", text(server.dir())]);
    let mut guest = server.connect();
    guest.ok("JOIN #rust");
    // More than a start and a few people who come take.
    (0..100).for_each(|number| drop(guest.ok(&format!("SAY #rust {number}"))));
    let newest: u64 = seq(&guest.ok("SAY #rust since then")).parse().expect("a number");
    let last_id = guest.id();
    let said = crate::refused(&["restore", text(&backup), "--force", "--data-dir", text(server.dir())]);
    assert!(said.contains(" is in use by another linechat server"), "{said}");
    stop(&mut server);
    let said = crate::refused(&["restore", text(&backup), "--data-dir", text(server.dir())]);
    assert!(said.contains("there is a journal in ") && said.contains("--force"), "{said}");
    for aside in ["replaced.db", "replaced-2.db"] {
        let said = done(&["restore", text(&backup), "--force", "--data-dir", text(server.dir())]);
        assert!(
            said.trim_end().ends_with(&format!("; what was there is kept as {}", server.dir().join(aside).display())),
            "{said}"
        );
        assert!(done(&["check", text(&server.dir().join(aside))]).contains(" is sound: "));
    }
    server.restart();
    assert!(log_in(&server, "bob").ask("HISTORY #rust").len() == 1, "it is as it was then");
    goes_on(&server, newest);
    assert!(server.connect().id() > last_id);
    let old = place.path().join("old");
    done(&["restore", text(&server.dir().join("replaced.db")), "--data-dir", text(&old)]);
    assert!(!files(server.dir()).iter().any(|name| name.starts_with("replaced.db-")), "{:?}", files(server.dir()));
    let server = Server::start_in(&old, &[]);
    assert!(log_in(&server, "bob").ask("HISTORY #rust").concat().contains(" since then"));
}

/// What is deleted takes no room any more.
#[test]
fn compacting_gives_room_back_and_changes_nothing() {
    let mut server = Server::start(&["--limit", "commands-per-second=none"]);
    let token = talk(&server);
    let mut ana = log_in(&server, "ana");
    ana.ok("CREATE #large");
    let long = "x".repeat(3000);
    for _ in 0..300 {
        ana.ok(&format!("SAY #large {long}"));
    }
    ana.ok("CLOSE #large");
    drop(ana);
    stop(&mut server);
    server.restart();
    let journal = server.dir().join("journal.db");
    let emptied = || done(&["export", "--jsonl", "--data-dir", text(server.dir())]).len() < 100_000;
    crate::support::wait::until("the channel is deleted", || emptied().then_some(()));
    crate::support::wait::until("in the file, too", || {
        let free = rusqlite::Connection::open(&journal).expect("it opens");
        let free: i64 = free.query_row("PRAGMA freelist_count", [], |row| row.get(0)).expect("a number");
        (free > 100).then_some(())
    });
    stop(&mut server);
    let before = journal.metadata().expect("it is there").len();
    let said = done(&["compact", "--data-dir", text(server.dir())]);
    let after = journal.metadata().expect("it is there").len();
    assert_eq!(said, format!("compacted the journal: it had {before} bytes and has {after}\n"));
    assert!(after * 4 < before, "{said}");
    assert_eq!(mode(&journal), 0o600);
    assert!(done(&["check", "--data-dir", text(server.dir())]).contains(" is sound: "));
    server.restart();
    assert!(all(&server, &token).iter().any(|line| line.ends_with(" line 39")));
}
