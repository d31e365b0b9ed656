//! Backups that are made while people talk: each is one moment, and whatever was answered OK before it began is in it.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use linechat::event::Event;
use rusqlite::Connection;

use crate::support::clients::is_installed;
use crate::support::server::{Server, data_dir};
use crate::{done, files, log_in, refused, stop, text};

/// How many messages are said while backups are made.
const SAID: u64 = 3000;

/// The numbers that were said, in the order of the backup.
fn numbers(backup: &std::path::Path) -> Vec<u64> {
    let file = Connection::open(backup).expect("it opens");
    let mut events =
        file.prepare("SELECT event FROM entries WHERE event LIKE '{\"said\"%' ORDER BY seq").expect("it is a store");
    let events = events.query_map([], |row| row.get::<_, String>(0)).expect("they are read");
    events
        .map(|event| match serde_json::from_str(&event.expect("it is read")).expect("an event") {
            Event::Said { text, .. } => text.parse().expect("a number"),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_backup_is_one_moment_of_a_store_that_goes_on() {
    let (server, place) = (Server::start(&["--limit", "commands-per-second=none"]), data_dir());
    let mut ana = server.connect();
    ana.ok("CREATE #rust");
    let answered = AtomicU64::new(0);
    let backups = thread::scope(|scope| {
        scope.spawn(|| {
            for first in (0..SAID).step_by(20) {
                let lines: String = (first..first + 20).map(|number| format!("SAY #rust {number}\n")).collect();
                ana.write(lines.as_bytes());
                for number in first..first + 20 {
                    assert!(ana.answer().pop().is_some_and(|answer| answer.starts_with("OK SAY ")));
                    answered.store(number + 1, Ordering::SeqCst);
                }
            }
        });
        let mut backups = Vec::new();
        // The last one begins when all was answered.
        while backups.len() < 2 || backups.last().is_none_or(|(before, _)| *before < SAID) {
            let (before, file) = (answered.load(Ordering::SeqCst), place.path().join(format!("backup-{}", backups.len())));
            done(&["backup", text(&file), "--data-dir", text(server.dir())]);
            backups.push((before, file));
        }
        backups
    });
    for (before, file) in &backups {
        assert!(done(&["check", text(file)]).contains(" is sound: "));
        let numbers = numbers(file);
        let count = numbers.len() as u64;
        assert!(numbers.iter().copied().eq(0..count), "{} has a hole", file.display());
        assert!((*before..=SAID).contains(&count), "{}: {count} of {before}", file.display());
    }
    assert_eq!(numbers(&backups[backups.len() - 1].1).len() as u64, SAID);
    assert_eq!(files(place.path()).len(), backups.len(), "each is one file");
    assert!(done(&["check", "--data-dir", text(server.dir())]).contains(" is sound: "), "the journal, while it serves");
}

/// It is a store like any other, for whoever has nothing but sqlite3.
#[test]
fn a_backup_is_a_database() {
    if !is_installed("sqlite3", "sqlite3") {
        return;
    }
    let (mut server, place) = (Server::start(&[]), data_dir());
    server.connect().ok("CREATE #rust");
    let backup = place.path().join("backup");
    done(&["backup", text(&backup), "--data-dir", text(server.dir())]);
    let output =
        Command::new("sqlite3").args(["-readonly", text(&backup), "PRAGMA journal_mode; PRAGMA integrity_check"]).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("it runs").stdout), "delete\nok\n");
    assert_eq!(files(place.path()), ["backup"]);
    // One that was copied by hand, log and all, can be restored, too.
    server.kill();
    let copied = place.path().join("copied");
    for ending in ["", "-wal"] {
        let from = server.dir().join(format!("journal.db{ending}"));
        std::fs::copy(from, place.path().join(format!("copied{ending}"))).expect("it is copied");
    }
    let restored = place.path().join("restored");
    done(&["restore", text(&copied), "--data-dir", text(&restored)]);
    let server = Server::start_in(&restored, &[]);
    server.connect().ok("WHOAMI");
}

#[test]
fn two_at_once_do_not_meet() {
    let (mut server, place) = (Server::start(&[]), data_dir());
    server.connect().ok("REGISTER ana correct horse battery");
    let (backup, lines, data) = (place.path().join("backup"), place.path().join("lines"), text(server.dir()).to_owned());
    done(&["backup", text(&backup), "--data-dir", &data]);
    done(&["export", "--jsonl", text(&lines), "--data-dir", &data]);
    // What another one has begun.
    for (name, command) in [("other", &["backup"][..]), ("others", &["export", "--jsonl"])] {
        let other = place.path().join(name);
        let begun = File::create(place.path().join(format!("{name}.part"))).expect("a file");
        begun.try_lock().expect("nobody has it");
        let run = [command, &[text(&other), "--data-dir", &data]].concat();
        let said = refused(&run);
        assert!(said.contains(&format!("another linechat is writing {}", other.display())), "{said}");
        drop(begun);
        done(&run);
    }
    // Whoever changes a journal has it alone: beside a server, and beside another one that does.
    for command in [&["restore", text(&backup), "--force"][..], &["import", text(&lines)], &["compact"]] {
        let run = [command, &["--data-dir", &data]].concat();
        let said = refused(&run);
        assert!(said.contains(" is in use by another linechat server; stop it, "), "{said}");
    }
    log_in(&server, "ana").ok("CREATE #rust");
    stop(&mut server);
    let lock = File::open(server.dir().join("lock")).expect("it is there");
    lock.try_lock().expect("nobody has it");
    let said = refused(&["compact", "--data-dir", &data]);
    assert!(said.contains(" is in use by another linechat"), "{said}");
    drop(lock);
    server.restart();
    log_in(&server, "ana").ok("JOIN #rust");
}
