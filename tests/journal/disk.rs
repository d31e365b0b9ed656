//! What only a disk can suffer: damage, cuts, two servers at once, a newer store.
//!
//! `LINECHAT_FLIP_EVERY=1` flips each byte of a store in its turn, which takes about an hour; everyday tests take a sample.

use std::fs;
use std::path::Path;

use linechat::event::{Event, Guard, Outcome, Room};
use linechat::journal::{OpenError, Span};
use linechat::names::{Name, Seq, UserId};
use tempfile::TempDir;

use crate::store::{Refused, Store, acked, channel, draft, guarded, inbox, keyed, said, text, user};
use crate::{Kind, Place};

const INBOXES: u64 = 3;
const MESSAGES: u64 = 300;

/// A small store that was closed: what is said can be told from its place.
fn closed() -> (TempDir, Vec<u8>) {
    let directory = TempDir::with_prefix("linechat-damage-").expect("a directory");
    let mut store = Store::disk(directory.path()).expect("the store opens");
    for id in 1..=INBOXES {
        let registered = Event::Registered { who: user(id), password: "$argon2id$v=19$m=19456,t=2,p=1$x".into() };
        store.commit(guarded(draft(None, registered), Guard::Vacant));
    }
    let created = Event::Created { channel: Name::new("rust"), owner: user(1), key: None };
    store.commit(guarded(draft(None, created), Guard::Vacant));
    for number in 0..MESSAGES {
        let id = 1 + number % INBOXES;
        store.commit(keyed(inbox(id), 9, &format!("key-{number}"), &telling(id, number)));
    }
    store.commit(acked(2, 100));
    store.close();
    let bytes = fs::read(directory.path().join("journal.db")).expect("the store is there");
    assert!(!directory.path().join("journal.db-wal").metadata().is_ok_and(|wal| wal.len() > 0), "closing tidies");
    (directory, bytes)
}

fn telling(id: u64, number: u64) -> String {
    format!("for {id}, number {number}, {}", "abcdefgh".repeat(number as usize % 9))
}

/// What may be found in a store that was damaged.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It was noticed.
    Noticed,
    /// Everything is there, and nothing else.
    Whole,
    /// The first so many messages of each inbox are there, and the accounts.
    Prefix,
}

/// Opens the store of these bytes and reads all of it. Panics where anything is wrong and nobody notices.
fn look(directory: &Path, bytes: &[u8]) -> Found {
    fs::write(directory.join("journal.db"), bytes).expect("it can be written");
    for side in ["journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(directory.join(side));
    }
    let Ok(mut store) = Store::disk(directory) else { return Found::Noticed };
    let mut whole = true;
    for id in 1..=INBOXES {
        let Ok(page) = store.try_read(inbox(id), Span::After(Seq(0)), 1000) else { return Found::Noticed };
        let Ok(unread) = store.try_read(inbox(id), Span::Unread, 1000) else { return Found::Noticed };
        for (at, entry) in page.entries.iter().enumerate() {
            assert_eq!(text(entry), telling(id, id - 1 + at as u64 * INBOXES), "a wrong text");
            assert_eq!(entry.room, Some(inbox(id)), "a wrong room");
        }
        assert!(page.entries.ends_with(&unread.entries), "what is unread is the end of the inbox");
        let marked = page.entries.iter().filter(|entry| id == 2 && entry.seq <= Seq(100)).count();
        whole &= page.entries.len() as u64 == MESSAGES / INBOXES && unread.entries.len() == page.entries.len() - marked;
    }
    let names: Vec<_> = store.state().iter().map(|entry| entry.event.clone()).collect();
    let accounts = names.iter().filter(|event| matches!(event, Event::Registered { .. })).count() as u64;
    whole &= names.len() as u64 == INBOXES + 1 && accounts == INBOXES;
    // The keys too are those that were used.
    let retries = [0, 150, MESSAGES - 1].map(|number| {
        let id = 1 + number % INBOXES;
        keyed(inbox(id), 9, &format!("key-{number}"), &telling(id, number))
    });
    let Ok(retried) = store.try_append(retries.to_vec()) else { return Found::Noticed };
    whole &= retried.iter().all(|done| matches!(done.outcome, Outcome::Duplicate { .. }));
    if whole { Found::Whole } else { Found::Prefix }
}

#[test]
fn a_flipped_byte_is_noticed_or_harmless() {
    let (directory, bytes) = closed();
    assert_eq!(look(directory.path(), &bytes), Found::Whole);
    let (mut noticed, mut harmless) = (0, 0);
    // A prime stride, so that all parts of all pages have their turn; the header, which says what the rest is, more often.
    let stride = std::env::var("LINECHAT_FLIP_EVERY").map_or(97, |stride| stride.parse().expect("a number"));
    let offsets = (0..bytes.len()).filter(|offset| offset % stride == 0 || (*offset < 128 && offset % 3 == 0));
    for offset in offsets {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[offset] ^= mask;
            match look(directory.path(), &damaged) {
                Found::Noticed => noticed += 1,
                Found::Whole => harmless += 1,
                Found::Prefix => panic!("byte {offset} ^ {mask:#x}: something is missing, and nobody noticed"),
            }
        }
    }
    eprintln!("{noticed} flipped bytes were noticed, {harmless} were harmless");
    assert!(noticed > harmless, "most bytes matter: {noticed} noticed, {harmless} harmless");
}

#[test]
fn a_store_that_was_cut_short_is_refused_or_has_lost_everything() {
    let (directory, bytes) = closed();
    let mut refused = 0;
    for length in (0..bytes.len()).filter(|length| length % 401 == 0 || length % 4096 == 0) {
        match look(directory.path(), &bytes[..length]) {
            Found::Noticed => refused += 1,
            // An empty file is a new store; there is nothing else that it could be.
            Found::Prefix => assert_eq!(length, 0),
            Found::Whole => panic!("cut to {length} of {} bytes and whole", bytes.len()),
        }
    }
    assert!(refused > 100, "{refused}");
}

/// The write-ahead log that a crash leaves, cut anywhere: what was committed first is there, and nothing else.
#[test]
fn a_log_that_was_cut_short_leaves_a_prefix() {
    let directory = TempDir::with_prefix("linechat-cut-").expect("a directory");
    let mut store = Store::disk(directory.path()).expect("the store opens");
    for number in 0..60 {
        store.append(vec![said(inbox(7), 2, &format!("{number}")), said(channel(1), 2, &format!("{number}"))]);
    }
    let copy = TempDir::with_prefix("linechat-cut-").expect("a directory");
    fs::copy(directory.path().join("journal.db"), copy.path().join("journal.db")).expect("a copy");
    let log = fs::read(directory.path().join("journal.db-wal")).expect("a log");
    store.close();
    let mut before = 0;
    for length in (0..=log.len()).filter(|length| length % 2011 == 0 || *length == log.len()) {
        let _ = fs::remove_file(copy.path().join("journal.db-shm"));
        let place = TempDir::with_prefix("linechat-cut-").expect("a directory");
        fs::copy(copy.path().join("journal.db"), place.path().join("journal.db")).expect("a copy");
        fs::write(place.path().join("journal.db-wal"), &log[..length]).expect("it can be written");
        let store = Store::disk(place.path()).expect("a torn end is what a crash leaves");
        let all = |room: Room| -> Vec<String> {
            store.read(room, Span::After(Seq(0)), 1000).entries.iter().map(|entry| text(entry).to_owned()).collect()
        };
        let texts = all(inbox(7));
        assert_eq!(texts, all(channel(1)), "an append is there whole or not at all");
        assert!(texts.iter().enumerate().all(|(at, text)| *text == at.to_string()), "{texts:?}");
        assert!(texts.len() >= before, "more of the log is more of the messages");
        before = texts.len();
    }
    assert_eq!(before, 60);
}

#[test]
fn a_directory_has_one_server() {
    let place = Place::new(Kind::Disk);
    let store = place.open();
    let error = match Store::disk(place.directory()) {
        Err(Refused::Open(error @ OpenError::InUse(_))) => error.to_string(),
        other => panic!("{:?}", other.err()),
    };
    assert!(error.contains("is in use by another linechat server; stop it, or give another --data-dir"), "{error}");
    store.close();
    place.open();
}

/// Four bytes at this place of SQLite's file are the version that linechat gave its store.
const VERSION_AT: usize = 60;

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let (directory, mut bytes) = closed();
    bytes[VERSION_AT + 3] = 2;
    let path = directory.path().join("journal.db");
    fs::write(&path, &bytes).expect("it can be written");
    let error = match Store::disk(directory.path()) {
        Err(Refused::Open(error @ OpenError::Newer { found: 2, .. })) => error.to_string(),
        other => panic!("{:?}", other.err()),
    };
    assert!(error.contains("has version 2, and this linechat reads up to version 1"), "{error}");
    assert_eq!(fs::read(&path).expect("it is there"), bytes, "not a byte was changed");
}

#[test]
fn what_is_no_store_of_linechat_is_refused_and_left_alone() {
    let place = Place::new(Kind::Disk);
    let path = place.directory().join("journal.db");
    for foreign in [&b"a diary, and nobody else's business"[..], &[0; 5000]] {
        fs::write(&path, foreign).expect("it can be written");
        match Store::disk(place.directory()) {
            Err(Refused::Open(OpenError::Foreign(_))) => {}
            other => panic!("{:?}", other.err()),
        }
        assert_eq!(fs::read(&path).expect("it is there"), foreign);
    }
    fs::remove_file(&path).expect("it can be removed");
    let other = rusqlite::Connection::open(&path).expect("another program's database");
    other.execute_batch("CREATE TABLE diary (day TEXT)").expect("a table");
    drop(other);
    let before = fs::read(&path).expect("it is there");
    assert!(matches!(Store::disk(place.directory()), Err(Refused::Open(OpenError::Foreign(_)))));
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[test]
fn ids_and_seqs_of_any_size_are_kept() {
    let place = Place::new(Kind::Disk);
    let mut store = place.open();
    let high = (1 << 60) - 1;
    store.commit(said(inbox(high), high, "far"));
    store.commit(draft(None, Event::Ids { below: UserId(high) }));
    let store = place.reopen(store);
    assert_eq!(text(&store.read(inbox(high), Span::Unread, 1).entries[0]), "far");
    assert_eq!(store.state()[0].event, Event::Ids { below: UserId(high) });
}

/// SQLite begins its log again only when nobody reads; somebody always does here.
#[test]
fn the_log_stays_small_while_somebody_always_reads() {
    const MOST: u64 = linechat::limits::BALLAST_BYTES + (2 << 20);
    let place = Place::new(Kind::Disk);
    let mut store = place.open();
    let log = place.directory().join("journal.db-wal");
    let long = "x".repeat(3000);
    let (runtime, journal, feed) = store.parts();
    runtime.block_on(async {
        let reading: Vec<_> = (0..8)
            .map(|_| {
                let journal = std::sync::Arc::clone(journal);
                let query = linechat::journal::Query { room: inbox(7), span: Span::Before(Seq(u64::MAX)), count: 200 };
                tokio::spawn(async move { while journal.read(query).await.is_ok() {} })
            })
            .collect();
        for _ in 0..100 {
            journal.append((0..100).map(|_| said(inbox(7), 2, &long)).collect()).await.expect("it is open");
            feed.recv().await.expect("an outcome");
            let length = fs::metadata(&log).expect("the log").len();
            assert!(length < MOST, "{length}");
        }
        reading.iter().for_each(tokio::task::JoinHandle::abort);
    });
}
