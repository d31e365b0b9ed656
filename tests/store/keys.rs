//! The keys that make retries safe: whom they belong to, how many are remembered, and what many of them cost.

use linechat::event::{Entry, Event};
use linechat::limits::{KEYS_REMEMBERED, KEYS_REMEMBERED_GUEST};
use linechat::state::archive::{Used, content};

use crate::store::{Store, channel, inbox, keyed, registered, said, went};
use crate::{Kind, Place};

crate::on_every_store! {
    a_key_tells_its_message
    keys_are_each_senders_own
    the_last_4096_keys_are_remembered
    the_last_256_keys_of_a_guest_are_remembered
    old_keys_are_deleted
    many_senders_with_many_keys_are_no_burden
}

crate::on_every_disk! {
    a_key_is_stored_with_its_message
    a_store_that_has_lost_a_key_has_another_digest
}

fn used(entry: &Entry) -> Used {
    let Event::Said { text, .. } = &entry.event else { panic!("no message: {entry:?}") };
    Used { seq: entry.seq, time: entry.time, content: content(entry.room.expect("a room"), text) }
}

/// Opens the store again with the senders as accounts, so that their keys outlive it.
fn opened(place: &Place, senders: &[u64]) -> Store {
    let mut store = place.open();
    store.append(senders.iter().map(|&id| registered(id)).collect());
    store
}

fn a_key_tells_its_message(place: &Place) {
    let mut store = opened(place, &[2]);
    assert_eq!(store.used(2, "k1"), None);
    let first = store.commit(keyed(inbox(7), 2, "k1", "hi"));
    let put = store.try_put(keyed(inbox(7), 2, "k2", "ho")).expect("it is taken");
    assert_eq!(store.used(2, "k2"), Some(used(&put)), "within one batch");
    store.driven.commit().expect("it is stored");
    for _ in 0..2 {
        assert_eq!(store.used(2, "k1"), Some(used(&first)));
        assert_eq!(store.used(2, "k2"), Some(used(&put)));
        for other in ["K1", "k", "k11", "", "k3", "\u{1f600}"] {
            assert_eq!(store.used(2, other), None, "{other}");
        }
        store = place.reopen(store);
    }
}

/// The disk takes messages and refuses keys: then nothing is stored. A message without its key would be stored again by a retry.
fn a_key_is_stored_with_its_message(place: &Place) {
    let mut store = opened(place, &[2]);
    let disk = rusqlite::Connection::open(place.directory().join("journal.db")).expect("the store");
    disk.execute_batch("CREATE TRIGGER no BEFORE INSERT ON keys BEGIN SELECT RAISE(ABORT, 'no keys'); END").expect("a trigger");
    store.commit(said(channel(1), 2, "without a key"));
    assert!(store.try_append(vec![keyed(channel(1), 2, "k", "with a key")]).is_err());
    drop(store);
    disk.execute_batch("DROP TRIGGER no").expect("it is there");
    let mut store = place.open();
    assert_eq!(store.texts(channel(1)), ["without a key"]);
    assert_eq!(store.used(2, "k"), None);
}

fn keys_are_each_senders_own(place: &Place) {
    let mut store = opened(place, &[2, 3]);
    let first = store.commit(keyed(channel(1), 2, "k", "hi"));
    let second = store.commit(keyed(channel(1), 3, "k", "hi"));
    // A message without a key does not count.
    store.commit(said(channel(1), 2, "hi"));
    store = place.reopen(store);
    for (sender, entry) in [(2, &first), (3, &second)] {
        assert_eq!(store.used(sender, "k"), Some(used(entry)));
    }
    assert_eq!([store.used(1, "k"), store.used(4, "k")], [None; 2]);
}

/// Keys are counted, for each sender, and not timed: the newest 4,096 are known, and the one before them is not.
fn the_last_4096_keys_are_remembered(place: &Place) {
    let mut store = opened(place, &[2, 3]);
    let count = KEYS_REMEMBERED + 10;
    let one = |number: usize| keyed(channel(1), 2, &format!("k{number}"), &format!("text {number}"));
    let drafts = (0..count).flat_map(|number| [one(number), said(channel(1), 2, "x")]);
    store.commit(keyed(channel(1), 3, "same", "same"));
    let entries = store.append(drafts.collect());
    store = place.reopen(store);
    for (number, first) in entries.iter().step_by(2).enumerate() {
        let expected = (number >= 10).then(|| used(first));
        assert_eq!(store.used(2, &format!("k{number}")), expected, "{number}");
    }
    for evicted in 0..10 {
        // This key counts as new now, and pushes out the oldest.
        let again = store.commit(one(evicted));
        assert_eq!(store.used(2, &format!("k{evicted}")), Some(used(&again)));
        store.commit(keyed(channel(1), 2, &format!("k{}", 10 + evicted), "what the key was not used for"));
        store = if evicted == 5 { place.reopen(store) } else { store };
        if evicted % 3 == 0 {
            store.tidy();
        }
        // Two keys were added in each round, so two old ones are gone, and not a third.
        let kept = 10 + 2 * (evicted + 1);
        assert!(store.used(2, &format!("k{kept}")).is_some(), "{kept}");
        assert_eq!(store.used(2, &format!("k{evicted}")), Some(used(&again)));
    }
    assert!(store.used(3, "same").is_some());
}

/// And none that was forgotten is remembered again when the guest becomes an account.
fn the_last_256_keys_of_a_guest_are_remembered(place: &Place) {
    let mut store = place.open();
    let one = |number: usize| keyed(channel(1), 2, &format!("k{number}"), "x");
    let entries = store.append((0..KEYS_REMEMBERED_GUEST + 10).map(one).collect());
    for (number, entry) in entries.iter().enumerate() {
        let told = store.used_of_last(KEYS_REMEMBERED_GUEST, 2, &format!("k{number}"));
        assert_eq!(told, (number >= 10).then(|| used(entry)), "{number}");
    }
    let told = |store: &mut Store, number: usize| store.used(2, &format!("k{number}"));
    store.commit(registered(2));
    assert_eq!((told(&mut store, 9), told(&mut store, 10)), (None, Some(used(&entries[10]))));
    // An account's keys push them out, and stay themselves.
    store.append((1000..1000 + KEYS_REMEMBERED_GUEST - 1).map(one).collect());
    store = place.reopen(store);
    let (newest, older) = (KEYS_REMEMBERED_GUEST + 9, KEYS_REMEMBERED_GUEST + 8);
    assert_eq!((told(&mut store, older), told(&mut store, newest)), (None, Some(used(&entries[newest]))));
    store.append((2000..2000 + KEYS_REMEMBERED_GUEST).map(one).collect());
    assert!(told(&mut store, newest).is_none() && told(&mut store, 1000).is_some());
}

/// How many keys this place's store has, if it is on a disk.
fn rows(place: &Place) -> Option<usize> {
    (place.kind == Kind::Disk).then(|| {
        let connection = rusqlite::Connection::open(place.directory().join("journal.db")).expect("the store");
        let count = connection.query_row("SELECT count(*) FROM keys", [], |row| row.get::<_, i64>(0));
        usize::try_from(count.expect("a number")).expect("a count")
    })
}

fn old_keys_are_deleted(place: &Place) {
    let mut store = opened(place, &[2, 3]);
    let mut most = 0;
    for round in 0..5 {
        let one = |number: usize| keyed(channel(1), 2, &format!("{number}-{round}"), "x");
        for chunk in 0..16 {
            store.append((chunk * 256..(chunk + 1) * 256).map(one).collect());
            most = most.max(rows(place).unwrap_or(0));
        }
        store.tidy();
        assert!(rows(place).is_none_or(|rows| rows == KEYS_REMEMBERED), "{:?}", rows(place));
        assert_eq!(store.tidy(), 0, "there is nothing more to do");
        for number in [0, 1, KEYS_REMEMBERED / 2, KEYS_REMEMBERED - 1] {
            assert!(store.used(2, &format!("{number}-{round}")).is_some(), "{number}");
            assert!(round == 0 || store.used(2, &format!("{number}-{}", round - 1)).is_none(), "{number}");
        }
        store = if round == 2 { place.reopen(store) } else { store };
    }
    assert!(most <= 2 * KEYS_REMEMBERED, "{most}");
}

/// Guests fill their windows of keys and go on sending in turn. No message has to look at more keys because of that, and
/// nothing is left of them in the end.
fn many_senders_with_many_keys_are_no_burden(place: &Place) {
    const SENDERS: u64 = 20;
    let mut store = place.open();
    let one = |sender: u64, number: usize| keyed(channel(1), sender, &format!("key-{number}"), "x");
    for sender in 1..=SENDERS {
        store.append((0..KEYS_REMEMBERED).map(|number| one(sender, number)).collect());
    }
    let began = std::time::Instant::now();
    for number in KEYS_REMEMBERED..KEYS_REMEMBERED + 10 {
        for sender in 1..=SENDERS {
            assert_eq!(store.used(sender, &format!("key-{number}")), None);
            store.append(vec![one(sender, number)]);
        }
    }
    // Generous for a slow disk. Reading all windows each time took a second for every hundred.
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    store.append((1..=SENDERS).map(went).collect());
    assert!(store.tidy() > 1, "in small steps");
    assert!(rows(place).is_none_or(|rows| rows == 0), "{:?}", rows(place));
    assert_eq!((1..=SENDERS).filter_map(|sender| store.used(sender, "key-5000")).count(), 0);
}

/// Which keys are remembered decides what happens next, so replicas must agree on them.
fn a_store_that_has_lost_a_key_has_another_digest(place: &Place) {
    let mut store = opened(place, &[7]);
    store.commit(keyed(channel(1), 7, "k", "hi"));
    let digest = store.driven.digest();
    store.close();
    let database = rusqlite::Connection::open(place.directory().join("journal.db")).expect("there is a database");
    assert_eq!(database.execute("DELETE FROM keys", []), Ok(1));
    drop(database);
    assert_ne!(place.open().driven.digest(), digest);
}

#[test]
fn a_store_says_what_it_survives() {
    let said = [Kind::Memory, Kind::Disk].map(|kind| Place::new(kind).open().durability());
    assert_eq!(said, ["memory", "fsync"]);
}
