//! What can only happen on a disk: damage, truncation, two servers at once, other versions, and readers that stay.
//!
//! `LINECHAT_FLIP_EVERY=1` flips every byte of a store, one after the other, and `LINECHAT_CUT_EVERY=1` cuts its log at each,
//! which takes about an hour; everyday tests take a sample.

use std::fs;
use std::path::Path;

use linechat::event::Event;
use linechat::limits::{BALLAST_BYTES, KEYS_REMEMBERED};
use linechat::names::Seq;
use linechat::store::{OpenError, Query, Start, What};
use tempfile::TempDir;

use crate::store::{Refused, Store, acked, channel, created, ids, inbox, joined, keyed, registered, said, text};
use crate::{Kind, Place};

crate::on_every_disk! {
    ids_and_seqs_of_any_size_are_kept
    the_log_stays_small_while_somebody_always_reads
    another_program_that_reads_holds_nobody_up
}

const INBOXES: u64 = 3;
const MESSAGES: u64 = 360;

/// A small store that was closed, and its file's bytes. The text of each message follows from its number.
fn closed() -> (TempDir, Vec<u8>) {
    let directory = TempDir::with_prefix("linechat-damage-").expect("a directory");
    let mut store = Store::disk(directory.path()).expect("the store opens");
    for id in (1..=INBOXES).chain([9]) {
        store.commit(registered(id));
    }
    let rust = store.commit(created("rust", 1)).room.expect("a room");
    store.append(vec![joined(rust, 1, true, true), joined(rust, 2, true, false)]);
    for number in 0..MESSAGES {
        let id = 1 + number % INBOXES;
        store.commit(keyed(inbox(id), 9, &format!("key-{number}"), &telling(id, number)));
    }
    store.commit(acked(2, store_seq(1)));
    store.close();
    let bytes = fs::read(directory.path().join("journal.db")).expect("the store is there");
    assert!(!directory.path().join("journal.db-wal").metadata().is_ok_and(|wal| wal.len() > 0), "closing tidies");
    (directory, bytes)
}

/// The seq of a message.
fn store_seq(number: u64) -> u64 {
    INBOXES + 5 + number
}

fn telling(id: u64, number: u64) -> String {
    format!("for {id}, number {number}, {}", "abcdefgh".repeat(number as usize % 9))
}

/// What may be found in a damaged store.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The damage was noticed.
    Noticed,
    /// Everything is there, and nothing else.
    Whole,
    /// Something is missing.
    Prefix,
}

/// Opens a store of these bytes and reads all of it. Panics if something is wrong and was not noticed.
fn look(directory: &Path, bytes: &[u8]) -> Found {
    fs::write(directory.join("journal.db"), bytes).expect("it can be written");
    for side in ["journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(directory.join(side));
    }
    let Ok(mut store) = Store::disk(directory) else { return Found::Noticed };
    let mut whole = true;
    for id in 1..=INBOXES {
        let read = |start| store.try_read(inbox(id), start, 1000, What::Messages);
        let (Ok(page), Ok(unread)) = (read(Start::After(Seq(0))), read(Start::Unread)) else { return Found::Noticed };
        for entry in &page.entries {
            assert_eq!(text(entry), telling(id, entry.seq.0 - store_seq(0)), "a wrong text");
            assert_eq!(entry.room, Some(inbox(id)), "a wrong room");
        }
        assert!(page.entries.is_sorted_by(|one, two| one.seq < two.seq), "a wrong order");
        if page.gap.is_some() || unread.gap.is_some() {
            return Found::Noticed;
        }
        if !page.damaged.is_empty() {
            assert_eq!(page.count() as u64, MESSAGES / INBOXES, "all sound ones are shown");
            return Found::Noticed;
        }
        let numbers = page.entries.iter().map(|entry| entry.seq.0 - store_seq(0));
        assert!(numbers.eq((0..).map(|at| id - 1 + at * INBOXES).take(page.entries.len())), "a wrong order");
        assert!(page.entries.ends_with(&unread.entries), "what is unread is the end of the inbox");
        let marked = usize::from(id == 2);
        whole &= page.entries.len() as u64 == MESSAGES / INBOXES && unread.entries.len() == page.entries.len() - marked;
    }
    let Ok(shown) = store.try_read(channel(INBOXES + 2), Start::After(Seq(0)), 10, What::Everything) else {
        return Found::Noticed;
    };
    if shown.gap.is_some() || !shown.damaged.is_empty() {
        return Found::Noticed;
    }
    whole &= shown.entries.len() == 1;
    let accounts = store.state().iter().filter(|entry| matches!(entry.event, Event::Registered { .. })).count() as u64;
    whole &= store.state().len() as u64 == INBOXES + 4 && accounts == INBOXES + 1;
    whole &= match store.driven.last() {
        // A later one only leaves numbers out: the newest entry here is a read mark, which nobody is shown.
        Ok(last) => last >= Seq(store_seq(MESSAGES)),
        Err(_) => return Found::Noticed,
    };
    // The keys must be the ones that were used, too.
    for number in [0, 150, MESSAGES - 1] {
        match store.driven.used(linechat::names::UserId(9), &format!("key-{number}"), KEYS_REMEMBERED) {
            Ok(used) => whole &= used.is_some_and(|used| used.seq == Seq(store_seq(number))),
            Err(_) => return Found::Noticed,
        }
    }
    if whole { Found::Whole } else { Found::Prefix }
}

fn stride(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |stride| stride.parse().expect("a number"))
}

#[test]
fn a_flipped_byte_is_noticed_or_harmless() {
    let (directory, bytes) = closed();
    assert_eq!(look(directory.path(), &bytes), Found::Whole);
    let (mut noticed, mut harmless) = (0, 0);
    // A prime stride, so that all parts of pages have their turn; the header, which describes the rest, has it more often.
    let stride = stride("LINECHAT_FLIP_EVERY", 193);
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
            // An empty file can only be a new store.
            Found::Prefix => assert_eq!(length, 0),
            Found::Whole => panic!("cut to {length} of {} bytes and whole", bytes.len()),
        }
    }
    assert!(refused > 100, "{refused}");
}

/// The write-ahead log that a crash leaves, cut anywhere: the first commits are there, and nothing else.
#[test]
fn a_log_that_was_cut_short_leaves_a_prefix() {
    let directory = TempDir::with_prefix("linechat-cut-").expect("a directory");
    let mut store = Store::disk(directory.path()).expect("the store opens");
    store.commit(registered(7));
    for number in 0..60 {
        store.append(vec![said(inbox(7), 2, &format!("{number}")), said(channel(1), 2, &format!("{number}"))]);
    }
    let copy = TempDir::with_prefix("linechat-cut-").expect("a directory");
    fs::copy(directory.path().join("journal.db"), copy.path().join("journal.db")).expect("a copy");
    let log = fs::read(directory.path().join("journal.db-wal")).expect("a log");
    store.close();
    let (mut before, mut cuts) = (0, 0);
    let stride = stride("LINECHAT_CUT_EVERY", 2011);
    for length in (0..=log.len()).filter(|length| length % stride == 0 || *length == log.len()) {
        let place = TempDir::with_prefix("linechat-cut-").expect("a directory");
        fs::copy(copy.path().join("journal.db"), place.path().join("journal.db")).expect("a copy");
        fs::write(place.path().join("journal.db-wal"), &log[..length]).expect("it can be written");
        let store = Store::disk(place.path()).expect("a torn end is what a crash leaves");
        let texts = store.texts(inbox(7));
        assert_eq!(texts, store.texts(channel(1)), "a batch is there whole or not at all");
        assert!(texts.iter().enumerate().all(|(at, text)| *text == at.to_string()), "{texts:?}");
        assert!(texts.len() >= before, "more of the log is more of the messages");
        (before, cuts) = (texts.len(), cuts + 1);
    }
    eprintln!("{cuts} cuts, a prefix each");
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

/// The offset in SQLite's file of the four bytes with the version that linechat gave its store.
const VERSION_AT: usize = 60;

#[test]
fn a_store_of_another_version_is_refused_and_left_alone() {
    let (directory, mut bytes) = closed();
    let path = directory.path().join("journal.db");
    for (version, advice) in [
        (5, "has version 5, and this linechat reads up to version 4; run the newer linechat that wrote it"),
        (
            1,
            "has version 1, and this linechat reads only versions 2 to 4; run the older linechat that wrote it, or move it away",
        ),
    ] {
        bytes[VERSION_AT + 3] = version;
        fs::write(&path, &bytes).expect("it can be written");
        let error = match Store::disk(directory.path()) {
            Err(Refused::Open(error @ (OpenError::Newer { .. } | OpenError::Older { .. }))) => error.to_string(),
            other => panic!("{:?}", other.err()),
        };
        assert!(error.contains(advice), "{error}");
        assert_eq!(fs::read(&path).expect("it is there"), bytes, "not a byte was changed");
    }
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

fn ids_and_seqs_of_any_size_are_kept(place: &Place) {
    let mut store = place.open();
    let high = (1 << 60) - 1;
    store.append(vec![registered(high), keyed(inbox(high), high, "k", "far"), ids(high)]);
    let mut store = place.reopen(store);
    assert_eq!(store.texts(inbox(high)), ["far"]);
    assert!(store.used(high, "k").is_some());
    assert_eq!(store.state()[1].event, ids(high).event);
}

/// SQLite starts its log over only when nobody reads; here somebody always does.
fn the_log_stays_small_while_somebody_always_reads(place: &Place) {
    const MOST: u64 = BALLAST_BYTES + (2 << 20);
    let mut store = place.open();
    let log = place.directory().join("journal.db-wal");
    let long = "x".repeat(3000);
    let (runtime, reader, _) = store.parts();
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let reader = std::sync::Arc::clone(reader);
            let query = Query { room: inbox(7), start: Start::Before(Seq(u64::MAX)), count: 200, what: What::Messages };
            runtime.spawn(async move { while reader.read(query).await.is_ok() {} })
        })
        .collect();
    for _ in 0..100 {
        store.append((0..100).map(|_| said(inbox(7), 2, &long)).collect());
        let length = fs::metadata(&log).expect("the log").len();
        assert!(length < MOST, "{length}");
    }
    reading.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Another program, such as a backup or a forgotten sqlite3, has a read transaction open: nobody waits for it, and the log is
/// emptied once it is gone.
fn another_program_that_reads_holds_nobody_up(place: &Place) {
    let mut store = place.open();
    store.commit(said(inbox(7), 2, "before"));
    let log = place.directory().join("journal.db-wal");
    let length = || fs::metadata(&log).expect("the log").len();
    let foreign = rusqlite::Connection::open(place.directory().join("journal.db")).expect("the store");
    foreign.execute_batch("BEGIN; SELECT count(*) FROM entries").expect("it reads");
    let long = "x".repeat(3000);
    while length() <= BALLAST_BYTES {
        store.append((0..100).map(|_| said(inbox(7), 2, &long)).collect());
    }
    let began = std::time::Instant::now();
    for number in 0..20 {
        store.commit(said(inbox(7), 2, &format!("{number}")));
    }
    // SQLite would have waited five seconds for each of them: a hundred in all, which no slow disk is mistaken for.
    assert!(began.elapsed() < std::time::Duration::from_secs(50), "{:?}", began.elapsed());
    assert!(length() > BALLAST_BYTES);
    foreign.execute_batch("ROLLBACK").expect("it ends");
    let began = std::time::Instant::now();
    while length() > BALLAST_BYTES {
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "it is tried again");
        std::thread::sleep(std::time::Duration::from_millis(50));
        store.commit(said(inbox(7), 2, "after"));
    }
}
