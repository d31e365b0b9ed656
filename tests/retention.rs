//! What is not kept: history beyond what the operator wants, and the texts of a channel that was closed.

mod support;

use std::fs;
use std::path::Path;

use support::server::Server;
use support::small::Small;
use support::wait::until;
use support::watched::{WATCHED, sample, watched_at};

const PASSWORD: &str = "correct horse battery";

fn is_anywhere(directory: &Path, text: &str) -> bool {
    is_in(directory, "", text)
}

/// Whether a file whose name begins so has this text.
fn is_in(directory: &Path, start: &str, text: &str) -> bool {
    let holds = |path: &Path| fs::read(path).is_ok_and(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some());
    let files = fs::read_dir(directory).expect("a directory").map(|file| file.expect("a file"));
    files.filter(|file| file.file_name().to_string_lossy().starts_with(start)).any(|file| holds(&file.path()))
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
    // The index has seen all of it: what it has forgotten later does not come back.
    ana.ok("SEARCH #tea lasting");
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
    until("the index has forgotten it", || (!is_in(server.dir(), "search.db", "unspeakable")).then_some(()));
    server.signal("TERM");
    server.wait();
    assert!(!is_anywhere(server.dir(), "unspeakable"));
    assert!(is_anywhere(server.dir(), "lasting"));
}

/// The promise of RETRACT: soon after its OK no file has the text, and nobody finds it, whatever became of the server meanwhile.
#[test]
fn the_text_of_what_was_retracted_is_gone_from_the_files() {
    let mut server = Server::start(&[]);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    let mut bob = server.connect();
    bob.ok("JOIN #rust");
    let seq = |said: String| said.split(' ').nth(2).expect("it has a seq").to_owned();
    for number in 0..20 {
        ana.ok(&format!("SAY #rust lasting {number}"));
    }
    let in_channel = seq(ana.ok("SAY #rust quixotic swordfish unspeakable"));
    let in_inbox = seq(bob.ok("MSG ana quixotic swordfish unspeakable"));
    assert_eq!(ana.ok("SEARCH * quixotic"), "OK SEARCH 2");
    assert!(is_in(server.dir(), "journal.db", "unspeakable") && is_in(server.dir(), "search.db", "unspeakable"));
    ana.ok(&format!("RETRACT {in_channel}"));
    let told = bob.event("RETRACT ");
    assert!(told.contains(&format!("RETRACT #rust {in_channel} ana:")), "{told}");
    bob.ok(&format!("RETRACT {in_inbox}"));
    until("it is gone", || (!is_anywhere(server.dir(), "unspeakable")).then_some(()));
    assert_eq!(ana.ok("SEARCH * quixotic"), "OK SEARCH 0");
    // The same where the server dies right after its OK.
    let last = seq(ana.ok("SAY #rust quixotic swordfish unspeakable"));
    ana.ok("SEARCH #rust quixotic");
    ana.ok(&format!("RETRACT {last}"));
    server.kill();
    server.restart();
    let mut ana = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    until("it is gone", || (!is_anywhere(server.dir(), "unspeakable")).then_some(()));
    assert_eq!(ana.ok("HISTORY #rust 1000"), "OK HISTORY 20");
    assert_eq!(ana.ok("SEARCH #rust lasting limit:100"), "OK SEARCH 20");
}

/// While the disk is nearly full nobody takes anything out of the index: then it must not be there, whatever it held.
#[test]
fn the_index_keeps_no_text_that_is_retracted_while_the_disk_is_nearly_full() {
    let Some(disk) = Small::mount_of(96) else { return };
    let (data, filler) = (disk.path().join("data"), disk.path().join("filled"));
    let mut server = Server::start_in(&data, &WATCHED);
    let mut ana = server.connect();
    ana.ok(&format!("REGISTER ana {PASSWORD}"));
    ana.ok("CREATE #rust");
    ana.ok("SAY #rust lasting");
    let said = ana.ok("SAY #rust quixotic swordfish unspeakable");
    let lag = |server: &Server| sample(watched_at(server), "linechat_search_lag");
    assert_eq!(ana.ok("SEARCH * quixotic"), "OK SEARCH 1");
    until("it has taken all", || (lag(&server) == 0.0).then_some(()));
    // The journal has room left, and the index has none.
    fs::write(&filler, vec![0; 60 << 20]).expect("there is room");
    until("the index is removed", || (!is_in(&data, "search.db", "")).then_some(()));
    let seq = said.split(' ').nth(2).expect("it has a seq");
    let all = seq.parse().expect("a number");
    until("whoever watches sees that nothing is in it", || (lag(&server) >= all).then_some(()));
    ana.ok(&format!("RETRACT {seq}"));
    until("it is gone", || (!is_anywhere(&data, "unspeakable")).then_some(()));
    // Nor is one made by a server that starts on such a disk.
    server.kill();
    fs::write(data.join("search.db"), "an old one, unspeakable").expect("there is room");
    server.restart();
    until("the index is removed", || (!is_in(&data, "search.db", "")).then_some(()));
    fs::remove_file(filler).expect("it is there");
    let mut ana = server.connect();
    ana.ok(&format!("LOGIN ana {PASSWORD}"));
    until("there is an index again", || (ana.ask("SEARCH * lasting").pop()? == "OK SEARCH 1").then_some(()));
    assert_eq!(ana.ok("SEARCH * quixotic"), "OK SEARCH 0");
    until("it has taken all", || (lag(&server) == 0.0).then_some(()));
}
