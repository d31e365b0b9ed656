//! What is read: pages in both directions against a model that does nothing clever, and what is said of what is lost.

use std::collections::BTreeMap;

use linechat::event::{Entry, Event, Outcome, Room};
use linechat::journal::{Page, Span};
use linechat::names::{Seq, UserId};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};

use crate::Place;
use crate::store::{Store, acked, channel, draft, inbox, said, text};

crate::on_every_journal! {
    pages_are_those_of_the_model
    everything_is_found_page_by_page
    the_edges_of_seqs_are_no_special_case
    reading_beside_the_writer_sees_whole_rooms
}

/// What a room holds, as a list.
#[derive(Debug, Default)]
struct Model {
    rooms: BTreeMap<Room, Vec<Entry>>,
    marks: BTreeMap<Room, Seq>,
}

impl Model {
    fn page(&self, room: Room, span: Span, count: usize) -> Page {
        let all = self.rooms.get(&room).map_or(&[][..], Vec::as_slice);
        let after = |seq| all.partition_point(|entry| entry.seq <= seq);
        let forward = |from: usize| {
            let to = all.len().min(from + count);
            Page { entries: all[from..to].to_vec(), gap: None, remaining: (all.len() - to) as u64 }
        };
        match span {
            Span::After(seq) => forward(after(seq)),
            Span::Unread => forward(after(self.marks.get(&room).copied().unwrap_or_default())),
            Span::Before(seq) => {
                let to = all.partition_point(|entry| entry.seq < seq);
                let from = to.saturating_sub(count);
                Page { entries: all[from..to].to_vec(), gap: None, remaining: from as u64 }
            }
        }
    }
}

const ROOMS: u64 = 4;

fn room(number: u64) -> Room {
    if number.is_multiple_of(2) { inbox(number) } else { channel(number) }
}

/// Messages in several rooms and marks, some in one append and some alone.
fn fill(store: &mut Store, model: &mut Model, steps: &[(u64, u8, u64)]) {
    for chunk in steps.chunks(7) {
        let drafts = chunk.iter().map(|&(to, kind, upto)| match (kind, room(to)) {
            (0..200, _) | (_, Room::Channel(_)) => said(room(to), 9, &format!("{kind} {upto}")),
            (_, Room::Inbox(id)) => acked(id.0, upto),
        });
        for outcome in store.append(drafts.collect()) {
            match outcome {
                Outcome::Committed(Entry { event: Event::Acked { upto, .. }, room: Some(room), .. }) => {
                    model.marks.insert(room, upto);
                }
                Outcome::Committed(entry) => model.rooms.entry(entry.room.expect("a room")).or_default().push(entry),
                Outcome::Unmoved(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn pages_are_those_of_the_model(place: &Place) {
    let steps = prop::collection::vec((0..ROOMS, any::<u8>(), 0..200u64), 0..150);
    let seq = (0..220u64).prop_map(Seq);
    let span = proptest::prop_oneof![
        seq.clone().prop_map(Span::After),
        seq.prop_map(Span::Before),
        proptest::strategy::Just(Span::Unread)
    ];
    let queries = prop::collection::vec((0..ROOMS + 1, span, 0..40usize), 60);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&(steps, queries), |(steps, queries)| {
        let place = Place::new(place.kind);
        let (mut store, mut model) = (place.open(), Model::default());
        fill(&mut store, &mut model, &steps);
        for (to, span, count) in queries {
            proptest::prop_assert_eq!(store.read(room(to), span, count), model.page(room(to), span, count));
        }
        Ok(())
    });
    checked.expect("the journal and the model agree");
}

/// A store of some hundred messages in each room, and its model.
fn filled(place: &Place) -> (Store, Model) {
    let (mut store, mut model) = (place.open(), Model::default());
    let steps: Vec<_> = (0..1500u64).map(|n| (n * n % 7 % ROOMS, (n * 31 % 256) as u8, n * 17 % (n + 1))).collect();
    fill(&mut store, &mut model, &steps);
    (store, model)
}

fn everything_is_found_page_by_page(place: &Place) {
    let (store, model) = filled(place);
    let store = place.reopen(store);
    for (&room, all) in &model.rooms {
        for count in [1, 3, 32, 1000] {
            let (mut forward, mut at) = (Vec::new(), Seq(0));
            loop {
                let page = store.read(room, Span::After(at), count);
                assert_eq!(page.remaining, (all.len() - forward.len() - page.entries.len()) as u64);
                forward.extend(page.entries);
                at = forward.last().expect("a room has messages").seq;
                if page.remaining == 0 {
                    break;
                }
            }
            assert_eq!(&forward, all);
            let (mut backward, mut at) = (Vec::new(), Seq(u64::MAX));
            loop {
                let page = store.read(room, Span::Before(at), count);
                assert_eq!(page.remaining, (all.len() - backward.len() - page.entries.len()) as u64);
                backward.splice(0..0, page.entries);
                at = backward[0].seq;
                if page.remaining == 0 {
                    break;
                }
            }
            assert_eq!(&backward, all);
        }
    }
}

fn the_edges_of_seqs_are_no_special_case(place: &Place) {
    let (mut store, model) = filled(place);
    for number in 0..=ROOMS {
        for seq in [0, 1, 2, u64::MAX - 1, u64::MAX].map(Seq) {
            for count in [0, 1, 10_000] {
                for span in [Span::After(seq), Span::Before(seq)] {
                    assert_eq!(store.read(room(number), span, count), model.page(room(number), span, count), "{span:?}");
                }
            }
        }
    }
    assert!(matches!(store.one(acked(0, u64::MAX)), Outcome::Committed(_)));
    assert_eq!(store.read(inbox(0), Span::Unread, 10), Page::default());
}

/// A reader that goes on while others write sees, each time, a room that is whole up to some moment.
fn reading_beside_the_writer_sees_whole_rooms(place: &Place) {
    let mut store = place.open();
    let (runtime, journal, feed) = store.parts();
    runtime.block_on(async {
        let writing = async {
            for number in 0..200 {
                let drafts = (0..10).map(|part| said(inbox(7), 2, &format!("{}", number * 10 + part)));
                journal.append(drafts.collect()).await.expect("it is open");
                feed.recv().await.expect("an outcome");
            }
        };
        let reading = async {
            let mut seen = 0;
            while seen < 2000 {
                let query = |span, count| linechat::journal::Query { room: inbox(7), span, count };
                let page = journal.read(query(Span::Before(Seq(u64::MAX)), 5)).await.expect("the store is whole");
                let texts: Vec<_> = page.entries.iter().map(|entry| text(entry).parse::<u64>().expect("a number")).collect();
                assert!(texts.windows(2).all(|pair| pair[1] == pair[0] + 1), "{texts:?}");
                let total = texts.last().map_or(0, |last| last + 1);
                assert_eq!(page.remaining, total.saturating_sub(5), "{texts:?}");
                assert!(total >= seen && total % 10 == 0, "{total} after {seen}: an append is there whole or not at all");
                seen = total;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(writing, reading);
    });
}

/// Readers that go away while they wait leave the others theirs.
#[test]
fn reading_that_is_given_up_costs_the_others_nothing() {
    let place = Place::new(crate::Kind::Disk);
    let (mut store, _) = filled(&place);
    let (runtime, journal, _) = store.parts();
    runtime.block_on(async {
        for _ in 0..200 {
            let query = linechat::journal::Query { room: room(1), span: Span::After(Seq(0)), count: 100 };
            for _ in 0..8 {
                // Polled once, so that the work has begun, and dropped.
                let mut reading = journal.read(query);
                std::future::poll_fn(|context| {
                    let _ = reading.as_mut().poll(context);
                    std::task::Poll::Ready(())
                })
                .await;
            }
            journal.read(query).await.expect("the store is whole");
        }
    });
}

/// In a small memory the oldest messages go, and readers are told of exactly those that they miss.
#[test]
fn what_was_given_up_is_said() {
    let mut store = Store::memory(64 * 1024);
    let mut model = Model::default();
    let steps: Vec<_> = (0..1000u64).map(|n| (if n < 100 { 3 } else { n % 3 }, 0, n)).collect();
    fill(&mut store, &mut model, &steps);
    for (&room, all) in &model.rooms {
        let kept = store.read(room, Span::After(Seq(0)), 10_000).entries;
        let lost = all.len() - kept.len();
        assert_eq!(kept, all[lost..], "what is kept is the newest, without holes");
        assert_eq!(kept.is_empty(), room == self::room(3));
        for seq in (0..1100).map(Seq) {
            for count in [0, 1, 10, 10_000] {
                let page = store.read(room, Span::After(seq), count);
                let whole = model.page(room, Span::After(seq.max(all[lost - 1].seq)), count);
                assert_eq!((&page.entries, page.remaining), (&whole.entries, whole.remaining));
                let newest_lost = all[lost - 1].seq;
                assert_eq!(page.gap, (newest_lost > seq).then_some((Seq(seq.0 + 1), newest_lost)), "after {seq}");
            }
            let page = store.read(room, Span::Before(seq), 10_000);
            let before = all.iter().filter(|entry| entry.seq < seq);
            let (gone, there): (Vec<_>, Vec<_>) = before.cloned().partition(|entry| entry.seq <= all[lost - 1].seq);
            assert_eq!((page.entries, page.remaining), (there, 0));
            if let Some(newest_gone) = gone.last() {
                let (first, last) = page.gap.expect("something is lost");
                assert!(first == Seq(1) && (newest_gone.seq..seq.max(Seq(1))).contains(&last), "{last} of {newest_gone:?}");
            }
            assert!(page.gap.is_none() || seq > Seq(1), "nothing lies before the first seq");
        }
    }
}

/// A mark among messages that were given up still moves, as far as it is known where it lies.
#[test]
fn what_was_given_up_can_still_be_marked() {
    let mut store = Store::memory(64 * 1024);
    let seqs: Vec<_> = (0..500).map(|_| store.commit(said(inbox(7), 2, "x")).seq).collect();
    let page = store.read(inbox(7), Span::Unread, 10);
    let (_, newest_lost) = page.gap.expect("the first are gone");
    assert!(matches!(store.one(acked(7, newest_lost.0)), Outcome::Committed(_)));
    let page = store.read(inbox(7), Span::Unread, 0);
    // The mark is an entry too, and may have pushed out messages: what it has pushed out, and no more, is said and not counted.
    let lost = page.gap.map_or(newest_lost, |(first, last)| if first > newest_lost { last } else { Seq(0) });
    let kept = seqs.iter().filter(|&&seq| seq > lost).count() as u64;
    assert!(page.remaining == kept && kept > 100, "{page:?}");
    for _ in 0..500 {
        store.commit(said(channel(1), 2, "x"));
    }
    let page = store.read(inbox(7), Span::Unread, 10);
    assert_eq!((page.entries.len(), page.gap.expect("all are gone").1), (0, *seqs.last().expect("some")));
    assert!(matches!(store.one(acked(7, u64::MAX)), Outcome::Committed(_)));
    assert_eq!(store.read(inbox(7), Span::Unread, 10), Page::default());
}

/// What was put last is there, though it alone may be more than a small memory should hold: the state is made of it.
#[test]
fn the_newest_stay_however_small_the_memory_is() {
    let mut store = Store::memory(64 * 1024);
    let long = "x".repeat(3_500);
    for number in 1..=200 {
        let said = store.commit(said(inbox(7), 2, &long));
        let below = UserId(number * 4096);
        store.commit(draft(None, Event::Ids { below }));
        assert_eq!(store.read(inbox(7), Span::Before(Seq(u64::MAX)), 1).entries, [said]);
    }
}
