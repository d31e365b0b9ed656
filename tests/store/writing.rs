//! Writing: order, whole batches, read marks, and what costs nothing.

use linechat::event::{Event, Share};
use linechat::names::{Seq, UserId};
use linechat::store::{Presence, Start, What};

use crate::store::{acked, came, channel, draft, inbox, joined, said, session, text, user, went};
use crate::{Kind, Place};

crate::on_every_store! {
    seqs_grow_and_go_on_after_a_restart
    every_part_of_an_entry_is_kept
    a_batch_is_there_whole_or_not_at_all
    looking_sees_what_is_not_committed_yet
    marks_are_clamped_and_only_move_forward
    what_is_ephemeral_leaves_no_entry
}

fn seqs_grow_and_go_on_after_a_restart(place: &Place) {
    let mut store = place.open();
    let mut last = Seq(0);
    for round in 0..3 {
        for number in 0..50 {
            let room = if number % 2 == 0 { channel(1) } else { inbox(7) };
            assert_eq!(store.driven.last(), Ok(last));
            last = store.commit(said(room, 2, &format!("{round} {number}"))).seq;
        }
        store = place.reopen(store);
        assert_eq!(store.driven.last(), Ok(last));
        // A guest's inbox does not outlive its guest; an account's would.
        store.tidy();
        assert_eq!(store.driven.last(), Ok(last));
    }
    let expected: Vec<_> = (0..3).flat_map(|round| (0..50).step_by(2).map(move |n| format!("{round} {n}"))).collect();
    assert_eq!(store.texts(channel(1)), expected);
}

fn every_part_of_an_entry_is_kept(place: &Place) {
    let mut store = place.open();
    let room = channel(1);
    let events = [
        Event::Said {
            from: user(7),
            key: Some("a key".into()),
            text: " \"quoted\" \\ ünicode 名前 \u{1f600} ".into(),
            share: Some(Share { near: Some(u16::MAX) }),
        },
        Event::Said { from: user(7), key: None, text: "x".into(), share: Some(Share { near: None }) },
        Event::Topic { who: user(8), text: "".into() },
        Event::Joined { who: user(9), since: linechat::event::Time(-5), rank: Seq(3), lasts: true, shown: true },
        Event::Left { who: user(9), reason: Some("disconnected".into()), lasts: true, shown: true },
        Event::Owner { who: None, lasts: true, shown: true },
    ];
    let mut put = Vec::new();
    for (number, event) in events.into_iter().enumerate() {
        let mut draft = draft(Some(room), event);
        draft.via = number.is_multiple_of(2).then_some(UserId(number as u64));
        put.push(store.commit(draft));
    }
    let store = place.reopen(store);
    let page = store.try_read(room, Start::After(Seq(0)), 10, What::Everything).expect("the store is whole");
    assert_eq!(page.entries, put);
}

fn a_batch_is_there_whole_or_not_at_all(place: &Place) {
    let mut store = place.open();
    let first = store.commit(said(inbox(7), 2, "first"));
    let digest = store.driven.digest();
    for _ in 0..3 {
        // More rows than one statement takes.
        for number in 0..40 {
            store.try_put(crate::store::keyed(inbox(7), 2, &format!("k{number}"), "gone")).expect("it is taken");
        }
        store.try_put(acked(7, first.seq.0)).expect("it is taken");
        store.try_put(joined(channel(5), 7, true, true)).expect("it is taken");
        assert_eq!(store.texts(inbox(7)), ["first"], "readers see what is committed");
        store.driven.rollback();
        assert_eq!(store.driven.last(), Ok(first.seq));
        assert_eq!(store.driven.digest(), digest);
        let inbox = store.inbox(7);
        assert_eq!((inbox.count, inbox.newest, inbox.read_count), (1, first.seq, 0));
        assert_eq!(store.used(2, "k1"), None);
    }
    store.commit(said(inbox(7), 2, "second"));
    assert_eq!(store.texts(inbox(7)), ["first", "second"]);
    store.driven.commit().expect("nothing to do");
    store.driven.rollback();
    assert_eq!(store.texts(inbox(7)), ["first", "second"]);
}

fn looking_sees_what_is_not_committed_yet(place: &Place) {
    let mut store = place.open();
    let seqs: Vec<_> = (0..100).map(|_| store.commit(said(inbox(7), 2, "x")).seq).collect();
    let put: Vec<_> = (0..100).map(|_| store.try_put(said(inbox(7), 2, "y")).expect("it is taken").seq).collect();
    assert_eq!(store.inbox(7).count, 200);
    assert_eq!(store.inbox(7).newest, put[99]);
    for seq in seqs.iter().chain(&put) {
        assert_eq!(store.driven.newest_until(UserId(7), *seq), Ok(*seq));
    }
    store.try_put(acked(7, put[49].0)).expect("it is taken");
    assert_eq!((store.inbox(7).read_count, store.inbox(7).read), (150, put[49]));
    assert_eq!(store.driven.last().expect("it is whole").0, put[99].0 + 1);
    store.driven.commit().expect("it is stored");
    assert_eq!(store.read(inbox(7), Start::Unread, 1000).entries.len(), 50);
}

fn marks_are_clamped_and_only_move_forward(place: &Place) {
    let mut store = place.open();
    store.commit(crate::store::registered(7));
    assert_eq!(store.ack(7, u64::MAX), None, "an empty inbox");
    let first = store.commit(said(inbox(7), 2, "1")).seq;
    store.commit(said(channel(1), 2, "not of the inbox"));
    let second = store.commit(said(inbox(7), 2, "2")).seq;
    assert_eq!(store.ack(7, first.0 - 1), None, "before the first");
    assert_eq!(store.ack(7, second.0 - 1), Some(first), "between two messages: the one before");
    assert_eq!(store.ack(7, first.0), None, "idempotent");
    store = place.reopen(store);
    assert_eq!(store.ack(7, 1), None, "never backward");
    store.commit(acked(7, first.0));
    assert_eq!(store.inbox(7).read, first);
    assert_eq!(store.read(inbox(7), Start::Unread, 10).entries.len(), 1);
    assert_eq!(store.ack(7, u64::MAX), Some(second), "clamped to the newest");
    store.commit(acked(7, first.0));
    assert_eq!(store.inbox(7).read, second, "never backward, whatever is put");
    let third = store.commit(said(inbox(7), 2, "3")).seq;
    store = place.reopen(store);
    let unread = store.read(inbox(7), Start::Unread, 10);
    assert_eq!((unread.entries.len(), unread.entries[0].seq), (1, third), "what comes after a clamped mark is unread");
    assert_eq!(store.read(inbox(8), Start::Unread, 10).entries.len(), 0, "another inbox is not concerned");
    assert_eq!(store.texts(inbox(7)), ["1", "2", "3"], "nothing is removed");
    assert_eq!((store.inbox(7).count, store.inbox(7).read_count), (3, 2));
}

/// Connections come and go without a byte being written, unless presence is wanted; SQLite itself counts what is written to the
/// database.
fn what_is_ephemeral_leaves_no_entry(place: &Place) {
    let mut store = place.open();
    let first = store.commit(said(channel(1), 2, "x"));
    let log = place.directory().join("journal.db-wal");
    let length = || log.metadata().map_or(0, |log| log.len());
    let (before, digest) = (length(), store.driven.digest());
    for number in 0..50 {
        let online = Event::Online { who: user(number) };
        let ended = Event::NodeEnded { node: linechat::event::NodeId(1), guests: vec![UserId(number)] };
        let into =
            Event::LoggedIn { session: session(number), guest: UserId(number), account: UserId(1), token: None, untold: None };
        let joined = joined(channel(1), number, false, true);
        store.append(vec![came(number), joined, draft(Some(channel(1)), online), draft(None, into)]);
        store.append(vec![went(number), draft(None, ended)]);
    }
    match place.presence {
        Presence::Forgotten => {
            assert_eq!((length(), store.driven.digest()), (before, digest));
            assert_eq!(store.driven.last(), Ok(first.seq), "what is stored nowhere is not counted");
        }
        Presence::Kept => {
            assert_ne!(store.driven.digest(), digest, "how far it has come is a part of what it holds");
            assert_eq!(store.driven.last(), Ok(Seq(first.seq.0 + 300)));
        }
    }
    assert_eq!(before > 0, place.kind == Kind::Disk);
    let page = store.try_read(channel(1), Start::After(Seq(0)), 10, What::Everything).expect("it is whole");
    assert_eq!((page.entries.len(), text(&page.entries[0])), (1, "x"));
}
