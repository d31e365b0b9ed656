//! Stores as earlier releases left them: each opens, and what was said to it is there.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::server::{Server, data_dir};
use crate::{done, run, text};

/// A copy of the store that this release has left.
fn of_release(version: &str) -> TempDir {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store-{version}")), data_dir());
    for name in ["journal.db", "ids"] {
        fs::copy(from.join(name), to.path().join(name)).expect("it is copied");
    }
    to
}

/// All that the people of that store can read.
fn all_is_there(directory: &Path) {
    let server = Server::start_in(directory, &[]);
    let (mut ana, mut bob) = (server.connect(), server.connect());
    let welcome = ana.ask("LOGIN ana correct horse battery");
    assert_eq!(welcome[..2], ["- CHANNEL #rust 2 ana:1000 the borrow checker", "- CHANNEL #secret 1 ana:1000"]);
    assert_eq!(welcome.last().map(String::as_str), Some("OK LOGIN ana:1000 2"));
    bob.ok("LOGIN bob battery staple horse");
    let texts = |lines: Vec<String>| -> Vec<String> {
        lines.iter().filter_map(|line| line.splitn(7, ' ').nth(6).map(str::to_owned)).collect()
    };
    assert_eq!(texts(ana.ask("HISTORY #rust")), ["hello all", "hi from a guest", "welcome"]);
    assert_eq!(texts(ana.ask("HISTORY #secret")), ["nobody knows"]);
    assert_eq!(texts(ana.ask("INBOX")), ["unread", "unread too"]);
    let letters: Vec<_> = (0..5).map(|number| format!("letter {number}")).collect();
    assert!(texts(ana.ask("HISTORY bob")).starts_with(&letters));
    assert_eq!(texts(bob.ask("INBOX")), ["for bob"]);
    assert!(bob.ok("MSG @letter3 ana letter 3").ends_with(" dup"));
    assert_eq!(ana.ok("TOPIC #rust").split_once("#rust "), Some(("OK TOPIC ", "the borrow checker")));
    assert!(ana.ask("BANS #rust").concat().contains(" eve:1002 "));
    assert!(bob.ask("IGNORES").concat().contains(" eve:1002 "));
    assert!(bob.ask("LIST #rust").iter().any(|line| line.contains("bob:1001")), "{:?}", bob.ask("LIST #rust"));
    bob.ok("TOPIC #rust he is still an operator");
    let mut script = server.connect();
    script.ok("LOGIN lct_5apvkrnn2gtqveqomtbsr6ahb5wiqrcb");
    script.ok("SAY #rust from a script");
    script.err("INBOX", "NOT_ALLOWED");
    let mut other = server.connect();
    assert!(other.id() >= 1003, "an id is given out once");
    other.err("JOIN #secret", "NOT_ALLOWED");
    other.ok("JOIN #secret xyzzy");
}

#[test]
fn a_store_of_0_1_0_opens() {
    let store = of_release("0.1.0");
    assert!(done(&["check", "--data-dir", text(store.path())]).contains(" is sound: 35 entries, 5 rooms and 8 keys "));
    let (lines, imported) = (store.path().join("lines"), store.path().join("imported"));
    done(&["export", "--jsonl", text(&lines), "--data-dir", text(store.path())]);
    done(&["import", text(&lines), "--data-dir", text(&imported)]);
    all_is_there(store.path());
    all_is_there(&imported);
}

/// A store that a later linechat wrote says which one it needs; none of these commands touches it.
#[test]
fn a_newer_store_is_refused_with_the_version_that_it_needs() {
    let named = "CREATE TABLE IF NOT EXISTS needs (linechat TEXT NOT NULL) STRICT; DELETE FROM needs; INSERT INTO needs VALUES ('0.7.3');";
    for (more, needed) in [("", "run the newer linechat that wrote it"), (named, "run linechat 0.7.3 or newer")] {
        let (store, backup) = (of_release("0.1.0"), data_dir());
        let journal = store.path().join("journal.db");
        Connection::open(&journal)
            .and_then(|file| file.execute_batch(&format!("PRAGMA journal_mode = DELETE; {more} PRAGMA user_version = 99")))
            .expect("it is changed");
        let before = fs::read(&journal).expect("it is there");
        let (data, file) = (["--data-dir", text(store.path())], backup.path().join("file"));
        let commands: [&[&str]; 6] = [
            &["serve", "--listen", "127.0.0.1:0"],
            &["check"],
            &["backup", text(&file)],
            &["export", "--jsonl", text(&file)],
            &["compact"],
            &["restore", text(&journal)],
        ];
        for command in commands {
            let elsewhere = ["--data-dir", text(&file)];
            let data = if command[0] == "restore" { elsewhere } else { data };
            let (code, said) = run(&[command, &data].concat());
            assert_eq!(code, Some(if command[0] == "check" { 2 } else { 1 }), "{command:?}: {said}");
            assert!(said.contains(&format!("has version 99, and this linechat reads up to version 4; {needed}")), "{said}");
            assert_eq!(fs::read(&journal).expect("it is there"), before, "{command:?}");
            let _ = fs::remove_dir_all(&file);
            assert!(!file.exists(), "{command:?}");
        }
    }
}

/// What a new store says it needs is this linechat: for those that came before.
#[test]
fn a_new_store_says_what_it_needs() {
    let server = Server::start(&[]);
    let file = Connection::open(server.dir().join("journal.db")).expect("it opens");
    let needed: String = file.query_row("SELECT linechat FROM needs", [], |row| row.get(0)).expect("it is said");
    assert_eq!(needed, env!("CARGO_PKG_VERSION"));
}
