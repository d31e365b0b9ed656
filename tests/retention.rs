//! What is not kept: history beyond what the operator wants, and the texts of a channel that was closed.

mod support;

use std::fs;
use std::path::Path;

use support::server::Server;
use support::wait::until;

const PASSWORD: &str = "correct horse battery";

fn is_anywhere(directory: &Path, text: &str) -> bool {
    let holds = |path: &Path| fs::read(path).is_ok_and(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some());
    fs::read_dir(directory).expect("a directory").any(|file| holds(&file.expect("a file").path()))
}

#[test]
fn history_is_kept_as_long_as_the_operator_wants() {
    let mut server = Server::start(&[]);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    ana.ok("TOPIC #rust Ownership");
    for number in 0..10 {
        ana.ok(&format!("SAY #rust number {number}"));
    }
    let all = ana.ask("HISTORY #rust");
    server.kill();
    let mut server = Server::start_in(server.dir(), &["--limit", "keep-messages=3"]);
    let mut ana = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    let kept = until("the oldest are deleted", || Some(ana.ask("HISTORY #rust")).filter(|lines| lines.len() == 5));
    let newest_gone = all[6].split(' ').nth(2).expect("it has a seq");
    assert!(kept[0].starts_with("- GAP #rust 1 ") && kept[0].ends_with(newest_gone), "{}", kept[0]);
    assert_eq!(kept[1..4], all[7..10]);
    assert_eq!(kept[4], "OK HISTORY 3");
    // What the channel is does not depend on its history.
    server.signal("TERM");
    server.wait();
    server.restart();
    let mut ana = server.connect();
    let channels = ana.ask(&format!("LOGIN ana {PASSWORD}"));
    assert!(channels[0].starts_with("- CHANNEL #rust 1 ana:") && channels[0].ends_with(" Ownership"), "{}", channels[0]);
    ana.ok("SAY #rust number 10");
    assert_eq!(ana.ask("HISTORY #rust 1")[0].rsplit(' ').next(), Some("10"));
}

/// The promise of CLOSE: after a restart, nothing that was said there can be found in the files.
#[test]
fn the_texts_of_a_closed_channel_are_gone_from_the_files() {
    let mut server = Server::start(&[]);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    ana.ok("CREATE #tea");
    ana.ok("TOPIC #rust unspeakable topic");
    for number in 0..600 {
        ana.ok(&format!("SAY #rust unspeakable {number} {}", "x".repeat(number % 50)));
        if number % 7 == 0 {
            ana.ok(&format!("SAY #tea lasting {number}"));
        }
    }
    ana.ok("CLOSE #rust");
    server.signal("TERM");
    server.wait();
    assert!(is_anywhere(server.dir(), "unspeakable"), "it is still there, or the test finds nothing");
    server.restart();
    until("it is deleted", || {
        let store = rusqlite::Connection::open(server.dir().join("journal.db")).expect("it opens");
        let sql = "SELECT count(*) FROM entries WHERE event LIKE '%unspeakable%'";
        let left = store.query_row(sql, [], |row| row.get::<_, i64>(0)).ok();
        left.filter(|left| *left == 0)
    });
    server.signal("TERM");
    server.wait();
    assert!(!is_anywhere(server.dir(), "unspeakable"));
    assert!(is_anywhere(server.dir(), "lasting"));
}
