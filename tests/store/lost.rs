//! What a small memory has given up: readers are told of exactly that.

use linechat::names::Seq;
use linechat::store::{Page, Query, Start, What};

use crate::reading::{Model, fill, room};
use crate::store::{Store, channel, ids, inbox, keyed, said, topic};

/// In a small memory the oldest entries go, and readers are told of exactly the ones that they miss.
#[test]
fn what_was_given_up_is_said() {
    let mut store = Store::memory(96 * 1024);
    let mut model = Model::default();
    // Messages, topics, and entries that are stored nowhere; room 3 falls silent early.
    let kinds = [0, 100, 150, 120, 240];
    let steps: Vec<_> = (0..1000u64).map(|n| (if n < 100 { 3 } else { n % 3 }, kinds[n as usize % 5], 0)).collect();
    fill(&mut store, &mut model, &steps);
    for (&room, what) in model.rooms.keys().flat_map(|room| [(room, What::Messages), (room, What::Everything)]) {
        let all = model.all(room, what);
        let read = |start, count| store.try_read(room, start, count, what).expect("the store is whole");
        let kept = read(Start::After(Seq(0)), 10_000).entries;
        let lost = all.len() - kept.len();
        assert!(lost > 10, "{lost}");
        assert_eq!(kept, all[lost..], "what is kept is the newest, without holes");
        assert_eq!(kept.is_empty(), room == self::room(3));
        let newest_lost = all[lost - 1].seq;
        for seq in (0..1100).map(Seq) {
            for count in [0, 1, 10, 10_000] {
                let page = read(Start::After(seq), count);
                let whole = model.page(Query { room, start: Start::After(seq.max(newest_lost)), count, what });
                assert_eq!((&page.entries, page.remaining), (&whole.entries, whole.remaining));
                assert_eq!(page.gap, (newest_lost > seq).then_some((Seq(seq.0 + 1), newest_lost)), "after {seq}");
            }
            let page = read(Start::Before(seq), 10_000);
            let before = all.iter().filter(|entry| entry.seq < seq);
            let (gone, there): (Vec<_>, Vec<_>) = before.cloned().partition(|entry| entry.seq <= newest_lost);
            assert_eq!((page.entries, page.remaining), (there, 0));
            if let Some(newest_gone) = gone.last() {
                let (first, last) = page.gap.expect("something is lost");
                assert!(first == Seq(1) && (newest_gone.seq..seq.max(Seq(1))).contains(&last), "{last} of {newest_gone:?}");
            }
            assert!(page.gap.is_none() || seq > Seq(1), "nothing lies before the first seq");
        }
    }
}

/// Nothing is missing before the only message that a room ever had, even if that one is gone.
#[test]
fn before_the_first_message_nothing_is_lost() {
    let mut store = Store::memory(64 * 1024);
    store.commit(said(channel(2), 2, "x"));
    let only = store.commit(said(channel(1), 2, "x")).seq;
    for _ in 0..500 {
        store.commit(said(channel(2), 2, "x"));
    }
    let gap = |start| store.read(channel(1), start, 10).gap;
    assert_eq!(gap(Start::After(Seq(0))), Some((Seq(1), only)));
    assert_eq!((gap(Start::Before(only)), gap(Start::Before(Seq(only.0 + 1)))), (None, Some((Seq(1), only))));
}

/// Long messages take their room: of them fewer are kept.
#[test]
fn what_is_kept_is_bounded_by_its_bytes() {
    let kept = |bytes: usize| {
        let mut store = Store::memory(256 * 1024);
        for _ in 0..2_000 {
            store.commit(said(channel(1), 2, &"x".repeat(bytes)));
        }
        store.read(channel(1), Start::After(Seq(0)), 10_000).entries.len()
    };
    let (short, long) = (kept(1), kept(3_500));
    assert!((500..1_100).contains(&short) && (1..134).contains(&long), "{short}, {long}");
}

/// A read mark among messages that were given up still moves, as far as its place is known.
#[test]
fn what_was_given_up_can_still_be_marked() {
    let mut store = Store::memory(96 * 1024);
    let seqs: Vec<_> = (0..500).map(|_| store.commit(said(inbox(7), 2, "x")).seq).collect();
    let page = store.read(inbox(7), Start::Unread, 10);
    let (_, newest_lost) = page.gap.expect("the first are gone");
    assert_eq!(store.ack(7, newest_lost.0), Some(newest_lost));
    let page = store.read(inbox(7), Start::Unread, 0);
    // The mark is an entry, too, and may have pushed out messages: exactly these are reported as a gap and not counted.
    let lost = page.gap.map_or(newest_lost, |(first, last)| if first > newest_lost { last } else { Seq(0) });
    let kept = seqs.iter().filter(|&&seq| seq > lost).count() as u64;
    assert!(page.remaining == kept && kept > 100, "{page:?}");
    for _ in 0..500 {
        store.commit(said(channel(1), 2, "x"));
    }
    let page = store.read(inbox(7), Start::Unread, 10);
    assert_eq!((page.entries.len(), page.gap.expect("all are gone").1), (0, *seqs.last().expect("some")));
    assert!(store.ack(7, u64::MAX).is_some());
    assert_eq!(store.read(inbox(7), Start::Unread, 10), Page::default());
}

/// The last batch is kept, even if it alone is larger than the memory should be: the state is made from it.
#[test]
fn the_newest_stay_however_small_the_memory_is() {
    let mut store = Store::memory(64 * 1024);
    let long = "x".repeat(3_500);
    for number in 1..=200 {
        let said = store.commit(said(inbox(7), 2, &long));
        store.commit(ids(number * 4096));
        assert_eq!(store.read(inbox(7), Start::Before(Seq(u64::MAX)), 1).entries, [said]);
    }
    // A batch that is larger than the memory is stored anyway.
    let batch = store.append((0..500).map(|_| said(inbox(7), 2, &long)).collect());
    assert_eq!(store.read(inbox(7), Start::Before(Seq(u64::MAX)), 1).entries, [batch[499].clone()]);
    let last_topic = store.append((0..500).map(|number| topic(channel(1), &format!("{number}"))).collect()).pop();
    store.append((0..500).map(|_| said(inbox(7), 2, &long)).collect());
    let mut state = Vec::new();
    store.driven.load(&mut |entry| state.push(entry.clone())).expect("it is whole");
    assert_eq!(state.last(), last_topic.as_ref(), "what holds a key is never given up");
}

/// Keys go with their messages, so that they are bounded, too.
#[test]
fn a_key_is_remembered_as_long_as_its_message_is_kept() {
    let mut store = Store::memory(96 * 1024);
    for number in 0..2000 {
        store.commit(keyed(channel(1), 2, &format!("k{number}"), "x"));
        assert!(store.used(2, &format!("k{number}")).is_some());
    }
    let kept = store.read(channel(1), Start::After(Seq(0)), 10_000).entries.len();
    let known = (0..2000).filter(|number| store.used(2, &format!("k{number}")).is_some()).count();
    assert_eq!(kept, known);
    assert!((100..1000).contains(&kept), "{kept}");
}
