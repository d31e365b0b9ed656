//! The full disk: a file system of 16 MiB that only this test uses.

use std::fs;

use linechat::names::Seq;
use linechat::store::{Start, StoreError};

use crate::small::Small;
use crate::store::{Store, channel, closed, created, inbox, keyed, registered, said};

/// Says things until there is no room; returns the texts that are stored.
fn say_until_full(store: &mut Store) -> Vec<String> {
    let mut stored = Vec::new();
    for number in 0..100_000 {
        let texts: Vec<_> = (0..20).map(|part| format!("{number} {part} {}", "x".repeat(1000))).collect();
        let last = store.driven.last();
        match store.try_append(texts.iter().map(|text| said(inbox(7), 2, text)).collect()) {
            Ok(_) => stored.extend(texts),
            Err(StoreError::Full) => {
                assert_eq!(store.driven.last(), last, "a batch is stored whole or not at all");
                return stored;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("16 MiB are never full");
}

/// Many more read marks are stored than the full disk has room for.
fn mark_much(store: &mut Store) {
    store.driven.give_reserve();
    for _ in 0..300 {
        let unread = store.read(inbox(7), Start::Unread, 1);
        let next = unread.entries.first().expect("there is more in it than is read here").seq;
        assert_eq!(store.ack(7, next.0), Some(next));
        assert_eq!(store.read(inbox(7), Start::Unread, 0).remaining, unread.remaining);
    }
}

#[test]
fn a_full_disk_takes_marks_and_then_messages_again() {
    let Some(disk) = Small::mount() else { return };
    let data = disk.path().join("data");
    let ballast = disk.path().join("somebody else's");
    fs::write(&ballast, vec![0; 4 << 20]).expect("there is room");
    let mut store = Store::disk(&data).expect("the store opens");
    store.commit(registered(7));
    store.commit(keyed(inbox(7), 2, "key", "the first"));
    let mut stored = vec!["the first".to_owned()];
    for round in 0..3 {
        stored.extend(say_until_full(&mut store));
        mark_much(&mut store);
        assert!(store.used(2, "key").is_some());
        let larger = (4 << 20) - (round + 1) * (1 << 20);
        fs::File::options().write(true).open(&ballast).and_then(|file| file.set_len(larger)).expect("it can be made smaller");
        // Only marks until the reserve is there again: it must be there when the disk is full the next time.
        assert!(store.driven.take_reserve(), "{round}");
        let after = format!("after there was room {round}");
        store.commit(said(inbox(7), 2, &after));
        stored.push(after);
        assert!(store.texts(inbox(7)) == stored, "what was stored is there, and nothing else");
    }
    stored.extend(say_until_full(&mut store));
    store.driven.give_reserve();
    store.close();
    // The next start finds the disk as full as it was left, and reads.
    let mut store = Store::disk(&data).expect("a full disk is no reason not to start");
    assert!(store.texts(inbox(7)) == stored);
    fs::remove_file(&ballast).expect("it can be removed");
    store.commit(said(inbox(7), 2, "the last"));
    stored.push("the last".into());
    assert!(store.texts(inbox(7)) == stored);
}

/// Somebody else has filled the disk to its last byte while the server was not running.
#[test]
fn a_disk_without_a_byte_left_is_opened_read_and_marked() {
    let Some(disk) = Small::mount() else { return };
    let data = disk.path().join("data");
    let mut store = Store::disk(&data).expect("the store opens");
    store.commit(registered(7));
    // A guest, who would leave something behind in a crash.
    store.append(vec![said(inbox(20), 7, "x"), said(inbox(7), 20, "y"), said(inbox(7), 20, "z")]);
    store.close();
    disk.fill();
    for round in 0..2 {
        let mut store = Store::disk(&data).expect("a full disk is no reason not to start");
        assert_eq!(store.texts(inbox(7)), ["y", "z"]);
        if round == 0 {
            // As the replica does when it is told that the disk is full.
            store.driven.give_reserve();
            assert!(store.ack(7, 3).is_some());
        }
        assert_eq!(store.read(inbox(7), Start::Unread, 0).remaining, 1);
        // Tidying takes room at first, and may find none.
        let tidied = store.driven.tidy();
        assert!(matches!(tidied, Ok(_) | Err(StoreError::Full)), "{tidied:?}");
        store.close();
    }
    fs::remove_file(disk.path().join("filled")).expect("it can be removed");
    let mut store = Store::disk(&data).expect("the store opens");
    assert!(store.driven.take_reserve());
    store.tidy();
    assert_eq!(store.texts(inbox(20)).len(), 0);
}

/// Closing a channel makes room for messages elsewhere.
#[test]
fn what_is_tidied_makes_room() {
    let Some(disk) = Small::mount() else { return };
    let mut store = Store::disk(&disk.path().join("data")).expect("the store opens");
    store.commit(registered(7));
    let room = store.commit(created("rust", 7)).room.expect("a room");
    let long = "x".repeat(1000);
    for _ in 0..60 {
        store.append((0..50).map(|_| said(room, 7, &long)).collect());
    }
    let before = say_until_full(&mut store).len();
    store.driven.give_reserve();
    store.commit(closed(room.channel().expect("a channel").0));
    store.tidy();
    let page = store.read(channel(2), Start::After(Seq(0)), 10);
    assert_eq!(page.entries.len(), 0);
    assert!(store.driven.take_reserve() || !say_until_full(&mut store).is_empty(), "{before}");
}
