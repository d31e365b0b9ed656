//! What is written: order, outcomes, keys, guards, marks, the feed, closing.

use linechat::event::{Change, Draft, Entry, Event, Guard, Origin, Outcome};
use linechat::journal::{Closed, Span};
use linechat::limits::KEYS_REMEMBERED;
use linechat::names::{Name, Seq, UserId};

use crate::Place;
use crate::store::{acked, channel, draft, guarded, inbox, keyed, said, text, user};

crate::on_every_journal! {
    seqs_grow_and_go_on_after_a_restart
    each_draft_has_its_outcome_in_order
    a_key_makes_a_retry_safe
    keys_are_each_senders_own
    the_last_4096_keys_are_remembered
    a_vacant_slot_is_taken_once
    an_inbox_takes_as_many_as_its_guard_allows
    marks_are_clamped_and_only_move_forward
    the_state_is_the_newest_of_each_slot
    what_ends_frees_what_lies_below
    closing_commits_what_is_queued
}

fn registered(name: &str, id: u64) -> Draft {
    let who = linechat::names::Who { name: Name::new(name), id: UserId(id) };
    guarded(draft(None, Event::Registered { who, password: "$phc".into() }), Guard::Vacant)
}

fn created(name: &str, owner: u64) -> Draft {
    let event = Event::Created { channel: Name::new(name), owner: user(owner), key: Some("$phc".into()) };
    guarded(draft(None, event), Guard::Vacant)
}

fn changed(name: &str, id: Seq, who: u64, change: Change) -> Draft {
    draft(Some(channel(id.0)), Event::Channel { channel: Name::new(name), who: user(who), change })
}

fn seqs_grow_and_go_on_after_a_restart(place: &Place) {
    let mut store = place.open();
    let mut last = Seq(0);
    for round in 0..3 {
        for number in 0..50 {
            let room = if number % 2 == 0 { channel(1) } else { inbox(7) };
            let entry = store.commit(said(room, 2, &format!("{round} {number}")));
            assert!(entry.seq > last, "{} after {last}", entry.seq);
            assert_eq!(entry.room, Some(room));
            last = entry.seq;
        }
        store = place.reopen(store);
    }
    let texts: Vec<_> = store.read(channel(1), Span::After(Seq(0)), 1000).entries.iter().map(|e| text(e).to_owned()).collect();
    let expected: Vec<_> = (0..3).flat_map(|round| (0..50).step_by(2).map(move |n| format!("{round} {n}"))).collect();
    assert_eq!(texts, expected);
}

/// Whatever becomes of a draft, it is heard of once, with its origin, in the order of the appends and of the drafts in them.
fn each_draft_has_its_outcome_in_order(place: &Place) {
    let mut store = place.open();
    store.commit(registered("nina", 7));
    store.commit(keyed(channel(1), 2, "k", "first"));
    let mut tag = 0;
    let mut with_tag = |mut draft: Draft| {
        tag += 1;
        draft.origin = Some(Origin { session: tag % 3, tag });
        draft
    };
    let batches: Vec<Vec<_>> = (0..40)
        .map(|number| {
            vec![
                with_tag(said(inbox(9), 2, &format!("text {number}"))),
                with_tag(keyed(channel(1), 2, "k", "first")),
                with_tag(keyed(channel(1), 2, "k", "other")),
                with_tag(registered("NINA", 8)),
                with_tag(guarded(said(inbox(9), 3, "no"), Guard::Unread(0))),
                with_tag(acked(7, 1000)),
            ]
        })
        .collect();
    let done = store.pump(batches).expect("the journal goes on");
    assert_eq!(done.len(), 240);
    let mut last = Seq(0);
    for (at, done) in done.iter().enumerate() {
        let tag = at as u64 + 1;
        assert_eq!(done.origin, Some(Origin { session: tag % 3, tag }));
        match (at % 6, &done.outcome) {
            (0, Outcome::Committed(Entry { seq, .. })) if *seq > last => last = *seq,
            (1, Outcome::Duplicate { .. }) | (2, Outcome::KeyReused(_)) | (3, Outcome::Occupied) | (4, Outcome::Full) => {}
            (5, Outcome::Unmoved(Seq(0))) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.read(inbox(9), Span::Unread, 0).remaining, 40);
    assert_eq!(store.read(channel(1), Span::After(Seq(0)), 10).entries.len(), 1);
}

fn a_key_makes_a_retry_safe(place: &Place) {
    let mut store = place.open();
    let first = store.commit(keyed(inbox(7), 2, "k1", "hi"));
    for _ in 0..2 {
        let duplicate = Outcome::Duplicate { seq: first.seq, time: first.time };
        assert_eq!(store.one(keyed(inbox(7), 2, "k1", "hi")), duplicate);
        assert_eq!(store.one(keyed(inbox(7), 2, "k1", "ho")), Outcome::KeyReused(first.seq), "another text");
        assert_eq!(store.one(keyed(inbox(8), 2, "k1", "hi")), Outcome::KeyReused(first.seq), "another room");
        let outcomes = store.append(vec![keyed(inbox(7), 2, "K1", "hi"), keyed(inbox(7), 2, "K1", "hi")]);
        match &outcomes[..] {
            [Outcome::Committed(entry), Outcome::Duplicate { seq, .. }] => assert_eq!(entry.seq, *seq, "within one append"),
            [Outcome::Duplicate { .. }, Outcome::Duplicate { .. }] => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(store.read(inbox(7), Span::Unread, 10).entries.len(), 2);
        store = place.reopen(store);
    }
}

fn keys_are_each_senders_own(place: &Place) {
    let mut store = place.open();
    let first = store.commit(keyed(channel(1), 2, "k", "hi"));
    let second = store.commit(keyed(channel(1), 3, "k", "hi"));
    // A message without a key, or one that was refused, has nothing to do with keys.
    store.commit(said(channel(1), 2, "hi"));
    assert_eq!(store.one(guarded(keyed(inbox(7), 2, "refused", "hi"), Guard::Unread(0))), Outcome::Full);
    store = place.reopen(store);
    for (sender, entry) in [(2, first), (3, second)] {
        let duplicate = Outcome::Duplicate { seq: entry.seq, time: entry.time };
        assert_eq!(store.one(keyed(channel(1), sender, "k", "hi")), duplicate);
    }
    store.commit(keyed(inbox(7), 2, "refused", "another text after all"));
}

/// Counted and not timed, each sender's own count: the newest 4,096 are known, the one before them is not.
fn the_last_4096_keys_are_remembered(place: &Place) {
    let mut store = place.open();
    let count = KEYS_REMEMBERED + 10;
    let one = |number: usize| keyed(channel(1), 2, &format!("k{number}"), &format!("text {number}"));
    let drafts = (0..count).flat_map(|number| [one(number), keyed(channel(1), 3, "same", "same"), said(channel(1), 2, "x")]);
    let outcomes = store.append(drafts.collect());
    store = place.reopen(store);
    let retries = store.append((10..count).map(one).collect());
    for (retry, first) in retries.iter().zip(outcomes[30..].iter().step_by(3)) {
        let Outcome::Committed(first) = first else { panic!("{first:?}") };
        assert_eq!(*retry, Outcome::Duplicate { seq: first.seq, time: first.time });
    }
    for evicted in 0..10 {
        // Each of these is a new key now, and pushes out the oldest.
        store.commit(one(evicted));
        assert!(matches!(store.one(one(evicted)), Outcome::Duplicate { .. }));
        let next = keyed(channel(1), 2, &format!("k{}", 10 + evicted), "what the key was not used for");
        store.commit(next);
        store = if evicted == 5 { place.reopen(store) } else { store };
        // Two keys were added, so that two of the old ones are gone by now, and not a third.
        let kept = 10 + 2 * (evicted + 1);
        assert!(matches!(store.one(one(kept)), Outcome::Duplicate { .. }), "{kept}");
    }
}

fn a_vacant_slot_is_taken_once(place: &Place) {
    let mut store = place.open();
    store.commit(registered("Nina", 7));
    assert_eq!(store.one(registered("nina", 8)), Outcome::Occupied, "names are without case");
    let rust = store.commit(created("rust", 7)).seq;
    assert_eq!(store.one(created("Rust", 8)), Outcome::Occupied);
    let outcomes = store.append(vec![created("new", 7), created("new", 8)]);
    assert!(matches!(outcomes[..], [Outcome::Committed(_), Outcome::Occupied]), "within one append: {outcomes:?}");
    store = place.reopen(store);
    assert_eq!(store.one(created("rust", 8)), Outcome::Occupied);
    store.commit(changed("rust", rust, 7, Change::Closed));
    let again = store.commit(created("RUST", 8)).seq;
    assert!(again > rust, "another channel with another identity");
    let outcomes = store.append(vec![changed("rust", again, 8, Change::Closed), created("rust", 9)]);
    assert!(matches!(outcomes[..], [Outcome::Committed(_), Outcome::Committed(_)]), "{outcomes:?}");
    assert_eq!(store.one(registered("nina", 9)), Outcome::Occupied);
}

fn an_inbox_takes_as_many_as_its_guard_allows(place: &Place) {
    let mut store = place.open();
    let one = || guarded(said(inbox(7), 2, "x"), Guard::Unread(3));
    let outcomes = store.append((0..5).map(|_| one()).collect());
    let full: Vec<_> = outcomes.iter().map(|outcome| *outcome == Outcome::Full).collect();
    assert_eq!(full, [false, false, false, true, true]);
    store.commit(said(channel(1), 2, "elsewhere there is room"));
    let Outcome::Committed(second) = &outcomes[1] else { panic!("{outcomes:?}") };
    let outcomes = store.append(vec![acked(7, second.seq.0), one(), one(), one()]);
    let full: Vec<_> = outcomes.iter().map(|outcome| *outcome == Outcome::Full).collect();
    assert_eq!(full, [false, false, false, true], "two were read");
    store = place.reopen(store);
    assert_eq!(store.one(one()), Outcome::Full);
    assert_eq!(store.read(inbox(7), Span::Unread, 0).remaining, 3);
}

fn marks_are_clamped_and_only_move_forward(place: &Place) {
    let mut store = place.open();
    assert_eq!(store.one(acked(7, u64::MAX)), Outcome::Unmoved(Seq(0)), "an empty inbox");
    let first = store.commit(said(inbox(7), 2, "1")).seq;
    store.commit(said(channel(1), 2, "not of the inbox"));
    let second = store.commit(said(inbox(7), 2, "2")).seq;
    let mark = |outcome| match outcome {
        Outcome::Committed(Entry { event: Event::Acked { by: UserId(7), upto }, .. }) => upto,
        other => panic!("{other:?}"),
    };
    assert_eq!(store.one(acked(7, first.0 - 1)), Outcome::Unmoved(Seq(0)), "before the first");
    assert_eq!(mark(store.one(acked(7, second.0 - 1))), first, "between two messages: the one before");
    assert_eq!(store.one(acked(7, first.0)), Outcome::Unmoved(first), "idempotent");
    store = place.reopen(store);
    assert_eq!(store.one(acked(7, 1)), Outcome::Unmoved(first), "never backward");
    assert_eq!(store.read(inbox(7), Span::Unread, 10).entries.len(), 1);
    assert_eq!(mark(store.one(acked(7, u64::MAX))), second, "clamped to the newest");
    let third = store.commit(said(inbox(7), 2, "3")).seq;
    store = place.reopen(store);
    let unread = store.read(inbox(7), Span::Unread, 10);
    assert_eq!((unread.entries.len(), unread.entries[0].seq), (1, third), "what comes after a clamped mark is unread");
    assert_eq!(store.read(inbox(8), Span::Unread, 10).entries.len(), 0, "another inbox is not concerned");
    assert_eq!(store.read(inbox(7), Span::After(Seq(0)), 10).entries.len(), 3, "nothing is removed");
}

/// Only a journal that outlives its process begins with a state; memory begins empty.
fn the_state_is_the_newest_of_each_slot(place: &Place) {
    let mut store = place.open();
    assert_eq!(store.state(), []);
    let ids = |below| draft(None, Event::Ids { below: UserId(below) });
    store.commit(ids(4096));
    let nina = store.commit(registered("nina", 7));
    let rust = store.commit(created("rust", 7));
    for number in 0..2000 {
        store.commit(changed("rust", rust.seq, 7, Change::Topic(format!("topic {number}").into())));
        store.append(vec![said(channel(rust.seq.0), 7, "x"), said(inbox(7), 8, "y"), acked(7, u64::MAX)]);
        if number >= 20 && place.kind == crate::Kind::Disk {
            break;
        }
    }
    let joined = store.commit(changed("rust", rust.seq, 8, Change::Joined));
    let topic = store.commit(changed("rust", rust.seq, 7, Change::Topic("the last  one ".into())));
    let left = store.commit(changed("rust", rust.seq, 7, Change::Joined));
    let owner = store.commit(changed("rust", rust.seq, 8, Change::Owner));
    assert!(left.seq < store.commit(changed("rust", rust.seq, 7, Change::Left)).seq);
    let below = store.commit(ids(8192));
    let store = place.reopen(store);
    if place.kind == crate::Kind::Disk {
        assert_eq!(store.state(), [nina, rust, joined, topic, owner, below], "newest of each slot, by seq, and nothing else");
    }
}

fn what_ends_frees_what_lies_below(place: &Place) {
    let mut store = place.open();
    // Names that begin with the ended one's, with what sorts before and after the separator.
    let names = ["rust", "rust-", "rust.", "rust0", "rusty", "rus"];
    let seqs: Vec<_> = names.iter().map(|name| store.commit(created(name, 7)).seq).collect();
    for (name, &seq) in names.iter().zip(&seqs) {
        store.append(vec![
            changed(name, seq, 7, Change::Joined),
            changed(name, seq, 70, Change::Joined),
            changed(name, seq, 7, Change::Topic("t".into())),
            changed(name, seq, 7, Change::Owner),
        ]);
    }
    // An id that is the beginning of another's.
    store.commit(changed("rusty", seqs[4], 7, Change::Left));
    store.commit(changed("rust", seqs[0], 7, Change::Closed));
    let store = place.reopen(store);
    if place.kind == crate::Kind::Disk {
        let of = |name: &str| {
            let belongs = |entry: &&Entry| match &entry.event {
                Event::Created { channel, .. } | Event::Channel { channel, .. } => channel.as_str() == name,
                _ => false,
            };
            store.state().iter().filter(belongs).count()
        };
        assert_eq!(names.map(of), [0, 5, 5, 5, 4, 5]);
    }
}

fn closing_commits_what_is_queued(place: &Place) {
    let mut store = place.open();
    let count = 40;
    let (runtime, journal, feed) = store.parts();
    runtime.block_on(async {
        for number in 0..count {
            journal.append(vec![said(inbox(7), 2, &format!("{number}"))]).await.expect("it is open");
        }
        let outcomes = async {
            let mut outcomes = 0;
            while let Some(fed) = feed.recv().await {
                let linechat::journal::Fed::Done(done) = fed else { panic!("{fed:?}") };
                outcomes += done.iter().filter(|done| matches!(done.outcome, Outcome::Committed(_))).count();
            }
            outcomes
        };
        let ((), outcomes) = tokio::join!(journal.close(), outcomes);
        assert_eq!(outcomes, count);
        assert_eq!(journal.append(vec![said(inbox(7), 2, "late")]).await, Err(Closed));
    });
    if place.kind == crate::Kind::Disk {
        drop(store);
        assert_eq!(place.open().read(inbox(7), Span::Unread, 0).remaining, count as u64);
    }
}
