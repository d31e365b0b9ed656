//! Waste is deleted in small steps, and its space is used again.

use linechat::event::{Event, RoomId};
use linechat::limits::TIDIED_AT_ONCE;
use linechat::names::{Seq, UserId};
use linechat::store::{Page, Start, What};

use crate::store::{
    Store, channel, closed, created, draft, inbox, joined, keyed, registered, said, session, text, topic, user, went,
};
use crate::{Kind, Place};

crate::on_every_store! {
    a_closed_channel_goes_from_its_oldest_end
    the_inbox_and_the_keys_of_a_guest_go_with_them
    a_guest_who_was_never_written_to_costs_nothing
    the_newest_seq_stays_when_its_entry_goes
    stores_that_differ_in_anything_have_different_digests
}

crate::on_every_node! {
    both_kinds_of_stores_have_the_same_digest
}

crate::on_every_disk! {
    waste_of_every_kind_outlives_a_start
    space_is_used_again
    a_name_that_is_used_again_is_another_channel
}

/// Puts entries of all kinds into a new channel: messages, other shown entries, and hidden ones.
fn busy_channel(store: &mut Store, messages: u64) -> RoomId {
    let room = store.commit(created("rust", 7)).room.expect("a room");
    for number in 0..messages {
        let text = format!("{number}");
        store.append(vec![
            said(room, 7, &text),
            topic(room, &text),
            joined(room, number, true, false),
            said(inbox(7), 8, &text),
        ]);
    }
    room
}

fn a_closed_channel_goes_from_its_oldest_end(place: &Place) {
    const MESSAGES: u64 = 1000;
    let mut store = place.open();
    store.commit(registered(7));
    let room = busy_channel(&mut store, MESSAGES);
    let other = channel(1 << 20);
    store.commit(said(other, 7, "stays"));
    let end = store.commit(closed(room.channel().expect("a channel").0)).seq;
    let all = store.read(room, Start::After(Seq(0)), 10_000).entries;
    let (mut steps, mut before, mut halfway) = (0, all.len(), false);
    while store.driven.tidy().expect("it is whole") {
        steps += 1;
        let page = store.read(room, Start::After(Seq(0)), 10_000);
        let kept = page.entries.len();
        assert!(before - kept <= TIDIED_AT_ONCE, "{before} {kept}");
        assert_eq!(page.entries, all[all.len() - kept..]);
        let lost = all.len() - kept;
        if lost > 0 && kept > 0 {
            halfway = true;
            assert_eq!(page.gap, Some((Seq(1), all[lost - 1].seq)));
            let page = store.read(room, Start::Before(Seq(u64::MAX)), 10_000);
            assert_eq!((page.entries.len(), page.gap), (kept, Some((Seq(1), all[lost - 1].seq))));
        }
        before = kept;
        // After a restart in between, tidying goes on where it was.
        store = if steps == 9 { place.reopen(store) } else { store };
    }
    assert!(halfway && steps > 10, "{steps}");
    // Whoever was still catching up is told that they do not see the rest.
    let gap = Some((Seq(5), Seq(u64::MAX)));
    assert_eq!(store.try_read(room, Start::After(Seq(4)), 10, What::Everything), Ok(Page { gap, ..Page::default() }));
    assert_eq!(store.try_read(room, Start::After(Seq(4)), 10, What::Messages), Ok(Page::default()));
    for what in [What::Messages, What::Everything] {
        assert_eq!(store.try_read(room, Start::Before(end), 10, what), Ok(Page::default()));
    }
    assert_eq!(store.texts(other), ["stays"]);
    assert_eq!(store.texts(inbox(7)).len() as u64, MESSAGES);
    assert_eq!(store.tidy(), 0);
}

/// How many rows a table of this place's store has, if it is on a disk.
fn rows(place: &Place, table: &str) -> Option<i64> {
    (place.kind == Kind::Disk).then(|| {
        let connection = rusqlite::Connection::open(place.directory().join("journal.db")).expect("the store");
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a number")
    })
}

fn the_inbox_and_the_keys_of_a_guest_go_with_them(place: &Place) {
    let ended = |guests: &[u64]| {
        let guests = guests.iter().map(|&id| UserId(id)).collect();
        draft(None, Event::NodeEnded { node: linechat::event::NodeId(1), guests })
    };
    let into = |guest| {
        draft(
            None,
            Event::LoggedIn { session: session(guest), guest: UserId(guest), account: UserId(7), token: None, untold: None },
        )
    };
    for ends in [vec![went(20), went(21), went(22)], vec![ended(&[20, 21, 22])], vec![into(20), into(21), into(22)]] {
        let place = place.another();
        let mut store = place.open();
        store.commit(registered(7));
        store.append(vec![said(inbox(7), 20, "to an account"), keyed(inbox(7), 7, "k", "an account's key")]);
        for number in 0..600 {
            store.append(vec![said(inbox(20), 21, "x"), keyed(inbox(21), 20, &format!("{number}"), "y")]);
            store.ack(20, u64::MAX);
        }
        store.append(ends);
        assert!(store.tidy() > 5, "in small steps");
        for guest in [20, 21, 22] {
            assert_eq!(store.inbox(guest).count, 0);
            assert_eq!(store.read(inbox(guest), Start::After(Seq(0)), 10), Page::default());
        }
        assert_eq!(store.used(20, "1"), None);
        assert_eq!(store.texts(inbox(7)), ["to an account", "an account's key"]);
        assert!(store.used(7, "k").is_some());
        let counts = ["entries", "heads", "keys", "key_counts", "waste"].map(|table| rows(&place, table));
        assert!(place.kind == Kind::Memory || counts == [3, 1, 1, 1, 0].map(Some), "{counts:?}");
    }
}

fn a_guest_who_was_never_written_to_costs_nothing(place: &Place) {
    let mut store = place.open();
    store.commit(said(inbox(20), 21, "x"));
    store.tidy();
    store.append((100..200).map(went).collect());
    assert_eq!(store.driven.tidy(), Ok(false));
    store.commit(went(20));
    // Once a batch has begun, tidying waits.
    store.try_put(said(channel(1), 2, "x")).expect("it is taken");
    assert_eq!(store.driven.tidy(), Ok(true));
    assert_eq!(store.texts(inbox(20)), ["x"]);
    store.driven.commit().expect("it is stored");
    assert_eq!(store.tidy(), 1);
    assert_eq!(store.texts(inbox(20)).len(), 0);
    assert_eq!(store.texts(channel(1)), ["x"]);
}

fn the_newest_seq_stays_when_its_entry_goes(place: &Place) {
    let mut store = place.open();
    store.commit(registered(7));
    for round in 0..3 {
        let room = store.commit(created("rust", 7)).room.expect("a room");
        let end = store.append(vec![said(room, 7, "x"), said(room, 7, "y"), closed(room.channel().expect("one").0)])[2].seq;
        assert!(store.tidy() > 0);
        assert_eq!(store.driven.last(), Ok(end), "{round}");
        store = place.reopen(store);
        assert_eq!(store.driven.last(), Ok(end), "{round}");
    }
    assert_eq!(rows(place, "entries").unwrap_or(1), 1);
}

/// Only the entries that two stores were given matter, and not their kind, how far they have tidied, or keys that are no longer
/// remembered.
fn both_kinds_of_stores_have_the_same_digest(place: &Place) {
    let mut stores = [place.open(), Store::memory_with(1 << 28, place.presence)];
    let mut digests = Vec::new();
    for (at, store) in stores.iter_mut().enumerate() {
        store.commit(registered(7));
        store.append((0..40).map(|number| keyed(inbox(7), 20, &format!("{number}"), "x")).collect());
        store.append(vec![crate::store::came(20), joined(channel(2), 7, true, false), topic(channel(2), "t")]);
        store.ack(7, 10);
        digests.push(store.driven.digest().expect("it is whole"));
        let room = busy_channel(store, 300);
        store.commit(closed(room.channel().expect("a channel").0));
        store.append((0..5000).map(|number| keyed(inbox(7), 21, &format!("{number}"), "x")).collect());
        for _ in 0..at * 3 {
            store.driven.tidy().expect("it is whole");
        }
        digests.push(store.driven.digest().expect("it is whole"));
        store.commit(said(inbox(7), 20, "another"));
        digests.push(store.driven.digest().expect("it is whole"));
    }
    assert_eq!(digests[..3], digests[3..]);
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
    let before = digests[2];
    let [store, _] = stores;
    let mut store = place.reopen(store);
    store.tidy();
    assert_eq!(store.driven.digest(), Ok(before));
}

fn stores_that_differ_in_anything_have_different_digests(place: &Place) {
    let of = |drafts: Vec<crate::store::Draft>| {
        let place = place.another();
        let mut store = place.open();
        store.append(drafts);
        store.driven.digest().expect("it is whole")
    };
    let first = || created("rust", 7);
    let stores = [
        of(vec![first(), said(channel(1), 7, "one")]),
        of(vec![first(), said(channel(1), 7, "two")]),
        of(vec![first(), said(channel(1), 8, "one")]),
        of(vec![first(), said(inbox(1), 7, "one")]),
        of(vec![first(), keyed(channel(1), 7, "key", "one")]),
        of(vec![first(), topic(channel(1), "one")]),
        of(vec![created("Rust", 7), said(channel(1), 7, "one")]),
        of(vec![said(channel(1), 7, "one"), first()]),
    ];
    let different: std::collections::BTreeSet<_> = stores.iter().collect();
    assert_eq!(different.len(), stores.len(), "{stores:?}");
    assert_eq!(stores[0], of(vec![first(), said(channel(1), 7, "one")]));
}

/// What a crash leaves of guests is found at the next start; the inbox of an account stays.
#[test]
fn what_a_crash_has_left_of_guests_goes() {
    let place = Place::new(Kind::Disk);
    let mut store = place.open();
    store.commit(registered(7));
    for id in 20..400 {
        store.append(vec![said(inbox(id), 7, "x"), keyed(inbox(7), id, "k", "y")]);
    }
    drop(store);
    for round in 0..2 {
        // Another crash, during tidying.
        let mut store = place.open();
        for _ in 0..5 {
            assert_eq!(store.driven.tidy(), Ok(true), "{round}");
        }
        drop(store);
    }
    let mut store = place.open();
    store.tidy();
    assert_eq!(store.texts(inbox(7)).len(), 380);
    let counts = ["entries", "heads", "keys", "key_counts", "waste"].map(|table| rows(&place, table));
    assert_eq!(counts, [381, 1, 0, 0, 0].map(Some));
}

/// With presence, guests outlive a restart, and their end comes later.
#[test]
fn with_presence_guests_outlive_a_start() {
    let place = Place::of_a_node(Kind::Disk);
    let mut store = place.open();
    store.append(vec![crate::store::came(20), said(inbox(20), 7, "x"), keyed(inbox(20), 20, "k", "y")]);
    let mut store = place.reopen(store);
    store.tidy();
    assert_eq!(store.texts(inbox(20)), ["x", "y"]);
    assert!(store.used(20, "k").is_some());
    store.commit(went(20));
    assert!(store.tidy() > 0);
    assert_eq!(store.texts(inbox(20)).len(), 0);
    assert_eq!(store.used(20, "k"), None);
}

/// What was to be deleted is still to be deleted after a start, whatever it was.
fn waste_of_every_kind_outlives_a_start(place: &Place) {
    let mut store = place.open();
    let room = store.commit(created("rust", 7)).room.expect("a room");
    store.append(vec![crate::store::came(20), said(inbox(20), 7, "x"), keyed(room, 20, "k", "y")]);
    store.append(vec![went(20), closed(room.channel().expect("a channel").0)]);
    let mut store = place.reopen(store);
    store.tidy();
    drop(store);
    let counts = ["entries", "heads", "keys", "key_counts", "waste"].map(|table| rows(place, table));
    assert_eq!(counts, [0; 5].map(Some));
}

/// Channels are filled and closed over and over, and the store does not grow.
fn space_is_used_again(place: &Place) {
    let mut store = place.open();
    let long = "x".repeat(500);
    let mut sizes = Vec::new();
    for _ in 0..12 {
        let room = store.commit(created("rust", 7)).room.expect("a room");
        for _ in 0..20 {
            store.append((0..200).map(|_| said(room, 7, &long)).collect());
        }
        store.append((0..200).map(|number| joined(room, number, true, false)).collect());
        store.commit(closed(room.channel().expect("a channel").0));
        store.tidy();
        store = place.reopen(store);
        sizes.push(place.directory().join("journal.db").metadata().expect("the store").len());
    }
    assert!(sizes[0] > 2 << 20, "{sizes:?}");
    // It may take some pages more, because rows of different rounds share pages, but not more and more.
    assert!(sizes.iter().all(|size| *size < sizes[0] + (64 << 10)), "{sizes:?}");
}

fn a_name_that_is_used_again_is_another_channel(place: &Place) {
    let mut store = place.open();
    let first = busy_channel(&mut store, 3);
    let both = store.append(vec![closed(first.channel().expect("a channel").0), created("rust", 8)]);
    let second = both[1].room.expect("a room");
    store.append(vec![
        said(second, 8, "new"),
        draft(Some(second), Event::Owner { who: Some(user(9)), lasts: true, shown: true }),
    ]);
    store.tidy();
    let page = store.read(second, Start::After(Seq(0)), 10);
    assert_eq!(page.entries.iter().map(text).collect::<Vec<_>>(), ["new"]);
    assert_eq!(store.read(first, Start::After(Seq(0)), 10), Page::default());
}
