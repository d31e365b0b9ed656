//! Stores of older versions: they are brought to the current one at the start, once and as a whole, and nothing is lost.

use std::fs;
use std::path::Path;

use linechat::names::Seq;
use linechat::state::Sharer;
use linechat::store::{OpenError, Presence, Start};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::store::{Refused, Store, channel, inbox, said, shared};

/// A store that a server of version 3 wrote, as SQL.
const VERSION_3: &str = include_str!("version-3.sql");
/// What version 2 did not have.
const ADDED: &str = "DROP TABLE floors; PRAGMA user_version = 2";

fn file(directory: &Path) -> Connection {
    Connection::open(directory.join("journal.db")).expect("it opens")
}

fn version(directory: &Path) -> i64 {
    file(directory).query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a number")
}

/// The old store, and what else is done to it.
fn old(more: &str) -> TempDir {
    let directory = TempDir::with_prefix("linechat-old-").expect("a directory");
    let file = file(directory.path());
    file.execute_batch("PRAGMA journal_mode = WAL").expect("as it was");
    file.execute_batch(VERSION_3).expect("it is SQL");
    file.execute_batch(&format!("PRAGMA application_id = {}; PRAGMA user_version = 3; {more}", 0x6c69_6e65)).expect("a store");
    directory
}

fn open(directory: &Path) -> Store {
    Store::disk_with(directory, Presence::Kept).expect("the store opens")
}

fn unread(store: &mut Store, id: u64) -> (u64, u64) {
    let inbox = store.inbox(id);
    (inbox.count - inbox.read_count, inbox.unread_bytes)
}

/// All that the old server had stored. Of ten messages of one to ten bytes, four were read.
fn all_is_there(store: &mut Store) {
    assert_eq!(store.texts(channel(4)), ["in the channel", "in the channel too"]);
    assert_eq!(store.texts(inbox(7)), (1..=10).map(|length| "x".repeat(length)).collect::<Vec<_>>());
    assert_eq!(store.read(inbox(7), Start::Unread, 100).entries.len(), 6);
    assert_eq!([7, 8, 9, 20].map(|id| unread(store, id)), [(6, 45), (0, 0), (2, 11), (2, 19)]);
    assert!(store.used(8, "key-10").is_some_and(|used| used.seq == Seq(19)));
    assert_eq!((store.state().len(), store.driven.last()), (7, Ok(Seq(27))));
}

#[test]
fn a_store_of_an_older_version_is_upgraded() {
    for more in ["", ADDED] {
        let directory = old(more);
        for round in 0..2 {
            let mut store = open(directory.path());
            all_is_there(&mut store);
            store.close();
            assert_eq!(version(directory.path()), 4, "{round}");
        }
        let mut store = open(directory.path());
        store.append(vec![said(inbox(7), 8, "more"), shared(inbox(7), 8, Some(5), "and more")]);
        assert_eq!((unread(&mut store, 7), store.share(7, Sharer::Near(5))), ((8, 57), 1));
        assert_eq!(store.ack(7, 18), Some(Seq(18)));
        assert_eq!(unread(&mut store, 7), (3, 22));
    }
}

/// A crash in the middle leaves a log that ends anywhere: the store is the old one or the new one, and the next start goes on.
#[test]
fn an_upgrade_happens_whole_or_not_at_all() {
    let directory = old("");
    // A reader keeps the log from being folded when the store is left.
    let reader = file(directory.path());
    reader.execute_batch("BEGIN; SELECT count(*) FROM entries").expect("it reads");
    let before = fs::read(directory.path().join("journal.db")).expect("it is there");
    drop(open(directory.path()));
    let log = fs::read(directory.path().join("journal.db-wal")).expect("a log");
    let mut versions = Vec::new();
    for length in (0..=log.len()).filter(|length| length % 1013 == 0 || *length == log.len()) {
        let place = TempDir::with_prefix("linechat-old-").expect("a directory");
        fs::write(place.path().join("journal.db"), &before).expect("it can be written");
        fs::write(place.path().join("journal.db-wal"), &log[..length]).expect("it can be written");
        versions.push(version(place.path()));
        all_is_there(&mut open(place.path()));
        assert_eq!(version(place.path()), 4);
    }
    assert!(versions.is_sorted() && versions[0] == 3 && versions[versions.len() - 1] == 4, "{versions:?}");
}

/// A message that is damaged counts nothing; a chain head that is damaged was never passed over, and the old store stays.
#[test]
fn damage_in_an_old_store_is_said() {
    let directory = old("UPDATE entries SET event = replace(event, 'x', 'y') WHERE seq = 17");
    let mut store = open(directory.path());
    assert_eq!(unread(&mut store, 7), (6, 37));
    store.ack(7, u64::MAX);
    assert_eq!(unread(&mut store, 7), (0, 0));
    let directory = old("UPDATE heads SET said_n = 100 WHERE room = 18");
    match Store::disk(directory.path()) {
        Err(Refused::Open(error @ OpenError::Damaged { .. })) => assert!(error.to_string().contains("row 18"), "{error}"),
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(version(directory.path()), 3);
}
