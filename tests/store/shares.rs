//! What is unread in an inbox: how many bytes, and how many messages are counted to whom.

use linechat::names::UserId;
use linechat::state::Sharer;
use linechat::store::Presence;
use rusqlite::Connection;

use crate::store::{Draft, Store, acked, came, inbox, registered, said, shared, went};
use crate::{Kind, Place};

crate::on_every_store! {
    the_bytes_that_are_unread_are_known
    shares_are_counted_until_the_owner_reads
    shares_are_rolled_back_with_their_batch
    shares_go_with_their_inbox
}

crate::on_every_disk! {
    a_damaged_share_is_none
    a_store_that_has_lost_a_share_has_another_digest
}

const ANA: Sharer = Sharer::User(UserId(2));
const BOB: Sharer = Sharer::User(UserId(3));
const THERE: Sharer = Sharer::Near(40_000);

/// How much of the shares of an inbox is used: of two users, and of an address.
fn used(store: &mut Store, owner: u64) -> [u64; 3] {
    [ANA, BOB, THERE].map(|sharer| store.share(owner, sharer))
}

fn from_there(owner: u64, from: u64) -> Draft {
    shared(inbox(owner), from, Some(40_000), "x")
}

/// Whichever way a mark goes, in small steps or large ones, and within one batch or not.
fn the_bytes_that_are_unread_are_known(place: &Place) {
    let mut store = place.open();
    store.commit(registered(7));
    let mut unread: Vec<(u64, u64)> = Vec::new();
    for round in 0..40usize {
        for number in 0..round % 7 {
            let text = "\u{e9}".repeat(1 + (round * 31 + number * 17) % 90);
            let seq = store.try_put(said(inbox(7), 2, &text)).expect("it is taken").seq;
            unread.push((seq.0, text.len() as u64));
        }
        if round % 3 == 0 {
            store.driven.commit().expect("it is stored");
        }
        let read = unread.len() * (round % 5) / 4;
        if let Some(&(upto, _)) = unread[..read].last() {
            store.try_put(acked(7, upto)).expect("it is taken");
            unread.drain(..read);
        }
        assert_eq!(store.inbox(7).unread_bytes, unread.iter().map(|(_, bytes)| bytes).sum::<u64>(), "{round}");
        if round % 10 == 9 {
            store.driven.commit().expect("it is stored");
            store = place.reopen(store);
        }
    }
    store.commit(acked(7, u64::MAX >> 4));
    assert_eq!(store.inbox(7).unread_bytes, 0);
}

fn shares_are_counted_until_the_owner_reads(place: &Place) {
    let mut store = place.open();
    store.append(vec![registered(7), registered(8)]);
    store.append((0..3).map(|_| said(inbox(7), 2, "not counted")).collect());
    assert_eq!(used(&mut store, 7), [0, 0, 0]);
    let first = store.commit(from_there(7, 2)).seq;
    store.append(vec![from_there(7, 3), shared(inbox(7), 3, None, "x"), shared(inbox(7), 3, Some(1), "x")]);
    assert_eq!(used(&mut store, 7), [1, 3, 2]);
    assert_eq!(used(&mut store, 8), [0, 0, 0], "another inbox");
    // A restart gives nobody a new share.
    store = place.reopen(store);
    store.commit(from_there(7, 3));
    assert_eq!(used(&mut store, 7), [1, 4, 3]);
    // The owner reads, and everybody has a new one, within a batch too.
    store.try_put(from_there(7, 2)).expect("it is taken");
    store.try_put(acked(7, first.0)).expect("it is taken");
    assert_eq!(used(&mut store, 7), [0, 0, 0]);
    store.try_put(from_there(7, 2)).expect("it is taken");
    assert_eq!(used(&mut store, 7), [1, 0, 1]);
    store.driven.commit().expect("it is stored");
    for _ in 0..2 {
        assert_eq!(used(&mut store, 7), [1, 0, 1]);
        store = place.reopen(store);
    }
    // A mark that does not move changes nothing.
    store.commit(acked(7, first.0));
    assert_eq!(used(&mut store, 7), [1, 0, 1]);
}

fn shares_are_rolled_back_with_their_batch(place: &Place) {
    let mut store = place.open();
    store.commit(registered(7));
    let first = store.commit(from_there(7, 2)).seq;
    let digest = store.driven.digest();
    for with_mark in [false, true] {
        store.try_put(from_there(7, 3)).expect("it is taken");
        if with_mark {
            store.try_put(acked(7, first.0)).expect("it is taken");
            store.try_put(from_there(7, 3)).expect("it is taken");
        }
        store.driven.rollback();
        assert_eq!((used(&mut store, 7), store.inbox(7).unread_bytes), ([1, 0, 1], 1));
        assert_eq!(store.driven.digest(), digest);
    }
    store.commit(from_there(7, 3));
    assert_eq!(used(&mut store, 7), [1, 1, 2]);
    assert_ne!(store.driven.digest(), digest, "whose a message is, replicas must agree on");
}

/// How many rows of shares this place's store has, if it is on a disk.
fn rows(place: &Place) -> i64 {
    if place.kind == Kind::Memory {
        return 0;
    }
    let connection = Connection::open(place.directory().join("journal.db")).expect("the store");
    connection.query_row("SELECT count(*) FROM shares", [], |row| row.get(0)).expect("a number")
}

fn shares_go_with_their_inbox(place: &Place) {
    let mut store = place.open();
    store.append(vec![registered(7), came(20)]);
    store.append((0..300).map(|from| from_there(20, 100 + from)).collect());
    store.commit(from_there(7, 2));
    assert_eq!(store.share(20, THERE), 300);
    store.commit(went(20));
    store.tidy();
    assert_eq!(store.share(20, THERE), 0);
    assert_eq!(used(&mut store, 7), [1, 0, 1]);
    assert!(place.kind == Kind::Memory || rows(place) == 2, "{}", rows(place));
    // Reading deletes them, too.
    store.ack(7, u64::MAX);
    assert_eq!(rows(place), 0);
}

/// Stores of both kinds agree about shares, and about the keys of a guest who became an account.
#[test]
fn both_kinds_of_stores_agree() {
    let place = Place::of_a_node(Kind::Disk);
    let digests = [place.open(), Store::memory_with(1 << 28, Presence::Kept)].map(|mut store| {
        store.append(vec![came(20), from_there(20, 2), from_there(20, 3), shared(inbox(20), 9, None, "y")]);
        let counted = store.driven.digest().expect("it is whole");
        let newest = store.inbox(20).newest;
        store.append(vec![acked(20, newest.0 - 1), from_there(20, 3), registered(20)]);
        [counted, store.driven.digest().expect("it is whole")]
    });
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0][0], digests[0][1]);
}

/// Somebody has a share more, and nobody is kept from writing.
fn a_damaged_share_is_none(place: &Place) {
    for how in ["count = count + 900", "count = 'x'", "sum = NULL"] {
        let place = place.another();
        let mut store = place.open();
        store.append(vec![registered(7), from_there(7, 2), from_there(7, 2)]);
        store.close();
        let file = Connection::open(place.directory().join("journal.db")).expect("it opens");
        // As a flipped bit does, which asks for no type.
        let damage = format!("PRAGMA ignore_check_constraints = 1; UPDATE shares SET {how} WHERE sharer % 2 = 0");
        let Ok(()) = file.execute_batch(&damage) else { continue };
        let mut store = place.open();
        assert_eq!(used(&mut store, 7), [0, 0, 2], "{how}");
        store.commit(from_there(7, 2));
        assert_eq!(used(&mut place.reopen(store), 7), [1, 0, 3], "{how}: and the next message mends it");
    }
}

fn a_store_that_has_lost_a_share_has_another_digest(place: &Place) {
    let mut store = place.open();
    store.append(vec![registered(7), from_there(7, 2)]);
    let digest = store.driven.digest();
    store.close();
    let database = rusqlite::Connection::open(place.directory().join("journal.db")).expect("there is a database");
    assert!(database.execute("DELETE FROM shares", []).is_ok_and(|rows| rows > 0));
    drop(database);
    assert_ne!(place.open().driven.digest(), digest);
}
