//! A journal of which nothing is left: that is said, and not taken for a new server.

use std::fs::{self, File};
use std::path::Path;

use crate::support::server::{Server, data_dir};
use crate::{done, files, log_in, refused, run, stop, text};

/// What a directory with such a journal is told by a start.
fn serve(directory: &Path) -> String {
    refused(&["serve", "--listen", "127.0.0.1:0", "--data-dir", text(directory)])
}

#[test]
fn an_empty_journal_is_not_begun_anew() {
    let (mut server, place) = (Server::start(&[]), data_dir());
    let (backup, journal) = (place.path().join("backup"), server.dir().join("journal.db"));
    server.connect().ok(&format!("REGISTER ana {}", crate::PASSWORD));
    done(&["backup", text(&backup), "--data-dir", text(server.dir())]);
    server.kill();
    let log = fs::read(server.dir().join("journal.db-wal")).expect("it was killed");
    File::create(&journal).expect("it can be cut off");
    let says =
        "journal.db is empty, as no journal ever is: somebody has cut it off; restore a backup, or remove it to begin anew\n";
    for _ in 0..2 {
        let said = serve(server.dir());
        assert!(said.ends_with(says) && said.lines().count() == 1, "{said}");
    }
    for command in [&["check"][..], &["backup", text(&place.path().join("other"))], &["export", "--jsonl"], &["compact"]] {
        let (code, said) = run(&[command, &["--data-dir", text(server.dir())]].concat());
        assert!(code != Some(0) && said.ends_with(says), "{command:?}: {said}");
    }
    assert_eq!(fs::read(&journal).expect("it is there"), b"");
    assert_eq!(fs::read(server.dir().join("journal.db-wal")).expect("it is there"), log, "it may be all that is left");
    // Both of what is advised are of use; and what the other journal's log held is not written into a new one.
    fs::remove_file(&journal).expect("it can be removed");
    server.restart();
    server.connect().err(&format!("LOGIN ana {}", crate::PASSWORD), "LOGIN_FAILED");
    server.kill();
    File::create(&journal).expect("it can be cut off");
    done(&["restore", text(&backup), "--force", "--data-dir", text(server.dir())]);
    server.restart();
    log_in(&server, "ana").ok("PING");
    stop(&mut server);
}

/// The log of a journal that somebody has removed is none of the one that takes its place.
#[test]
fn a_log_that_was_left_alone_is_not_taken_for_the_new_journals() {
    let (mut server, place) = (Server::start(&[]), data_dir());
    let (backup, lines) = (place.path().join("backup"), place.path().join("lines"));
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {}", crate::PASSWORD));
    done(&["backup", text(&backup), "--data-dir", text(server.dir())]);
    done(&["export", "--jsonl", text(&lines), "--data-dir", text(server.dir())]);
    ana.ok("CREATE #rust");
    (0..50).for_each(|number| drop(ana.ok(&format!("SAY #rust {number}"))));
    server.kill();
    for command in [["restore", text(&backup)], ["import", text(&lines)]] {
        let to = data_dir();
        fs::copy(server.dir().join("journal.db-wal"), to.path().join("journal.db-wal")).expect("it is copied");
        done(&[&command[..], &["--data-dir", text(to.path())]].concat());
        assert_eq!(files(to.path()), ["journal.db", "lock"]);
        assert!(done(&["check", "--data-dir", text(to.path())]).contains(" is sound: "));
        log_in(&Server::start_in(to.path(), &[]), "ana").err("JOIN #rust", "NO_SUCH_CHANNEL");
    }
}
