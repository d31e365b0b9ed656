//! The index of messages, as people meet it: it follows what is said, it forgets what is forgotten, and it is made anew when it is
//! missing, damaged or of another journal.

mod support;

use std::fs;
use std::path::Path;

use support::client::Client;
use support::server::Server;
use support::wait::until;

const PASSWORD: &str = "correct horse battery";

/// How many rows the index has in a table, of a server that may be running.
fn rows(directory: &Path) -> i64 {
    let index = rusqlite::Connection::open(directory.join("search.db")).expect("it opens");
    index.query_row("SELECT count(*) FROM messages WHERE kind <> 1", [], |row| row.get(0)).unwrap_or(-1)
}

fn server_with_messages(options: &[&str], count: usize) -> (Server, Client) {
    let server = Server::start(options);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    for number in 0..count {
        ana.ok(&format!("SAY #rust borrow number{number}"));
    }
    (server, ana)
}

fn log_in(server: &Server) -> Client {
    let mut ana = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    ana
}

#[test]
fn whatever_was_answered_ok_is_found_at_once() {
    let (server, mut ana) = server_with_messages(&[], 0);
    for number in 0..200 {
        ana.ok(&format!("SAY #rust word{number}"));
        assert_eq!(ana.ok(&format!("SEARCH #rust word{number}")), "OK SEARCH 1");
    }
    drop(server);
}

#[test]
fn pages_go_back_without_a_hole() {
    let (server, mut ana) = server_with_messages(&[], 70);
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let mut page = ana.ask(&format!("SEARCH #rust borrow limit:20{before}"));
        let answer = page.pop().expect("it is answered");
        let lowest = page.last().and_then(|line| line.split(' ').nth(2)).expect("it has a seq");
        before = format!(" before:{lowest}");
        found.append(&mut page);
        if !answer.ends_with(" more") {
            break;
        }
    }
    let words: Vec<_> = found.iter().map(|line| line.rsplit(' ').next().expect("it has words").to_owned()).collect();
    assert_eq!(words, (0..70).rev().map(|number| format!("number{number}")).collect::<Vec<_>>());
    drop(server);
}

#[test]
fn an_index_that_is_missing_or_damaged_is_made_anew() {
    let (mut server, mut ana) = server_with_messages(&[], 50);
    assert_eq!(ana.ok("SEARCH #rust borrow limit:100"), "OK SEARCH 50");
    let index = server.dir().join("search.db");
    for spoil in 0..4 {
        server.signal("TERM");
        server.wait();
        let whole = fs::read(&index).expect("there is an index");
        match spoil {
            0 => fs::remove_file(&index).expect("it can be removed"),
            1 => fs::write(&index, "no database at all, whatever it may be called").expect("it can be written"),
            2 => fs::write(&index, &whole[..whole.len() / 2]).expect("it can be written"),
            // The tables are there, but hold what never was.
            _ => {
                let other = rusqlite::Connection::open(&index).expect("it opens");
                other.execute_batch("UPDATE messages SET room = 4; UPDATE taken SET seq = 1 << 40").expect("it is written");
            }
        }
        server.restart();
        let mut ana = log_in(&server);
        assert_eq!(ana.ok("SEARCH #rust borrow limit:100"), "OK SEARCH 50", "spoiled in way {spoil}");
        assert_eq!(ana.ok("SEARCH #rust number49"), "OK SEARCH 1");
    }
}

#[test]
fn a_journal_from_a_backup_has_an_index_of_its_own() {
    let (mut server, mut ana) = server_with_messages(&[], 10);
    ana.ok("SEARCH #rust borrow");
    server.signal("TERM");
    server.wait();
    let journal = server.dir().join("journal.db");
    let backup = fs::read(&journal).expect("there is a journal");
    server.restart();
    let mut ana = log_in(&server);
    for number in 0..10 {
        ana.ok(&format!("SAY #rust later number{number}"));
    }
    assert_eq!(ana.ok("SEARCH #rust later"), "OK SEARCH 10");
    server.signal("TERM");
    server.wait();
    fs::write(&journal, backup).expect("it is restored");
    server.restart();
    let mut ana = log_in(&server);
    assert_eq!(ana.ok("SEARCH #rust later"), "OK SEARCH 0");
    assert_eq!(ana.ok("SEARCH #rust borrow"), "OK SEARCH 10");
}

#[test]
fn the_index_forgets_what_the_journal_forgets() {
    let (mut server, mut ana) = server_with_messages(&[], 300);
    let mut guest = server.connect();
    guest.ok("NAME guido");
    ana.ok("MSG guido borrow from me");
    ana.ok("CREATE #attic");
    ana.ok("SAY #attic borrow in secret");
    assert_eq!(ana.ok("SEARCH * borrow limit:100"), "OK SEARCH 100 more");
    assert_eq!(rows(server.dir()), 302);
    ana.ok("CLOSE #attic");
    until("the closed channel is forgotten", || (rows(server.dir()) == 301).then_some(()));
    guest.ok("QUIT");
    server.signal("TERM");
    server.wait();
    let server = Server::start_in(server.dir(), &["--limit", "keep-messages=20"]);
    let mut ana = log_in(&server);
    until("the oldest are shown no more", || ana.ok("SEARCH * borrow limit:100").eq("OK SEARCH 20").then_some(()));
    until("they are forgotten", || (rows(server.dir()) == 20).then_some(()));
    assert_eq!(ana.ok("SEARCH * borrow limit:20"), "OK SEARCH 20");
}

/// What an account has missed is counted without its own words, exactly, and after a restart.
#[test]
fn unread_messages_are_counted_without_ones_own() {
    let (mut server, mut ana) = server_with_messages(&[], 5);
    let mut bob = server.connect();
    bob.ok("NAME bob");
    bob.ok("JOIN #rust");
    let mut read = String::new();
    for number in 0..30 {
        let said = bob.ok(&format!("SAY #rust from bob {number}"));
        ana.ok("SAY #rust mine");
        if number == 9 {
            read = said.split(' ').nth(2).expect("it has a seq").to_owned();
        }
    }
    assert_eq!(ana.ok(&format!("ACK #rust {read}")), format!("OK ACK #rust {read}"));
    let taken_back = bob.ok("SAY #rust oops");
    bob.ok(&format!("RETRACT {}", taken_back.split(' ').nth(2).expect("it has a seq")));
    for _ in 0..2 {
        let lines = server.connect().ask(&format!("LOGIN ana {PASSWORD}"));
        assert!(lines.contains(&format!("- UNREAD #rust 20 {read}")), "{lines:?}");
        server.kill();
        server.restart();
    }
    let mut ana = log_in(&server);
    ana.ok("ACK #rust *");
    let lines = server.connect().ask(&format!("LOGIN ana {PASSWORD}"));
    assert!(!lines.iter().any(|line| line.starts_with("- UNREAD")), "{lines:?}");
}

/// Without a disk there is an index, too.
#[test]
fn a_server_in_memory_finds_what_it_has() {
    let (server, mut ana) = server_with_messages(&["--journal", "memory"], 30);
    assert_eq!(ana.ok("SEARCH #rust borrow limit:100"), "OK SEARCH 30");
    assert!(!server.dir().join("search.db").exists());
}
