//! Reading: pages in both directions and of both kinds, compared with a model that does nothing clever.

use std::collections::BTreeMap;

use linechat::event::{Entry, Event, RoomId};
use linechat::names::Seq;
use linechat::store::{Page, Query, Start, What};
use proptest::prelude::{Strategy, any, prop};
use proptest::test_runner::{Config, TestRunner};

use crate::Place;
use crate::store::{Draft, Store, created, inbox, joined, left, registered, said, text, topic};

crate::on_every_store! {
    pages_are_those_of_the_model
    everything_is_found_page_by_page
    the_edges_of_seqs_are_no_special_case
    a_page_looks_at_few_entries
    reading_beside_the_writer_sees_whole_rooms
}

crate::on_every_disk! {
    reading_that_is_given_up_costs_the_others_nothing
    a_store_that_was_opened_again_links_as_before
}

/// What a room holds, as a list.
#[derive(Debug, Default)]
pub struct Model {
    pub rooms: BTreeMap<RoomId, Vec<Entry>>,
    marks: BTreeMap<RoomId, Seq>,
}

impl Model {
    /// The entries of a kind that a room holds.
    pub fn all(&self, room: RoomId, what: What) -> Vec<Entry> {
        let all = self.rooms.get(&room).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|entry| what == What::Everything || entry.event.is_message()).cloned().collect()
    }

    pub fn page(&self, Query { room, start, count, what }: Query) -> Page {
        let all = self.all(room, what);
        let after = |seq| all.partition_point(|entry| entry.seq <= seq);
        let forward = |from: usize| {
            let to = all.len().min(from.saturating_add(count));
            Page { entries: all[from..to].to_vec(), remaining: (all.len() - to) as u64, ..Page::default() }
        };
        match start {
            Start::After(seq) => forward(after(seq)),
            Start::Unread => forward(after(self.marks.get(&room).copied().unwrap_or_default())),
            Start::Before(seq) => {
                let to = all.partition_point(|entry| entry.seq < seq);
                let from = to.saturating_sub(count);
                Page { entries: all[from..to].to_vec(), remaining: from as u64, ..Page::default() }
            }
        }
    }
}

pub const ROOMS: u64 = 4;

/// Inboxes and channels in turn.
pub fn room(number: u64) -> RoomId {
    if number.is_multiple_of(2) { inbox(number) } else { crate::store::channel(number) }
}

fn step(to: u64, kind: u8, number: u64) -> Draft {
    match kind {
        0..130 => said(room(to), 9, &format!("{kind} {number}")),
        130..180 => topic(room(to), &format!("{number}")),
        180..200 => left(room(to), number, true, true),
        200..215 => joined(room(to), number, true, false),
        215..230 => joined(room(to), number, false, true),
        _ => crate::store::came(number),
    }
}

/// Puts entries of all kinds into several rooms, and read marks; some in a batch with others and some alone.
pub fn fill(store: &mut Store, model: &mut Model, steps: &[(u64, u8, u64)]) {
    for chunk in steps.chunks(7) {
        let drafts = chunk.iter().map(|&(to, kind, number)| step(to, kind, number));
        for entry in store.append(drafts.collect()) {
            if entry.event.lasts() && entry.event.is_shown() {
                model.rooms.entry(entry.room.expect("a room")).or_default().push(entry);
            }
        }
        let (to, kind, upto) = chunk[0];
        if let (RoomId::Inbox(id), 0..60) = (room(to), kind)
            && let Some(read) = store.ack(id.0, upto)
        {
            model.marks.insert(room(to), read);
        }
    }
}

fn check(store: &Store, model: &Model, query: Query) -> Result<(), proptest::test_runner::TestCaseError> {
    let Query { room, start, count, what } = query;
    let mut page = store.try_read(room, start, count, what).expect("the store is whole");
    if let (RoomId::Channel(_), Start::After(_), What::Everything) = (room, start, what)
        && !model.rooms.contains_key(&room)
    {
        // A channel that was never created looks like one that was created and deleted.
        page.gap = None;
    }
    proptest::prop_assert_eq!(page, model.page(query), "{:?}", query);
    Ok(())
}

fn pages_are_those_of_the_model(place: &Place) {
    let steps = prop::collection::vec((0..ROOMS, any::<u8>(), 0..200u64), 0..200);
    let seq = (0..220u64).prop_map(Seq);
    let start = proptest::prop_oneof![
        seq.clone().prop_map(Start::After),
        seq.prop_map(Start::Before),
        proptest::strategy::Just(Start::Unread)
    ];
    let what = proptest::prop_oneof![proptest::strategy::Just(What::Messages), proptest::strategy::Just(What::Everything)];
    let queries = prop::collection::vec((0..ROOMS + 1, start, 0..40usize, what), 60);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&(steps, queries), |(steps, queries)| {
        let place = place.another();
        let (mut store, mut model) = (place.open(), Model::default());
        fill(&mut store, &mut model, &steps);
        for (to, start, count, what) in queries {
            check(&store, &model, Query { room: room(to), start, count, what })?;
        }
        Ok(())
    });
    checked.expect("the store and the model agree");
}

/// A store with some hundred entries in each room, and its model.
fn filled(place: &Place) -> (Store, Model) {
    let (mut store, mut model) = (place.open(), Model::default());
    // The inboxes belong to accounts, so that they outlive the store's run.
    store.append((0..ROOMS).map(registered).collect());
    let steps: Vec<_> = (0..1500u64).map(|n| (n * n % 7 % ROOMS, (n * 31 % 256) as u8, n * 17 % (n + 1))).collect();
    fill(&mut store, &mut model, &steps);
    (store, model)
}

fn everything_is_found_page_by_page(place: &Place) {
    let (store, model) = filled(place);
    let store = place.reopen(store);
    for (&room, what) in model.rooms.keys().flat_map(|room| [(room, What::Messages), (room, What::Everything)]) {
        let all = model.all(room, what);
        let read = |start, count| store.try_read(room, start, count, what).expect("the store is whole");
        for count in [1, 3, 32, 1000] {
            let (mut forward, mut at) = (Vec::new(), Seq(0));
            loop {
                let page = read(Start::After(at), count);
                assert_eq!(page.remaining, (all.len() - forward.len() - page.entries.len()) as u64);
                forward.extend(page.entries);
                at = forward.last().expect("a room has entries").seq;
                if page.remaining == 0 {
                    break;
                }
            }
            assert_eq!(forward, all);
            let (mut backward, mut at) = (Vec::new(), Seq(u64::MAX));
            loop {
                let page = read(Start::Before(at), count);
                assert_eq!(page.remaining, (all.len() - backward.len() - page.entries.len()) as u64);
                backward.splice(0..0, page.entries);
                at = backward[0].seq;
                if page.remaining == 0 {
                    break;
                }
            }
            assert_eq!(backward, all);
        }
    }
}

fn the_edges_of_seqs_are_no_special_case(place: &Place) {
    let (mut store, model) = filled(place);
    for number in 0..=ROOMS {
        for seq in [0, 1, 2, u64::MAX - 1, u64::MAX].map(Seq) {
            for count in [0, 1, 10_000, usize::MAX] {
                for start in [Start::After(seq), Start::Before(seq)] {
                    for what in [What::Messages, What::Everything] {
                        check(&store, &model, Query { room: room(number), start, count, what }).expect("as the model");
                    }
                }
            }
        }
    }
    assert!(store.ack(0, u64::MAX).is_some());
    assert_eq!(store.read(inbox(0), Start::Unread, 10), Page::default());
}

/// A room of many joins and few messages, and one of many messages: reading a page does not walk through entries that it does
/// not show.
fn a_page_looks_at_few_entries(place: &Place) {
    const MANY: u64 = 30_000;
    let mut store = place.open();
    let mut messages = Vec::new();
    for start in (0..MANY).step_by(1000) {
        messages.push(store.commit(said(room(1), 9, &format!("{start}"))));
        store.append((0..1000).map(|number| left(room(1), number, true, true)).collect());
    }
    let began = std::time::Instant::now();
    for (at, message) in messages.iter().enumerate() {
        for seq in [message.seq.0 - 1, message.seq.0, message.seq.0 + 500].map(Seq) {
            let first = at + usize::from(seq >= message.seq);
            let page = store.read(room(1), Start::After(seq), 5);
            assert_eq!(page.entries, messages[first..messages.len().min(first + 5)]);
            let page = store.read(room(1), Start::Before(seq), 5);
            let last = at + usize::from(seq > message.seq);
            assert_eq!(page.entries, messages[last.saturating_sub(5)..last]);
        }
    }
    // Walking through all of it each time would mean 2.7 million entries.
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
}

/// Somebody who reads while others write always sees a room that is whole up to some moment.
fn reading_beside_the_writer_sees_whole_rooms(place: &Place) {
    let mut store = place.open();
    let (runtime, reader, driven) = store.parts();
    let entry = |number: u64| {
        let event = Event::Said { from: crate::store::user(2), text: format!("{number}").into(), key: None, share: None };
        Entry { seq: Seq(number + 1), time: linechat::event::Time(0), room: Some(inbox(7)), via: None, event }
    };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..200 {
                (0..10).for_each(|part| driven.put(&entry(number * 10 + part)).expect("it is taken"));
                driven.commit().expect("it is stored");
            }
        });
        let mut seen = 0;
        while seen < 2000 {
            let query = Query { room: inbox(7), start: Start::Before(Seq(u64::MAX)), count: 5, what: What::Messages };
            let page = runtime.block_on(reader.read(query)).expect("the store is whole");
            let texts: Vec<_> = page.entries.iter().map(|entry| text(entry).parse::<u64>().expect("a number")).collect();
            assert!(texts.windows(2).all(|pair| pair[1] == pair[0] + 1), "{texts:?}");
            let total = texts.last().map_or(0, |last| last + 1);
            assert_eq!(page.remaining, total.saturating_sub(5), "{texts:?}");
            assert!(total >= seen && total % 10 == 0, "{total} after {seen}: a batch is there whole or not at all");
            seen = total;
        }
    });
}

/// Readers that go away while they wait do not keep connections from the others.
fn reading_that_is_given_up_costs_the_others_nothing(place: &Place) {
    let (mut store, _) = filled(place);
    let (runtime, reader, _) = store.parts();
    runtime.block_on(async {
        for _ in 0..200 {
            let query = Query { room: room(1), start: Start::After(Seq(0)), count: 100, what: What::Messages };
            for _ in 0..8 {
                // Polled once, so that the work has begun, and dropped.
                let mut reading = reader.read(query);
                std::future::poll_fn(|context| {
                    let _ = reading.as_mut().poll(context);
                    std::task::Poll::Ready(())
                })
                .await;
            }
            reader.read(query).await.expect("the store is whole");
        }
    });
}

/// Links lead as far back after a start as before it, so that replicas that start at different times hold the same.
fn a_store_that_was_opened_again_links_as_before(place: &Place) {
    let digest = |opened_again: &[u64]| {
        let place = place.another();
        let mut store = place.open();
        let room = store.commit(created("rust", 7)).room.expect("a room");
        for number in 0..100 {
            store.commit(said(room, 7, &number.to_string()));
            store = if opened_again.contains(&number) { place.reopen(store) } else { store };
        }
        store.driven.digest().expect("it is whole")
    };
    assert_eq!(digest(&[]), digest(&[3, 16, 17, 62, 63, 64, 98]));
}
