//! What is retracted: the text is gone, and everything else is as it was.

use std::fs;
use std::time::{Duration, Instant};

use linechat::event::{Entry, Event, RoomId};
use linechat::names::{Seq, UserId};
use linechat::state::archive::Sharer;
use linechat::store::{Start, What};
use rusqlite::Connection;

use crate::store::{Draft, Store, acked, created, draft, inbox, keyed, registered, said, shared, user};
use crate::{Kind, Place};

crate::on_every_store! {
    only_the_text_is_gone
    it_makes_no_difference_in_which_batch_it_was_said
    what_is_unread_has_fewer_bytes
    what_is_dropped_with_its_batch_is_not_retracted
    what_nobody_heard_loses_its_text_too
}

fn retracted(room: RoomId, seq: Seq) -> Draft {
    of_bytes(room, seq, None)
}

/// The same, of a message that had so many bytes where it was found.
fn of_bytes(room: RoomId, seq: Seq, bytes: Option<u64>) -> Draft {
    draft(Some(room), Event::Retracted { who: user(2), seq, shown: true, bytes })
}

fn unsaid() -> Event {
    Event::Unsaid { from: UserId(2) }
}

/// All messages of a room, read forward and backward.
fn messages(store: &Store, room: RoomId) -> Vec<Entry> {
    let forward = store.read(room, Start::After(Seq(0)), 1000);
    let backward = store.read(room, Start::Before(Seq(u64::MAX)), 1000);
    assert_eq!((&forward.entries, forward.gap, forward.remaining), (&backward.entries, None, 0));
    forward.entries
}

fn only_the_text_is_gone(place: &Place) {
    let mut store = place.open();
    let rust = store.commit(created("rust", 1)).room.expect("a room");
    let before = store.append(vec![said(rust, 2, "one"), keyed(rust, 2, "k", "unspeakable"), said(rust, 3, "three")]);
    store.commit(retracted(rust, before[1].seq));
    for _ in 0..2 {
        let after = messages(&store, rust);
        assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
        assert_eq!(after[1], Entry { event: unsaid(), ..before[1].clone() });
        assert_eq!(store.used(2, "k").map(|used| used.seq), Some(before[1].seq), "a retry finds that it was said");
        let all = store.try_read(rust, Start::After(before[0].seq), 10, What::Everything).expect("it is whole");
        assert_eq!(all.entries.len(), 3, "it, the third, and what tells of it: {all:?}");
        let rest = store.read(rust, Start::After(before[0].seq), 1);
        assert_eq!((rest.entries.len(), rest.remaining), (1, 1), "it counts");
        store = place.reopen(store);
    }
    store.commit(retracted(rust, before[1].seq));
    store.commit(retracted(inbox(7), before[0].seq));
    assert_eq!(messages(&store, rust)[0], before[0], "another room's is none of its business");
    // What was said earlier is found through it.
    let more: Vec<_> = (0..100).map(|number| said(rust, 3, &number.to_string())).collect();
    store.append(more);
    assert_eq!(messages(&store, rust).len(), 103);
}

fn it_makes_no_difference_in_which_batch_it_was_said(place: &Place) {
    let mut store = place.open();
    let first = store.commit(said(inbox(1), 2, "one")).seq;
    let second = Seq(first.0 + 1);
    store.append(vec![said(inbox(1), 2, "two"), retracted(inbox(1), second), retracted(inbox(1), first)]);
    for _ in 0..2 {
        let events: Vec<_> = messages(&store, inbox(1)).into_iter().map(|entry| entry.event).collect();
        assert_eq!(events, [unsaid(), unsaid()]);
        assert_eq!(store.inbox(1).unread_bytes, 0);
        store = place.reopen(store);
    }
}

fn what_is_unread_has_fewer_bytes(place: &Place) {
    let mut store = place.open();
    store.commit(registered(1));
    let drafts = ["one", "three", "seven"].map(|text| shared(inbox(1), 2, Some(7), text));
    let seqs: Vec<_> = store.append(drafts.to_vec()).iter().map(|entry| entry.seq).collect();
    store.commit(retracted(inbox(1), Seq(1 << 40)));
    let used = |store: &mut Store| store.share(1, Sharer::User(UserId(2)));
    assert_eq!(used(&mut store), 3);
    store.commit(acked(1, seqs[0].0));
    store.commit(retracted(inbox(1), seqs[0]));
    assert_eq!(store.inbox(1).unread_bytes, 10, "what was read did not count");
    store.commit(retracted(inbox(1), seqs[1]));
    store.commit(retracted(inbox(1), seqs[1]));
    let inbox_now = store.inbox(1);
    assert_eq!((inbox_now.unread_bytes, inbox_now.count - inbox_now.read_count), (5, 2));
    store = place.reopen(store);
    store.commit(shared(inbox(1), 2, Some(7), "nine"));
    assert_eq!((store.inbox(1).unread_bytes, used(&mut store)), (9, 1));
    store.commit(acked(1, seqs[2].0));
    assert_eq!((store.inbox(1).unread_bytes, used(&mut store)), (4, 0));
}

fn what_is_dropped_with_its_batch_is_not_retracted(place: &Place) {
    let mut store = place.open();
    let said = store.commit(said(inbox(1), 2, "one"));
    store.try_put(retracted(inbox(1), said.seq)).expect("there is room");
    store.driven.rollback();
    assert_eq!(messages(&store, inbox(1)), [said]);
    assert_eq!(store.inbox(1).unread_bytes, 3);
}

fn what_nobody_heard_loses_its_text_too(place: &Place) {
    let mut store = place.open();
    let unheard = |text: &str| Event::Unheard { from: user(2), key: Some("k".into()), text: text.into() };
    let entry = store.commit(draft(Some(inbox(1)), unheard("unspeakable")));
    store.commit(retracted(inbox(1), entry.seq));
    let left = store.entries(vec![entry.seq]);
    assert_eq!(left, [Entry { event: unheard(""), ..entry }]);
    assert_eq!(store.used(2, "k").map(|used| used.seq), Some(left[0].seq));
}

/// Two stores that were given the same are equal, and a retraction is part of that.
#[test]
fn a_store_in_memory_and_one_on_disk_are_equal() {
    let [memory, disk] = [Kind::Memory, Kind::Disk].map(|kind| {
        let place = Place::new(kind);
        let mut store = place.open();
        let rust = store.commit(created("rust", 1)).room.expect("a room");
        let said = store.append(vec![keyed(rust, 2, "k", "one"), said(inbox(1), 2, "two")]);
        let before = store.driven.digest().expect("it is whole");
        store.append(vec![retracted(rust, said[0].seq), retracted(inbox(1), said[1].seq)]);
        let after = store.driven.digest().expect("it is whole");
        assert_ne!(before, after);
        after
    });
    assert_eq!(memory, disk);
}

/// A disk that has damaged the message must not make a difference to how full its inbox is.
#[test]
fn a_damaged_message_counts_no_more_either() {
    let [sound, damaged] = [false, true].map(|is_damaged| {
        let place = Place::new(Kind::Disk);
        let mut store = place.open();
        let said = store.append(vec![said(inbox(1), 2, "one"), said(inbox(1), 2, "three"), said(inbox(1), 2, "seven")]);
        if is_damaged {
            let journal = Connection::open(place.directory().join("journal.db")).expect("it opens");
            let damage = "UPDATE entries SET event = replace(event, 'three', 'eerht') WHERE seq = ?";
            assert_eq!(journal.execute(damage, [said[1].seq.0.cast_signed()]).expect("it can be damaged"), 1);
        }
        store.commit(of_bytes(inbox(1), said[1].seq, Some(5)));
        store.commit(acked(1, said[0].seq.0));
        store.inbox(1)
    });
    assert_eq!(sound.unread_bytes, 5, "the last is left");
    assert_eq!(sound, damaged);
}

/// Not even the log has it, once the store has had a moment.
#[test]
fn on_a_disk_no_file_has_the_text() {
    let place = Place::new(Kind::Disk);
    let is_anywhere = |text: &str| {
        let holds = |path| fs::read(path).is_ok_and(|bytes| memchr::memmem::find(&bytes, text.as_bytes()).is_some());
        fs::read_dir(place.directory()).expect("a directory").any(|file| holds(file.expect("a file").path()))
    };
    let mut store = place.open();
    let entry = store.commit(said(inbox(1), 2, "unspeakable"));
    // Other texts before and behind it, so that the row lies within a page.
    store.append((0..50).map(|number| said(inbox(1), 3, &format!("{number}"))).collect());
    assert!(is_anywhere("unspeakable"));
    store.commit(retracted(inbox(1), entry.seq));
    store.tidy();
    assert!(!is_anywhere("unspeakable"));
    // Another program may hold the log back for a while.
    let entry = store.commit(said(inbox(1), 2, "ineffable"));
    let other = Connection::open(place.directory().join("journal.db")).expect("it opens");
    other.execute_batch("BEGIN; SELECT count(*) FROM entries").expect("it reads");
    store.commit(retracted(inbox(1), entry.seq));
    store.driven.tidy().expect("it is whole");
    assert!(is_anywhere("ineffable"), "it waits for nobody");
    other.execute_batch("COMMIT").expect("it ends");
    let began = Instant::now();
    while is_anywhere("ineffable") {
        assert!(began.elapsed() < Duration::from_secs(60), "the log is never emptied");
        store.driven.tidy().expect("it is whole");
        std::thread::sleep(Duration::from_millis(10));
    }
    // A crash between the two steps is made up for at the start.
    let entry = store.commit(said(inbox(1), 2, "untellable"));
    store.commit(retracted(inbox(1), entry.seq));
    drop(store);
    let mut store = place.open();
    store.driven.tidy().expect("it is whole");
    assert!(!is_anywhere("untellable"));
}
